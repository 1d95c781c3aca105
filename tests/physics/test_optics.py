"""Velocities and optical conductivity: slopes of bands, graphene's πα."""

import ase
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import BlochMatrices
from keras_hamiltonian.physics import OpticalConductivity
from keras_hamiltonian.physics import VelocityOperator
from keras_hamiltonian.physics import lowest_states
from keras_hamiltonian.physics import optical_conductivity
from keras_hamiltonian.physics.optics import SIEMENS

ALPHA = 7.2973525643e-3
K_POINT = np.array([0.13, 0.21, 0.0])


def operator(data_folder, material, dipoles=None):
    cell = kh.HamiltonianStore(data_folder / f"reference_{material}.h5")[0]
    matrices = BlochMatrices.from_calculation(cell)
    return VelocityOperator(matrices, cell.atoms, dipoles)


def random_dipoles(cell):
    """Hermitian blocks, as positions about the middle are."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(3):
        noise = random.normal(size=len(cell.overlap.entries))
        found.append(cell.overlap.with_entries(noise).symmetrized())
    return tuple(found)


@pytest.mark.parametrize("material", ["graphene", "bismuthene"])
def test_diagonal_is_the_slope_of_the_bands(data_folder, material):
    velocity = operator(data_folder, material)
    states = lowest_states(velocity.matrices, K_POINT)
    # Two spins may share a level: then the mean of both.
    level = np.cumsum(np.r_[0, np.diff(states.energies) > 1e-4])
    found = velocity.at(states)
    cell, h = velocity.cell, 1e-5

    def mean(values):
        return np.bincount(level, values) / np.bincount(level)

    def energies(step):
        return lowest_states(velocity.matrices, K_POINT + step).energies

    for axis in (0, 1):
        # A Cartesian step in fractions of reciprocal vectors.
        step = cell[:, axis] / (2 * np.pi) * h
        slope = mean(energies(step) - energies(-step)) / (2 * h)
        assert len(slope) > 20 and np.abs(slope).max() > 1
        diagonal = mean(np.diagonal(found[axis]).real)
        assert np.abs(diagonal - slope).max() < 1e-4


@pytest.mark.parametrize(
    "threshold, smallest, largest", [(0.002, 0, 0.005), (0.02, 0.02, np.inf)]
)
def test_slopes_where_small_norms_are_left_out(
    threshold, smallest, largest, data_folder
):
    """A threshold that cuts into the orbitals' own norms is seen."""
    cell = kh.HamiltonianStore(data_folder / "bilayer_graphene.h5")[0]
    matrices = BlochMatrices.from_calculation(cell)
    matrices.overlap_threshold = threshold
    near = slice(22, 38)  # of 64 electrons

    def energies(step):
        return lowest_states(matrices, K_POINT + step).energies[near]

    found = VelocityOperator(matrices, cell.atoms).at(
        lowest_states(matrices, K_POINT)
    )
    h, errors, slopes = 1e-5, [], []
    for axis in (0, 1):
        step = cell.atoms.cell[:, axis] / (2 * np.pi) * h
        slopes.append((energies(step) - energies(-step)) / (2 * h))
        errors.append(np.diagonal(found[axis]).real[near] - slopes[-1])
    assert smallest < np.std(errors) / np.std(slopes) < largest


