"""Bands against OpenMX's own, and against models solved by hand."""

import json
import pathlib

import ase
import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.bands import BandStructure
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.dos import DensityOfStates
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.states import nearest_states

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
ALONG_CHAIN = np.array([[k, 0, 0] for k in np.linspace(-0.5, 0.5, 9)])


def read(name, structure=0, bands=None):
    calculation = HamiltonianStore(DATA / f"{name}.h5")[structure]
    with np.load(DATA / f"{bands or name}.bands.npz") as archive:
        return (
            calculation,
            archive["k_frac"],
            archive["eig_hartree"] * HARTREE_IN_EV,
        )


def chain(hopping, overlap=0.0):
    pairs = [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)]
    return BlochMatrices(
        BlockMatrix.from_blocks(pairs, [hopping * np.eye(1)] * 3),
        BlockMatrix.from_blocks(pairs, [np.eye(1)] + [overlap * np.eye(1)] * 2),
        [1],
    )


@pytest.mark.parametrize(
    "name", ["reference_graphene", "reference_mos2", "reference_bismuthene"]
)
def test_openmx_bands(name):
    calculation, k_points, expected = read(name)
    matrices = BlochMatrices.from_calculation(calculation)
    error = np.abs(solve_bands(matrices, k_points[::4]) - expected[::4])
    low = expected[::4] < calculation.fermi_level + 5
    assert error[low].max() < 1e-6
    # H is stored to 2^-25 eV, S to 2^-32, and the smallest eigenvalue of S is
    # 8e-4: the highest bands, tens of eV up, feel either rounding. Matrices
    # read unrounded from OpenMX's own file do not (tests/data_tools).
    assert error.max() < 2e-4


def test_openmx_bands_of_the_twisted_bilayer():
    calculation, k_points, expected = read("bilayer_graphene_twisted")
    matrices = BlochMatrices.from_calculation(calculation)
    chosen = [0, 55, 80]
    energies = solve_bands(matrices, k_points[chosen])
    occupied = expected[chosen] < calculation.fermi_level + 0.1
    error = np.abs(energies - expected[chosen])[occupied]
    assert error.max() < 5e-5
    near = solve_bands(
        matrices,
        k_points[chosen[:1]],
        nearest_states,
        energy=calculation.fermi_level,
        num_states=6,
    )
    distance = np.abs(energies[0] - calculation.fermi_level)
    nearest = np.sort(energies[0][np.argsort(distance)[:6]])
    np.testing.assert_allclose(near[0], nearest, atol=1e-9)


def test_graphene_has_its_dirac_point_at_the_fermi_level():
    calculation, _, _ = read("reference_graphene")
    matrices = BlochMatrices.from_calculation(calculation)
    path = k_path(calculation.atoms, num_points=31, periodic=matrices.periodic)
    bands = band_structure(matrices, path, calculation.fermi_level)
    corner = dict((name, k) for k, name in path.labels)["K"]
    cone = bands.energies[corner, 3:5] - calculation.fermi_level
    assert np.ptp(cone) < 1e-3
    # The level comes from a 12 x 12 grid that leaves K out.
    assert np.abs(cone).max() < 0.01
    assert bands.gap() == 0.0


def test_mos2_gap():
    calculation, _, _ = read("reference_mos2")
    matrices = BlochMatrices.from_calculation(calculation)
    path = k_path(calculation.atoms, num_points=40, periodic=matrices.periodic)
    bands = band_structure(matrices, path, calculation.fermi_level)
    assert bands.gap() == pytest.approx(1.71, abs=0.01)
    corner = dict((name, k) for k, name in path.labels)["K"]
    assert bands.energies[:, 13].argmin() == corner
    # At this edge length the valence band is as high at Γ as it is at K.
    top = bands.energies[:, 12]
    assert top.max() - top[corner] < 0.02


def test_bismuthene_bands_come_in_kramers_pairs():
    calculation, k_points, _ = read("reference_bismuthene")
    matrices = BlochMatrices.from_calculation(calculation)
    energies = solve_bands(matrices, k_points[10:20:5], num_states=30)
    np.testing.assert_allclose(energies[:, ::2], energies[:, 1::2], atol=1e-6)


@pytest.mark.parametrize("overlap", [0.0, 0.2])
def test_chain(overlap):
    energies = solve_bands(chain(-1.0, overlap), ALONG_CHAIN)[:, 0]
    cosine = np.cos(2 * np.pi * ALONG_CHAIN[:, 0])
    expected = -(1 + 2 * cosine) / (1 + 2 * overlap * cosine)
    np.testing.assert_allclose(energies, expected, atol=1e-12)


