"""Indices of files are checked before any array is indexed with them."""

import h5py
import numpy as np
import pytest
import scipy.sparse
from small_crystals import crystal

from data_tools.cell_matrices import csr_of_file
from data_tools.formats import read_calculation
from data_tools.formats import write_calculation
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix


def put(position, value):
    def change(array):
        array = array.copy()
        array.reshape(-1)[position] = value
        return array

    return change


def repeated(array):
    return array * 0


def shifted(array):
    return array + 0.4


NPZ = {
    "negative pointer": ("H_indptr", put(1, -(2**30)), "row pointers"),
    "pointer beyond": ("H_indptr", put(2, 2**30), "row pointers"),
    "falling pointers": ("H_indptr", put(1, 3), "do not belong"),
    "last pointer": ("H_indptr", put(-1, 0), "do not belong"),
    "column beyond": ("H_indices", put(0, 10**6), "columns"),
    "negative column": ("H_indices", put(0, -5), "columns"),
    "fraction": ("H_indices", shifted, "whole numbers"),
    "two cells alike": ("H_cells", repeated, "listed twice"),
    "text": ("H_data", lambda x: x.astype("S8"), "do not belong"),
    "half precision": ("H_data", lambda x: x.astype("f2"), "do not belong"),
    "short": ("H_data", lambda x: x[:-1], "do not belong|go from"),
}


@pytest.mark.parametrize("case", NPZ)
def test_sparse_arrays(case, tmp_path):
    key, change, message = NPZ[case]
    path = tmp_path / "x.npz"
    write_calculation(path, crystal(), "npz")
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, key: change(arrays[key])})
    with pytest.raises(ValueError, match=f"x.npz.*({message})"):
        read_calculation(path)


def test_sound_arrays_pass():
    full = scipy.sparse.random(5, 4, 0.5, "csr", random_state=0)
    parts = full.data, full.indices, full.indptr
    assert (csr_of_file(*parts, 5, 4) != full).nnz == 0
    assert csr_of_file([], [], [0, 0], 1, 4).dtype.kind == "f"


CONTAINER = {
    "negative place": ("position", put(1, -1), "places of the pairs"),
    "place beyond": ("position", put(1, 10**9), "places of the pairs"),
    "a pair twice": ("position", put(1, 0), "each pair once"),
    "partner of another": ("partner", put(1, 0), "each pair once"),
    "fraction": ("atom_pairs", shifted, "whole numbers"),
    "far away": ("atom_pairs", put(0, 10**9), "lattice shifts"),
    "no such atom": ("atom_pairs", put(3, 7), "names atom|out of range"),
    "negative shape": ("chunk_shapes", put(0, -1), "shapes"),
    "huge shape": ("chunk_shapes", put(0, 2**30), "shapes"),
    "boundaries": ("chunk_boundaries", repeated, "chunk_boundaries"),
}


@pytest.mark.parametrize("case", CONTAINER)
@pytest.mark.parametrize("format", ["container", "deeph-dock"])
def test_chunk_layout(format, case, tmp_path):
    name, change, message = CONTAINER[case]
    if format == "container":
        path = file = tmp_path / "x.h5"
        group = "structures/000/hamiltonian"
    else:
        path, group = tmp_path / "x", "/"
        file = path / "hamiltonian.h5"
        if name in ("position", "partner"):
            pytest.skip("only half of the pairs of a container are stored")
    write_calculation(path, crystal(), format)
    with h5py.File(file, "a") as root:
        changed = change(root[group][name][()])
        del root[group][name]
        root[group][name] = changed
    with pytest.raises(ValueError, match=f"x.*({message})"):
        read_calculation(path)


@pytest.mark.parametrize(
    "key", ["[0.7,0,0,1,1]", "[0,0,0,1.9,1]", "[false,0,0,true,1]", "[[],0]"]
)
def test_keys_of_blocks(key, tmp_path):
    write_calculation(tmp_path / "x", crystal(), "deeph-legacy")
    with h5py.File(tmp_path / "x" / "hamiltonians.h5", "a") as root:
        root[key] = root["[0, 0, 0, 1, 1]"][()]
        del root["[0, 0, 0, 1, 1]"]
    with pytest.raises(ValueError, match="x.*expected keys"):
        read_calculation(tmp_path / "x")


def test_half_stored_matrices_still_read_back(tmp_path):
    path = tmp_path / "x.h5"
    original = crystal()
    store = HamiltonianStore.write(path, [original])
    assert store[0].hamiltonian == original.hamiltonian


def test_fractions_are_no_pairs():
    with pytest.raises(ValueError, match="atom pairs are whole numbers"):
        BlockMatrix([(0.5, 0, 0, 0, 0)], [(1, 1)], [1.0])
