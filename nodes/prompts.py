"""The node that takes prompts from a list, one for each run."""

from __future__ import annotations

from typing import Annotated

from diffusion.errors import blaming
from nodes.sdk import Context, Help, InputFile, Multiline, NodeError, Seed, node

MAX_BYTES = 4 * 2**20


@node(title="Prompt from a list", category="utils")
def PromptFromList(
    context: Context,
    number: Annotated[
        int, Seed(), Help("Which prompt: 0 is the first, and after the last comes the first again. Let it count up.")
    ] = 0,
    prompts: Annotated[str, Multiline(), Help("The prompts, one a line. Empty lines are left out.")] = "",
    file: Annotated[
        str | None, InputFile((".txt",)), Help("A text file of the inputs folder, with further prompts, one a line.")
    ] = None,
) -> str:
    """Gives one prompt of a list, for *Encode prompt*. Let the number count up after each run, and run as often as
    there are prompts: one job each.

    From the command line, `--prompts FILE` does the same with any workflow.
    """
    lines = prompts.splitlines()
    if file:
        with blaming("file"):
            path = context.input_file(file)
        if path.stat().st_size > MAX_BYTES:
            raise NodeError(f"{file} is larger than 4 MiB.", input="file", hint="Split it.")
        try:
            lines += path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise NodeError(f"{file} is no text in UTF-8.", input="file", hint="Save it as UTF-8.") from error
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise NodeError("There are no prompts.", input="prompts", hint="Write one a line, or choose a file.")
    return found[number % len(found)]
