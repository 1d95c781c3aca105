"""Integrals of Gaussians against PySCF's, which share nothing with ours."""

import ase
import numpy as np
import pytest
from gaussian_species import gaussian_species
from pyscf_integrals import exchange_correlation_matrix
from pyscf_integrals import nonlocal_matrix
from pyscf_integrals import orbitals
from pyscf_integrals import ordered
from pyscf_integrals import potential_matrix

from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.superposition.zeroth_step import ZerothStep

ATOMS = ase.Atoms("OHH", [[0.1, 0.0, 0.2], [0.9, 0.3, 0.5], [-0.4, 0.8, 0.1]])
MEV = 1e-3


def whole(matrix, doubling=1):
    """One matrix of a molecule, up before down over all atoms."""
    sizes = [
        matrix.find((0, 0, 0, i, i)).shape[0] // doubling for i in range(3)
    ]
    rows = [
        np.concatenate(
            [
                matrix.find((0, 0, 0, i, j)).reshape(
                    doubling, sizes[i], doubling, sizes[j]
                )
                for j in range(3)
            ],
            axis=3,
        )
        for i in range(3)
    ]
    joined = np.concatenate(rows, axis=1)
    return joined.reshape(doubling * sum(sizes), -1)


def reference(functional, spin="none"):
    """H⁰ in eV from PySCF's integrals alone."""
    mol = orbitals(ATOMS)
    plain = ordered(mol, mol.intor("int1e_kin")) + potential_matrix(ATOMS)
    plain = plain + exchange_correlation_matrix(ATOMS, functional)
    pseudo = nonlocal_matrix(ATOMS)
    if spin == "noncollinear":
        return HARTREE_IN_EV * (np.kron(np.eye(2), plain) + pseudo)
    size = len(plain)
    average = 0.5 * (pseudo[:size, :size] + pseudo[size:, size:])
    return HARTREE_IN_EV * (plain + average.real)


def zeroth_step(**options):
    options = {"damping": False, "functional": "PZ81", **options}
    return ZerothStep(gaussian_species(), **options)(ATOMS)


def test_overlap():
    mol = orbitals(ATOMS)
    overlap = whole(zeroth_step()[1])
    expected = ordered(mol, mol.intor("int1e_ovlp"))
    assert np.abs(overlap - expected).max() < 1e-8
    # The control: PySCF's own order of p orbitals.
    assert np.abs(overlap - mol.intor("int1e_ovlp")).max() > 0.1


@pytest.mark.parametrize(
    "functional, name", [("PZ81", "lda,pz"), ("PW92", "lda,pw_mod")]
)
def test_hamiltonian_without_spin(functional, name):
    hamiltonian = whole(zeroth_step(functional=functional)[0])
    assert np.abs(hamiltonian - reference(name)).max() < 0.05 * MEV


def test_functionals_differ():
    one, other = (zeroth_step(functional=f)[0] for f in ("PZ81", "PW92"))
    assert np.abs(one.entries - other.entries).max() > MEV


def test_spin_orbit_coupling():
    hamiltonian = whole(zeroth_step(spin="noncollinear")[0], 2)
    expected = reference("lda,pz", "noncollinear")
    assert np.abs(hamiltonian - expected).max() < 0.05 * MEV
    # The control: the opposite sign of σ_y is another operator.
    assert np.abs(hamiltonian - expected.conj()).max() > 100 * MEV


def test_gradient_corrections_converge_with_the_grid():
    # Central differences: the error falls with the square of the step.
    expected = reference("pbe,pbe")
    coarse, fine = (
        whole(zeroth_step(functional="PBE", grid_cutoff=cutoff)[0])
        for cutoff in (200.0, 800.0)
    )
    errors = [
        np.abs(found - expected).max()
        for found in (coarse, fine, fine + (fine - coarse) / 3)
    ]
    assert errors[1] < 0.35 * errors[0]
    assert errors[2] < 4 * MEV


def test_functional_of_libxc_converges_with_the_grid():
    coarse, fine = (
        whole(zeroth_step(functional="PBEsol", grid_cutoff=cutoff)[0])
        - whole(zeroth_step(functional="PBE", grid_cutoff=cutoff)[0])
        for cutoff in (200.0, 400.0)
    )
    pbe, pbesol = (
        HARTREE_IN_EV * exchange_correlation_matrix(ATOMS, name)
        for name in ("pbe,pbe", "pbesol")
    )
    errors = [
        np.abs(found - (pbesol - pbe)).max()
        for found in (coarse, fine, 2 * fine - coarse)
    ]
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 6 * MEV < 0.02 * np.abs(pbesol - pbe).max()
