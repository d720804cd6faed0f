"""The names of what operating systems and file servers leave in folders."""

from __future__ import annotations

_LEFT_BY_SYSTEMS = frozenset(
    {
        ".appledouble",
        ".ds_store",
        ".fseventsd",
        ".ipynb_checkpoints",
        ".spotlight-v100",
        ".trashes",
        "@eadir",
        "__macosx",
        "$recycle.bin",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "system volume information",
        "thumbs.db",
    }
)


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is left by a system: ``._NAME``, ``.DS_Store``, ``__MACOSX``, …

    ``._NAME`` (AppleDouble) stands beside every NAME that macOS wrote to another file system or into an archive, with
    the same suffix and other content.
    """
    return name.startswith("._") or name.lower() in _LEFT_BY_SYSTEMS
