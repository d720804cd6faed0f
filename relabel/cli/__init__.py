"""The command line: a thin layer over the library, with heavy imports left to the command that needs them."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `relabel` command with the arguments of this process and leave with its exit status."""
    try:
        from relabel.cli.app import app

        app.main()
    except KeyboardInterrupt:  # while this program itself was being loaded
        sys.exit(130)
