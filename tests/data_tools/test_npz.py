"""The archive is readable by its description alone, and comes back whole."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from test_deeph import made_calculation

from data_tools.npz import CONVENTIONS
from data_tools.npz import is_npz
from data_tools.npz import read_npz
from data_tools.npz import write_npz
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands


def stranger(path, k_point):
    """Band energies by someone who has read the description only."""
    sums = {}
    with np.load(path) as file:
        for key in "HS":
            cells = file[f"{key}_cells"]
            parts = [file[f"{key}_{p}"] for p in ("data", "indices", "indptr")]
            n = len(file["orbital_atom"])
            if key == "S":
                n = int((file["orbital_spin"] == 0).sum())
            stack = scipy.sparse.csr_matrix(
                tuple(parts), shape=(len(cells) * n, n)
            )
            sums[key] = sum(
                np.exp(2j * np.pi * cell @ k_point)
                * stack[r * n : (r + 1) * n].toarray()
                for r, cell in enumerate(cells)
            )
        if file["orbital_spin"].any():
            up = np.flatnonzero(file["orbital_spin"] == 0)
            down = np.flatnonzero(file["orbital_spin"] == 1)
            whole = np.zeros_like(sums["H"])
            whole[np.ix_(up, up)] = whole[np.ix_(down, down)] = sums["S"]
            sums["S"] = whole
    return scipy.linalg.eigvalsh(sums["H"], sums["S"])


@pytest.mark.parametrize("name", ["mos2", "bismuthene"])
def test_bands_of_a_reader_without_us(data_folder, tmp_path, name):
    calculation = HamiltonianStore(data_folder / f"reference_{name}.h5")[0]
    write_npz(tmp_path / "x.npz", calculation)
    k_point = np.array([0.21, 0.37, 0])
    (expected,) = solve_bands(
        BlochMatrices.from_calculation(calculation), [k_point]
    )
    found = stranger(tmp_path / "x.npz", k_point)
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("spin", ["none", "collinear", "noncollinear"])
def test_every_number_comes_back(tmp_path, spin):
    calculation = made_calculation(spin)
    # A pair of zeros is a pair.
    calculation.overlap.entries[:] *= (
        np.arange(len(calculation.overlap.entries)) > 40
    )
    write_npz(tmp_path / "x.npz", calculation)
    assert is_npz(tmp_path / "x.npz")
    found = read_npz(tmp_path / "x.npz")
    for field in ("hamiltonian", "overlap", "initial_hamiltonian"):
        expected = getattr(calculation, field)
        matrix = getattr(found, field)
        assert matrix.entries.dtype == expected.entries.dtype
        assert set(matrix.index) == set(expected.index)
        for pair, block in zip(expected.index, expected.blocks()):
            np.testing.assert_array_equal(matrix.find(pair), block)
    for field in ("spin", "basis", "fermi_level", "num_electrons", "source"):
        assert getattr(found, field) == getattr(calculation, field)
    np.testing.assert_array_equal(
        found.atoms.positions, calculation.atoms.positions
    )
    np.testing.assert_array_equal(found.atoms.cell, calculation.atoms.cell)


def test_labels_of_the_rows(tmp_path):
    calculation = dataclasses.replace(
        made_calculation("collinear"), overlap=None, fermi_level=None
    )
    write_npz(tmp_path / "x.npz", calculation)
    with np.load(tmp_path / "x.npz") as file:
        assert not [key for key in file if key.startswith("S_")]
        labels = np.column_stack(
            [
                file[f"orbital_{what}"]
                for what in ("atom", "spin", "shell", "l", "m")
            ]
        ).tolist()
        assert str(file["conventions"]) == CONVENTIONS
        assert "k·R" in CONVENTIONS and "eV" not in CONVENTIONS
    # S has two s, two p and a d shell, then Mo has shells s, d, p, f.
    assert labels[:4] == [
        [0, 0, n, l, m]
        for n, l, m in [(0, 0, 0), (1, 0, 0), (2, 1, -1), (2, 1, 0)]
    ]
    assert labels[13] == [0, 1, 0, 0, 0]
    assert labels[26:28] == [[1, 0, 0, 0, 0], [1, 0, 1, 2, -2]]
    assert read_npz(tmp_path / "x.npz").fermi_level is None


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "x.npz"
    write_npz(path, made_calculation())
    data = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)

    def message(**changes):
        kept = {**arrays, **changes}
        np.savez(path, **{k: v for k, v in kept.items() if v is not None})
        with pytest.raises(ValueError, match="x.npz") as error:
            read_npz(path)
        return str(error.value)

    assert "lacks the key 'positions'" in message(positions=None)
    assert "format version 2; this release" in message(format_version=2)
    assert "is no archive of `write_npz`" in message(format="other")
    short = {"S_cells": arrays["S_cells"][:1]}
    assert "row pointers" in message(**short)
    path.write_bytes(data[: len(data) // 2])
    assert not is_npz(path)
    with pytest.raises(ValueError, match="x.npz cannot be read.*cut short"):
        read_npz(path)
    empty = dict.fromkeys(("hamiltonian", "overlap", "initial_hamiltonian"))
    with pytest.raises(ValueError, match="no matrix to write"):
        write_npz(path, dataclasses.replace(made_calculation(), **empty))
