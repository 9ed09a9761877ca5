"""Names of new files are never reused and never lead outside; names of given files are held to their folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.files import Files, Snapshot
from executor.folders import Folders, OutputNames
from nodes.sdk.context import Folder
from nodes.sdk.paths import OutsideFolder


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders.below(tmp_path / "data")
    folders.create()
    return folders


def test_names_count_up_from_what_is_there(folders: Folders):
    (folders.outputs / "boat_00041_.png").touch()
    (folders.outputs / "boat_00099_extra.txt").touch()
    (folders.outputs / "boats_00500_.png").touch()
    names = OutputNames(folders)
    first = names.reserve("boat", ".png", temporary=False)
    second = names.reserve("boat", "png", temporary=False)
    assert [each.file.filename for each in (first, second)] == ["boat_00100_.png", "boat_00101_.png"]
    assert (first.file.type, first.file.media) == ("output", "image/png")


def test_previews_go_after_a_week_and_results_stay(folders: Folders):
    old = time.time() - 8 * 24 * 3600
    kept = [folders.temp / "new.png", folders.outputs / "old.png"]
    for path in (*kept, folders.temp / "old.png"):
        path.touch()
    for path in (folders.outputs / "old.png", folders.temp / "old.png"):
        os.utime(path, (old, old))
    folders.drop_old_previews()
    assert sorted(path for folder in (folders.temp, folders.outputs) for path in folder.iterdir()) == sorted(kept)


def test_two_processes_never_claim_the_same_name(folders: Folders):
    one, other = OutputNames(folders), OutputNames(folders)
    claimed = [names.reserve("a", ".png", temporary=False).path for names in (one, other, one, other, other, one)]
    assert len(set(claimed)) == 6


def test_a_prefix_may_hold_folders_which_are_made(folders: Folders):
    made = OutputNames(folders).reserve("latents/today/sea", ".latent", temporary=True)
    assert made.file.subfolder == "latents/today"
    assert made.file.relative == "latents/today/sea_00001_.latent"
    assert made.path == folders.temp / "latents" / "today" / "sea_00001_.latent"
    assert folders.path(made.file) == made.path
    assert folders.stamp(made.file) is not None


@given(prefix=st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", "", "b c", "\0", "c:"])).map("/".join))
def test_any_prefix_stays_inside_or_is_refused(tmp_path_factory: pytest.TempPathFactory, prefix: str):
    folders = Folders.below(tmp_path_factory.getbasetemp() / "prefixes")
    folders.create()
    try:
        made = OutputNames(folders).reserve(prefix, ".png", temporary=False)
    except OutsideFolder:
        return
    assert made.path.is_file()
    assert made.path.resolve().is_relative_to(folders.outputs.resolve())
    made.path.unlink()


def test_input_files_are_listed_known_and_keyed_by_content(folders: Folders):
    files = Files(None, folders)
    (folders.inputs / "sub").mkdir()
    picture = folders.inputs / "sub" / "a.png"
    picture.write_bytes(b"one")
    assert files.names("input") == ["sub/a.png"]
    assert files.has("input", "sub/a.png")
    before = files.content_id("input", "sub/a.png")
    picture.write_bytes(b"another")
    assert files.content_id("input", "sub/a.png") != before


@pytest.mark.parametrize(
    "name",
    [
        *("../data/latentgraph.sqlite3", "/etc/hostname", "..", "", "a\0b", "..\\x", "../outputs/o.png"),
        *(
            "../inputs/i.png [output]",
            "/etc/hostname [input]",
            ".. [temp]",
            " [input]",
            "a.png [cache]",
            "o.png [input]",
        ),
    ],
)
def test_names_that_leave_the_folder_are_not_there(folders: Folders, name: str):
    (folders.inputs / "i.png").touch()
    (folders.outputs / "o.png").touch()
    assert not Files(None, folders).has("input", name)


@pytest.mark.parametrize("folder", ["input", "output", "temp"])
def test_a_file_may_be_named_with_its_folder(folders: Folders, folder: Folder):
    path = folders.root(folder) / "clipspace" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"one")
    files, name = Files(None, folders), f"clipspace/a.png [{folder}]"
    assert files.has("input", name)
    assert folders.given(name) == path
    before = files.content_id("input", name)
    path.write_bytes(b"another")
    assert files.content_id("input", name) != before


def test_a_snapshot_asks_once():
    asked: list[str] = []

    class Counting:
        def has(self, kind: str, name: str) -> bool:
            asked.append(name)
            return True

        def names(self, kind: str) -> list[str]:
            asked.append(kind)
            return ["a"]

        def content_id(self, kind: str, name: str) -> str:
            asked.append(name)
            return "id"

    snapshot = Snapshot(Counting())
    for _ in range(3):
        assert snapshot.has("checkpoints", "a")
        assert snapshot.names("checkpoints") == ["a"]
        assert snapshot.content_id("checkpoints", "a") == "id"
    assert asked == ["a", "checkpoints", "a"]
