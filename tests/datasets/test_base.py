"""The folder that provenance tells paths from."""

from __future__ import annotations

from pathlib import Path

import pytest

from relabel.datasets.base import common_root, relative_path
from relabel.errors import InputError


class TestCommonRoot:
    """relabel.datasets.base.common_root"""

    def test_the_innermost_folder(self, tmp_path: Path) -> None:
        """Of files and folders in several folders; nothing has to exist."""
        paths = [tmp_path / "a" / "b" / "queries.txt", tmp_path / "a" / "database"]
        assert common_root(paths) == tmp_path / "a"
        assert [relative_path(path, tmp_path / "a") for path in paths] == ["b/queries.txt", "database"]

    def test_the_working_folder_has_no_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert common_root([Path("queries.txt"), tmp_path / "d" / "database.txt"]) == Path()

    def test_no_paths_from_the_top(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has only the top in common, or only the folder of homes, would tell machine and user."""
        monkeypatch.setenv("HOME", "/home/ada")
        for one, two in (("/data/q.txt", "/scratch/d.txt"), ("/home/ada/q.txt", "/home/bob/d.txt")):
            with pytest.raises(InputError, match="into one folder"):
                common_root([Path(one), Path(two)])
        assert common_root([Path("/home/ada/q.txt"), Path("/home/ada/x/d.txt")]) == Path("/home/ada")
        assert common_root([Path("/q.txt"), Path("/d.txt")]) == Path("/")