@pytest.mark.parametrize("angle", [60, 120])
def test_tight_binding_graphene(angle):
    radians = np.radians(angle)
    cell = np.diag([2.46, 2.46, 15.0])
    cell[1] = [2.46 * np.cos(radians), 2.46 * np.sin(radians), 0]
    third = 1 / 3 if angle == 60 else 2 / 3
    atoms = ase.Atoms(
        "C2", cell=cell, scaled_positions=[[0, 0, 0], [1 / 3, third, 0]]
    )
    atoms.pbc = [True, True, False]
    i, j, shifts = neighbor_list("ijS", atoms, 1.5)
    hopping = BlockMatrix.from_blocks(
        np.column_stack([shifts, i, j]), [-2.7 * np.eye(1)] * len(i)
    )
    matrices = BlochMatrices(hopping, None, [1, 1])
    path = k_path(atoms, num_points=30)
    bands = band_structure(matrices, path, 0.0)
    corners = dict((name, k) for k, name in path.labels)
    top = bands.energies[:, 1]
    np.testing.assert_allclose(bands.energies[:, 0], -top, atol=1e-12)
    assert top[corners["G"]] == pytest.approx(3 * 2.7)
    assert top[corners["M"]] == pytest.approx(2.7)
    assert top[corners["K"]] == pytest.approx(0, abs=1e-9)
    # The Dirac cone: E = (√3/2) a t |k - K|.
    step = corners["K"] - 1
    distance = bands.distances[corners["K"]] - bands.distances[step]
    slope = top[step] / distance
    assert slope == pytest.approx(3**0.5 / 2 * 2.46 * 2.7, rel=0.1)


def test_a_bad_overlap_names_k_and_the_eigenvalue():
    bad = chain(-1.0, overlap=0.6)
    with pytest.raises(
        ValueError, match=r"k = \[0.5.*eigenvalue is -2.000e-01"
    ):
        solve_bands(bad, [[0, 0, 0], [0.5, 0, 0]])


def test_nearly_dependent_orbitals_can_be_left_out():
    close = 1 - 1e-12
    overlap = np.array([[1, close, 0], [close, 1, 0], [0, 0, 1]])
    hamiltonian = np.array([[-1, -1, 0], [-1, -1, 0], [0, 0, 2.0]])
    matrices = BlochMatrices(
        BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [hamiltonian]),
        BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [overlap]),
        [3],
        overlap_threshold=1e-6,
    )
    energies = solve_bands(matrices, [[0, 0, 0]])
    np.testing.assert_allclose(energies[0, :2], [-1, 2], atol=1e-9)
    assert energies[0, 2] > 40


def test_part_of_the_bands():
    calculation, k_points, _ = read("reference_mos2")
    matrices = BlochMatrices.from_calculation(calculation)
    energies = solve_bands(matrices, k_points[:2])
    lowest = solve_bands(matrices, k_points[:2], num_states=5)
    np.testing.assert_allclose(lowest, energies[:, :5], atol=1e-9)
    with pytest.raises(ValueError, match="1 to 45"):
        solve_bands(matrices, k_points, num_states=46)


@pytest.mark.parametrize("suffix", ["json", "npz"])
@pytest.mark.parametrize("fermi_level", [None, -1.5])
def test_saving(tmp_path, suffix, fermi_level):
    path = KPath.from_points(ALONG_CHAIN, np.eye(3), [(0, "X"), (4, "G")])
    energies = np.random.default_rng(0).normal(size=(9, 3))
    energies[2, 2] = np.nan
    saved = BandStructure(path, energies, fermi_level)
    saved.save(tmp_path / f"bands.{suffix}")
    if suffix == "json":
        assert "NaN" not in (tmp_path / "bands.json").read_text()
    loaded = BandStructure.load(tmp_path / f"bands.{suffix}")
    np.testing.assert_array_equal(loaded.energies, energies)
    np.testing.assert_array_equal(loaded.k_points, ALONG_CHAIN)
    np.testing.assert_array_equal(loaded.distances, saved.distances)
    assert loaded.labels == saved.labels
    assert loaded.fermi_level == fermi_level


def test_files_of_older_versions_are_read(tmp_path):
    """Their numbers and lists were texts, in JSON too."""
    old = {
        "k_points": [[0, 0, 0], [0.5, 0, 0]],
        "distances": [0.0, 1.0],
        "energies": [[1.0], [None]],
        "labels": '[[0, "G"], [1, "X"]]',
        "fermi_level": "-1.5",
    }
    (tmp_path / "bands.json").write_text(json.dumps(old))
    bands = BandStructure.load(tmp_path / "bands.json")
    assert bands.labels == [(0, "G"), (1, "X")] and bands.fermi_level == -1.5
    old = {
        "energies": [0.0, 1.0],
        "total": [2.0, 3.0],
        "names": '["C s"]',
        "projections": [[1.0, 2.0]],
        "below": "4.5",
        "fermi_level": "null",
        "errors": [],
    }
    (tmp_path / "dos.json").write_text(json.dumps(old))
    dos = DensityOfStates.load(tmp_path / "dos.json")
    assert dos.below == 4.5 and dos.fermi_level is dos.errors is None
    assert dos.projections["C s"].tolist() == [1.0, 2.0]


def test_gap_needs_a_level_between_the_bands():
    path = KPath.from_points(ALONG_CHAIN, np.eye(3))
    bands = BandStructure(path, np.tile([0.0, 2.0], (9, 1)))
    with pytest.raises(ValueError, match="Fermi level"):
        bands.gap()
    bands.fermi_level = 0.5
    assert bands.gap() == 2.0
    bands.fermi_level = 3.0
    with pytest.raises(ValueError, match="outside"):
        bands.gap()
