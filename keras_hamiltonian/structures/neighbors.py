"""Neighbour lists, with the position of the reverse of each edge."""

import dataclasses

import numpy as np

from keras_hamiltonian.orbitals.block_matrix import reverse_positions
from keras_hamiltonian.structures.soundness import check_atoms
from keras_hamiltonian.structures.soundness import check_density


@dataclasses.dataclass
class NeighborTable:
    """Each atom's own list of neighbours, padded to equal length.

    Sorted by distance within each list. Onsite pairs are not in it.

    Attributes:
        edge_vectors: `(N, M, 3)` float64, r_j + R·A - r_i in Å; padding
            (0, 0, 1). An edge and its reverse differ in sign exactly.
        neighbors: `(N, M)` int. Row of atom j; padding: the atom itself.
        reverse_edge: `(N, M)` int. Flat position n·M + m of (j, i, -R);
            padding: its own position.
        edge_mask: `(N, M)` bool. False at padding.
        atom_pairs: `(P, 5)` int. The pairs the table was made from.
        pair_positions: `(N, M)` int. Position of each edge among them; -1 at
            padding.
        onsite_positions: `(N,)` int. Position of each `(0, 0, 0, i, i)`; -1
            where it is not listed.
    """

    edge_vectors: np.ndarray
    neighbors: np.ndarray
    reverse_edge: np.ndarray
    edge_mask: np.ndarray
    atom_pairs: np.ndarray
    pair_positions: np.ndarray
    onsite_positions: np.ndarray


