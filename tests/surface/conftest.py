"""Shared by the tests of surface overlap: the devices of torch that are there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relabel.surface import frame_cache


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test decodes for itself, as if nothing had been decoded lately: engines are compared, not memories."""
    monkeypatch.setattr(frame_cache, "CACHE", frame_cache.FrameCache(0, 0))


@pytest.fixture(params=["cpu", "cuda"])
def torch_device(request: pytest.FixtureRequest) -> str:
    """Each device that torch may compute on; a test on a GPU is passed over where there is none."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return request.param


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """One thread for torch: products of small matrices by many threads mostly wait, above all on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
