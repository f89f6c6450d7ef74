import pytest

from nmtool.atomic import written_whole
from nmtool.errors import UsageError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")

    def fail_half_way() -> None:
        with written_whole(target) as staged:
            staged.write_text("half of the n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert [path.name for path in tmp_path.iterdir()] == ["result.csv"]
    assert target.read_text() == "old"


def test_a_whole_write_replaces_the_file(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with written_whole(target) as staged:
        staged.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["result.csv"]
    assert target.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"), written_whole(tmp_path / "nowhere" / "result.csv"):
        pass
