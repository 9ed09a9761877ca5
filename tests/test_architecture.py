"""The rules of the design that no single module can hold by itself: who imports whom, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("api", "executor", "nodes", "diffusion", "training")
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "spandrel", "torchsde", "scipy"}
MAY_IMPORT = {
    "api": {"api", "executor", "nodes.sdk", "diffusion.library"},
    "executor": {"executor", "nodes.sdk"},
    "nodes.sdk": {"nodes.sdk"},
    "nodes": {"nodes", "nodes.sdk", "diffusion"},
    "diffusion": {"diffusion"},
}
ALONE = {"nodes.sdk": {"nodes"}}
"""What may be imported, but nothing inside of it: the folder in which the packs are found."""
LONGEST = 400


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Names imported when the code runs; what stands under TYPE_CHECKING is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield from imported(ast.Module([other], []))
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        yield from imported(node)


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "nodes.sdk" if parts[:2] == ("nodes", "sdk") else parts[0]


@pytest.mark.parametrize("package", [each for each in PACKAGES if each != "training"])
def test_each_package_imports_only_what_the_design_allows(package: str):
    wrong: list[str] = []
    for path in modules(package):
        allowed = MAY_IMPORT[package_of(path)]
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if name.split(".")[0] not in PACKAGES:
                continue
            if name in ALONE.get(package_of(path), ()):
                continue
            if not any(name == each or name.startswith(f"{each}.") for each in allowed):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_nothing_imports_the_composition_root():
    for package in PACKAGES:
        for path in modules(package):
            assert "server" not in set(imported(ast.parse(path.read_text(encoding="utf-8")))), path


def test_the_server_side_loads_no_heavy_library():
    code = (
        "import sys, api.app, executor.jobs, executor.__main__, nodes, diffusion.library, server;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.stdout.strip() == "[]", shown.stdout + shown.stderr


def test_every_module_is_short_and_says_why_it_exists():
    wrong: list[str] = []
    for package in PACKAGES:
        for path in modules(package):
            text = path.read_text(encoding="utf-8")
            if len(text.splitlines()) > LONGEST:
                wrong.append(f"{path.relative_to(ROOT)} is longer than {LONGEST} lines")
            if not ast.get_docstring(ast.parse(text)):
                wrong.append(f"{path.relative_to(ROOT)} has no docstring")
    wrong += [
        f"{path.relative_to(ROOT)} is longer than {LONGEST} lines"
        for path in (ROOT / "web" / "src").rglob("*.ts*")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
    ]
    assert not wrong
