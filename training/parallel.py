"""Trains one module with one process a core, gradients and weights in shared memory.

Each process runs single-threaded on its own share of the batch and they meet once a step, not once an operation: on a
machine that does other work too, threads that meet at every operation spend their time waiting for each other. Each
process then updates its own slice of all the weights (AdamW, and the moving average that is shipped). On a GPU the
same loop runs in one process.

The learning rate is constant until a decay tail (warm-up, stable, decay). `NAME-state.pt` is saved at the constant
rate and is what a later run goes on from; `NAME.pt` holds averaged weights only, and is written during the tail.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import torch
from torch import multiprocessing, nn

from training.state import Log, load_state, save_state

_SAVE_EVERY = 180.0
_EPSILON = 1e-8
_WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Budget:
    """How long to train in this run: constant rate until `decay_from`, then decay until `end` (time.time() seconds)."""

    decay_from: float
    end: float

    def rate(self, now: float) -> float:
        """Share of the full learning rate."""
        if now < self.decay_from:
            return 1.0
        return max(0.0, 1 - (now - self.decay_from) / max(1.0, self.end - self.decay_from))


class Task(Protocol):
    """What to train. Tasks are sent to the processes, so they are small and open their own files."""

    @property
    def name(self) -> str: ...
    @property
    def work_dir(self) -> Path: ...
    @property
    def rate(self) -> float: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def averaging(self) -> float: ...

    def build(self) -> nn.Module:
        """The module whose trainable parameters learn, the same in every process."""
        ...

    def losses(self, module: Any, rank: int, step: int, share: int, where: torch.device) -> Callable[[], Any]:
        """A function that draws the next `share` samples and returns their mean loss."""
        ...


class Flat:
    """All trainable parameters in one vector, with their gradients, moments and average; shared between processes."""

    def __init__(self, module: nn.Module, workers: int, where: torch.device) -> None:
        size = sum(p.numel() for p in _ordered(module))

        def vector(count: int = size) -> torch.Tensor:
            made = torch.zeros(count, device=where)
            return made.share_memory_() if where.type == "cpu" else made

        self.weights, self.first, self.second, self.average = vector(), vector(), vector(), vector()
        self.gradients = [vector() for _ in range(workers)]
        self.norms = vector(workers)
        self.control = vector(2)
        torch.cat([p.detach().flatten() for p in _ordered(module)], out=self.weights)
        self.average.copy_(self.weights)

    def bind(self, module: nn.Module, rank: int) -> int:
        """Make the module's parameters views of the shared vector; returns where the undecayed ones begin."""
        place, plain = 0, 0
        for parameter in _ordered(module):
            end = place + parameter.numel()
            parameter.data = self.weights[place:end].view_as(parameter)
            parameter.grad = self.gradients[rank][place:end].view_as(parameter)
            place = end
            plain += parameter.numel() if parameter.ndim > 1 else 0
        return plain


def _ordered(module: nn.Module) -> list[nn.Parameter]:
    """Matrices and kernels, which decay, before biases and gains, which do not."""
    return sorted((p for p in module.parameters() if p.requires_grad), key=lambda p: p.ndim < 2)


def unflatten(module: nn.Module, vector: torch.Tensor) -> None:
    """Copy a saved vector into the module's trainable parameters."""
    place = 0
    with torch.no_grad():
        for parameter in _ordered(module):
            parameter.copy_(vector[place : place + parameter.numel()].view_as(parameter))
            place += parameter.numel()
    if place != len(vector):
        raise ValueError(f"the saved weights are {len(vector)} numbers, the module has {place}: widths have changed")


