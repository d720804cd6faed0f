"""Requirements as setup.cfg and constraints.txt have them, in other words for pip.

python .ci/requirements.py oldest        what relabel is built on, at the oldest versions that it allows this Python
python .ci/requirements.py tests         what its tests need, but for what needs torch or newer packages
python .ci/requirements.py constraints   constraints.txt, without what `oldest` decides
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
NEEDS_TORCH = {"lightning", "pytorch-metric-learning"}
TOOLS = {"coverage", "mypy", "ruff", "scipy-stubs"}
NEEDS_NEWER = {"datasets"}
"""Its version of constraints.txt needs a newer pyarrow than relabel does; it brings what the extra `remote` has."""
FOLLOWERS = {"llvmlite"}
"""Each version of numba needs one of its own."""


def requirements(section: str, option: str) -> list[Requirement]:
    """Those of setup.cfg that hold for this Python."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = [Requirement(line) for line in parser[section][option].strip().splitlines()]
    return [one for one in listed if one.marker is None or one.marker.evaluate()]


def oldest() -> dict[str, Version]:
    """The oldest version of each package that relabel is built on."""
    bounds: dict[str, Version] = {}
    for one in requirements("options", "install_requires"):
        (bound,) = one.specifier
        if bound.operator != ">=":
            sys.exit(f"setup.cfg: {one} has no oldest version")
        name, version = canonicalize_name(one.name), Version(bound.version)
        bounds[name] = max(version, bounds.get(name, version))
    return bounds


def tests() -> list[Requirement]:
    """What the tests of the core need."""
    wanted = [one for extra in ("test", "remote") for one in requirements("options.extras_require", extra)]
    return [one for one in wanted if canonicalize_name(one.name) not in NEEDS_TORCH | NEEDS_NEWER | TOOLS]


def constraints() -> list[str]:
    """The lines of constraints.txt for all other packages."""
    decided = oldest().keys() | FOLLOWERS
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "==" in line and canonicalize_name(line.split("==")[0]) not in decided]


def main() -> None:
    """Print what is asked for, a line each."""
    lines: dict[str, object] = {
        "oldest": [f"{name}=={version}" for name, version in oldest().items()],
        "tests": tests(),
        "constraints": constraints(),
    }
    print(*lines[sys.argv[1]], sep="\n")


if __name__ == "__main__":
    main()
