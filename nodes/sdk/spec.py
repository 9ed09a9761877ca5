"""What a node looks like from outside: frozen values that travel as JSON from the worker to the server and browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

LiteralValue = str | int | float | bool
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a node.

    `widget` is None for an input that only a link can fill; every other input takes a literal or a link.
    `choices`: what a COMBO takes; None for inputs that choose a file, since what there is depends on the moment of
    asking. `endings`: the file endings accepted by an input that chooses a file other than a picture. `multiple`: a
    typed value must be a multiple of `step`; a linked one need not be. `many`: the input takes a whole series of values
    at once. `mentions`: the kind of the models that a text may name.
    """

    name: str
    type: str
    required: bool = True
    default: LiteralValue | None = None
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    multiple: bool = False
    choices: tuple[str, ...] | None = None
    widget: str | None = None
    label: str | None = None
    help: str = ""
    model_kind: str | None = None
    mentions: str | None = None
    advanced: bool = False
    endings: tuple[str, ...] | None = None
    many: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the literal names a file whose content is part of the node's key."""
        return self.model_kind is not None or self.widget == "image" or self.endings is not None

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "default": self.default,
            "min": self.min,
            "max": self.max,
            "step": self.step,
            "multiple": self.multiple,
            "choices": None if self.choices is None else list(self.choices),
            "widget": self.widget,
            "label": self.label,
            "help": self.help,
            "model_kind": self.model_kind,
            "mentions": self.mentions,
            "advanced": self.advanced,
            "endings": None if self.endings is None else list(self.endings),
            "many": self.many,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> InputSpec:
        choices, endings = data["choices"], data["endings"]
        known = {name: data[name] for name in InputSpec.__slots__ if name not in ("choices", "endings")}
        return InputSpec(
            **known,
            choices=None if choices is None else tuple(choices),
            endings=None if endings is None else tuple(endings),
        )


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a node; `many` when it gives a series of values."""

    name: str
    type: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node as the checker, the planner and the editor see it.

    `version` is raised whenever what the node computes changes; `pure` nodes give the same output for the same
    inputs and may be cached; `output` nodes are what a run is for. `context` names the parameter that receives the
    `Context`, when the function has one.
    """

    id: str
    title: str
    category: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    output: bool = False
    pure: bool = True
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    pack: str = ""
    context: str | None = None
    _by_name: dict[str, InputSpec] = field(init=False, repr=False, compare=False, default_factory=dict[str, InputSpec])

    def __post_init__(self) -> None:
        self._by_name.update({each.name: each for each in self.inputs})

    def __reduce__(self) -> tuple[Any, ...]:
        return NodeSpec.from_json, (self.to_json(),)

    def input(self, name: str) -> InputSpec | None:
        """The input of that name, or None."""
        return self._by_name.get(name)

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "title": self.title,
            "category": self.category,
            "description": self.description,
            "aliases": list(self.aliases),
            "version": self.version,
            "output": self.output,
            "pure": self.pure,
            "inputs": [each.to_json() for each in self.inputs],
            "outputs": [{"name": each.name, "type": each.type, "many": each.many} for each in self.outputs],
            "pack": self.pack,
            "context": self.context,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> NodeSpec:
        return NodeSpec(
            id=data["id"],
            title=data["title"],
            category=data["category"],
            description=data["description"],
            aliases=tuple(data["aliases"]),
            version=data["version"],
            output=data["output"],
            pure=data["pure"],
            inputs=tuple(InputSpec.from_json(each) for each in data["inputs"]),
            outputs=tuple(OutputSpec(each["name"], each["type"], each["many"]) for each in data["outputs"]),
            pack=data["pack"],
            context=data["context"],
        )


class Catalogue(Mapping[str, NodeSpec]):
    """All nodes by id. A look-up also takes an alias (ComfyUI's name of the node); iteration gives ids only.

    Raises:
        ValueError: two nodes claim the same id or alias; an id wins over an alias of another node.
    """

    def __init__(self, specs: tuple[NodeSpec, ...]) -> None:
        self._specs: dict[str, NodeSpec] = {}
        for spec in specs:
            if spec.id in self._specs:
                raise ValueError(f"two nodes are called {spec.id!r}: rename one of them")
            self._specs[spec.id] = spec
        self._aliases: dict[str, str] = {}
        for spec in specs:
            for alias in spec.aliases:
                if alias in self._specs:
                    continue
                if alias in self._aliases:
                    raise ValueError(f"{self._aliases[alias]!r} and {spec.id!r} both claim the alias {alias!r}")
                self._aliases[alias] = spec.id

    def __getitem__(self, class_type: str) -> NodeSpec:
        spec = self._specs.get(class_type)
        return spec if spec is not None else self._specs[self._aliases[class_type]]

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._specs or class_type in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def ids(self) -> tuple[str, ...]:
        """Every node id, in the order of registration."""
        return tuple(self._specs)

    def names(self) -> tuple[str, ...]:
        """Every id and alias: what a workflow file may write as `class_type`."""
        return (*self._specs, *self._aliases)

    def to_json(self) -> list[Json]:
        return [spec.to_json() for spec in self._specs.values()]

    @staticmethod
    def from_json(data: object) -> Catalogue:
        return Catalogue(tuple(NodeSpec.from_json(each) for each in cast("list[Json]", data)))
