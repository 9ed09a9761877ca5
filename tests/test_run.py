"""Set-up: what is repeated, what is not, and two of them at once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).parents[1] / "run.py"

HOLD = """
import runpy, sys
from pathlib import Path
run = runpy.run_path(sys.argv[1], run_name="run")
with run["alone"](Path(sys.argv[2])):
    print("alone", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holder(lock: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(RUN), str(lock)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "alone\n"
        with holder(lock) as second:
            assert second.stderr is not None
            assert second.stdout is not None
            assert "waiting for another run.py" in second.stderr.readline()
            first.communicate("done\n")
            assert second.stdout.readline() == "alone\n"
            second.communicate("done\n")
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_set_up_that_was_killed_holds_up_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "alone\n"
        first.kill()
    with holder(lock) as second:
        assert second.communicate("done\n") == ("alone\n", "")


def test_a_stamp_holds_until_a_file_or_its_name_changes(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    file, stamp = tmp_path / "requirements.txt", tmp_path / "stamp"
    file.write_text("torch\n")
    assert not run.stamped(stamp, run.fingerprint([file]))
    stamp.write_text(run.fingerprint([file]))
    assert run.stamped(stamp, run.fingerprint([file]))
    assert not run.stamped(stamp, run.fingerprint([file], "3.12.0"))
    file.write_text("torch>=2\n")
    assert not run.stamped(stamp, run.fingerprint([file]))
    file.write_text("torch\n")
    assert not run.stamped(stamp, run.fingerprint([file.rename(tmp_path / "other.txt")]))


def test_an_old_python_is_refused_with_its_version(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(run.SetupError, match=sys.version.split()[0]):
        run.main(["setup"])


def test_a_command_that_fails_is_named(run: ModuleType) -> None:
    with pytest.raises(run.SetupError, match=r"exit\(3\).* status 3"):
        run.run(sys.executable, "-c", "exit(3)")
