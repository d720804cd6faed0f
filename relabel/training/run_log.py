"""The record of a run: a line of JSON every so many steps, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from relabel.errors import MissingPackageError
from relabel.labelfile.publish import output_errors, replacing

LOG = "log.jsonl"


class RunLog:
    """Appends records to ``log.jsonl`` in the folder of a run; a context manager.

    Parameters
    ----------
    folder:
        the folder of the run.
    step:
        where the run goes on: records of later steps, of work that was lost, are taken out. 0 starts anew.
    tensorboard:
        write event files as well.

    Raises
    ------
    MissingPackageError
        when TensorBoard is asked for and cannot be loaded.
    OutputError
        when the file cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0, *, tensorboard: bool = False) -> None:
        self.path = folder / LOG
        self._writer = _summary_writer(folder, step) if tensorboard else None
        kept = [record for record in read_log(self.path) if step and record.get("step", 0) <= step]
        with replacing(self.path, overwrite=True) as private:
            private.write_text("".join(f"{json.dumps(record)}\n" for record in kept), encoding="utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        """Append one record; numbers besides ``step`` go to TensorBoard too."""
        with output_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(dict(record))}\n")
        if self._writer is not None:
            for name, value in record.items():
                if name != "step" and isinstance(value, int | float):
                    self._writer.add_scalar(name, value, record["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All records of a log in order, without a line that a kill cut short; where there is no file, no records."""
    records: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return records
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            records.append(found)
    return records


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  few have it
    except ImportError as error:
        raise MissingPackageError(f"TensorBoard cannot be loaded ({error}); pip install tensorboard") from None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
