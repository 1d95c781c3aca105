"""Chebyshev moments against formulas, and against all eigenstates."""

import pathlib

import numpy as np
import pytest
from sheets import chain
from sheets import dimers
from sheets import graphene
from sheets import sheet
from typer.testing import CliRunner

from keras_hamiltonian import electronic_structure
from keras_hamiltonian.cli import app
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.physics.dos import DensityOfStates
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.dos import local_density_of_states
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.kernel_polynomial import KernelPolynomial
from keras_hamiltonian.physics.populations import orbital_groups
from keras_hamiltonian.physics.states import count_states
from keras_hamiltonian.physics.states import lowest_states

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
GAMMA = np.zeros(3)
GENERAL = np.array([0.17, -0.31, 0.0])


def exact_moments(polynomial, energies, shares, number):
    """Moments of known levels: `(number, num_shares)`."""
    x = (energies - polynomial.center) / polynomial.half_width
    return np.cos(np.arange(number)[:, None] * np.arccos(x)) @ shares.T


@pytest.fixture(scope="module")
def bilayer():
    """Bilayer graphene of the small set; S goes down to 0.0014."""
    return HamiltonianStore(DATA / "bilayer_graphene.h5")[0]


@pytest.mark.parametrize("overlap", [0.0, 0.2])
def test_moments_of_a_chain(overlap):
    """E = (1 - 2 cos k) / (1 + 2 s cos k), at the points of a long cell."""
    k = 2 * np.pi * np.arange(60) / 60
    energies = (1 - 2 * np.cos(k)) / (1 + 2 * overlap * np.cos(k))
    polynomial = KernelPolynomial(chain(-1.0, overlap, repeat=60), GAMMA)
    assert polynomial.center - polynomial.half_width < energies.min()
    assert polynomial.center + polynomial.half_width > energies.max()
    found = polynomial.local_moments([7, 31], 200)
    expected = exact_moments(polynomial, energies, np.ones((1, 60)) / 60, 200)
    np.testing.assert_allclose(found, np.tile(expected.T, (2, 1)), atol=1e-9)


def test_a_level_becomes_nearly_a_gaussian():
    _, matrices = graphene(repeat=3)
    polynomial = KernelPolynomial(matrices, GAMMA)
    energies = np.linspace(-10, 10, 4001)
    number = polynomial.num_moments(energies, 0.2)
    x = (1.3 - polynomial.center) / polynomial.half_width
    moments = np.cos(np.arange(number) * np.arccos(x))
    density = polynomial.densities(moments, energies)
    step = energies[1] - energies[0]
    mean = (density * energies).sum() * step
    spread = np.sqrt((density * (energies - mean) ** 2).sum() * step)
    assert density.min() > -1e-12
    assert density.sum() * step == pytest.approx(1, abs=1e-6)
    assert mean == pytest.approx(1.3, abs=0.01)
    assert spread == pytest.approx(0.2, rel=0.05)
    inside = np.cumsum(density) * step
    counts = polynomial.counts(moments, energies + step / 2)
    np.testing.assert_allclose(counts, inside, atol=1e-4)


def test_graphene_near_its_dirac_point():
    """g(E) = 2 A |E| / (pi v²), of one site half of it."""
    _, matrices = graphene(repeat=14)
    energies = np.linspace(-1.5, 1.5, 601)
    found = local_density_of_states(
        matrices, (2, 2, 1), energies, {"site": matrices.rows(5)}, 0.1
    )
    area, velocity = 3**0.5 / 2 * 2.46**2, 3**0.5 / 2 * 2.46 * 2.7
    expected = area * 0.9**2 / np.pi / velocity**2 / 2
    between = found.integrate(0.9) - found.integrate(0.0)
    assert between == pytest.approx(expected, rel=0.1)
    assert found.integrate(0.0) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("k_point", [GAMMA, GENERAL], ids=["real", "complex"])
