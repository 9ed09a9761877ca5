"""What every test may use, and how the browser tests are left out when there is no browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Two test processes on two cores: one thread each, or they wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-browser-tests",
        action="store_true",
        help="leave out the tests that drive a browser, on a machine that can have none",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Playwright keeps an event loop running to the end, in which no asyncio test could start: the browser comes last.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if not config.getoption("--no-browser-tests"):
        return
    browser = [item for item in items if item.get_closest_marker("browser")]
    config.hook.pytest_deselected(items=browser)
    items[:] = [item for item in items if item not in browser]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT
