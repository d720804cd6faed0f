"""What setup.cfg says that the package needs."""

from __future__ import annotations

import configparser
import re

from tests.conftest import REPOSITORY


def extras() -> dict[str, list[str]]:
    """The requirements of each extra."""
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return {name: text.strip().splitlines() for name, text in parser["options.extras_require"].items()}


class TestExtras:
    """[options.extras_require]"""

    def test_torchvision_is_for_training_alone(self) -> None:
        """The tests install neither torchvision nor timm, which bring a torch of their own."""
        wanted = {
            name for name, lines in extras().items() for line in lines if re.match("torchvision|timm|.*train", line)
        }
        assert wanted == {"train"}
