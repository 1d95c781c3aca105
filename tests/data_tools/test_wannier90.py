"""Bands of an exported `_hr.dat`, read by nothing of ours."""

import dataclasses

import ase
import numpy as np
import pytest
import scipy.linalg

from data_tools.wannier90 import export_wannier90
from data_tools.wannier90 import wigner_seitz_cells
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import solve_bands


def read_hr(path):
    """Cells, degeneracies and H(R) as wannier90's guide describes the file."""
    words = path.read_text().split("\n", 1)[1].split()
    size, count = int(words[0]), int(words[1])
    degeneracies = np.array(words[2 : 2 + count], int)
    rows = np.array(words[2 + count :], float).reshape(-1, 7)
    assert len(rows) == count * size**2
    cells = rows[:: size**2, :3].astype(int)
    matrices = np.zeros((count, size, size), complex)
    for number, (*_, m, n, real, imaginary) in enumerate(rows):
        matrices[number // size**2, int(m) - 1, int(n) - 1] = (
            real + 1j * imaginary
        )
    return cells, degeneracies, matrices


def bands(file, k_points):
    cells, degeneracies, matrices = file
    found = []
    for k_point in k_points:
        weights = np.exp(2j * np.pi * cells @ k_point) / degeneracies
        whole = (weights[:, None, None] * matrices).sum(0)
        np.testing.assert_allclose(whole, whole.conj().T, atol=1e-9)
        found.append(scipy.linalg.eigvalsh(whole))
    return np.array(found)


def grid_points(sizes):
    return np.stack(
        np.meshgrid(*[np.arange(n) / n for n in sizes], indexing="ij"), -1
    ).reshape(-1, 3)


def read_reference(data_folder, name):
    return HamiltonianStore(data_folder / f"reference_{name}.h5")[0]


@pytest.fixture
def chain():
    """One s orbital: E(k) = (1 - 2 cos 2πk) / (1 + 0.4 cos 2πk)."""
    pairs = [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)]

    def matrix(onsite, hopping):
        numbers = [onsite, hopping, hopping]
        return BlockMatrix.from_blocks(
            pairs, [np.full((1, 1), x) for x in numbers]
        )

    return Calculation(
        ase.Atoms("H", cell=[1.0, 20, 20], pbc=True),
        OrbitalBasis({"H": "1s"}),
        hamiltonian=matrix(1.0, -1.0),
        overlap=matrix(1.0, 0.2),
        fermi_level=0.5,
    )


def test_chain_against_its_fourier_series(chain, tmp_path):
    report = export_wannier90(chain, tmp_path / "chain_hr.dat", (64, 1, 1))
    cells, degeneracies, matrices = read_hr(tmp_path / "chain_hr.dat")
    np.testing.assert_array_equal(cells[:, 0], np.arange(-32, 33))
    np.testing.assert_array_equal(degeneracies, [2] + [1] * 63 + [2])
    # (1 - 2c) / (1 + 0.4c) = -5 + 6 / (1 + 0.4c), whose coefficients are known.
    root = np.sqrt(1 - 0.4**2)
    decay = (root - 1) / 0.4
    expected = 6 / root * decay ** np.abs(cells[:, 0]) - 5 * (cells[:, 0] == 0)
    np.testing.assert_allclose(matrices[:, 0, 0], expected, atol=1e-11)
    assert report.band_error < 1e-10
    assert report.smallest_overlap == pytest.approx(0.6)
    energy = (1 - 2 * np.cos(0.6)) / (1 + 0.4 * np.cos(0.6))
    found = bands((cells, degeneracies, matrices), [[0.3 / np.pi, 0, 0]])
    np.testing.assert_allclose(found, [[energy]], atol=1e-9)


def test_cutoff_of_the_chain(chain, tmp_path):
    path = tmp_path / "chain_hr.dat"
    report = export_wannier90(chain, path, (64, 1, 1), cutoff=1e-3)
    cells, _, matrices = read_hr(path)
    size = 6 / np.sqrt(1 - 0.4**2)
    decay = (1 - np.sqrt(1 - 0.4**2)) / 0.4
    left = size * decay ** np.arange(33)
    last = np.flatnonzero(left >= 1e-3)[-1]
    np.testing.assert_array_equal(cells[:, 0], np.arange(-last, last + 1))
    assert report.num_dropped == 65 - len(cells)
    assert report.largest_dropped == pytest.approx(left[last + 1], rel=1e-6)
    expected = 2 * left[last + 1 : 32].sum() + left[32]
    assert report.dropped_bound == pytest.approx(expected, rel=1e-4)
    assert 0.1 * expected < report.band_error <= expected
    assert report.occupied_error <= report.band_error
    assert "left out" in str(report)


