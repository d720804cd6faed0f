"""The folder in which a job of several parts keeps those that are finished, until they are packed.

``o.h5.parts/`` holds a label file for each part and ``job.json``, which says which files are the job's. What it does
not name is somebody else's: it stops the job before anything is computed, and is never removed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from relabel.atomic import abandoned_folders, output_errors, remove_folders, replacing, target_of_private
from relabel.clutter import is_clutter
from relabel.errors import OutputExistsError
from relabel.input_files import check_regular

log = logging.getLogger(__name__)

_JOB, _SOFTWARE = "job.json", "relabel"


class PartsFolder:
    """The parts of the job that makes `target`; to be used inside ``with``, under a claim on `target`.

    Where the block ends badly, finished parts are kept and said so, and the folder is removed if there is none.

    Parameters
    ----------
    target:
        the file that the parts are packed into.
    names:
        of all parts of the job.
    """

    def __init__(self, target: Path, names: Sequence[str]) -> None:
        self.path = target.with_name(f"{target.name}.parts")
        self._files = {name: self.path / file_name(name) for name in names}

    def file(self, name: str) -> Path:
        """The label file of a part."""
        return self._files[name]

    def __enter__(self) -> PartsFolder:  # noqa: PYI034  not meant to be subclassed
        """Make the folder, or take it over from an earlier run.

        Raises
        ------
        OutputExistsError
            when there is something in it that is not of this job, or `path` is a file.
        OutputError
            when it cannot be written.
        """
        with output_errors(self.path):
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise OutputExistsError(
                    f"{self.path}: is not a folder, but the parts of this job need one; move it away"
                )
            is_new = not self.path.exists()
            self.path.mkdir(exist_ok=True)
            try:
                self._refuse_others()
                with replacing(self.path / _JOB, overwrite=True) as private:
                    record = {"software": _SOFTWARE, "parts": sorted(self._files)}
                    private.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
            except BaseException:
                if is_new:
                    with suppress(OSError):
                        self.path.rmdir()
                raise
        return self

    def _refuse_others(self) -> None:
        job = self.path / _JOB
        earlier = _names(job)
        if job.is_symlink() or (earlier is None and os.path.lexists(job)):
            raise self._foreign(job)
        of_jobs = {file_name(name) for name in earlier or ()}
        of_this = {*self._files.values()}
        for entry in self._entries({*of_jobs, _JOB}):
            if entry.name not in of_jobs or entry.is_symlink():  # what a link leads to is not of the job
                raise self._foreign(entry)
            if entry not in of_this:
                raise OutputExistsError(
                    f"{entry}: is a part of another job on the same output, which was stopped; finish that job by its "
                    "own command, remove the part, or choose another output"
                )

    def _foreign(self, entry: Path) -> OutputExistsError:
        return OutputExistsError(
            f"{entry}: was not made by a job that writes {self.path.with_suffix('').name}, so it is left alone; move "
            "it away, or choose another output"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            return
        finished = sum(file.exists() for file in self._files.values())
        if finished:
            count = len(self._files)
            log.info("%d of %d parts are kept in %s; the same command resumes from there", finished, count, self.path)
        else:
            self.remove()

    def remove(self) -> None:
        """Remove the parts, and the folder if nothing else is in it; the result is complete even if that fails."""
        files = [file.name for file in self._files.values()]
        try:
            for file in self._files.values():
                file.unlink(missing_ok=True)
            remove_folders(abandoned_folders(self.path, *files, _JOB))
            others = [str(entry) for entry in self._entries({*files, _JOB})]
            if others:
                log.warning("%s: does not belong to this job, so the folder is kept", ", ".join(others))
                return
            # The last: as long as anything is there, it says whose the folder is.
            (self.path / _JOB).unlink(missing_ok=True)
            self.path.rmdir()
        except OSError as error:
            log.warning("%s: is no longer needed, but cannot be removed: %s", self.path, error.strerror or error)

    def _entries(self, files: Collection[str]) -> list[Path]:
        """What is in the folder, sorted, besides ``job.json`` and what writers of these files are making or left."""
        return sorted(
            entry
            for entry in self.path.iterdir()
            if entry.name != _JOB and target_of_private(entry.name) not in files and not is_clutter(entry.name)
        )


def file_name(part: str) -> str:
    """The name of the file of a part; no two parts have the same: redkitchen/train becomes redkitchen%2Ftrain.h5."""
    return f"{part.replace('%', '%25').replace('/', '%2F')}.h5"


def _names(job: Path) -> list[str] | None:
    """The names of the parts that an earlier run has noted; None where there is no such note."""
    try:
        check_regular(job)
        record = json.loads(job.read_text(encoding="utf-8"))
        return [str(name) for name in record["parts"]] if record["software"] == _SOFTWARE else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
