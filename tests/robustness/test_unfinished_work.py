"""Kills and full disks: the old stays, and nothing unfinished is read."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
from largest_file import largest_file
from small_crystals import crystal

from data_tools.formats import find_sources
from data_tools.formats import write_calculation
from keras_hamiltonian.conventions import CODE
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.files import locked
from keras_hamiltonian.files import replacing
from keras_hamiltonian.files import write_text
from keras_hamiltonian.prediction import Prediction

PREDICTED = crystal(source={"code": CODE})


def in_a_child(work):
    """Exit status of a fork that does the work."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(name):
    """Writes a prediction, and dies in place of the call of `os.<name>`."""

    def work(folder):
        def die(*_):
            os.kill(os.getpid(), 9)

        setattr(os, name, die)
        Prediction(PREDICTED).write(folder)

    return work


def die_at_second_rename(folder):
    rename, calls = pathlib.Path.rename, []

    def counted(self, target):
        calls.append(target)
        if len(calls) == 2:
            os.kill(os.getpid(), 9)
        return rename(self, target)

    pathlib.Path.rename = counted
    Prediction(PREDICTED).write(folder)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_prediction_replaces_predictions_alone(tmp_path):
    folder = tmp_path / "x"
    Prediction(PREDICTED).write(folder)
    files = names_in(folder)
    Prediction(PREDICTED).write(folder)
    assert names_in(folder) == files and names_in(tmp_path) == ["x"]
    for name in ("notes.txt", "eigenvalues"):
        (folder / name).mkdir()
        (folder / name / "weeks").write_text("of work")
        with pytest.raises(ValueError, match=f"holds other files.*{name}"):
            Prediction(PREDICTED).write(folder)
        assert (folder / name / "weeks").read_text() == "of work"
        (folder / name / "weeks").unlink()
        (folder / name).rmdir()


def test_folders_of_other_programs_are_no_predictions(tmp_path):
    # The same files, made by somebody else.
    Prediction(crystal(source={"code": "DeepH"})).write(tmp_path / "x")
    with pytest.raises(ValueError, match="holds other files"):
        Prediction(PREDICTED).write(tmp_path / "x")


@pytest.mark.parametrize("work", [killed_at("fsync"), die_at_second_rename])
def test_a_kill_loses_no_prediction(work, tmp_path):
    folder = tmp_path / "x"
    Prediction(PREDICTED).write(folder)
    files = names_in(folder)
    assert in_a_child(lambda: work(folder)) == 9
    left = [p for p in tmp_path.iterdir() if names_in(p) == files]
    assert left, "the old one is gone"
    assert len(names_in(tmp_path)) > 1, "the kill came too late to test"
    Prediction(PREDICTED).write(folder)
    assert names_in(tmp_path) == ["x"] and names_in(folder) == files


def test_scratch_of_a_killed_process_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.txt"

    def work():
        with replacing(path) as place:
            place.write_text("half")
            os.kill(os.getpid(), 9)

    write_text(path, "old")
    assert in_a_child(work) == 9
    assert len(names_in(tmp_path)) == 2 and path.read_text() == "old"
    with replacing(path) as alive:
        # That of a living writer stays.
        alive.write_text("first")
        write_text(path, "second")
    assert names_in(tmp_path) == ["a.txt"] and path.read_text() == "first"


@pytest.mark.parametrize("name", ["000", "001", "a", "b", "c"])
def test_a_kill_while_scratch_is_removed(name, tmp_path):
    """The order in which a disk lists the lock and the rest varies."""
    path, calls = tmp_path / name, []

    def half_a_folder():
        with replacing(path) as place:
            place.mkdir()
            for part in "abc":
                (place / part).write_text("half")
            os.kill(os.getpid(), 9)

    def die_while_clearing():
        unlink = os.unlink

        def counted(*names, **options):
            calls.append(names)
            if len(calls) > 1:
                os.kill(os.getpid(), 9)
            unlink(*names, **options)

        os.unlink = counted
        write_text(path, "1")

    assert in_a_child(half_a_folder) == 9
    in_a_child(die_while_clearing)
    for scratch in tmp_path.glob(f".{name}.*"):
        os.utime(scratch, (0, 0))
    write_text(path, "2")
    assert names_in(tmp_path) == [name] and path.read_text() == "2"


def test_hidden_folders_of_others_stay(tmp_path):
    for name in (".a.notes", ".a.b.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weeks").write_text("of work")
    for name in (".a.dead", ".a.born"):
        # Killed before, and not yet locked.
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".a.dead", (0, 0))
    write_text(tmp_path / "a", "1")
    (tmp_path / ".a.born").rmdir()
    assert names_in(tmp_path) == [".a.b.replaced", ".a.notes", "a"]
    assert names_in(tmp_path / ".a.notes") == ["weeks"]


def test_scratch_is_no_data(tmp_path):
    write_calculation(tmp_path / "a", crystal(), "deeph-legacy")
    hidden = tmp_path / ".b.x1" / "b"
    write_calculation(hidden, crystal(), "deeph-legacy")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.h5")
    assert [s.name for s in find_sources(tmp_path)] == ["a"]


def test_one_process_alone_works_in_a_folder(tmp_path):
    code = (
        "import sys\n"
        "from keras_hamiltonian.files import locked\n"
        "with locked(sys.argv[1]):\n"
        "    print('in', flush=True)\n"
        "    input()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    other.stdout.readline()
    with pytest.raises(ValueError, match="Another process works in"):
        with locked(tmp_path):
            pass
    other.kill()
    other.wait()
    for _ in range(50):
        try:
            with locked(tmp_path):
                return
        except ValueError:
            time.sleep(0.1)
    pytest.fail("the lock outlived its process")


@pytest.mark.parametrize("size", [100, 3000, 9000])
def test_a_full_disk_ends_in_a_message(size, tmp_path):
    """A limit of file sizes stands for the disk: EFBIG instead of ENOSPC."""
    path = tmp_path / "set.h5"
    large = crystal(cells=(60, 0, 0), reach=200.0)
    HamiltonianStore.write(path, [crystal("H", [[0, 0, 0]], name="old")])

    def work():
        message = "set.h5 was not written.*disk"
        with largest_file(size), pytest.raises(OSError, match=message):
            HamiltonianStore.write(path, [large])

    assert in_a_child(work) == 0
    assert names_in(tmp_path) == ["set.h5"]
    assert HamiltonianStore(path).names == ("old",)
