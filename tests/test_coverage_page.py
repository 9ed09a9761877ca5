"""docs/coverage.md says what is true now."""

from __future__ import annotations

import importlib.util

from tests.conftest import ROOT


def test_the_coverage_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_coverage", ROOT / "docs" / "make_coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run `python docs/make_coverage.py`"
