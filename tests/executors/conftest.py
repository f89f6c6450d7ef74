"""A folder for chores."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "number").write_text("1000")
    (tmp_path / "beside").touch()
    return tmp_path