def neighbor_table(atoms, atom_pairs, num_neighbors=None):
    """Sorts atom pairs into one padded list per atom.

    Args:
        atoms: `ase.Atoms`.
        atom_pairs: `(P, 5)` int array of `(R1, R2, R3, i, j)`, each with its
            reverse `(-R, j, i)`; onsite pairs `(0, 0, 0, i, i)` may be listed.
        num_neighbors: int. Length M of the lists. Defaults to the longest.

    Returns:
        `NeighborTable`.

    Raises:
        ValueError: if a reverse is missing, two atoms coincide, or a list is
            longer than `num_neighbors`.
    """
    pairs = np.asarray(atom_pairs, dtype=np.int64).reshape(-1, 5)
    is_onsite = ~pairs[:, :3].any(axis=1) & (pairs[:, 3] == pairs[:, 4])
    rows = np.flatnonzero(~is_onsite)
    edges = pairs[rows]
    partner = _partners(edges)
    vectors = _antisymmetric_vectors(atoms, edges, partner)
    lengths = np.linalg.norm(vectors, axis=1)
    if len(edges) and lengths.min() < 1e-3:
        k = int(lengths.argmin())
        raise ValueError(
            f"Atoms {edges[k, 3]} and {edges[k, 4]} coincide (distance "
            f"{lengths[k]:.1e} Å with the lattice shift "
            f"{tuple(edges[k, :3].tolist())}). Remove one of them."
        )
    order = np.lexsort((lengths, edges[:, 3]))
    counts = np.bincount(edges[:, 3], minlength=len(atoms))
    longest = int(counts.max(initial=0))
    width = max(longest, 1) if num_neighbors is None else num_neighbors
    if longest > width:
        raise ValueError(
            f"An atom has {longest} neighbours, the lists have room for "
            f"{width}. Raise `num_neighbors`."
        )
    columns = np.arange(len(edges)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    flat = np.empty(len(edges), dtype=np.int64)
    flat[order] = edges[order, 3] * width + columns
    return _fill(len(atoms), width, flat, vectors, pairs, rows, partner)


def _fill(num_atoms, width, flat, vectors, pairs, rows, partner):
    size = num_atoms * width
    edge_vectors = np.zeros((size, 3))
    edge_vectors[:, 2] = 1
    neighbors = np.repeat(np.arange(num_atoms), width)
    reverse_edge = np.arange(size)
    edge_mask = np.zeros(size, dtype=bool)
    pair_positions = np.full(size, -1)
    edge_vectors[flat] = vectors
    neighbors[flat] = pairs[rows, 4]
    reverse_edge[flat] = flat[partner]
    edge_mask[flat] = True
    pair_positions[flat] = rows
    is_onsite = np.ones(len(pairs), dtype=bool)
    is_onsite[rows] = False
    onsite_positions = np.full(num_atoms, -1)
    onsite_positions[pairs[is_onsite, 3]] = np.flatnonzero(is_onsite)
    shape = (num_atoms, width)
    return NeighborTable(
        edge_vectors.reshape(*shape, 3),
        neighbors.reshape(shape),
        reverse_edge.reshape(shape),
        edge_mask.reshape(shape),
        pairs,
        pair_positions.reshape(shape),
        onsite_positions,
    )


def pairs_within(atoms, reaches):
    """All atom pairs whose orbitals overlap.

    Args:
        atoms: `ase.Atoms`.
        reaches: dict. Reach of each element's orbitals in Å, by symbol; a
            pair (A, B) is listed up to `reaches[A] + reaches[B]`.

    Returns:
        `(P, 5)` int array of `(R1, R2, R3, i, j)`: first the onsite pairs,
        then the others by i, j and R. Directions in which the atoms are not
        periodic have R = 0.

    Raises:
        ValueError: if an element has no reach, or see `check_atoms` and
            `check_density`.
    """
    missing = set(atoms.get_chemical_symbols()) - set(reaches)
    if missing:
        raise ValueError(
            f"No orbital reach is known for {', '.join(sorted(missing))}. "
            f"Known: {', '.join(sorted(reaches))}."
        )
    reach = np.array([reaches[s] for s in atoms.get_chemical_symbols()])
    check_atoms(atoms)
    check_density(atoms, 2 * reach.max(initial=0.0))
    # Imported here because vesin imports torch where that is installed.
    import vesin

    calculator = vesin.NeighborList(
        cutoff=float(2 * reach.max(initial=0.0)), full_list=True
    )
    i, j, shift, length = calculator.compute(
        points=atoms.positions,
        box=np.asarray(atoms.cell),
        periodic=[bool(p) for p in atoms.pbc],
        quantities="ijSd",
    )
    near = length < reach[i] + reach[j]
    pairs = np.column_stack([shift, i, j])[near].astype(np.int64)
    order = np.lexsort(pairs.T[[2, 1, 0, 4, 3]])
    onsite = np.zeros((len(atoms), 5), dtype=np.int64)
    onsite[:, 3] = onsite[:, 4] = np.arange(len(atoms))
    return np.concatenate([onsite, pairs[order]])


def edge_vectors(atoms, atom_pairs):
    """Vectors from atom i to atom j in cell R: `(P, 3)` in Å.

    Args:
        atoms: `ase.Atoms`.
        atom_pairs: `(P, 5)` int array of `(R1, R2, R3, i, j)`.
    """
    pairs, positions = np.asarray(atom_pairs), atoms.positions
    shifts = pairs[:, :3] @ np.asarray(atoms.cell)
    return positions[pairs[:, 4]] + shifts - positions[pairs[:, 3]]


def _partners(edges):
    partner = reverse_positions(edges)
    if (partner < 0).any():
        k = int(np.flatnonzero(partner < 0)[0])
        raise ValueError(
            f"{int((partner < 0).sum())} atom pairs lack their reverse "
            f"(-R, j, i); the first is {tuple(edges[k].tolist())} (atoms from "
            "0). A Hamiltonian is Hermitian: complete the file, or list both."
        )
    return partner


def _antisymmetric_vectors(atoms, edges, partner):
    vectors = edge_vectors(atoms, edges)
    later = partner < np.arange(len(edges))
    vectors[later] = -vectors[partner[later]]
    return vectors
