"""Which edges of two atoms end at the same third one."""

import numpy as np

# Between two atoms there are as many edges as lattice translations in reach;
# they differ by at least the shortest of those, and rounding moves an edge by
# far less than this.
TOLERANCE_IN_ANGSTROM = 0.05
# Memory: some 100 bytes for each.
NUM_PAIRS_AT_ONCE = 2**21


def common_neighbors(edge_vectors, neighbors, edge_mask, near=None):
    """For each edge (i, j) and each neighbour k of i, the edge (j, k).

    An atom's list is taken with one more entry at its end, the atom itself,
    so that i = j and k = i, k = j are pairs as any other.

    Args:
        edge_vectors: `(N, M, 3)` array, Å.
        neighbors: `(N, M)` int array.
        edge_mask: `(N, M)` array, 0 at padding.
        near: `(N, M)` bools. Of which neighbours i has j and k are looked for.
            Defaults to all.

    Returns:
        `(N, M + 1, M + 1)` int32 array, indices i, j, k. Flat position
        `j · (M + 1) + m` of k in the list of j; `N · (M + 1)` where j does not
        reach k, at padding, and where j or k is not near.

    Example, three atoms in a row, of which the outer two do not meet:

    >>> ahead, back = [0, 0, 1.0], [0, 0, -1.0]
    >>> found = common_neighbors(
    ...     np.array([[ahead, ahead], [ahead, back], [back, back]]),
    ...     np.array([[1, 0], [2, 0], [1, 2]]),
    ...     np.array([[1, 0], [1, 1], [1, 0]]),
    ... )
    >>> found[0].tolist()  # k: atom 1, padding, atom 0 itself
    [[5, 9, 4], [9, 9, 9], [0, 9, 2]]
    """
    num_atoms, width = neighbors.shape
    own = np.arange(num_atoms)[:, None]
    ends = np.concatenate([neighbors, own], axis=1)
    vectors = np.asarray(edge_vectors, dtype=np.float64)
    vectors = np.concatenate([vectors, np.zeros((num_atoms, 1, 3))], axis=1)
    real = np.concatenate([np.asarray(edge_mask) > 0, own >= 0], axis=1)
    known = real
    if near is not None:
        known = np.concatenate([near & real[:, :-1], own >= 0], axis=1)
    # Real edges only, sorted by their pair of atoms.
    flat = np.flatnonzero(real)
    pair = (own * num_atoms + ends).ravel()[flat]
    order = np.argsort(pair, kind="stable")
    flat, pair = flat[order], pair[order]
    shape = (num_atoms, width + 1, width + 1)
    found = np.full(shape, num_atoms * (width + 1), dtype=np.int32)
    step = max(1, NUM_PAIRS_AT_ONCE // (width + 1))
    for start in range(0, real.size, step):
        edge = np.arange(start, min(start + step, real.size))
        atom, a = np.divmod(edge, width + 1)
        # Only pairs of real edges are looked for.
        place, m = np.nonzero(known.ravel()[edge, None] & known[atom])
        atom, a = atom[place], a[place]
        target = vectors[atom, m] - vectors[atom, a]
        wanted = ends[atom, a] * num_atoms + ends[atom, m]
        first = np.searchsorted(pair, wanted)
        last = np.searchsorted(pair, wanted, side="right")
        asked = np.ravel_multi_index((atom, a, m), shape)
        _fill(found, asked, target, first, last, flat, vectors)
    return found


def _fill(found, asked, target, first, last, flat, vectors):
    """Of the edges `flat[first:last]` the one that is the target."""
    found, vectors = found.reshape(-1), vectors.reshape(-1, 3)
    for number in range(int((last - first).max(initial=0))):
        left = first + number < last
        asked, target = asked[left], target[left]
        first, last = first[left], last[left]
        candidate = flat[first + number]
        distance = np.abs(vectors[candidate] - target).max(axis=1)
        same = distance < TOLERANCE_IN_ANGSTROM
        found[asked[same]] = candidate[same]
