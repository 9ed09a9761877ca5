"""No name from outside reaches a file outside its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.sdk.paths import OutsideFolder, resolve_inside

BAD = ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "C:\\x", "c:x", "..\\x", "a\0b", "\\\\host\\share"]


@pytest.mark.parametrize("name", [name for name in BAD if name != "."])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str):
    with pytest.raises(OutsideFolder):
        resolve_inside(tmp_path, name)


def test_plain_and_nested_names_are_found(tmp_path: Path):
    assert resolve_inside(tmp_path, "a b.png") == tmp_path.resolve() / "a b.png"
    assert resolve_inside(tmp_path, "sub/x.png") == tmp_path.resolve() / "sub" / "x.png"


def test_a_link_that_leads_outside_is_refused(tmp_path: Path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    with pytest.raises(OutsideFolder):
        resolve_inside(inside, "link/secret")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "a", "b.png", "/", "\\", "C:"]), min_size=1, max_size=6))
def test_whatever_is_accepted_lies_inside(tmp_path: Path, parts: list[str]):
    try:
        path = resolve_inside(tmp_path, "/".join(parts))
    except OutsideFolder:
        return
    assert path == tmp_path.resolve() or tmp_path.resolve() in path.parents
