"""Makes the golden files of a version of the label file again: ``python formats/golden/make.py v1.0 DIR``.

`DIR` then holds the same bytes as the folder of that version beside this script, given the same HDF5 and libdeflate.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from formats.golden import broken_v1_0, recipe_v1_0

RECIPES = {"v1.0": (recipe_v1_0, broken_v1_0)}


def libraries() -> dict[str, str]:
    """The versions that the bytes of a file depend on; its content depends on none."""
    return {"hdf5": h5py.version.hdf5_version, "h5py": h5py.version.version, "deflate": version("deflate")}


def make(version: str, folder: Path) -> None:
    """Write all golden files of a version, the table of findings, the checksums and the library versions."""
    good, broken = RECIPES[version]
    (folder / "broken").mkdir(parents=True, exist_ok=True)
    good.make(folder)
    findings = broken.make(folder / "broken")
    _write_json(folder / "broken" / "findings.json", findings)
    _write_json(folder / "made-with.json", libraries())
    files = (*folder.rglob("*.h5"), *folder.rglob("manifest.json"))
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in RECIPES:
        sys.exit(f"usage: python formats/golden/make.py {'|'.join(RECIPES)} DIR")
    make(sys.argv[1], Path(sys.argv[2]))