def test_a_crystal_with_all_its_states(bilayer, k_point):
    matrices = BlochMatrices.from_calculation(bilayer)
    groups = orbital_groups(bilayer)
    states = lowest_states(matrices, k_point)
    products = matrices.overlap_at(k_point) @ states.coefficients
    shares = (states.coefficients.conj() * products).real
    polynomial = KernelPolynomial(matrices, k_point)
    rows = [3, 50, 120]
    local = polynomial.local_moments(rows, 300)
    exact = exact_moments(polynomial, states.energies, shares, 300)
    np.testing.assert_allclose(local, exact[:, rows].T, atol=1e-6)
    found = polynomial.stochastic_moments(300, 100, list(groups.values()))
    parts = [exact[:, rows].sum(axis=1) for rows in groups.values()]
    expected = np.array([exact.sum(axis=1), *parts])
    errors = found.std(axis=0, ddof=1) / 10
    deviations = (found.mean(axis=0) - expected)[:, 1:] / errors[:, 1:]
    # In units of its own error bars, as a normal deviate.
    assert np.sqrt((deviations**2).mean()) == pytest.approx(1, abs=0.25)
    np.testing.assert_allclose(found[:, 0, 0], matrices.size, rtol=1e-9)
    # As if the orbitals were orthogonal: other levels.
    naive = BlochMatrices(bilayer.hamiltonian, None, bilayer.num_orbitals)
    naive = KernelPolynomial(naive, k_point)
    assert abs(naive.half_width / polynomial.half_width - 1) > 0.2


