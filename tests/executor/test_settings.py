"""Flags, environment variables and defaults, in that order."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from executor.settings import Settings, add_run_options, add_server_options, size


def settings(arguments: list[str], environ: dict[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_run_options(parser, environ or {})
    add_server_options(parser, environ or {})
    return Settings.from_arguments(parser.parse_args(arguments))


def test_defaults_are_loopback_and_auto():
    found = settings([])
    assert (found.host, found.port, found.device, found.precision, found.token) == (
        "127.0.0.1",
        8188,
        "auto",
        "auto",
        None,
    )
    assert found.database == found.data_dir / "latentgraph.sqlite3"
    assert found.data_dir.is_absolute()


@pytest.mark.parametrize(
    ("written", "size"), [("1", 1), ("2k", 2048), ("1.5MB", 3 << 19), ("4GiB", 4 << 30), ("4 gb", 4 << 30), ("0", 0)]
)
def test_sizes_are_read_with_units(written: str, size: int):
    assert settings(["--cache-memory", written]).cache_memory == size


def test_budgets_reach_the_worker_and_are_its_own_choice_unless_given():
    found = settings(["--ram-budget", "3GB"], {"LATENTGRAPH_VRAM_BUDGET": "512MB"}).worker_config()
    assert (found.ram_budget, found.vram_budget) == (3 << 30, 512 << 20)
    assert (settings([]).ram_budget, settings([]).vram_budget) == (None, None)


def test_a_flag_wins_over_its_environment_variable():
    environ = {"LATENTGRAPH_PORT": "1234", "LATENTGRAPH_CACHE_DISK": "1GB", "LATENTGRAPH_NO_BROWSER": "1"}
    assert settings([], environ).port == 1234
    assert settings([], environ).cache_disk == 1 << 30
    assert settings([], environ).no_browser
    assert settings(["--port", "99"], environ).port == 99


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cache-disk", "lots"],
        ["--device", "tpu"],
        ["--port", "70000"],
        ["--precision", "fp8"],
        ["--log-level", "loud"],
    ],
)
def test_a_bad_value_is_refused_in_words(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        settings(arguments)
    assert caught.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_bad_environment_variable_is_named():
    with pytest.raises(SystemExit, match="LATENTGRAPH_DEVICE"):
        settings([], {"LATENTGRAPH_DEVICE": "tpu"})


def test_help_names_every_environment_variable(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        settings(["--help"])
    shown = capsys.readouterr().out
    names = (
        "HOST PORT DATA_DIR MODELS_DIR CUSTOM_NODES_DIR DEVICE PRECISION CACHE_MEMORY CACHE_DISK NO_BROWSER LOG_LEVEL "
        "COMPILE VRAM_BUDGET RAM_BUDGET"
    )
    assert [name for name in (*names.split(), "TOKEN") if f"LATENTGRAPH_{name}" not in shown] == []


def test_compiling_is_off_unless_asked_for():
    assert not settings([]).worker_config().compile
    assert settings(["--compile"]).worker_config().compile
    assert settings([], {"LATENTGRAPH_COMPILE": "yes"}).worker_config().compile


def test_the_worker_is_told_of_the_folders(tmp_path: Path):
    told = settings(["--data-dir", str(tmp_path), "--device", "cuda:0,cuda:1"]).worker_config()
    assert told.folders.outputs == tmp_path / "outputs"
    assert told.device == "cuda:0,cuda:1"


def test_every_default_that_is_shown_is_the_one_that_holds(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        settings(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    found = settings([])
    for name in ("cache_memory", "cache_disk"):
        (written,) = re.findall(rf"\(default: (\S+)\) \[LATENTGRAPH_{name.upper()}\]", shown)
        assert size(written) == getattr(found, name)
    assert f"(default: {found.port}) [LATENTGRAPH_PORT]" in shown
    assert (found.worker_config().cache_memory, found.worker_config().cache_disk) == (2 << 30, 8 << 30)


def test_the_resources_are_named_by_the_environment_that_is_given():
    assert settings([], {"LATENTGRAPH_RESOURCES": "some.where:create"}).resources == "some.where:create"
    assert settings([]).resources == "diffusion.worker_resources:create"
