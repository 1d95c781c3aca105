"""A name in a file is never a path to somewhere else."""

import h5py
import pytest
from small_crystals import crystal

from data_tools.convert import convert
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.files import check_name
from keras_hamiltonian.files import place_in

BAD = ["../../x", "/abs/x", "..", ".", "", "a/b", ".hidden", "a\0b", "x" * 201]


@pytest.mark.parametrize("name", BAD)
def test_paths_are_no_names(name, tmp_path):
    with pytest.raises(ValueError, match="without slashes"):
        check_name(name)
    with pytest.raises(ValueError, match="without slashes"):
        place_in(tmp_path, name)


@pytest.mark.parametrize("name", ["000", "MoS2 (1)", "日本", "a$\\foo$b", "-o"])
def test_other_names_are(name, tmp_path):
    assert place_in(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["../../x", "sub/x", ".."])
def test_a_container_with_such_a_name_is_not_opened(name, tmp_path):
    path = tmp_path / "set.h5"
    HamiltonianStore.write(path, [crystal()]).close()
    with h5py.File(path, "a") as root:
        del root["names"]
        root.create_dataset("names", data=[name], dtype=h5py.string_dtype())
    with pytest.raises(ValueError, match=f"set.h5.*{name}"):
        HamiltonianStore(path)
    with pytest.raises(ValueError, match="set.h5"):
        convert(path, tmp_path / "deep" / "out", "deeph-legacy")
    assert [p.name for p in tmp_path.iterdir()] == ["set.h5"]


def test_names_that_are_listed_twice(tmp_path):
    path = tmp_path / "set.h5"
    HamiltonianStore.write(path, [crystal()]).close()
    with h5py.File(path, "a") as root:
        del root["names"]
        names = ["000", "000"]
        root.create_dataset("names", data=names, dtype=h5py.string_dtype())
    with pytest.raises(ValueError, match="lists a structure twice"):
        HamiltonianStore(path)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "000").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="symbolic link"):
        place_in(tmp_path / "inside", "000")
