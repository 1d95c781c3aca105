"""HDF5 files on disks that take no more."""

import sys

import h5py
import numpy as np
import pytest
from largest_file import largest_file

from keras_hamiltonian.hdf5_files import new_hdf5

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits of Linux"
)


@pytest.mark.parametrize("size", [0, 1500, 50_000])
def test_hdf5_reads_what_the_disk_did_not_take(size, tmp_path):
    path = tmp_path / "new.h5"
    numbers = {f"{k % 9}/{k}": np.arange(k, k + 10.0) for k in range(400)}
    equal = []
    with (
        pytest.raises(OSError, match="disk of .* has no room"),
        largest_file(size),
        new_hdf5(path, libver=("v110", "v110")) as file,
    ):
        for name, values in numbers.items():
            file.create_dataset(name, data=values, chunks=values.shape)
        file.flush()
        equal = [np.array_equal(file[n][()], v) for n, v in numbers.items()]
    assert len(equal) == len(numbers) and all(equal)
    assert not list(tmp_path.iterdir())


def test_writing_ends_early(tmp_path):
    written = 0
    with (
        pytest.raises(OSError, match="disk of .* has no room"),
        largest_file(0),
        new_hdf5(tmp_path / "new.h5") as file,
    ):
        for written in range(1000):
            file.create_dataset(str(written), data=np.zeros(10_000))
            file.check_disk()
    assert written < 10


def test_a_disk_with_room(tmp_path):
    path = tmp_path / "new.h5"
    with largest_file(10**6), new_hdf5(path) as file:
        file["numbers"] = np.arange(100)
        file.check_disk()
    with h5py.File(path) as file:
        assert np.array_equal(file["numbers"], np.arange(100))
