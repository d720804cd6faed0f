"""A stored collection in another measure than the file's, converted as it is read."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.similarity import Converted, RowBlock, gather

if TYPE_CHECKING:
    from relabel.labelfile.stored import StoredCollection


class ConvertedCollection(Converted):
    """What `StoredCollection.in_measure` makes; read like the collection itself, and a `SimilaritySource` as well."""

    source: StoredCollection

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_whole"}

    def row(self, query: str | int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """All matches of one query, best first, as `StoredCollection.row` gives them."""
        block = self.source.row_block(query)
        if self.needs_both_directions:
            here = slice(*self._whole.indptr[block.first_row : block.first_row + 2])
            indices, data = self._whole.indices[here], self._whole.data[here]
            return self.source.best_first(RowBlock(block.first_row, np.array([len(data)]), indices, data))
        return self.source.best_first(self.block(block))

    def to_scipy(self) -> sparse.csr_array:
        """All values as a (queries × database) float32 matrix."""
        return gather(self).matrix

    @cached_property
    def _whole(self) -> sparse.csr_array:
        return self.to_scipy()
