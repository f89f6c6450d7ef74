"""Files of another machine: in place where they are the same, else copied as they lie."""

import os
import shutil

from nmtool.executors.files import Copies, facts


def test_files_that_are_here_stay_where_they_are(folder, tmp_path):
    copies = Copies(facts([[folder]]), tmp_path / "copies")
    assert copies.missing() == []
    assert copies.locate(folder / "number") == folder / "number"


def test_a_group_is_copied_as_a_whole_with_its_paths(folder, tmp_path):
    (folder / "sub").mkdir()
    (folder / "sub/part").write_bytes(b"abc")
    groups = facts([[folder / "number", folder / "sub"], [folder / "beside"]])
    contents = {each: list(each.pieces()) for group in groups for each in group}
    shutil.rmtree(folder / "sub")  # as on a machine that lacks it
    copies = Copies(groups, tmp_path / "copies")
    assert [each.path.name for each in copies.missing()] == ["number", "part"]
    for each in copies.missing():
        copies.add(each, contents[each])
    assert copies.missing() == []
    assert copies.locate(folder / "number").read_text() == "1000"
    assert copies.locate(folder / "number").parent == copies.locate(folder / "sub").parent
    assert (copies.locate(folder / "sub") / "part").read_bytes() == b"abc"
    assert copies.locate(folder / "beside") == folder / "beside"


def test_a_file_that_changed_is_another(folder, tmp_path):
    groups = facts([[folder / "number"]])
    os.utime(folder / "number", ns=(0, 0))
    assert [each.path for each in Copies(groups, tmp_path / "copies").missing()] == [folder / "number"]
