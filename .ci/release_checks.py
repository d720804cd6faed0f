"""What has to agree before a release, and whether what was built is whole: release_checks.py metadata | dist FILE…"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version_of(root: Path) -> str:
    """The version number in its one home."""
    found = re.search(r'__version__ = "(.+)"', (root / "relabel/_version.py").read_text(encoding="utf-8"))
    return found[1] if found else ""


def metadata_faults(root: Path) -> list[str]:
    """Where version, date and change log do not agree, a line each."""
    version, faults = version_of(root), []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        faults.append(f"relabel/_version.py: the version is {version!r}; expected MAJOR.MINOR.PATCH")
    log = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## (\S+) – (.+)$", log, re.MULTILINE)
    date = heading[2].strip() if heading else ""
    if heading is None or heading[1] != version:
        faults.append(f"CHANGELOG.md: the first section is {heading[1] if heading else 'none'!r}; expected {version}")
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        faults.append(f"CHANGELOG.md: {version} is {date!r}; write the day, as in '## {version} – 2026-01-02'")
    elif not log[heading.end() :].partition("\n## ")[0].strip():
        faults.append(f"CHANGELOG.md: nothing is said of {version}")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    for field, wanted in (("version", version), ("date-released", date)):
        stated = re.search(rf'^{field}: "?([^"\n]+)"?$', citation, re.MULTILINE)
        if stated is None or stated[1] != wanted:
            faults.append(f"CITATION.cff: {field} is {stated[1] if stated else 'missing'}; CHANGELOG.md has {wanted}")
    stated = json.loads((root / ".zenodo.json").read_text(encoding="utf-8")).get("version")
    if stated != version:
        faults.append(f".zenodo.json: version is {stated}; relabel/_version.py has {version}")
    return faults


def repository_faults(root: Path) -> list[str]:
    """What is not committed, and a tag that is there already."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    faults = []
    if git("status", "--porcelain"):
        faults.append("the working tree has changes; commit them")
    if git("tag", "--list", f"v{version_of(root)}"):
        faults.append(f"there is a tag v{version_of(root)} already; raise the version")
    return faults


def dist_faults(root: Path, archives: list[Path]) -> list[str]:
    """What wheel and source distribution lack, or have besides."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "relabel"], check=True, capture_output=True, text=True)
    installed = {
        name
        for name in listed.stdout.splitlines()
        if name.endswith(".py") or name == "relabel/py.typed" or re.match(r"relabel/view/(page|bundle)/", name)
    }
    # What the viewer's libraries are built from is for those who rebuild them.
    installed -= {
        name for name in installed if re.search(r"bundle/(?!libraries\.min\.js|LICENSES\.txt|__init__)", name)
    }
    faults, version = [], version_of(root)
    kinds = sorted(path.suffix for path in archives)
    if kinds != [".gz", ".whl"]:
        here = ", ".join(path.name for path in archives) or "nothing"
        faults.append(f"there is {here}; expected a wheel and a .tar.gz")
    for path in archives:
        if not re.search(rf"-{re.escape(version)}(-|\.tar)", path.name):
            faults.append(f"{path.name}: is not of version {version}")
        wanted = installed
        if path.suffix == ".whl":
            names = {name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")}
            foreign = {name for name in names - installed if not re.match(r"relabel_vpr-[^/]+\.dist-info/", name)}
            faults += [f"{path.name}: has {name}, which is not of the package" for name in sorted(foreign)]
        else:
            with tarfile.open(path) as archive:
                names = {name.partition("/")[2] for name in archive.getnames()}
            wanted = installed | {"LICENSE", "README.md", "setup.cfg", "pyproject.toml"}
        faults += [f"{path.name}: lacks {name}" for name in sorted(wanted - names)]
    return faults


def main() -> None:
    """Print all faults, and end with 1 where there are some."""
    what, *files = sys.argv[1:]
    if what == "metadata":
        faults = metadata_faults(ROOT) + repository_faults(ROOT)
    else:
        faults = dist_faults(ROOT, [Path(file) for file in files])
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
