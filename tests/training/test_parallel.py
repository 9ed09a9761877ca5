from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training.parallel import Budget, latest_average, train, unflatten
from training.state import load_state


@dataclass(frozen=True)
class LineTask:
    """Learns y = 3x − 1; small enough to learn within a second."""

    work_dir: Path
    name: str = "line"
    rate: float = 0.05
    warm_up: int = 1
    betas: tuple[float, float] = (0.9, 0.99)
    averaging: float = 0.9

    def build(self) -> nn.Module:
        return nn.Linear(1, 1)

    def losses(self, module: Any, rank: int, step: int, share: int, where: torch.device) -> Callable[[], Any]:
        def next_loss() -> torch.Tensor:
            x = torch.randn(share, 1, device=where)
            return (module(x) - (3 * x - 1)).square().mean()

        return next_loss


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    with monkeypatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        yield
    torch.set_num_threads(threads)


def test_training_learns_and_keeps_the_state_from_before_the_decay(tmp_path: Path, one_core: None) -> None:
    now = time.time()
    train(LineTask(tmp_path), Budget(now + 1.5, now + 2.0), 8)
    stable, decayed = load_state(tmp_path / "line-state.pt"), load_state(tmp_path / "line.pt")
    assert stable is not None
    assert decayed is not None
    assert decayed["step"] > stable["step"] > 0
    line = nn.Linear(1, 1)
    unflatten(line, decayed["average"])
    assert line.weight.item() == pytest.approx(3, abs=0.3)
    assert line.bias.item() == pytest.approx(-1, abs=0.3)


def test_processes_train_one_set_of_weights_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    threads = torch.get_num_threads()
    reached: list[int] = []
    for _ in range(2):
        now = time.time()
        train(LineTask(tmp_path), Budget(now + 60, now + 0.1), 8)
        latest = latest_average(tmp_path, "line")
        assert latest is not None
        reached.append(latest["step"])
    torch.set_num_threads(threads)
    assert 0 < reached[0] < reached[1]


def test_the_rate_is_constant_and_then_falls_to_nothing() -> None:
    budget = Budget(decay_from=100, end=200)
    assert [budget.rate(t) for t in (0, 99, 150, 200, 300)] == [1.0, 1.0, 0.5, 0.0, 0.0]


def test_weights_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="widths have changed"):
        unflatten(nn.Linear(1, 1), torch.zeros(9))
