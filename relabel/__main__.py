"""`python -m relabel`: the command where its script is not on the path."""

from __future__ import annotations

from relabel.cli import main

if __name__ == "__main__":  # a spawned process loads this module again, under another name
    main()
