"""Writes docs/coverage.md: every core node, sampler and schedule of ComfyUI's image set, and whether it is here.

    python docs/make_coverage.py

`comfyui_core.json` beside this file lists ComfyUI's names; ours come from the catalogue. A test holds the page to it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "coverage.md"
YES, NO = "yes", "–"


def page() -> str:
    """The whole page as Markdown."""
    sys.path.insert(0, str(FOLDER.parent))
    from diffusion.sampling.names import SAMPLERS, SCHEDULES
    from nodes.sdk import load_packs

    core = json.loads((FOLDER / "comfyui_core.json").read_text(encoding="utf-8"))
    catalogue = load_packs().catalogue
    return "\n".join(_lines(core, set(catalogue.names()), SAMPLERS, SCHEDULES)) + "\n"


def _lines(
    core: dict[str, object], here: Collection[str], samplers: Collection[str], schedules: Collection[str]
) -> Iterator[str]:
    yield "# Coverage"
    yield ""
    yield f"What {core['program']} has in its image set, and whether it is here under the same name."
    yield "Made by `python docs/make_coverage.py`."
    nodes = core["nodes"]
    assert isinstance(nodes, dict)
    for family, names in nodes.items():
        yield from _table(f"Nodes: {family.lower()}", names, here)
    for title, names, ours in (("Samplers", core["samplers"], samplers), ("Schedules", core["schedules"], schedules)):
        assert isinstance(names, list)
        yield from _table(title, names, ours)


def _table(title: str, names: list[str], here: Collection[str]) -> Iterator[str]:
    there = sum(name in here for name in names)
    yield ""
    yield f"## {title} ({there} of {len(names)})"
    yield ""
    yield "| name | here |"
    yield "|---|---|"
    for name in names:
        yield f"| `{name}` | {YES if name in here else NO} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
