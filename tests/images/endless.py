"""A program whose loader has a worker that never comes back from reading an image."""

from __future__ import annotations

import sys
import threading
from typing import Any

from torch.utils.data import Dataset

from relabel.images.loading import loader


class Endless(Dataset[Any]):
    """Images that take for ever."""

    def __getitem__(self, number: int) -> Any:
        sys.stdout.write("reading\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    next(iter(loader(Endless(), [[0]], workers=1)))
