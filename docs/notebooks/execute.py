"""Run the notebooks from start to end and store them with their outputs: `make notebooks`.

    python docs/notebooks/execute.py [FOLDER [NAME…]]

Each runs in an empty folder, which is removed afterwards. With FOLDER the results go there, and the notebooks here stay
as they are; with NAME only those are run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def main(target: str = str(HERE), *names: str) -> None:
    """Run the notebooks of this folder with these names, or all."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(REPOSITORY)]))
    for path in sorted(HERE.glob("*.ipynb")):
        if not names or path.stem in names:
            execute(path, Path(target) / path.name)


def execute(path: Path, target: Path) -> None:
    """Run one notebook in an empty folder, and store it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources=resources).execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbformat.write(notebook, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
