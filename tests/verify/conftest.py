"""The MSLS tree and the label jobs of tests/pipeline, which verifications start from as well."""

from __future__ import annotations

from tests.pipeline.conftest import _no_clock as _no_clock
from tests.pipeline.conftest import out as out
from tests.pipeline.conftest import parts as parts
from tests.pipeline.conftest import root as root
from tests.pipeline.conftest import tree as tree