def test_density_of_states(bilayer):
    matrices = BlochMatrices.from_calculation(bilayer)
    level = bilayer.fermi_level
    energies = level + np.linspace(-4, 4, 81)
    options = {"broadening": 0.4, "groups": orbital_groups(bilayer)}
    expected = density_of_states(matrices, (2, 1, 1), energies, **options)
    found = density_of_states(
        matrices, (2, 1, 1), energies, method="kpm", num_vectors=40, **options
    )
    # The same kernel for all levels, which are known here.
    smooth = 0
    for x, weight in ((0.0, 0.5), (0.5, 0.5)):
        k_point = np.array([x, 0, 0])
        levels = lowest_states(matrices, k_point).energies
        polynomial = KernelPolynomial(matrices, k_point)
        number = polynomial.num_moments(energies, 0.4)
        moments = exact_moments(
            polynomial, levels, np.ones((1, len(levels))), number
        )
        smooth += 2 * weight * polynomial.densities(moments[:, 0], energies)
    deviations = (found.total - smooth) / found.errors
    assert np.abs(deviations).max() < 4
    # Nearly Gaussians, wider below than above.
    bias = np.abs(smooth - expected.total).mean()
    assert bias < 0.05 * expected.total.max()
    assert found.errors.max() < 0.1 * expected.total.max()
    electrons = found.integrate(level)
    assert electrons == pytest.approx(expected.integrate(level), abs=1.5)
    parts = sum(found.projections.values())
    np.testing.assert_allclose(parts, found.total, atol=1e-9)
    # Each group against its own levels, as the whole.
    for name, rows in options["groups"].items():
        exact = 0
        for x, weight in ((0.0, 0.5), (0.5, 0.5)):
            polynomial = KernelPolynomial(matrices, np.array([x, 0, 0]))
            moments = polynomial.local_moments(rows, number).sum(axis=0)
            exact += 2 * weight * polynomial.densities(moments, energies)
        scatter = found.projection_errors[name]
        deviations = (found.projections[name] - exact) / scatter
        assert np.abs(deviations).max() < 5
        assert 0.4 < np.sqrt(np.mean(deviations**2)) < 2
    fewer, again = (
        density_of_states(
            matrices,
            (2, 1, 1),
            energies,
            method="kpm",
            num_vectors=10,
            **options,
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(fewer.total, again.total)
    ratio = fewer.errors.mean() / found.errors.mean()
    assert ratio == pytest.approx(2, rel=0.25)


def test_levels_below_an_energy_are_counted():
    """Against Sylvester's law of inertia, in a cell without symmetry."""
    _, matrices = sheet(12, orbitals=2, disorder=0.5)
    polynomial = KernelPolynomial(matrices, GENERAL)
    moments = polynomial.stochastic_moments(400, 20)[:, 0]
    energies = np.array([-1.0, 0.3, 2.0])
    counts = polynomial.counts(moments, energies)
    expected = [count_states(matrices, GENERAL, e) for e in energies]
    errors = counts.std(axis=0, ddof=1) / 20**0.5
    assert (errors < 10).all()
    assert (np.abs(counts.mean(axis=0) - expected) < 4 * errors).all()


def test_spin_and_sums():
    _, matrices = sheet(3, orbitals=2, disorder=0.5, spin=True)
    energies = np.linspace(-3, 3, 61)
    rows = {f"atom {n}": matrices.rows(n) for n in range(18)}
    local = local_density_of_states(matrices, (1, 1, 1), energies, rows, 0.3)
    whole = density_of_states(matrices, (1, 1, 1), energies, broadening=0.3)
    bias = 0.05 * whole.total.max()
    np.testing.assert_allclose(local.total, whole.total, atol=bias)
    assert local.below == pytest.approx(whole.below, abs=0.2)


def test_the_fermi_level_of_a_large_cell_is_that_of_the_density(monkeypatch):
    """No sparse factorization of H - E S looks for it."""
    store = HamiltonianStore(DATA / "graphene.h5")
    crystal = ElectronicStructure(store[store.names[0]])
    crystal.calculation.fermi_level = None
    states = lowest_states(crystal.matrices, GAMMA, 40)
    exact = states.energies[35:37].mean()
    monkeypatch.setattr(electronic_structure, "LARGEST_DENSE", 100)
    monkeypatch.setattr(electronic_structure, "find_fermi_level", None)
    options = {"method": "kpm", "num_vectors": 40, "broadening": 0.5}
    energies = np.linspace(exact - 4, exact + 4, 81)
    dos = crystal.dos((1, 1, 1), False, energies=energies, **options)
    electrons = crystal.calculation.num_electrons
    assert dos.integrate(dos.fermi_level) == pytest.approx(electrons, abs=1e-2)
    assert abs(dos.integrate(exact) - electrons) < 2
    assert abs(dos.fermi_level - exact) < 1
    dos = crystal.dos((1, 1, 1), False, energies=energies[60:], **options)
    assert dos.fermi_level is None


def test_what_is_refused():
    matrices = dimers(-1.0, -0.5)
    for options in ({}, {"energies": [0.0, 1.0], "num_vectors": 1}):
        with pytest.raises(ValueError, match="two or more random vectors"):
            density_of_states(matrices, (2, 1, 1), method="kpm", **options)
    for options in ({"groups": {}}, {"groups": {"a": [0]}, "broadening": 0.0}):
        with pytest.raises(ValueError, match="is empty|is positive"):
            local_density_of_states(matrices, (2, 1, 1), [0.0, 1.0], **options)
    with pytest.raises(ValueError, match="not positive definite: "):
        KernelPolynomial(chain(-1.0, 0.6, repeat=20), GAMMA)


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["dos", str(DATA / "reference_graphene.h5"), "--method", "kpm"]
    words += ["--grid", "2", "2", "1"]
    words += ["--broadening", "1.0", "--vectors", "20", "-o", "dos.npz"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "Standard error of the density: " in done.output
    assert "of its projections: C s " in done.output
    loaded = DensityOfStates.load("dos.npz")
    assert loaded.errors.shape == loaded.total.shape
    assert set(loaded.projection_errors) == {"C s", "C p", "C d"}
    assert (tmp_path / "dos.png").is_file()
