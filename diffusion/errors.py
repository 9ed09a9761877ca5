"""The errors of this package: each says what is wrong, where, and what to do about it.

`code` is stable and machine-readable; `input` names the node input to blame when it is known; `hint` is the remedy,
in a sentence that follows the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar


class DiffusionError(Exception):
    """Something a person can put right. `str(error)` says what is wrong."""

    default_code: ClassVar[str] = "diffusion_error"

    def __init__(
        self, message: str, *, input: str | None = None, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.input = input
        self.code = code or self.default_code
        self.hint = hint


def _nameless(named: str | None) -> bool:
    return named is None


@contextmanager
def blaming(input: str, when: Callable[[str | None], bool] = _nameless) -> Iterator[None]:
    """Lay the errors of a block, or of a function that this decorates, on an input of the node that runs it.

    Who opens a file or checks a size does not know by which input it came; the node does. Errors that are not meant
    for people pass as they are.

    Args:
        input: the id of the input.
        when: for which errors, by the input that they name; for those that name none, if not given.
    """
    try:
        yield
    except Exception as error:
        if isinstance(getattr(error, "code", None), str) and when(getattr(error, "input", None)):
            error.input = input  # pyright: ignore[reportAttributeAccessIssue]
        raise


class UnknownModel(DiffusionError):
    """No model file of that name, or a name that would leave its folder."""

    default_code = "missing_file"


class CorruptFile(DiffusionError):
    """A weight file that is damaged, cut short, or not a weight file at all."""

    default_code = "corrupt_file"


class UnsafePickle(DiffusionError):
    """A pickle that asks for code to be run when it is opened. Nothing of it was run."""

    default_code = "unsafe_pickle"


class UnsupportedArchitecture(DiffusionError):
    """A sound file that holds a model this program cannot run."""

    default_code = "unsupported_architecture"


class MissingComponent(DiffusionError):
    """A file without the part that was asked of it, such as a U-Net without a text encoder."""

    default_code = "missing_component"


class BadConfig(DiffusionError):
    """A sidecar config that cannot be read, or that contradicts its checkpoint."""

    default_code = "bad_config"


class BadPrompt(DiffusionError):
    """A prompt that is too long, or weighted with something that is no finite number."""

    default_code = "bad_prompt"


class BadImage(DiffusionError):
    """A picture that cannot be read, or is larger than the limits allow."""

    default_code = "bad_image"


class BadLatent(DiffusionError):
    """A latent whose shape the model cannot take."""

    default_code = "bad_latent"


class BadSize(DiffusionError):
    """A width or height that cannot be used."""

    default_code = "bad_size"


class BadDevice(DiffusionError):
    """A device or precision that this machine does not have."""

    default_code = "bad_device"
