"""What a test cannot do without: where that is missing it is skipped, but in CI that is a failure."""

from __future__ import annotations

import os

import pytest


def need(what: str, missing: str | None) -> None:
    """Skips the test where `missing` says what keeps it from running; in CI that is a failure."""
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{what}: {missing}")
    pytest.skip(f"{what}: {missing}")
