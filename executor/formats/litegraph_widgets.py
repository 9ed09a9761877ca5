"""The values of a node's widgets in a ComfyUI editor file, which lists them by position.

A seed is followed by what happens to it after each run, which is no input of the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from executor.formats.litegraph_scopes import entries, member
from executor.problems import JsonObject
from nodes.sdk.spec import NodeSpec

SEED_CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize"})
SEED_NAMES = frozenset({"seed", "noise_seed"})
OTHER_WIDGETS = {"CheckpointLoader": ("config_name", "ckpt_name")}
"""ComfyUI's nodes whose name is one of ours with its widgets in another order."""


def widgets(raw: JsonObject, class_type: str, spec: NodeSpec | None) -> tuple[JsonObject, JsonObject]:
    """The values of a node's widgets by name, and what its seeds do after each run."""
    given: Any = raw.get("widgets_values")
    names = _widget_names(raw, class_type, spec)
    if isinstance(given, dict):
        return {name: value for name, value in cast("JsonObject", given).items() if name in names}, {}
    values = cast("list[Any]", given) if isinstance(given, list) else []
    found: JsonObject = {}
    controls: JsonObject = {}
    index = 0
    for name in names:
        if index >= len(values):
            break
        if values[index] is not None:
            found[name] = values[index]
        index += 1
        is_seed = name in SEED_NAMES or (
            spec is not None and (declared := spec.input(name)) and declared.widget == "seed"
        )
        control = _control(values[index]) if is_seed and index < len(values) else None
        if control is not None and (isinstance(values[index], str) or len(values) > len(names)):
            controls[name] = control
            index += 1
    return found, controls


def _control(value: object) -> str | None:
    """What a seed does after each run. The first files had a switch for it; one that is a widget of its own leaves no
    value over at the end."""
    if isinstance(value, bool):
        return "randomize" if value else "fixed"
    return value if isinstance(value, str) and value in SEED_CONTROLS else None


def _widget_names(raw: JsonObject, class_type: str, spec: NodeSpec | None) -> Sequence[str]:
    other = OTHER_WIDGETS.get(class_type)
    if other is not None and _length(raw.get("widgets_values")) == len(other):
        return other
    if spec is not None:
        return [each.name for each in spec.inputs if each.widget is not None]
    listed = (member(each, "widget").get("name") for each in entries(raw.get("inputs")))
    return [name for name in listed if isinstance(name, str)]


def _length(value: object) -> int | None:
    return len(cast("list[Any]", value)) if isinstance(value, list) else None
