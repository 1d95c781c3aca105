"""The same Gaussians in PySCF: an independent truth."""

import math

import numpy as np
import pytest
from gaussian_species import CORES
from gaussian_species import DENSITIES
from gaussian_species import ORBITALS
from gaussian_species import POTENTIALS
from gaussian_species import PROJECTORS

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM

gto = pytest.importorskip("pyscf.gto")


def molecule(atoms, shells):
    """PySCF's molecule with `shells(symbol)` = list of (l, exponent)."""
    positions = atoms.positions / BOHR_IN_ANGSTROM
    labels = [f"{s}{n}" for n, s in enumerate(atoms.get_chemical_symbols())]
    return gto.M(
        atom=list(zip(labels, positions.tolist())),
        unit="bohr",
        basis={
            label: [
                [l, [a, 1.0]] for l, a in shells(label.rstrip("0123456789"))
            ]
            for label in labels
        },
        spin=None,
        verbose=0,
    )


def orbitals(atoms):
    return molecule(atoms, ORBITALS.get)


def our_order(mol):
    """PySCF's p is (x, y, z), ours m = -1, 0, 1."""
    order, start = [], 0
    for shell in range(mol.nbas):
        l = mol.bas_angular(shell)
        inside = [1, 2, 0] if l == 1 else range(2 * l + 1)
        order += [start + m for m in inside]
        start += 2 * l + 1
    return np.array(order)


def ordered(mol, matrix):
    order = our_order(mol)
    return matrix[np.ix_(order, order)]


def nonlocal_matrix(atoms):
    """`Σ |p j> e_j <p j|` by spinors: `(2n, 2n)`, up before down."""
    from pyscf.symm.sph import sph2spinor

    left = orbitals(atoms)
    right = molecule(
        atoms, lambda symbol: [(l, a) for l, a, _ in PROJECTORS[symbol]]
    )
    between = gto.intor_cross("int1e_ovlp_sph", left, right)
    size, start = left.nao, 0
    total = np.zeros((2 * size, 2 * size), dtype=complex)
    for symbol in atoms.get_chemical_symbols():
        for l, _, energies in PROJECTORS[symbol]:
            part = between[:, start : start + 2 * l + 1]
            start += 2 * l + 1
            # Spinors of j = l - 1/2 come first, then those of l + 1/2.
            up, down = sph2spinor(l)
            spinors = np.concatenate([part @ up, part @ down])
            below, above = energies[-1], energies[0]
            strengths = np.array([below] * (2 * l) + [above] * (2 * l + 2))
            total += (spinors * strengths) @ spinors.conj().T
    order = our_order(left)
    order = np.concatenate([order, order + size])
    return total[np.ix_(order, order)]


def potential_matrix(atoms):
    """`Σ_k <i|V_k|j>` of Gaussian potentials."""
    mol = orbitals(atoms)
    found = 0.0
    for number, symbol in enumerate(atoms.get_chemical_symbols()):
        exponent, height = POTENTIALS[symbol]
        alone = atoms[[number]]
        aux = molecule(alone, lambda _: [(0, exponent)])
        both = mol + aux
        shells = (0, mol.nbas, 0, mol.nbas, mol.nbas, mol.nbas + 1)
        three = both.intor("int3c1e_sph", shls_slice=shells)[..., 0]
        # PySCF's s function is normalised.
        scale = (2 * exponent / math.pi) ** 0.75
        found = found + height / scale * three
    return ordered(mol, found)


def exchange_correlation_matrix(atoms, functional, level=7):
    """V_xc of superposed Gaussian densities, on PySCF's atomic grids."""
    from pyscf import dft

    mol = orbitals(atoms)
    shells, occupations = [], {}
    for symbol in set(atoms.get_chemical_symbols()):
        parts = [
            DENSITIES[symbol],
            *([CORES[symbol]] if symbol in CORES else []),
        ]
        occupations[symbol] = parts
    shells = molecule(
        atoms, lambda symbol: [(0, a) for a, _ in occupations[symbol]]
    )
    numbers = [
        n for s in atoms.get_chemical_symbols() for _, n in occupations[s]
    ]
    grids = dft.gen_grid.Grids(mol)
    grids.level, grids.prune = level, None
    grids.build()
    numint = dft.numint.NumInt()
    is_gga = functional.startswith("pbe")
    deriv = 1 if is_gga else 0
    density_values = numint.eval_ao(shells, grids.coords, deriv=deriv)
    rho = numint.eval_rho(
        shells,
        density_values,
        np.diag(numbers).astype(float),
        xctype="GGA" if is_gga else "LDA",
    )
    vxc = numint.eval_xc(functional, rho, deriv=1)[1]
    values = numint.eval_ao(mol, grids.coords, deriv=deriv)
    weights = grids.weights
    if not is_gga:
        matrix = values.T @ (values * (weights * vxc[0])[:, None])
    else:
        flow = 2 * (vxc[1] * weights) * rho[1:4]
        weighted = values[0] * (0.5 * weights * vxc[0])[:, None]
        weighted += np.einsum("xp,xpi->pi", flow, values[1:4])
        matrix = values[0].T @ weighted
        matrix = matrix + matrix.T
    return ordered(mol, matrix)
