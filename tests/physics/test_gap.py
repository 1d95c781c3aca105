"""Gaps against OpenMX's own bands, and against models solved by hand."""

import pathlib

import numpy as np
import pytest
from sheets import chain
from sheets import dimers
from sheets import graphene

from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.gap import find_gap
from keras_hamiltonian.physics.gap import gap_of_bands
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.states import nearest_states
from keras_hamiltonian.physics.states import states_in_window

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"


@pytest.mark.parametrize("name", ["mos2", "bismuthene"])
def test_openmx_gap(name):
    """Along OpenMX's path; for MoS2 the grid has the same edges."""
    calculation = HamiltonianStore(DATA / f"reference_{name}.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    with np.load(DATA / f"reference_{name}.bands.npz") as archive:
        k_points = archive["k_frac"]
        energies = archive["eig_hartree"] * HARTREE_IN_EV
        level = float(archive["chemp_hartree"]) * HARTREE_IN_EV
    theirs = gap_of_bands(k_points, energies, fermi_level=level)
    occupied = int((energies[0] <= level).sum())
    chosen = np.unique(
        [
            np.abs(k_points - k).sum(axis=1).argmin()
            for k in (theirs.valence_k, theirs.conduction_k, theirs.direct_k)
        ]
    )
    ours = solve_bands(matrices, k_points[chosen])
    ours = gap_of_bands(k_points[chosen], ours, num_occupied=occupied)
    assert ours.gap == pytest.approx(theirs.gap, abs=1e-6)
    assert ours.direct_gap == pytest.approx(theirs.direct_gap, abs=1e-6)
    if name == "mos2":
        assert theirs.gap == pytest.approx(1.71, abs=0.01)
        grid = find_gap(matrices, 26, (6, 6, 1))
        # Refined, the edges may lie beside OpenMX's path, never above.
        assert theirs.gap - 1e-3 < grid.gap < theirs.gap + 1e-6
        np.testing.assert_allclose(
            np.abs(grid.conduction_k), [1 / 3, 1 / 3, 0], atol=1e-3
        )


def test_graphene_closes_at_k():
    _, matrices = graphene()
    found = find_gap(matrices, 2, (5, 5, 1))
    assert found.gap == pytest.approx(0.0, abs=1e-4)
    # The grid leaves K out, and refinement goes there.
    assert find_gap(matrices, 2, (5, 5, 1), refine=False).gap > 1.0
    _, matrices = graphene(onsite=0.25)
    found = find_gap(matrices, 2, (5, 5, 1), workers=2)
    assert found.gap == pytest.approx(0.5, abs=1e-5)
    assert found.direct_gap == pytest.approx(0.5, abs=1e-5)
    assert found.valence_edge == pytest.approx(-0.25, abs=1e-5)


@pytest.mark.parametrize("inside, between", [(-1.0, -0.7), (-0.4, -1.3)])
def test_dimerized_chain(inside, between):
    found = find_gap(dimers(inside, between), 2, (4, 1, 1))
    assert found.gap == pytest.approx(2 * abs(inside - between), abs=1e-9)
    assert abs(found.valence_k[0]) == pytest.approx(0.5)


def test_end_states_of_the_dimerized_chain():
    """A long edge at the ends leaves a state there, in the gap."""
    cut_short, cut_long = (
        find_gap(dimers(a, b, num_cells=30), 60, (1, 1, 1), refine=False).gap
        for a, b in ((-0.4, -1.3), (-1.3, -0.4))
    )
    assert cut_short < 1e-9
    assert cut_long == pytest.approx(2 * 0.9, abs=0.02)


def test_an_indirect_gap():
    k_points = np.array([[0, 0, 0], [0.5, 0, 0.0]])
    energies = np.array([[0.0, 3.0], [1.0, 2.5]])
    found = gap_of_bands(k_points, energies, num_occupied=1)
    assert (found.gap, found.direct_gap) == (1.5, 1.5)
    energies = np.array([[1.0, 3.0], [0.0, 2.5]])
    found = gap_of_bands(k_points, energies, fermi_level=2.0)
    assert (found.gap, found.direct_gap) == (1.5, 2.0)
    assert found.valence_k is not found.conduction_k
    energies = np.array([[2.6, 3.0], [0.0, 2.5]])
    assert gap_of_bands(k_points, energies, num_occupied=1).gap == 0.0
    energies = np.array([[0.0, 2.6, 3.0], [0.0, 2.0, 2.5]])
    assert gap_of_bands(k_points, energies, fermi_level=2.3).gap == 0.0
    with pytest.raises(ValueError, match="outside the 3 bands"):
        gap_of_bands(k_points, energies, fermi_level=2.7)


@pytest.mark.parametrize(
    "part",
    [
        {"solve": states_in_window, "window": (-1.2, 1.2)},
        {"solve": nearest_states, "energy": 0.7, "num_states": 9},
    ],
)
def test_a_part_of_the_bands_has_the_same_gap(part):
    """Their columns are bands, though each wave vector has other numbers."""
    atoms, matrices = graphene(repeat=6, onsite=0.25)
    path = k_path(atoms, "GMKG", 20)
    whole = band_structure(matrices, path, 0.0)
    some = band_structure(matrices, path, 0.0, solver="multifrontal", **part)
    known = ~np.isnan(some.energies)
    assert not known.all()
    columns = [
        n
        for n in range(72 - known.shape[1] + 1)
        if np.allclose(
            whole.energies[:, n : n + known.shape[1]][known],
            some.energies[known],
        )
    ]
    assert len(columns) == 1
    assert whole.gap() == pytest.approx(0.5, abs=1e-6)
    assert some.gap() == pytest.approx(whole.gap(), abs=1e-9)


def test_what_has_no_gap_is_refused():
    unsolved = np.array([[np.nan, 1.0, 2.0], [np.nan, 1.0, 2.0]])
    with pytest.raises(ValueError, match="solve more bands"):
        gap_of_bands(np.zeros((2, 3)), unsolved, num_occupied=1)
    with pytest.raises(ValueError, match="a metal"):
        find_gap(chain(-1.0), 1, (4, 1, 1))
    with pytest.raises(ValueError, match="1 of 1 bands"):
        gap_of_bands([[0, 0, 0]], np.zeros((1, 1)), num_occupied=1)
    with pytest.raises(ValueError, match="either"):
        gap_of_bands([[0, 0, 0]], np.zeros((1, 2)))
