"""The command line: what it prints, and what its exit codes mean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor.events import JobFailed
from executor.formats import read_document
from executor.variations import WrongUsage, with_changes
from nodes.sdk.packs import Packs
from tests.conftest import ROOT
from tests.executor.conftest import CUSTOM_NODES, Bench, Nodes, document, n, text

SAVE: Nodes = {
    "1": {**n("Number", value=3), "_meta": {"title": "Count"}},
    "2": n("Text", text="old"),
    "3": n("Save", value=["1", 0]),
    "4": n("Save", value=["2", 0], prefix="words"),
}


def command(tmp_path: Path, *arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", "executor", "run"),
        *("--data-dir", str(tmp_path / "data"), "--custom-nodes-dir", str(CUSTOM_NODES)),
        *("--models-dir", str(tmp_path / "models"), "--device", "cpu", *arguments),
    ]


def environment(resources: str = "executor.bare:create") -> dict[str, str]:
    return {**os.environ, "LATENTGRAPH_RESOURCES": resources}


def run(tmp_path: Path, *arguments: str, resources: str = "executor.bare:create") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tmp_path, *arguments),
        cwd=ROOT,
        env=environment(resources),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def written(tmp_path: Path, content: str) -> str:
    file = tmp_path / "workflow.json"
    file.write_text(content)
    return str(file)


def test_the_files_made_are_printed_and_inputs_can_be_set(tmp_path: Path):
    results = tmp_path / "results"
    shown = run(
        tmp_path,
        *(written(tmp_path, text(SAVE)), "--output-dir", str(results)),
        *("--set", "Count.value=41", "--set", "2.text=123"),
    )
    assert shown.returncode == 0, shown.stderr
    paths = [Path(line) for line in shown.stdout.splitlines()]
    assert [path.read_text() for path in paths] == ["41", "123"]
    assert all(path.parent == results for path in paths)


def test_what_can_be_run_of_a_comfyui_file_is_and_the_rest_is_told(tmp_path: Path):
    def part(node: int, kind: str, link: int | None, values: list[object]) -> dict[str, object]:
        inputs = [] if link is None else [{"name": "value", "type": "INT", "link": link}]
        return {"id": node, "type": kind, "inputs": inputs, "outputs": [], "widgets_values": values}

    nodes = [part(1, "Number", None, ["3"]), part(2, "Number", None, ["x"])]
    nodes += [part(3, "Save", 1, ["good"]), part(4, "Save", 2, ["bad"])]
    body = {"nodes": nodes, "links": [[1, 1, 0, 3, 0, "INT"], [2, 2, 0, 4, 0, "INT"]]}
    shown = run(tmp_path, written(tmp_path, json.dumps(body)))
    assert shown.returncode == 0, shown.stderr
    (path,) = [Path(line) for line in shown.stdout.splitlines()]
    assert path.read_text() == "3"
    assert "warning: 'value' of node '2' (Number) takes a whole number" in shown.stderr
    assert "warning: Node '4' (Save) is left out" in shown.stderr


@pytest.mark.parametrize(
    ("content", "arguments", "code", "says"),
    [
        (None, [], 2, "No such file"),
        (text(SAVE), ["--set", "nobody.value=1"], 2, "there is no node 'nobody'"),
        (text(SAVE), ["--set", "nonsense"], 2, "NODE.INPUT=VALUE"),
        (text(SAVE), ["--precision", "fp99"], 2, "fp99"),
        ("{", [], 3, "not JSON"),
        (text({"1": n("Numbr")}), [], 3, "the nearest is 'Number'"),
        (
            text({"1": n("Explain"), "2": n("End", value=["1", 0])}),
            [],
            4,
            "The width is 0. Give it at least 8. (node 1",
        ),
    ],
)
def test_exit_codes_tell_what_went_wrong(
    tmp_path: Path, content: str | None, arguments: list[str], code: int, says: str
):
    file = str(tmp_path / "none.json") if content is None else written(tmp_path, content)
    shown = run(tmp_path, file, *arguments)
    assert (shown.returncode, says in shown.stderr) == (code, True), shown.stderr


@pytest.mark.parametrize(
    ("resources", "device", "says"),
    [
        ("diffusion.worker_resources:create", "cuda:77", "There is no device 'cuda:77'"),
        ("tests.executor.picky_resources:create", "cuda:1", "picky resources"),
    ],
)
def test_a_device_that_fails_is_no_fault_of_the_workflow(tmp_path: Path, resources: str, device: str, says: str):
    shown = run(tmp_path, written(tmp_path, text(SAVE)), "--device", device, resources=resources)
    assert (shown.returncode, says in shown.stderr) == (4, True), shown.stderr


def test_a_worker_that_dies_twice_is_no_fault_of_the_workflow(tmp_path: Path):
    nodes = {"1": n("Crash", log=str(tmp_path / "log"), times=5), "2": n("End", value=["1", 0])}
    shown = run(tmp_path, written(tmp_path, text(nodes)))
    assert (shown.returncode, "exit code 7" in shown.stderr) == (4, True), shown.stderr


def test_a_workflow_that_cannot_run_is_refused_by_the_worker_as_by_the_command_line(bench: Bench):
    for nodes in ({"1": n("Number")}, {"1": n("Picture", image="none.png"), "2": n("End", value=["1", 0])}):
        end = bench.run(nodes)
        assert isinstance(end, JobFailed)
        assert end.refused
    failed = bench.run({"1": n("Boom", a=1), "2": n("End", value=["1", 0])})
    assert isinstance(failed, JobFailed)
    assert not failed.refused


@pytest.mark.skipif(os.name == "nt", reason="sends the signal of Ctrl+C as POSIX systems do")
def test_an_interrupt_cancels_and_says_so(tmp_path: Path):
    file = written(tmp_path, text({"1": n("Slow", steps=5_000), "2": n("End", value=["1", 0])}))
    process = subprocess.Popen(command(tmp_path, file), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "cancelled" in shown


def test_a_title_that_several_nodes_share_is_not_guessed(packs: Packs):
    twice = {name: {**n("Number"), "_meta": {"title": "Same"}} for name in ("1", "2")}
    with pytest.raises(WrongUsage, match="1, 2"):
        with_changes(read_document(document(twice)), ["Same.value=1"], packs.catalogue)


def test_values_are_json_and_texts_stay_texts(packs: Packs):
    given = read_document(document(SAVE))
    changed = with_changes(given, ["Number.value=7", "Text.text=a=b", "2.loud=true"], packs.catalogue)
    assert changed.nodes["1"]["inputs"]["value"] == 7
    assert changed.nodes["2"]["inputs"] == {"text": "a=b", "loud": True}
    assert json.loads(given.to_text())["nodes"]["1"]["inputs"]["value"] == 3


def test_a_file_of_prompts_makes_a_job_of_each_line(tmp_path: Path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a fox\n\n  a boat\n")
    done = run(
        tmp_path, written(tmp_path, text(SAVE)), "--quiet", "--prompts", str(prompts), "--prompt-input", "Text.text"
    )
    assert done.returncode == 0, done.stderr
    words = [Path(line) for line in done.stdout.splitlines() if "words" in line]
    assert [path.read_text() for path in words] == ["a fox", "a boat"]


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe\x00", "no text in UTF-8"), (b"\n \n", "holds no prompts")])
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "prompts.txt").write_bytes(content)
    done = run(tmp_path, written(tmp_path, text(SAVE)), "--prompts", str(tmp_path / "prompts.txt"))
    assert done.returncode == 2
    assert words in done.stderr
