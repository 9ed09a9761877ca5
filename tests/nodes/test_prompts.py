from __future__ import annotations

from pathlib import Path

import pytest

from nodes.prompts import PromptFromList
from nodes.sdk import NodeError
from tests.nodes.fake_context import FakeContext


@pytest.fixture
def job(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)


def test_each_number_gives_a_line_and_after_the_last_comes_the_first(job: FakeContext):
    assert [PromptFromList(job, number, "a fox\n\n a boat \n") for number in range(4)] == ["a fox", "a boat"] * 2


def test_a_file_adds_its_lines(job: FakeContext):
    (job.folders.inputs / "list.txt").write_bytes(b"\xef\xbb\xbfa hut\r\na b\xc3\xa4r\r\n")
    assert [PromptFromList(job, number, "a fox", "list.txt") for number in range(3)] == ["a fox", "a hut", "a bär"]


def test_nothing_to_choose_from_and_a_file_that_is_no_text_are_refused(job: FakeContext):
    with pytest.raises(NodeError, match="no prompts") as caught:
        PromptFromList(job, 0, " \n")
    assert caught.value.input == "prompts"
    (job.folders.inputs / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(NodeError, match="UTF-8") as caught:
        PromptFromList(job, 0, "", "bad.txt")
    assert caught.value.input == "file"
