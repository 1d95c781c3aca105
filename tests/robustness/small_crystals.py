"""Crystals of Gaussian s orbitals, whose matrices are known in closed form."""

import itertools

import ase
import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix


def overlap_at(distance):
    return np.exp(-(distance**2) / 2)


def crystal(
    symbols="HHe",
    positions=((0.1, 1, 1), (2.0, 1, 1)),
    cell=(2.2, 15, 15),
    reach=4.0,
    cells=(2, 0, 0),
    name="000",
    **fields,
):
    """One s orbital on each atom: S = exp(-d²/2), H = -8 S, -5 on site."""
    atoms = ase.Atoms(symbols, positions, cell=cell, pbc=True)
    pairs, overlap, hamiltonian = [], [], []
    for shift in itertools.product(*(range(-n, n + 1) for n in cells)):
        for i, j in itertools.product(range(len(atoms)), repeat=2):
            vector = atoms.positions[j] - atoms.positions[i]
            d = np.linalg.norm(vector + np.array(shift) @ atoms.cell.array)
            if d < reach:
                pairs.append((*shift, i, j))
                overlap.append(np.array([[overlap_at(d)]]))
                onsite = -5.0 if d == 0 else -8.0 * overlap_at(d)
                hamiltonian.append(np.array([[onsite]]))
    defaults = {
        "hamiltonian": BlockMatrix.from_blocks(pairs, hamiltonian),
        "overlap": BlockMatrix.from_blocks(pairs, overlap),
        "num_electrons": 2.0,
        "fermi_level": -5.0,
    }
    basis = OrbitalBasis({s: [0] for s in dict.fromkeys(atoms.symbols)})
    return Calculation(atoms, basis, **{**defaults, **fields}, name=name)
