"""The MSLS tree and the label jobs of tests/pipeline, which verifications start from as well."""

from __future__ import annotations

from tests.pipeline.conftest import _no_clock, out, parts, root, tree

__all__ = ["_no_clock", "out", "parts", "root", "tree"]
