"""Fermi levels against OpenMX's chemical potential, and by hand."""

import pathlib

import numpy as np
import pytest
from sheets import graphene
from sheets import sheet

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import fermi
from keras_hamiltonian.physics import states
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.fermi import BOLTZMANN_IN_EV_PER_KELVIN
from keras_hamiltonian.physics.fermi import count_electrons
from keras_hamiltonian.physics.fermi import fermi_level_of_bands
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import monkhorst_pack

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"


@pytest.mark.parametrize(
    "name, grid, tolerance",
    [
        # Without a gap the level is sharp; files round H to 4e-6 eV.
        ("bismuthene", (5, 5, 1), 1e-5),
        ("graphene", (4, 4, 1), 1e-4),
        ("reference_bismuthene", (7, 7, 1), 1e-5),
        # This grid leaves the Dirac point out: at 300 K nearly a gap.
        ("reference_graphene", (12, 12, 1), 5e-3),
    ],
)
def test_openmx_chemical_potential(name, grid, tolerance):
    calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    level = find_fermi_level(matrices, calculation.num_electrons, grid)
    assert level == pytest.approx(calculation.fermi_level, abs=tolerance)


def test_level_of_an_insulator_is_the_middle_of_the_gap():
    calculation = HamiltonianStore(DATA / "reference_mos2.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    energies = solve_bands(matrices, monkhorst_pack([8, 8, 1]))
    level = find_fermi_level(matrices, 26, (8, 8, 1))
    middle = (energies[:, 12].max() + energies[:, 13].min()) / 2
    assert level == pytest.approx(middle, abs=0.05)
    # OpenMX's level lies elsewhere in the gap, and counts the same.
    for value in (level, calculation.fermi_level):
        assert count_electrons(energies, value) == pytest.approx(26, abs=1e-8)


def test_folding_k_and_minus_k_changes_nothing():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    energies = solve_bands(matrices, monkhorst_pack([4, 3, 1], True))
    for electrons in (5, 8, 11.5):
        folded = find_fermi_level(
            matrices, electrons, (4, 3, 1), 3000.0, gamma_centered=True
        )
        plain = fermi_level_of_bands(energies, electrons, temperature=3000.0)
        assert folded == pytest.approx(plain, abs=1e-8)


def test_half_filled_chain():
    pairs = [(1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)]
    hopping = BlockMatrix.from_blocks(pairs, [-np.eye(1), -np.eye(1)])
    matrices = BlochMatrices(hopping, None, [1])
    assert find_fermi_level(matrices, 1.0, (40, 1, 1)) == pytest.approx(
        0.0, abs=1e-9
    )


@pytest.mark.parametrize("degeneracy", [1, 2])
@pytest.mark.parametrize("filling", [0.001, 0.3, 0.9])
def test_one_level_follows_fermi_and_dirac(degeneracy, filling):
    level = fermi_level_of_bands(
        [[1.5]], degeneracy * filling, temperature=500, degeneracy=degeneracy
    )
    thermal = BOLTZMANN_IN_EV_PER_KELVIN * 500
    expected = 1.5 - thermal * np.log(1 / filling - 1)
    assert level == pytest.approx(expected, abs=1e-8)


def test_weights_count():
    energies = np.array([[0.0], [1.0]])
    assert count_electrons(energies, 0.5, weights=[0.8, 0.2]) == pytest.approx(
        1.6, abs=1e-6
    )


def test_too_many_electrons_are_refused():
    with pytest.raises(ValueError, match="between 0 and 4"):
        fermi_level_of_bands([[0.0, 1.0]], 4)
    with pytest.raises(ValueError, match="positive"):
        fermi_level_of_bands([[0.0, 1.0]], 2, temperature=0)


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 3.0])
@pytest.mark.parametrize("around", [None, -3.0])
def test_large_cells_take_the_states_near_the_level(monkeypatch, gap, around):
    _, matrices = sheet(10, orbitals=2, disorder=0.3)
    if gap:
        _, matrices = graphene(repeat=12, onsite=gap / 2)
    electrons, grid = matrices.size, (2, 1, 1)
    expected = find_fermi_level(matrices, electrons, grid)
    monkeypatch.setattr(fermi, "LARGEST_DENSE", 10)
    monkeypatch.setattr(states, "SMALLEST_SPARSE", 10)
    level = find_fermi_level(matrices, electrons, grid, around=around)
    assert level == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "name, grid",
    [("graphene", (4, 4, 1)), ("mos2", (3, 3, 1)), ("bismuthene", (5, 5, 1))],
)
def test_electrons_follow_from_the_fermi_level(name, grid):
    """OpenMX's levels fill the bands with its own electrons."""
    calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
    electrons = calculation.num_electrons
    calculation.num_electrons = None
    assert fermi.infer_electrons(calculation, grid) == electrons
    calculation.fermi_level -= 1.4
    with pytest.raises(ValueError, match="no whole number"):
        fermi.infer_electrons(calculation, grid)
    calculation.fermi_level = None
    with pytest.raises(ValueError, match="no Fermi level"):
        fermi.infer_electrons(calculation, grid)
