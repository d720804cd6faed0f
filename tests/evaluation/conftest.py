"""Shared by the tests of evaluation."""

from tests.torch_state import torch_as_it_was  # noqa: F401
