"""Running a job in this process: what is called, what is kept, what is said, and how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executor.cache import Cache, Entry
from executor.codec import Codec
from executor.events import (
    JobCancelled,
    JobDone,
    JobFailed,
    JobStarted,
    NodeDone,
    NodeFailed,
    NodePreview,
    NodeProgress,
    NodesCached,
    NodeStarted,
    NodeWarned,
)
from executor.folders import Folders
from executor.store import DiskStore
from nodes.sdk.packs import Packs
from tests.executor.conftest import Bench, chain, make_bench, n


def failure(bench: Bench, nodes: dict[str, Any]) -> Any:
    end = bench.run(nodes)
    assert isinstance(end, JobFailed)
    return end.error


def read(bench: Bench, end: object, node: str) -> str:
    assert isinstance(end, JobDone)
    return bench.services.folders.path(end.outputs[node][0]).read_text()


def test_values_flow_along_links_and_files_come_out(bench: Bench):
    end = bench.run({"1": n("Number", value=3), "2": n("Add", a=["1", 0], b=4), "3": n("Save", value=["2", 0])})
    assert read(bench, end, "3") == "7"
    assert isinstance(bench.events[0], JobStarted)
    assert [event.node for event in bench.of(NodeStarted)] == ["1", "2", "3"]
    assert bench.of(NodeDone)[-1].outputs[0].filename == "value_00001_.txt"


def test_named_outputs_are_told_apart(bench: Bench):
    nodes = {"1": n("Split", value=3), "2": n("Save", value=["1", 1], prefix="t"), "3": n("Save", value=["1", 0])}
    end = bench.run(nodes)
    assert (read(bench, end, "2"), read(bench, end, "3")) == ("3", "3")


def test_an_edit_runs_again_only_what_it_changes(bench: Bench, tmp_path: Path):
    log = str(tmp_path / "log")
    nodes = {
        "1": n("Number", value=3),
        "2": n("Counted", a=["1", 0], log=log, label="left"),
        "3": n("Counted", a=5, log=log, label="right"),
        "4": n("Add", a=["2", 0], b=["3", 0]),
        "5": n("Save", value=["4", 0]),
    }
    bench.run(nodes)
    end = bench.run({**nodes, "3": n("Counted", a=6, log=log, label="right again")})
    assert Path(log).read_text().split("\n") == ["left", "right", "right again", ""]
    assert [event.node for event in bench.of(NodeStarted)] == ["3", "4", "5"]
    assert read(bench, end, "5") == "9"
    (cached,) = bench.of(NodesCached)
    assert set(cached.nodes) == {"1", "2"}


def test_the_same_job_again_runs_nothing_and_shows_the_same_files(bench: Bench):
    nodes = {"1": n("Number", value=3), "2": n("Save", value=["1", 0])}
    first = bench.run(nodes)
    second = bench.run(nodes)
    assert isinstance(first, JobDone)
    assert isinstance(second, JobDone)
    assert second.outputs == first.outputs
    assert bench.of(NodeStarted) == []
    assert bench.of(JobStarted) == [JobStarted(1, 2, 2)]
    assert bench.of(NodesCached)[0].outputs == first.outputs


def test_a_deleted_file_is_made_again_from_what_is_cached(bench: Bench):
    nodes = {"1": n("Number", value=3), "2": n("Save", value=["1", 0])}
    end = bench.run(nodes)
    assert isinstance(end, JobDone)
    bench.services.folders.path(end.outputs["2"][0]).unlink()
    again = bench.run(nodes)
    assert [event.node for event in bench.of(NodeStarted)] == ["2"]
    assert read(bench, again, "2") == "3"


def test_another_file_of_the_same_name_is_not_handed_out(packs: Packs, tmp_path: Path):
    def bench(outputs: str) -> Bench:
        folders = Folders.below(tmp_path / "data", tmp_path / outputs)
        folders.create()
        return make_bench(packs, tmp_path / "data", Cache(1 << 20, folders.stamp, disk), folders)

    def saved(value: int) -> dict[str, Any]:
        return {"1": n("Number", value=value), "2": n("Save", value=["1", 0])}

    disk = DiskStore(tmp_path / "cache", 1 << 20, Codec(["nodes.sdk.context"]))
    bench("one").run(saved(1))
    bench("two").run(saved(2))
    third = bench("two")
    assert read(third, third.run(saved(1)), "2") == "1"
    again = bench("two")
    assert read(again, again.run(saved(1)), "2") == "1"
    assert again.of(NodeStarted) == []


def test_an_impure_node_runs_every_time(bench: Bench):
    nodes = {"1": n("Dice"), "2": n("End", value=["1", 0])}
    bench.run(nodes, "one")
    bench.run(nodes, "two")
    assert [event.node for event in bench.of(NodeStarted)] == ["1", "2"]


def test_twins_run_once_and_both_are_reported(bench: Bench, tmp_path: Path):
    log = str(tmp_path / "log")
    twin = n("Counted", a=1, log=log)
    bench.run({"1": twin, "2": twin, "3": n("Add", a=["1", 0], b=["2", 0]), "4": n("End", value=["3", 0])})
    assert Path(log).read_text() == "\n"
    assert [event.nodes for event in bench.of(NodesCached)] == [("2",)]


def test_nodes_that_share_a_result_and_cached_ones_count_as_done(bench: Bench):
    nodes = {"a": n("Number", value=1), "1": n("Add", a=["a", 0]), "2": n("Add", a=["a", 0])}
    bench.run({**nodes, "end": n("End", value=["a", 0])})
    bench.run({**nodes, "one": n("End", value=["1", 0]), "two": n("Save", value=["2", 0])})
    (began,) = bench.of(JobStarted)
    assert (began.nodes, began.cached) == (5, 1)
    assert [event.finished for event in bench.of(NodeDone)] == [3, 4, 5]


def test_an_exception_names_its_node_and_keeps_the_traceback(bench: Bench):
    error = failure(bench, {"1": n("Number"), "2": n("Boom", a=["1", 0]), "3": n("End", value=["2", 0])})
    assert (error.code, error.node, error.class_type) == ("node_exception", "2", "Boom")
    assert error.message == "RuntimeError: it went wrong"
    assert "testpack.py" in error.detail
    assert bench.of(NodeFailed)[0].error == error


def test_an_error_written_for_people_is_passed_on(bench: Bench):
    error = failure(bench, {"1": n("Explain"), "2": n("End", value=["1", 0])})
    assert (error.code, error.input, error.detail) == ("bad_size", "width", None)
    assert error.message == "The width is 0. Give it at least 8."


def test_what_a_node_warns_of_is_told_once_and_as_its_own(bench: Bench):
    nodes = {"1": n("Warns", value=1), "2": n("Warns", value=["1", 0]), "3": n("End", value=["2", 0])}
    assert isinstance(bench.run(nodes), JobDone)
    assert bench.of(NodeWarned) == [NodeWarned("1", "1 is odd"), NodeWarned("2", "1 is odd")]


def test_a_node_that_exits_only_fails(bench: Bench):
    error = failure(bench, {"1": n("Exit"), "2": n("End", value=["1", 0])})
    assert error.code == "node_exception"


def test_a_node_that_returns_something_else_is_found_out(bench: Bench):
    error = failure(bench, {"1": n("Liar"), "2": n("End", value=["1", 1])})
    assert error.code == "bad_return"


def test_a_linked_value_is_held_to_the_range_of_its_input(bench: Bench):
    nodes = {"1": n("Number", value=7), "2": n("Fraction", value=["1", 0]), "3": n("End", value=["2", 0])}
    error = failure(bench, nodes)
    assert (error.code, error.node, error.input) == ("above_max", "2", "value")


def test_a_linked_value_need_be_no_multiple(bench: Bench):
    nodes = {"1": n("Number", value=100), "2": n("Eights", value=["1", 0]), "3": n("End", value=["2", 0])}
    assert isinstance(bench.run(nodes), JobDone)


def test_results_before_a_failure_are_kept(bench: Bench, tmp_path: Path):
    log = str(tmp_path / "log")
    nodes = {"1": n("Counted", a=1, log=log), "2": n("Save", value=["1", 0]), "3": n("Boom", a=["1", 0])}
    nodes["4"] = n("End", value=["3", 0])
    end = bench.run(nodes)
    assert isinstance(end, JobFailed)
    assert list(end.outputs) == ["2"]
    bench.run(nodes)
    assert [event.node for event in bench.of(NodeStarted)] == ["3"]
    assert Path(log).read_text() == "\n"


def test_out_of_memory_is_tried_once_more_after_freeing(bench: Bench, tmp_path: Path):
    freed: list[int] = []
    bench.services.resources.free = lambda: freed.append(1)  # type: ignore[method-assign]
    nodes = {"1": n("Hungry", a=1, log=str(tmp_path / "log")), "2": n("End", value=["1", 0])}
    assert isinstance(bench.run(nodes), JobDone)
    assert freed == [1]


def test_out_of_memory_twice_says_what_would_help(bench: Bench, tmp_path: Path):
    error = failure(bench, {"1": n("Hungry", a=1, log=str(tmp_path / "log"), times=2), "2": n("End", value=["1", 0])})
    assert error.code == "out_of_memory"
    assert "smaller" in error.message


def test_a_cancel_is_noticed_within_a_node(bench: Bench):
    bench.cancel_after = 6
    assert isinstance(bench.run({"1": n("Slow", seconds=0.0), "2": n("End", value=["1", 0])}), JobCancelled)
    assert len(bench.of(NodeProgress)) == 2
    assert len(bench.of(NodePreview)) == 2


def test_a_cancel_is_noticed_between_nodes(bench: Bench):
    bench.cancel_after = 3
    assert isinstance(bench.run(chain(50)), JobCancelled)
    assert len(bench.of(NodeDone)) == 1


def test_a_failing_node_leaves_no_empty_file(bench: Bench):
    assert failure(bench, {"1": n("ReserveAndFail")}).code == "node_exception"
    assert list(bench.services.folders.outputs.rglob("*.txt")) == []


@pytest.mark.parametrize("prefix", ["../out", "/etc/out", "a/../../out", "..\\out"])
def test_nothing_is_written_outside_the_outputs(bench: Bench, prefix: str, tmp_path: Path):
    assert failure(bench, {"1": n("Escape", prefix=prefix)}).code == "outside_folder"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_targets_run_only_what_they_need(bench: Bench):
    nodes = {"1": n("Number"), "2": n("Add", a=["1", 0]), "3": n("Save", value=["2", 0])}
    assert isinstance(bench.run(nodes, targets=("2",)), JobDone)
    assert [event.node for event in bench.of(NodeStarted)] == ["1", "2"]


def test_an_invalid_document_ends_the_job_with_its_first_problem(bench: Bench):
    assert failure(bench, {"1": n("Nothing")}).code == "unknown_node"


def test_a_result_that_vanishes_from_the_second_tier_is_computed_again(packs: Packs, tmp_path: Path):
    class Lying:
        """A disk tier whose every entry turns out to be damaged."""

        def has(self, key: bytes) -> bool:
            return True

        def get(self, key: bytes) -> Entry | None:
            return None

        def put(self, key: bytes, entry: Entry) -> None:
            return

    bench = make_bench(packs, tmp_path / "data", Cache(1 << 20, lambda file: "1", Lying()))
    end = bench.run({"1": n("Number", value=3), "2": n("Add", a=["1", 0]), "3": n("Save", value=["2", 0])})
    assert read(bench, end, "3") == "4"


def test_a_job_runs_with_no_cache_at_all(packs: Packs, tmp_path: Path):
    bench = make_bench(packs, tmp_path / "data", Cache(0, lambda file: "1"))
    for _ in range(2):
        assert isinstance(bench.run(chain(20)), JobDone)
        assert len(bench.of(NodeStarted)) == 22