def test_velocity_is_hermitian_and_knows_no_origin(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    cell = store[0]
    dipoles = random_dipoles(cell)
    matrices = BlochMatrices.from_calculation(cell)
    states = lowest_states(matrices, K_POINT)
    found = VelocityOperator(matrices, cell.atoms, dipoles).at(states)
    assert np.abs(found - found.conj().transpose(0, 2, 1)).max() < 1e-9
    moved = cell.atoms.copy()
    moved.positions += [0.3, -0.7, 1.1]
    other = VelocityOperator(matrices, moved, dipoles).at(states)
    assert np.abs(other - found).max() < 1e-9
    # A control: one atom alone is somewhere else.
    moved.positions[0] += 0.1
    other = VelocityOperator(matrices, moved, dipoles).at(states)
    assert np.abs(other - found).max() > 0.1
    without = VelocityOperator(matrices, cell.atoms).at(states)
    assert np.abs(without - found).max() > 0.1


def test_two_levels_of_one_atom():
    """`σ = π e²/(ħ V) E |x|²` per spin, at the one transition of an atom."""
    atoms = ase.Atoms("H", cell=[4.0, 5.0, 6.0], pbc=True)
    levels = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.diag([-1.0, 2.0])])
    x = BlockMatrix.from_blocks(
        [(0, 0, 0, 0, 0)], [np.array([[0.2, 0.7], [0.7, -0.4]])]
    )
    nothing = x.with_entries(0 * x.entries)
    velocity = VelocityOperator(
        BlochMatrices(levels, None, [2]), atoms, (x, nothing, nothing)
    )
    energies = np.linspace(0.5, 5.5, 2001)
    found = optical_conductivity(velocity, (1, 1, 1), energies, 0.0)
    area = np.trapezoid(found.tensor[:, 0, 0], energies)
    volume = 120.0 * 1e-10
    exact = 2 * np.pi * 2.4341348e-4 * 3.0 * 0.7**2 / volume
    assert area == pytest.approx(exact, rel=1e-6)
    assert np.abs(found.tensor[:, 1:]).max() == 0
    dark = VelocityOperator(velocity.matrices, atoms)
    assert not optical_conductivity(dark, (1, 1, 1), energies, 0.0).tensor.any()


@pytest.mark.slow
def test_graphene_absorbs_pi_alpha(data_folder):
    """From DFT matrices; the cone of the bands is bent, so a little more."""
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    level = kh.ElectronicStructure(cell).fermi_level
    velocity = operator(data_folder, "graphene")
    energies = np.array([0.6, 0.8, 1.0])
    found = optical_conductivity(velocity, (72, 72, 1), energies, level, 0.15)
    assert found.absorption == pytest.approx(np.pi * ALPHA, rel=0.07)
    xx, yy, xy = (found.sheet[:, a, b] for a, b in ((0, 0), (1, 1), (0, 1)))
    assert xx == pytest.approx(yy, rel=0.06)  # the grid is not hexagonal
    assert np.abs(xy).max() < 0.05 * xx.max()


@pytest.mark.slow
def test_all_electrons_take_part(data_folder, species_folder):
    """The f-sum rule: `2 m V/(π e² ħ) ∫ σ dE` is the number of electrons, but
    for the non-local potential and what the basis lacks."""
    from data_tools.openmx_species import read_openmx_species

    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    species = read_openmx_species(species_folder, ["C6.0-s2p2d1"])
    dipoles = kh.ZerothStep(species).dipoles(cell.atoms)
    energies = np.linspace(0.2, 150, 1500)
    volume = abs(np.linalg.det(cell.atoms.cell))
    # m / (e² ħ) in 1/(eV Å³ S/m).
    unit = 1e-10 / (7.619964231 * SIEMENS)

    def electrons(dipoles):
        velocity = operator(data_folder, "graphene", dipoles)
        found = optical_conductivity(velocity, (8, 8, 1), energies, -4.5, 0.3)
        area = np.trapezoid(found.tensor, energies, axis=0)
        return 2 / np.pi * volume * unit * np.diag(area)

    assert electrons(dipoles) == pytest.approx([8, 8, 8], rel=0.1)
    # Without what orbitals of one atom have between them.
    assert (abs(electrons(None) - 8) > 7).all()


def test_files_and_errors(data_folder, tmp_path):
    random = np.random.default_rng(0)
    made = OpticalConductivity(np.arange(1, 4.0), random.normal(size=(3, 3, 3)))
    for height, name in ((None, "a.json"), (20.0, "b.npz")):
        made.height = height
        made.save(tmp_path / name)
        found = OpticalConductivity.load(tmp_path / name)
        assert np.array_equal(found.tensor, made.tensor)
        assert found.height == height
    made.height = None
    with pytest.raises(ValueError, match="periodic in two"):
        made.absorption  # noqa: B018
    velocity = operator(data_folder, "graphene")
    with pytest.raises(ValueError, match="`energies` must be positive"):
        optical_conductivity(velocity, (1, 1, 1), [0.0], 0.0)
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    with pytest.raises(ValueError, match="2 atoms. Received: 3"):
        VelocityOperator(velocity.matrices, cell.atoms + cell.atoms[:1])
