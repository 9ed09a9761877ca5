"""Full-size checkpoints of every family give the numbers that ComfyUI 0.3.64 recorded, in float32 on a CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests.reference.cases import CASES, GIVEN, RECORDINGS, Case, Model

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(RECORDINGS)


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    loaded = Model(tmp_path_factory.mktemp("models"), request.param)
    yield loaded
    loaded.residency.free()
    for path in loaded.residency.library.models_dir.rglob("*.safetensors"):
        path.unlink()


def difference(ours: Tensor, theirs: Tensor) -> float:
    """‖a−b‖/‖b‖."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).norm() / theirs.norm())


def test_every_recording_has_a_case():
    with safe_open(RECORDINGS, "pt") as file:
        keys = sorted(file.keys())
    assert sorted([*GIVEN, *(key for case in CASES for key in case.keys)]) == keys


@pytest.mark.reference
@pytest.mark.parametrize(
    ("model", "case"),
    [pytest.param(case.layout, case, id=case.keys[0]) for case in CASES],
    indirect=["model"],
)
def test_a_recording_matches(model: Model, case: Case, recorded: dict[str, Tensor]):
    for key, ours in zip(case.keys, case.run(model, recorded), strict=True):
        found = difference(ours, recorded[key])
        print(f"{key}: {found:.1e}")
        assert found <= TOLERANCE
        if key.endswith("/image"):
            assert float((ours - recorded[key]).abs().max()) <= 1 / 255
