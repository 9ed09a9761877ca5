"""Nodes for the executor's own tests: cheap, torch-free, and able to misbehave in every way that matters."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodes.sdk import (
    Any,
    Context,
    InputFile,
    InputImage,
    Mentions,
    ModelFile,
    Multiline,
    NodeError,
    PreviewFrame,
    Range,
    Seed,
    node,
)

log = logging.getLogger("latentgraph.test")


@node(title="Number", category="test", aliases=("Zahl",))
def Number(value: Annotated[int, Range(-1_000_000, 1_000_000)] = 0) -> int:
    return value


@node(title="Fraction", category="test")
def Fraction(value: Annotated[float, Range(0.0, 1.0)] = 0.5, seed: Annotated[int, Seed()] = 0) -> float:
    return value


@node(title="Eights", category="test")
def Eights(value: Annotated[int, Range(16, 1024, 8, multiple=True)] = 64) -> int:
    return value


@node(title="Add", category="test")
def Add(a: int, b: int = 1) -> int:
    return a + b


@node(title="Text", category="test")
def Text(text: Annotated[str, Multiline()] = "", loud: bool = False) -> str:
    return text.upper() if loud else text


@node(title="Pick", category="test")
def Pick(method: Literal["nearest", "bilinear", "bicubic"] = "nearest") -> str:
    return method


class Both(NamedTuple):
    whole: int
    text: str


@node(title="Split", category="test")
def Split(value: int) -> Both:
    return Both(value, str(value))


@node(title="Optional", category="test")
def Optional(a: int, extra: Any | None = None) -> int:
    return a if extra is None else a + 1000


@node(title="Picture", category="test")
def Picture(image: Annotated[str, InputImage()]) -> str:
    return image


@node(title="Words", category="test")
def Words(file: Annotated[str, InputFile((".txt",))]) -> str:
    return file


@node(title="Model", category="test")
def Model(name: Annotated[str, ModelFile("checkpoints")]) -> str:
    return name


@node(title="Prompt", category="test")
def Prompt(text: Annotated[str, Mentions("embeddings")]) -> str:
    return text


@node(title="Counted", category="test")
def Counted(a: int, log: str, label: str = "") -> int:
    """Leaves a line in a file at each call."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{label}\n")
    return a


@node(title="Dice", category="test", pure=False)
def Dice() -> float:
    return time.perf_counter()


@node(title="Save", category="test", output=True)
def Save(context: Context, value: Any, prefix: str = "value") -> None:
    place = context.reserve_output(prefix, ".txt")
    place.path.write_text(str(value), encoding="utf-8")
    context.publish(place.file)


@node(title="End", category="test", output=True)
def End(value: Any) -> None:
    return None


@node(title="Reserve and fail", category="test", output=True)
def ReserveAndFail(context: Context) -> None:
    context.reserve_output("broken", ".txt")
    raise ValueError("no good")


@node(title="Escape", category="test", output=True)
def Escape(context: Context, prefix: str = "../out") -> None:
    context.reserve_output(prefix, ".txt")


@node(title="Boom", category="test")
def Boom(a: int) -> int:
    raise RuntimeError("it went wrong")


@node(title="Warns", category="test")
def Warns(value: int = 0) -> int:
    for _ in range(3):
        log.warning("%d is odd", value)
    log.info("nobody hears this")
    threading.Thread(target=log.warning, args=["another job's"]).start()
    return value


@node(title="Explain", category="test")
def Explain(width: int = 0) -> int:
    raise NodeError("The width is 0.", input="width", code="bad_size", hint="Give it at least 8.")


@node(title="Liar", category="test")
def Liar() -> Both:
    return 3  # type: ignore[return-value]


@node(title="Exit", category="test")
def Exit() -> int:
    raise SystemExit(1)


@node(title="Hungry", category="test")
def Hungry(a: int, log: str, times: int = 1) -> int:
    """Runs out of memory the first `times` times."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write("hungry\n")
    if len(Path(log).read_text(encoding="utf-8").splitlines()) <= times:
        raise MemoryError("out of it")
    return a


@node(title="Slow", category="test")
def Slow(context: Context, steps: int = 100, seconds: float = 0.01) -> int:
    """Takes steps × seconds, with a preview at each step."""
    for step in range(steps):
        context.progress(step + 1, steps, PreviewFrame(b"jpeg", 8, 8))
        time.sleep(seconds)
    return steps


@node(title="Crash", category="test")
def Crash(log: str, times: int = 1) -> int:
    """Takes the process with it the first `times` times, as a fault in native code would."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write("crash\n")
    if len(Path(log).read_text(encoding="utf-8").splitlines()) <= times:
        os._exit(7)
    return 1


@node(title="Chatty", category="test")
def Chatty(text: str = "hello") -> int:
    """Prints where the worker's messages go."""
    print(text)
    return 1