@pytest.mark.parametrize(
    "name, sizes", [("graphene", (6, 5, 1)), ("bismuthene", (3, 3, 1))]
)
def test_bands_on_the_grid_are_exact(data_folder, tmp_path, name, sizes):
    calculation = read_reference(data_folder, name)
    path = tmp_path / "x_hr.dat"
    with pytest.warns(UserWarning, match="x_hr.dat.*denser grid"):
        report = export_wannier90(calculation, path, sizes)
    file = read_hr(path)
    assert len(file[0]) == report.num_cells
    assert (1 / file[1]).sum() == pytest.approx(np.prod(sizes))
    k_points = grid_points(sizes)[::3]
    expected = solve_bands(
        BlochMatrices.from_calculation(calculation), k_points
    )
    np.testing.assert_allclose(bands(file, k_points), expected, atol=1e-8)
    # The control: the file does interpolate, it does not know the bands.
    off = k_points[:2] + [0.5 / sizes[0], 0.5 / sizes[1], 0]
    expected = solve_bands(BlochMatrices.from_calculation(calculation), off)
    assert np.abs(bands(file, off) - expected).max() > 1e-3


def test_stated_error_between_the_points(data_folder, tmp_path):
    calculation = read_reference(data_folder, "mos2")
    path = tmp_path / "x_hr.dat"
    with pytest.warns(UserWarning, match="up to the Fermi level"):
        report = export_wannier90(calculation, path, (9, 9, 1), cutoff=0.1)
    assert report.num_dropped > 0
    k_points = np.random.default_rng(0).uniform(size=(10, 3)) * [1, 1, 0]
    expected = solve_bands(
        BlochMatrices.from_calculation(calculation), k_points
    )
    errors = np.abs(bands(read_hr(path), k_points) - expected)
    assert 0.05 * report.band_error < errors.max() < 1.5 * report.band_error
    occupied = errors[expected <= calculation.fermi_level].max()
    assert 0.05 * report.occupied_error < occupied < 1.5 * report.occupied_error


def test_spin_order_is_up_then_down(data_folder, tmp_path):
    """sigma_z of the file's order commutes with H if spins do not mix."""
    calculation = read_reference(data_folder, "bismuthene")
    up = calculation.overlap.entries * 2.0
    blocks = [
        np.kron([[1, 0], [0, -1]], block).astype(complex)
        for block in BlockMatrix(
            calculation.overlap.atom_pairs, calculation.overlap.shapes, up
        ).blocks()
    ]
    polarised = dataclasses.replace(
        calculation,
        hamiltonian=BlockMatrix.from_blocks(
            calculation.overlap.atom_pairs, blocks
        ),
        initial_hamiltonian=None,
    )
    export_wannier90(polarised, tmp_path / "x_hr.dat", (1, 1, 1))
    # H = 2 S for up and -2 S for down.
    _, _, (matrix,) = read_hr(tmp_path / "x_hr.dat")
    signs = np.repeat([2.0, -2.0], len(matrix) // 2)
    np.testing.assert_allclose(matrix, np.diag(signs), atol=1e-9)


def test_wigner_seitz_cells_of_a_hexagonal_grid():
    lattice = [[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, 9]]
    cells, degeneracies = wigner_seitz_cells(lattice, (3, 3, 1))
    assert (1 / degeneracies).sum() == pytest.approx(9)
    np.testing.assert_array_equal(cells, -cells[::-1])
    lengths = np.linalg.norm(cells @ np.array(lattice), axis=1)
    # Home, six nearest, and three pairs of corners: each has three images.
    assert sorted(np.round(lengths, 6)) == sorted(
        [0] + [1] * 6 + [np.round(np.sqrt(3), 6)] * 6
    )
    np.testing.assert_array_equal(degeneracies, np.where(lengths > 1.5, 3, 1))


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({"overlap": None}, {}, "has no `overlap`"),
        ({"hamiltonian": None}, {}, "has no `hamiltonian`"),
        ({}, {"grid": (4, 0, 1)}, "three positive sizes.*Received: .4, 0, 1"),
        ({}, {"cutoff": -1.0}, "`cutoff` is an energy in eV, 0 or more"),
        ({"overlap": "negative"}, {}, "not positive definite.*-1.000e"),
    ],
)
def test_what_cannot_be_exported(chain, tmp_path, change, options, message):
    if change.get("overlap") == "negative":
        wrong = chain.overlap
        change = {
            "overlap": BlockMatrix(
                wrong.atom_pairs, wrong.shapes, wrong.entries * [1, 5, 5]
            )
        }
    path = tmp_path / "new" / "x_hr.dat"
    options = {"grid": (2, 1, 1), **options}
    with pytest.raises(ValueError, match=message):
        export_wannier90(dataclasses.replace(chain, **change), path, **options)
    assert not path.parent.exists()
