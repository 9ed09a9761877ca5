"""Packs are found, kept apart, and one that fails is reported without stopping the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nodes.sdk import load_packs

NODE = """
from nodes.sdk import node

@node(title="{name}", category="test"{more})
def {name}() -> None:
    "Does nothing."
"""


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_modules_and_packages_of_the_custom_folder_are_packs(tmp_path: Path):
    write(tmp_path, "one.py", NODE.format(name="One", more=""))
    write(tmp_path, "two/__init__.py", "from .inner import Two\n")
    write(tmp_path, "two/inner.py", NODE.format(name="Two", more=""))
    write(tmp_path, "_hidden.py", "raise RuntimeError")
    packs = load_packs(tmp_path, built_in=False)
    assert set(packs.nodes) == {"One", "Two"}
    assert {report.name: report.ok for report in packs.reports} == {"one": True, "two": True}
    assert packs.catalogue["Two"].pack == "two"


def test_a_broken_pack_is_reported_by_name_and_the_rest_work(tmp_path: Path):
    write(tmp_path, "bad.py", "raise RuntimeError('no such library')")
    write(tmp_path, "good.py", NODE.format(name="Good", more=""))
    packs = load_packs(tmp_path, built_in=False)
    assert set(packs.nodes) == {"Good"}
    bad = next(report for report in packs.reports if report.name == "bad")
    assert not bad.ok
    assert "no such library" in (bad.error or "")


def test_a_name_that_is_taken_refuses_the_later_pack(tmp_path: Path):
    write(tmp_path, "a.py", NODE.format(name="Same", more=""))
    write(tmp_path, "b.py", NODE.format(name="Other", more=', aliases=("Same",)'))
    packs = load_packs(tmp_path, built_in=False)
    assert set(packs.nodes) == {"Same"}
    report = next(report for report in packs.reports if report.name == "b")
    assert "already taken by the pack 'a'" in (report.error or "")


def test_a_node_imported_from_another_pack_is_registered_once(tmp_path: Path):
    write(tmp_path, "own.py", NODE.format(name="Own", more=""))
    write(
        tmp_path,
        "second.py",
        "from latentgraph_custom_nodes.own import Own\n" + NODE.format(name="Second", more=""),
    )
    packs = load_packs(tmp_path, built_in=False)
    assert set(packs.nodes) == {"Own", "Second"}


def test_every_built_in_pack_loads_without_torch():
    code = (
        "import sys; from nodes.sdk import load_packs; packs = load_packs();"
        "bad = [r for r in packs.reports if not r.ok]; assert not bad, bad;"
        "assert 'KSampler' in packs.catalogue; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
