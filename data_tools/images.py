"""Which image of each atom the lattice translations of a matrix belong to."""

import itertools

import numpy as np

# The block of a nearer image is larger. An image is wrong if another one
# brings the mean square distance of the blocks down to this share.
CLEARLY_NEARER = 0.5


def images_of_overlap(atoms, overlap):
    """Lattice translations of the atoms for which S falls with distance.

    Programs move atoms into the cell before they compute, and their input does
    not tell. Of each pair of atoms the weighted mean square length of its
    edges, Σ_R |S_ij(R)|² |r_j + R - r_i|², is smallest for the right images.

    Args:
        atoms: `ase.Atoms`.
        overlap: `BlockMatrix`.

    Returns:
        `(num_atoms, 3)` int array: atom i belongs to `positions[i] + n @ cell`.
        Zeros where the positions fit as they are.

    Raises:
        ValueError: if no images fit all pairs.
    """
    pairs = overlap.atom_pairs
    # S of an atom with its own images says nothing.
    chosen = np.flatnonzero(pairs[:, 3] != pairs[:, 4])
    squares = np.abs(overlap.entries) ** 2
    weights = np.add.reduceat(np.append(squares, 0.0), overlap.boundaries[:-1])
    edges = {}
    for position in chosen:
        edges.setdefault(tuple(pairs[position, 3:]), []).append(position)
    cell = np.asarray(atoms.cell)
    shifts = np.array(list(itertools.product((0, -1, 1), repeat=3)))
    best, strengths = {}, {}
    for (i, j), members in edges.items():
        vectors = atoms.positions[j] - atoms.positions[i]
        vectors = vectors + pairs[members, :3] @ cell
        weight = weights[members]
        if weight.sum() == 0:
            continue
        moments = [
            weight @ ((vectors + shift @ cell) ** 2).sum(axis=1)
            for shift in shifts
        ]
        best[i, j] = np.array(moments) / weight.sum()
        strengths[i, j] = weight.sum()
    found = _spanning(len(atoms), best, strengths, shifts)
    _check(best, found, shifts)
    return found


def _spanning(num_atoms, moments, strengths, shifts):
    """Images along the strongest pairs; those that fit stay as they are."""
    images, order = {}, sorted(strengths, key=strengths.get, reverse=True)
    while len(images) < num_atoms:
        edges = (e for e in order if e[0] in images and e[1] not in images)
        edge = next(edges, None)
        if edge is None:
            free = next(n for n in range(num_atoms) if n not in images)
            images[free] = np.zeros(3, int)
            continue
        i, j = edge
        values = moments[edge]
        # The first shift is none.
        step = int(values.argmin()) if values.min() < 0.99 * values[0] else 0
        images[j] = images[i] + shifts[step]
    return np.array([images[n] for n in range(num_atoms)])


def _check(moments, images, shifts):
    places = {tuple(shift): k for k, shift in enumerate(shifts.tolist())}
    for (i, j), values in moments.items():
        place = places.get(tuple((images[j] - images[i]).tolist()))
        if place is None or values.min() < CLEARLY_NEARER * values[place]:
            raise ValueError(
                f"The overlap of the atoms {i} and {j} (from 0) does not fall "
                "with their distance for any choice of images: the positions "
                "are not those of the run. Give the structure that the "
                "program used."
            )
