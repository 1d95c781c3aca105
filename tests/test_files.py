"""Files and folders appear complete, or not at all."""

import os
import stat

import pytest

from keras_hamiltonian.files import replacing
from keras_hamiltonian.files import write_text


class Broken(Exception):
    pass


def content(folder):
    """Names in a folder, hidden ones too, with their texts."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as place:
        assert place.name == path.name and place != path
        place.write_text("ne")
        assert path.read_text() == "old"
        place.write_text("new Å")
    assert content(tmp_path) == {"a.txt": "new Å"}


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as place:
        place.write_text("half")
        raise error
    with pytest.raises(error), replacing(tmp_path / "new" / "b") as place:
        place.mkdir()
        (place / "c").write_text("half")
        raise error
    assert content(tmp_path) == {"a.txt": "old"}
    assert list((tmp_path / "new").iterdir()) == []


def test_where_nothing_is_written_the_old_file_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError), replacing(path):
        pass
    assert content(tmp_path) == {"a.txt": "old"}


def test_folders(tmp_path):
    folder = tmp_path / "deep" / "folder"
    with replacing(folder) as place:
        place.mkdir()
        (place / "a").write_text("1")
        assert not folder.exists()
    assert content(folder) == {"a": "1"}
    empty = tmp_path / "empty"
    empty.mkdir()
    for target, fits in ((empty, True), (folder, False)):
        try:
            with replacing(target) as place:
                place.mkdir()
                (place / "b").write_text("2")
        except OSError:
            assert not fits
    # A folder with files in it is not replaced.
    assert content(tmp_path) == {"empty/b": "2", "deep/folder/a": "1"}


def test_permissions_are_those_of_open(tmp_path, umask):
    plain = tmp_path / "plain"
    plain.write_text("")
    write_text(tmp_path / "file", "")
    assert mode(tmp_path / "file") == mode(plain)
    plain = tmp_path / "plain_folder"
    plain.mkdir()
    with replacing(tmp_path / "folder") as place:
        place.mkdir()
    assert mode(tmp_path / "folder") == mode(plain)


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new")
    assert mode(path) == 0o640


def test_two_at_once_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("1")
        second.write_text("2")
    assert content(tmp_path) == {"a.txt": "1"}
