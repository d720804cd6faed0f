"""How a synthetic scene or city takes its place in the tree of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relabel.atomic import output_errors, recover_folder, replacing_folder
from relabel.datasets.listing import walk
from relabel.errors import OutputError, OutputExistsError


@contextmanager
def place_in_tree(folder: Path, target: Path, *, overwrite: bool, is_own: Callable[[str], object]) -> Iterator[Path]:
    """A private folder that becomes `target` when the block ends well; else nothing has changed.

    Parameters
    ----------
    folder:
        the root of the tree; made where it does not exist.
    target:
        the folder of the scene or city, somewhere under `folder`.
    overwrite:
        write into a tree that is not empty: what is at `target` is replaced, all else stays.
    is_own:
        whether a path below `target`, as it is there before, is one that this writes; what is not is never replaced.

    Raises
    ------
    OutputExistsError
        when the tree is not empty and `overwrite` was not asked for, or `target` holds anything else.
    OutputError
        when it cannot be written.
    """
    with output_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; choose the name of a folder")
        recover_folder(target)
        if not overwrite and any(files for _, _, files in walk(folder)):
            raise OutputExistsError(
                f"{folder}: is not empty; give a new folder, or pass overwrite=True to replace {target.name} in it"
            )
        made = [parent for parent in target.parents if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)

    def others(there: Path) -> list[str]:
        paths = (Path(parent, name) for parent, *below in walk(there) for names in below for name in names)
        return sorted(name for name in (str(path.relative_to(there)) for path in paths) if not is_own(name))

    try:
        with replacing_folder(target, overwrite=overwrite, foreign=others) as private:
            yield private
    except BaseException:
        for parent in made:
            with suppress(OSError):  # somebody else has put something there
                parent.rmdir()
        raise
