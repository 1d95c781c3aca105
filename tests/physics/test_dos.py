"""Densities of states against formulas, and against OpenMX's own electrons."""

import pathlib

import numpy as np
import pytest
from sheets import chain
from sheets import dimers
from sheets import graphene
from sheets import sheet

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics import dos as dos_module
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.dos import DensityOfStates
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.fermi import count_electrons
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.populations import orbital_groups

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"


@pytest.mark.parametrize("method", ["gaussian", "tetrahedron"])
def test_chain(method):
    """E = 1 - 2 cos k: density 2 / (pi sqrt(4 - (E - 1)²))."""
    energies = np.linspace(-1.5, 3.5, 1001)
    found = density_of_states(
        chain(-1.0), (400, 1, 1), energies, broadening=0.02, method=method
    )
    middle = np.abs(energies - 1) < 1.7
    expected = 2 / np.pi / np.sqrt(4 - (energies[middle] - 1) ** 2)
    np.testing.assert_allclose(found.total[middle], expected, rtol=0.015)
    assert found.integrate(3.5) == pytest.approx(2.0, abs=0.01)
    # 40 points do for linear bands, and are too few for narrow Gaussians.
    coarse = density_of_states(
        chain(-1.0), (40, 1, 1), energies, broadening=0.02, method=method
    )
    error = np.abs(coarse.total[middle] / expected - 1).max()
    assert (error < 0.15) == (method == "tetrahedron")


@pytest.mark.parametrize("method", ["gaussian", "tetrahedron"])
def test_graphene(method):
    """Near the Dirac point the density of both spins is linear."""
    _, matrices = graphene()
    found = density_of_states(
        matrices, (60, 60, 1), broadening=0.1, method=method, fermi_level=0.0
    )
    assert found.integrate() == pytest.approx(2.0, abs=2e-3)
    assert found.integrate(found.energies[-1]) == pytest.approx(4.0, abs=2e-3)
    # Castro Neto 2009, eq. 14: g(E) = 2 A |E| / (pi v²), v = √3 a t / 2.
    area = 3**0.5 / 2 * 2.46**2
    velocity = 3**0.5 / 2 * 2.46 * 2.7
    expected = area * 0.7**2 / np.pi / velocity**2
    for energy, sign in ((-0.7, 1), (0.7, -1)):
        between = sign * (found.integrate(0.0) - found.integrate(energy))
        assert between == pytest.approx(expected, rel=0.1)


def test_openmx_electrons():
    """Up to OpenMX's Fermi level lie the electrons it had."""
    for name, grid, tolerance in (
        ("reference_mos2", (6, 6, 1), 1e-3),
        ("reference_graphene", (12, 12, 1), 0.02),
        ("reference_bismuthene", (3, 3, 1), 0.1),
    ):
        calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
        matrices = BlochMatrices.from_calculation(calculation)
        groups = orbital_groups(calculation)
        found = density_of_states(
            matrices,
            grid,
            broadening=0.05,
            groups=groups,
            fermi_level=calculation.fermi_level,
        )
        electrons = calculation.num_electrons
        assert found.integrate() == pytest.approx(electrons, abs=tolerance)
        parts = sum(found.projections.values())
        np.testing.assert_allclose(parts, found.total, atol=1e-9)
        rows = np.sort(np.concatenate(list(groups.values())))
        assert np.array_equal(rows, np.arange(matrices.size))


