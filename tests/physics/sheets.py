"""Small crystals for the tests: tight-binding sheets and chains."""

import ase.build
import numpy as np
from ase.neighborlist import neighbor_list

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.hamiltonian import BlochMatrices


def sheet(
    repeat, orbitals=1, disorder=0.0, overlap=0.1, reach=3.0, spin=False, seed=0
):
    """Graphene with random blocks that decay with the distance.

    Args:
        repeat: int. The cell has `2 repeat²` atoms.
        orbitals: int. Of each atom.
        disorder: float. Spread of the energies of the atoms, in eV.
        overlap: float. Overlap of neighbors; 0 for orthogonal orbitals.
        reach: float, in Å.
        spin: bool. Whether the Hamiltonian is complex, with spin.
        seed: int.

    Returns:
        `ase.Atoms`, `BlochMatrices`.
    """
    generator = np.random.default_rng(seed)
    atoms = ase.build.graphene(vacuum=7.5).repeat((repeat, repeat, 1))
    i, j, shifts, lengths = neighbor_list("ijSd", atoms, reach)
    pairs = np.column_stack([shifts, i, j])
    own = np.zeros((len(atoms), 5), dtype=int)
    own[:, 3] = own[:, 4] = np.arange(len(atoms))
    width = (2 if spin else 1) * orbitals

    def block(size):
        values = generator.normal(size=(size, size))
        if not spin:
            return values
        return values + 1j * generator.normal(size=(size, size))

    hopping, first = {}, {}
    for pair, length in zip(pairs.tolist(), lengths):
        if (partner := (*(-x for x in pair[:3]), pair[4], pair[3])) in first:
            hopping[tuple(pair)] = hopping[partner].conj().T
            first[tuple(pair)] = first[partner].T
            continue
        envelope = np.exp(-2 * (length - 1.42))
        hopping[tuple(pair)] = envelope * (
            0.3 * block(width) - 2.7 * np.eye(width)
        )
        first[tuple(pair)] = overlap * envelope * np.eye(orbitals)
    for pair in own.tolist():
        onsite = block(width)
        hopping[tuple(pair)] = disorder * (onsite + onsite.conj().T)
        first[tuple(pair)] = np.eye(orbitals)
    overlaps = None
    if overlap:
        overlaps = BlockMatrix.from_blocks(list(first), list(first.values()))
    matrices = BlochMatrices(
        BlockMatrix.from_blocks(list(hopping), list(hopping.values())),
        overlaps,
        np.full(len(atoms), orbitals),
    )
    return atoms, matrices


def graphene(hopping=-2.7, repeat=1, onsite=0.0):
    """Graphene with one orbital per atom and edges to neighbors only.

    Args:
        hopping: float, in eV.
        repeat: int. The cell has `2 repeat²` atoms.
        onsite: float. Plus on one sublattice, minus on the other, in eV.

    Returns:
        `ase.Atoms`, `BlochMatrices`.
    """
    atoms = ase.build.graphene(a=2.46, vacuum=7.5).repeat((repeat, repeat, 1))
    atoms.pbc = [True, True, False]
    i, j, shifts = neighbor_list("ijS", atoms, 1.5)
    pairs = np.column_stack([shifts, i, j])
    own = np.zeros((len(atoms), 5), dtype=int)
    own[:, 3] = own[:, 4] = np.arange(len(atoms))
    signs = np.where(np.arange(len(atoms)) % 2, -1.0, 1.0)
    blocks = [hopping * np.eye(1)] * len(pairs)
    blocks += [onsite * sign * np.eye(1) for sign in signs]
    matrix = BlockMatrix.from_blocks(np.concatenate([pairs, own]), blocks)
    return atoms, BlochMatrices(matrix, None, np.ones(len(atoms), dtype=int))


def chain(hopping, overlap=0.0, repeat=1):
    """One orbital per atom: E = (1 + 2 h cos k) / (1 + 2 s cos k)."""
    own = [(0, 0, 0, n, n) for n in range(repeat)]
    next_ = [((n + 1) // repeat, 0, 0, n, (n + 1) % repeat) for *_, n in own]
    back = [(-x, 0, 0, j, i) for x, _, _, i, j in next_]
    near = [np.eye(1)] * (2 * repeat)
    hamiltonian, overlap = (
        BlockMatrix.from_blocks(
            own + next_ + back, [np.eye(1)] * repeat + [x * b for b in near]
        )
        for x in (hopping, overlap)
    )
    return BlochMatrices(hamiltonian, overlap, np.ones(repeat, dtype=int))


def dimers(inside, between, num_cells=None):
    """The chain of Su, Schrieffer and Heeger: gap 2 |inside - between|.

    Args:
        inside: float. Hopping within a cell, in eV.
        between: float. Hopping from cell to cell, in eV.
        num_cells: int. Of a finite chain of atoms; periodic if not given.

    Returns:
        `BlochMatrices`.
    """
    if num_cells is None:
        pairs = [(0, 0, 0, 0, 1), (1, 0, 0, 1, 0)]
        values, num_atoms = [inside, between], 2
    else:
        num_atoms = 2 * num_cells
        pairs = [(0, 0, 0, n, n + 1) for n in range(num_atoms - 1)]
        values = [(inside, between)[n % 2] for n in range(num_atoms - 1)]
    back = [(-x, -y, -z, j, i) for x, y, z, i, j in pairs]
    blocks = [value * np.eye(1) for value in values]
    matrix = BlockMatrix.from_blocks(pairs + back, blocks + blocks)
    return BlochMatrices(matrix, None, np.ones(num_atoms, dtype=int))