def train(task: Task, budget: Budget, batch_size: int) -> None:
    """Train `task` until the budget ends, from its last state where there is one."""
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    workers = (os.cpu_count() or 1) if where.type == "cpu" else 1
    torch.manual_seed(0)
    flat = Flat(task.build(), workers, where)
    counts = {"step": 0, "samples": 0, "seconds": 0.0}
    if state := load_state(task.work_dir / f"{task.name}-state.pt"):
        for key in ("weights", "first", "second", "average"):
            getattr(flat, key).copy_(state[key])
        counts = {key: state[key] for key in counts}
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    arguments = (task, flat, barrier, budget, batch_size // workers, counts)
    others = [context.Process(target=_work, args=(rank, *arguments), daemon=True) for rank in range(1, workers)]
    for process in others:
        process.start()
    _work(0, *arguments)
    for process in others:
        process.join()


def _work(rank: int, task: Task, flat: Flat, barrier: Any, budget: Budget, share: int, counts: dict[str, Any]) -> None:
    if parent := multiprocessing.parent_process():
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    where, workers = flat.weights.device, len(flat.gradients)
    if where.type == "cpu":
        torch.set_num_threads(1)
    step = int(counts["step"])
    torch.manual_seed(1_000_003 * step + rank)
    module = task.build().to(where)
    plain = flat.bind(module, rank)
    next_loss = task.losses(module, rank, step, share, where)
    size = len(flat.weights)
    mine = slice(size * rank // workers, size * (rank + 1) // workers)
    keeper = _Keeper(task, flat, budget, counts) if rank == 0 else None
    while True:
        flat.gradients[rank].zero_()
        loss = next_loss()
        loss.backward()
        if keeper:
            keeper.decide(float(loss.detach()), share * workers)
        barrier.wait()
        gradient = torch.stack([g[mine] for g in flat.gradients]).mean(dim=0)
        flat.norms[rank] = gradient.square().sum()
        barrier.wait()
        rate, going = flat.control.tolist()
        if not going:
            return
        gradient.mul_(min(1.0, 1.0 / (float(flat.norms.sum().sqrt()) + 1e-6)))
        step += 1
        _update(flat, mine, plain, gradient, task, step, rate)
        barrier.wait()


def _end_with(parent: Any) -> None:
    """Do not wait at a barrier for a first process that was killed."""
    parent.join()
    os._exit(1)


def _update(flat: Flat, mine: slice, plain: int, gradient: torch.Tensor, task: Task, step: int, rate: float) -> None:
    """One step of AdamW (Loshchilov & Hutter 2019) and of the moving average, on one slice of the weights."""
    weights, first, second = flat.weights[mine], flat.first[mine], flat.second[mine]
    beta1, beta2 = task.betas
    rate *= task.rate * min(1.0, step / task.warm_up)
    weights[: max(0, plain - mine.start)].mul_(1 - rate * _WEIGHT_DECAY)
    first.lerp_(gradient, 1 - beta1)
    second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    spread = second.sqrt().div_(math.sqrt(1 - beta2**step)).add_(_EPSILON)
    weights.addcdiv_(first, spread, value=-rate / (1 - beta1**step))
    flat.average[mine].lerp_(weights, 1 - min(task.averaging, step / (step + 9)))


class _Keeper:
    """The first process's extra duties: the clock, the learning rate, the log and the states on disk."""

    def __init__(self, task: Task, flat: Flat, budget: Budget, counts: dict[str, Any]) -> None:
        self._task, self._flat, self._budget, self._counts = task, flat, budget, dict(counts)
        self._log = Log(
            task.work_dir / f"{task.name}.csv", ("step", "samples", "hours", "loss", "samples_a_second", "rate")
        )
        self._losses: list[float] = []
        self._mark = self._saved = time.time()
        self._decaying = False

    def decide(self, loss: float, samples: int) -> None:
        """Called before the weights move: save what is due, then set the rate and whether to go on."""
        now, counts = time.time(), self._counts
        counts["seconds"] += now - self._mark
        self._mark = now
        self._losses.append(loss)
        if now >= self._budget.decay_from and not self._decaying:
            self._save_state()
            self._decaying = True
        ending = now >= self._budget.end
        if ending or now - self._saved > _SAVE_EVERY:
            mean = sum(self._losses) / len(self._losses)
            speed = len(self._losses) * samples / (now - self._saved)
            hours = counts["seconds"] / 3600
            self._log.write(counts["step"], counts["samples"], hours, mean, speed, self._budget.rate(now))
            self._losses.clear()
            self._saved = now
            if self._decaying:
                save_state(self._task.work_dir / f"{self._task.name}.pt", {"average": self._flat.average, **counts})
            else:
                self._save_state()
        self._flat.control[0], self._flat.control[1] = self._budget.rate(now), 0.0 if ending else 1.0
        counts["step"] += 1
        counts["samples"] += samples

    def _save_state(self) -> None:
        flat = self._flat
        vectors = {"weights": flat.weights, "first": flat.first, "second": flat.second, "average": flat.average}
        save_state(self._task.work_dir / f"{self._task.name}-state.pt", {**vectors, **self._counts})


def latest_average(work_dir: Path, name: str) -> dict[str, Any] | None:
    """The averaged weights to ship: the decayed ones, unless training has gone on since."""
    states = [s for end in ("", "-state") if (s := load_state(work_dir / f"{name}{end}.pt"))]
    return max(states, key=lambda s: s["step"], default=None)