def test_what_the_bands_of_mos2_are_made_of():
    """Valence and conduction edge: d of the metal; 12 eV below: s of S."""
    calculation = HamiltonianStore(DATA / "reference_mos2.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    level = calculation.fermi_level
    found = density_of_states(
        matrices, (4, 4, 1), groups=orbital_groups(calculation)
    )

    def share(name, low, high):
        part, whole = (
            found.integrate(high, n) - found.integrate(low, n)
            for n in (name, None)
        )
        return part / whole

    assert share("Mo d", level - 1.2, level + 1.8) > 0.6
    assert share("S s", level - 14, level - 10) > 0.7
    assert share("S p", level - 5, level - 3) > 0.4


@pytest.mark.parametrize("method", ["gaussian", "tetrahedron"])
def test_a_part_of_the_energies(method):
    _, matrices = graphene(onsite=0.5)
    whole = density_of_states(matrices, (9, 9, 1), method=method)
    part = density_of_states(
        matrices, (9, 9, 1), np.linspace(-4, 4, 1001), method=method
    )
    assert part.below > 0.1
    assert part.integrate(0.0) == pytest.approx(2.0, abs=1e-3)
    assert whole.integrate(3.0) == pytest.approx(part.integrate(3.0), abs=0.02)


def test_counts_are_those_of_the_bands():
    """A cold Fermi edge and the tetrahedra agree on a fine grid."""
    _, matrices = graphene(onsite=0.2)
    found = density_of_states(
        matrices, (40, 40, 1), np.linspace(-9, 9, 2001), method="tetrahedron"
    )
    energies = solve_bands(matrices, monkhorst_pack((40, 40, 1), True))
    for level in (-6.0, -2.0, 0.0, 4.0):
        expected = count_electrons(energies, level, temperature=100.0)
        assert found.integrate(level) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("dimensions", [0, 1, 2, 3])
def test_simplices_fill_the_zone(dimensions):
    grid = [3] * dimensions + [1] * (3 - dimensions)
    corners = dos_module._simplices(grid)
    factorial = [1, 1, 2, 6][dimensions]
    assert len(corners) == factorial * 3**dimensions
    counts = np.bincount(corners.ravel())
    assert (counts == counts[0]).all()
    # Of a linear function: as many random points of a simplex lie below.
    generator = np.random.default_rng(0)
    values = np.sort(generator.normal(size=(4, max(dimensions, 1) + 1)))
    points = generator.dirichlet(np.ones(values.shape[1]), 200000) @ values.T
    energies = np.linspace(-2, 2, 9)
    expected = (points[:, :, None] < energies).mean(axis=0)
    found = dos_module._part_below(values, energies)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_large_cells(monkeypatch):
    _, matrices = sheet(9, orbitals=2, disorder=0.5)
    energies = np.linspace(-1.0, 1.0, 41)
    groups = {"even": np.arange(0, 324, 2), "odd": np.arange(1, 324, 2)}
    expected = density_of_states(
        matrices, (1, 2, 1), energies, groups=groups, workers=2
    )
    monkeypatch.setattr(dos_module, "LARGEST_DENSE", 300)
    found = density_of_states(matrices, (1, 2, 1), energies, groups=groups)
    # Gaussians are cut off after five widths.
    np.testing.assert_allclose(found.total, expected.total, atol=1e-3)
    assert found.below == pytest.approx(expected.below, abs=1e-4)
    for name in groups:
        np.testing.assert_allclose(
            found.projections[name], expected.projections[name], atol=1e-3
        )
    with pytest.raises(ValueError, match="give `energies`"):
        density_of_states(matrices, (1, 1, 1))


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_saving(tmp_path, suffix):
    found = density_of_states(
        dimers(-1.0, -0.5), (8, 1, 1), groups={"a": [0], "b": [1]}
    )
    found.save(tmp_path / f"dos.{suffix}")
    loaded = DensityOfStates.load(tmp_path / f"dos.{suffix}")
    np.testing.assert_array_equal(loaded.total, found.total)
    assert list(loaded.projections) == ["a", "b"]
    np.testing.assert_array_equal(
        loaded.projections["b"], found.projections["b"]
    )
    assert (loaded.below, loaded.fermi_level) == (found.below, None)


def test_what_is_refused():
    with pytest.raises(ValueError, match="'histogram'"):
        density_of_states(chain(-1.0), (2, 1, 1), method="histogram")
    with pytest.raises(ValueError, match="positive"):
        density_of_states(chain(-1.0), (2, 1, 1), broadening=0)
    with pytest.raises(ValueError, match="two or more"):
        density_of_states(chain(-1.0), (2, 1, 1), [0.0], method="tetrahedron")
    found = density_of_states(chain(-1.0), (2, 1, 1))
    with pytest.raises(ValueError, match="give `energy`"):
        found.integrate()
    with pytest.raises(ValueError, match="is known from"):
        found.integrate(99.0)
