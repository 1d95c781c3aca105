"""Position and gradient between orbitals: PySCF, finite differences."""

import ase
import numpy as np
import pytest
from gaussian_species import gaussian_species
from pyscf_integrals import orbitals
from pyscf_integrals import ordered
from test_gaussians import ATOMS
from test_gaussians import whole

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.superposition.zeroth_step import ZerothStep


@pytest.fixture(scope="module")
def step():
    return ZerothStep(gaussian_species())


def test_dipoles(step):
    mol = orbitals(ATOMS)
    exact = [BOHR_IN_ANGSTROM * ordered(mol, x) for x in mol.intor("int1e_r")]
    overlap = ordered(mol, mol.intor("int1e_ovlp"))
    sizes = [step.species[s].degrees for s in ATOMS.get_chemical_symbols()]
    sizes = [sum(2 * l + 1 for l in degrees) for degrees in sizes]
    centres = np.repeat(ATOMS.positions, sizes, axis=0).T
    for axis, found in enumerate(map(whole, step.dipoles(ATOMS))):
        middle = (centres[axis][:, None] + centres[axis]) / 2
        about = exact[axis] - middle * overlap
        assert np.abs(about).max() > 0.1
        assert np.abs(found - about).max() < 1e-6
        assert np.abs(found - found.T).max() < 1e-6


def test_gradients(step):
    mol = orbitals(ATOMS)
    exact = mol.intor("int1e_ipovlp") / BOHR_IN_ANGSTROM
    for axis, found in enumerate(map(whole, step.gradients(ATOMS))):
        # PySCF differentiates the first orbital, which has the other sign.
        about = -ordered(mol, exact[axis])
        assert np.abs(about).max() > 0.1
        assert np.abs(found - about).max() < 1e-4
        assert np.abs(found + found.T).max() < 1e-4


def test_gradient_is_the_slope_of_the_overlap(step):
    """`<i| ∇ |j at R> = -∂S/∂R`, in a crystal with images."""
    atoms = ase.Atoms(
        "OH",
        [[0, 0, 0], [0.8, 0.5, 0.1]],
        cell=[[2.1, 0, 0], [0.3, 2.4, 0], [0, 0.2, 8.0]],
        pbc=True,
    )
    gradient = step.gradients(atoms)[0]
    h = 1e-4
    moved = []
    for sign in (1, -1):
        other = atoms.copy()
        other.positions[1, 0] += sign * h
        moved.append(step(other)[1])
    for pair in ((0, 0, 0, 0, 1), (-1, 0, 0, 0, 1)):
        slope = (moved[0].find(pair) - moved[1].find(pair)) / (2 * h)
        assert np.abs(slope).max() > 1e-3
        assert np.abs(gradient.find(pair) + slope).max() < 1e-4
