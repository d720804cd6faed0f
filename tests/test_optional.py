"""Optional packages: what is said where they are missing or damaged."""

from __future__ import annotations

import importlib
import platform
import sys
from typing import Any

import pytest

from relabel import optional
from relabel.errors import MissingPackageError


class TestOpen3d:
    """relabel.optional.open3d"""

    def test_loads(self, open3d: Any) -> None:
        """The package itself."""
        assert open3d.__name__ == "open3d"

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who needs it, and how to get it; the error is also the builtin one."""
        monkeypatch.setitem(sys.modules, "open3d", None)
        with pytest.raises(
            MissingPackageError, match=r"^this needs .*: pip install 'relabel-vpr\[open3d\]'$"
        ) as caught:
            optional.open3d("this")
        assert isinstance(caught.value, ImportError)

    @pytest.mark.parametrize(
        "error", [OSError("libX11.so.6: cannot open shared object file"), ImportError("libX11.so.6: cannot open")]
    )
    def test_a_library_is_missing(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        """What the system said, and on Linux the Debian packages."""

        def broken(name: str) -> None:
            raise error

        monkeypatch.setattr(importlib, "import_module", broken)
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        with pytest.raises(MissingPackageError, match=r"does not load \(libX11.*apt-get install libusb-1\.0-0 libgl1"):
            optional.open3d("this")
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        with pytest.raises(MissingPackageError, match=r"does not load \(libX11.*\); reinstall it$"):
            optional.open3d("this")
