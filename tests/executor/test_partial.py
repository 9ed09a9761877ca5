"""Of a workflow from ComfyUI, the output nodes that have no problems upstream are run."""

from __future__ import annotations

from typing import Any

from executor.formats import read_document
from executor.prepare import Prepared, prepare
from nodes.sdk.packs import Packs
from tests.executor.conftest import FakeFiles, document, n

SOUND = {"1": n("Number"), "2": n("Add", a=["1", 0]), "end": n("End", value=["2", 0])}
BROKEN = {"3": n("Add", a="x"), "4": n("Add", a=["3", 0]), "other": n("End", value=["4", 0])}


def prepared(packs: Packs, body: dict[str, Any], targets: list[str] | None = None) -> Prepared:
    return prepare(read_document(body), packs.catalogue, FakeFiles(), targets)


def test_the_outputs_that_can_be_run_are(packs: Packs):
    found = prepared(packs, {**BROKEN, **SOUND})
    assert found.checked.problems == []
    assert found.targets == ("end",)
    assert found.checked.outputs == ["end"]
    assert list(found.checked.nodes) == ["1", "2", "end"]
    assert [(each.code, each.node) for each in found.checked.warnings] == [("wrong_type", "3"), ("left_out", "other")]


def test_a_problem_upstream_of_all_outputs_keeps_them_from_running(packs: Packs):
    found = prepared(packs, {**SOUND, "1": n("Number", value="x"), "also": n("End", value=["1", 0])})
    assert [each.code for each in found.checked.problems] == ["wrong_type"]


def test_a_cycle_spoils_only_the_outputs_that_it_leads_to(packs: Packs):
    found = prepared(
        packs, {**SOUND, "3": n("Add", a=["4", 0]), "4": n("Add", a=["3", 0]), "e": n("End", value=["3", 0])}
    )
    assert found.checked.problems == []
    assert found.targets == ("end",)


def test_an_unknown_class_that_an_output_needs_refuses_the_whole(packs: Packs):
    found = prepared(packs, {**SOUND, "3": n("Stranger"), "other": n("End", value=["3", 0])})
    assert [each.code for each in found.checked.problems] == ["unknown_node"]


def test_a_workflow_without_problems_runs_for_all_its_outputs(packs: Packs):
    assert prepared(packs, SOUND).targets is None
    assert prepared(packs, SOUND, ["2"]).targets == ("2",)


def test_a_workflow_made_here_is_refused_with_all_its_problems(packs: Packs):
    found = prepared(packs, document({**BROKEN, **SOUND}))
    assert [(each.code, each.node) for each in found.checked.problems] == [("wrong_type", "3")]
