"""Masses against formulas, and against bands on both sides of a point."""

import pathlib

import numpy as np
import pytest
from sheets import chain
from sheets import graphene
from sheets import sheet

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.effective_mass import HBAR_SQUARED_OVER_MASS
from keras_hamiltonian.physics.effective_mass import effective_mass
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"


@pytest.mark.parametrize("overlap", [0.0, 0.2])
@pytest.mark.parametrize("k", [0.0, 0.13, 0.5])
def test_chain(overlap, k):
    """E = (1 - 2 cos k) / (1 + 2 s cos k), differentiated by hand."""
    angle = 2 * np.pi * k
    low = 1 + 2 * overlap * np.cos(angle)
    factor = 2 * (1 + overlap)
    slope = factor * np.sin(angle) / low**2
    curvature = factor * np.cos(angle) / low**2
    curvature += 4 * overlap * factor * np.sin(angle) ** 2 / low**3
    found = effective_mass(
        chain(-1.0, overlap), 2.5 * np.eye(3), [k, 0, 0], band=0
    )
    assert found.curvature[0, 0] == pytest.approx(curvature * 2.5**2)
    assert found.slope[0] == pytest.approx(slope * 2.5, abs=1e-9)
    expected = HBAR_SQUARED_OVER_MASS / (curvature * 2.5**2)
    assert found.principal == pytest.approx(expected)
    assert found.tensor[0, 0] == pytest.approx(expected)
    assert not found.tensor[1:].any()


def differences(matrices, cell, k_point, band, step=2e-3):
    """Curvature by central differences of band energies, in the plane."""
    into = np.asarray(cell).T / (2 * np.pi)
    x, y = (step * into[axis] for axis in (0, 1))
    points = [
        np.asarray(k_point) + a * x + b * y
        for a in (-1, 0, 1)
        for b in (-1, 0, 1)
    ]
    e = solve_bands(matrices, points)[:, band].reshape(3, 3) / step**2
    xx = e[2, 1] - 2 * e[1, 1] + e[0, 1]
    yy = e[1, 2] - 2 * e[1, 1] + e[1, 0]
    xy = (e[2, 2] - e[2, 0] - e[0, 2] + e[0, 0]) / 4
    return np.array([[xx, xy], [xy, yy]])


@pytest.mark.parametrize(
    "name, k_point, band, tolerance",
    [
        ("mos2", [1 / 3, 1 / 3, 0], 13, 1e-3),  # conduction edge
        ("mos2", [1 / 3, 1 / 3, 0], 12, 1e-3),
        ("mos2", [0.21, -0.08, 0], 11, 1e-3),  # not an extremum
        ("graphene", [0.5, 0, 0], 3, 1e-3),  # saddle point
        ("bismuthene", [0.1, 0.2, 0], 29, 5e-3),  # a pair of two spins
    ],
)
def test_differences_of_dft_bands(name, k_point, band, tolerance):
    calculation = HamiltonianStore(DATA / f"reference_{name}.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    cell = calculation.atoms.cell
    found = effective_mass(matrices, cell, k_point, band)
    expected = differences(matrices, cell, k_point, band)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        found.curvature[:2, :2], expected, atol=tolerance * scale
    )
    assert not found.curvature[2].any()
    assert found.principal.shape == (2,)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(2), atol=1e-9)


def test_mos2_masses():
    """Isotropic at K; about half an electron mass for both carriers."""
    calculation = HamiltonianStore(DATA / "reference_mos2.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    electron, hole = (
        effective_mass(
            matrices, calculation.atoms.cell, [1 / 3, 1 / 3, 0], band
        )
        for band in (13, 12)
    )
    for mass in (electron, hole):
        # Zero by symmetry, which OpenMX's grid in space breaks a little.
        assert np.abs(mass.slope).max() < 0.02
        assert np.ptp(mass.principal) < 0.01 * abs(mass.principal[0])
    # Kormanyos 2015 (2D Mater. 2, 022001) lists 0.43-0.49 and -0.53 to -0.62.
    assert 0.35 < electron.principal[0] < 0.55
    assert -0.75 < hole.principal[0] < -0.45


def test_massive_dirac_electrons():
    """E = √(m² + v² k²) has the curvature v² / m."""
    atoms, matrices = graphene(onsite=0.3)
    velocity = 3**0.5 / 2 * 2.46 * 2.7
    k_point = [1 / 3, 2 / 3, 0]
    if solve_bands(matrices, [k_point])[0, 1] > 0.31:
        k_point = [1 / 3, 1 / 3, 0]
    found = effective_mass(matrices, atoms.cell, k_point, 1)
    expected = HBAR_SQUARED_OVER_MASS * 0.3 / velocity**2
    np.testing.assert_allclose(found.principal, expected, rtol=1e-6)
    holes = effective_mass(matrices, atoms.cell, k_point, 0)
    np.testing.assert_allclose(holes.principal, -expected, rtol=1e-6)


def test_a_dirac_point_has_no_mass():
    atoms, matrices = graphene()
    k_point = [1 / 3, 2 / 3, 0]
    if np.ptp(solve_bands(matrices, [k_point])) > 0.1:
        k_point = [1 / 3, 1 / 3, 0]
    with pytest.raises(ValueError, match="2 bands touch.*different slopes"):
        effective_mass(matrices, atoms.cell, k_point, 1)


def test_what_is_refused():
    atoms, matrices = sheet(1)
    with pytest.raises(ValueError, match="0 to 1"):
        effective_mass(matrices, atoms.cell, [0, 0, 0], 2)
