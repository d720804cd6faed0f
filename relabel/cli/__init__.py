"""The command line: a thin layer over the library, with heavy imports left to the command that needs them."""

from __future__ import annotations

import sys

from relabel.cli.streams import open_streams
from relabel.stopping import Stopped, farewell, orderly_stop


def main() -> None:
    """Run the `relabel` command with the arguments of this process and leave with its exit status."""
    open_streams()
    try:
        with orderly_stop():
            from relabel.cli.app import app

            app.main()
    except Stopped as stop:  # while this program itself was being loaded, or had done its work
        sys.stderr.write(f"{farewell(stop.number)}\n")
        sys.exit(128 + stop.number)
