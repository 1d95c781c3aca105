"""Structures with their states, and errors of their blocks."""

import dataclasses

import numpy as np

import keras_hamiltonian as kh
from keras_hamiltonian.orbitals.table_blocks import from_table
from keras_hamiltonian.orbitals.table_blocks import to_table
from keras_hamiltonian.testing.block_rotation import rotate_blocks_in_numpy

BLOCKS = ("onsite", "hopping")


def k_space_data(folder, calculations, seed=0, atom_bucket=2, **options):
    """`KSpaceDataset` of a few structures in one batch."""
    states = kh.models.StateFolder(folder, **options)
    states.fill(calculations)
    names = [calculation.name for calculation in calculations]
    data = kh.HamiltonianDataset(
        dict(zip(names, calculations)),
        names,
        basis=calculations[0].basis,
        batch_size=len(names),
        atom_bucket=atom_bucket,
    )
    return kh.models.KSpaceDataset(data, states, seed)


def spinful(matrix):
    """A spinless matrix for both spins."""
    blocks = [np.kron(np.eye(2), block) + 0j for block in matrix.blocks()]
    return kh.BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


def rotated(calculation, rotation):
    """The crystal with H and S, rotated."""
    atoms = calculation.atoms.copy()
    atoms.set_cell(calculation.atoms.cell.array @ rotation.T)
    atoms.positions = calculation.atoms.positions @ rotation.T
    fields = {}
    for field in ("hamiltonian", "overlap"):
        matrix = getattr(calculation, field)
        is_spinful = field == "hamiltonian" and calculation.is_spinful
        options = atoms.numbers, calculation.basis, is_spinful
        table = rotate_blocks_in_numpy(
            to_table(matrix, *options),
            calculation.basis.table_shells,
            rotation,
            calculation.spin if is_spinful else "none",
        )
        fields[field] = from_table(table, matrix.atom_pairs, *options)
    return dataclasses.replace(calculation, atoms=atoms, **fields)


def disturbed(calculation, size, seed=0):
    """The crystal with a random Hermitian change of H, in eV."""
    matrix = calculation.hamiltonian
    random = np.random.default_rng(seed)
    change = size * random.normal(size=matrix.entries.shape)
    if calculation.is_spinful:
        change = change + 1j * size * random.normal(size=change.shape)
    changed = kh.BlockMatrix(
        matrix.atom_pairs, matrix.shapes, matrix.entries + change
    ).symmetrized()
    return dataclasses.replace(calculation, hamiltonian=changed)
