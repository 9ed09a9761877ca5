"""What `Annotated[...]` may carry beside the type of an input: its range, its choices, its widget and its help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """Limits of a number, both inclusive. `slider` draws it as a slider; keep that for short ranges. With `multiple`, a
    value that is typed must be a multiple of `step`; one that comes by a link is the node's to judge."""

    min: int | float
    max: int | float
    step: int | float = 1
    slider: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """A fixed list of texts to choose from; the default is the parameter's default, else the first."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The name of a file under `models/<kind>/`, chosen from those that are there."""

    kind: str


@dataclass(frozen=True, slots=True)
class InputImage:
    """The name of a picture in the inputs folder, chosen or uploaded."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """The name of a file of another kind in the inputs folder, told by how its name ends (`.latent`)."""

    endings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Multiline:
    """A text of several lines."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """A text that may call files under `models/<kind>/` by name, as prompts call embeddings; they are part of the
    node's key."""

    kind: str


@dataclass(frozen=True, slots=True)
class Seed:
    """An integer that the editor can draw anew or step after each run; 0 to 2⁶⁴−1."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Many inputs of one kind, for a `**` parameter: one for each name, which may be any text, with one default.
    `labels` are shown in place of the names, one for each."""

    names: tuple[str, ...]
    default: int | float | str | bool | None = None
    labels: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Help:
    """One or two sentences shown beside the input."""

    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """The name shown for an input, where its id does not read well."""

    text: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """Hidden until the person asks for the rarely used inputs."""


Field = (
    Range | Choices | ModelFile | InputImage | InputFile | Multiline | Mentions | Seed | Keys | Help | Label | Advanced
)
