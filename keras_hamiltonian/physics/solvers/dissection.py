"""The order in which the atoms of a large crystal are eliminated."""

import dataclasses

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.csgraph import dijkstra

# Fewer atoms than this are eliminated together.
SMALLEST_PART = 16
# How often a distance is averaged over neighbors, which straightens cuts.
NUM_SMOOTHINGS = 10


@dataclasses.dataclass
class Front:
    """Orbitals that are eliminated together.

    Attributes:
        start: int. First eliminated row, in the order of elimination.
        stop: int. One past the last.
        boundary: int array. Later rows that these couple to, ascending.
        children: list of positions of earlier fronts that end in this one.
    """

    start: int
    stop: int
    boundary: np.ndarray
    children: list


class Dissection:
    """Nested dissection of the atoms of a crystal, from their couplings.

    The atoms are divided into halves, recursively. The atoms of one half that
    couple to the other are the separator, which is eliminated last: so a
    factorization creates no numbers between the halves. The halves follow from
    the number of edges to two distant atoms, averaged over neighbors: no
    positions are needed, and periodic cells are cut on both sides.

    George, SIAM J. Numer. Anal. 10, 345 (1973).

    Args:
        graph: sparse `(num_atoms, num_atoms)` matrix, symmetric. Non-zero
            where two atoms couple.
        sizes: `(num_atoms,)` ints. Orbitals of each atom.

    Attributes:
        order: `(num_orbitals,)` ints. The row that is eliminated n-th.
        fronts: list of `Front`; every front comes after its children.

    Example:

    >>> chain = scipy.sparse.diags_array([1.0, 1.0], offsets=[-1, 1],
    ...                                  shape=(40, 40))
    >>> [f.stop - f.start for f in Dissection(chain, [1] * 40).fronts]
    [10, 9, 1, 9, 9, 1, 1]
    """

    def __init__(self, graph, sizes):
        sizes = np.asarray(sizes)
        graph = scipy.sparse.csr_matrix(graph)
        parts = _dissect(graph, np.arange(len(sizes)))
        atoms = np.concatenate([part for part, _ in parts])
        rows = np.cumsum(sizes) - sizes
        starts = np.empty(len(sizes), dtype=np.int64)
        starts[atoms] = np.cumsum(sizes[atoms]) - sizes[atoms]
        self.order = _ranges(rows[atoms], sizes[atoms])
        self.fronts = []
        roots = []
        outer = []
        for part, num_children in parts:
            first = len(roots) - num_children
            children, roots = roots[first:], roots[:first]
            start = int(starts[part].min())
            stop = start + int(sizes[part].sum())
            near = [graph[part].indices] + [outer[c] for c in children]
            near = np.unique(np.concatenate(near))
            near = near[starts[near] >= stop]
            near = near[np.argsort(starts[near])]
            outer.append(near)
            boundary = _ranges(starts[near], sizes[near])
            roots.append(len(self.fronts))
            self.fronts.append(Front(start, stop, boundary, children))

    def __repr__(self):
        return (
            f"Dissection({len(self.order)} orbitals, {len(self.fronts)} "
            f"fronts, {self.num_entries} numbers)"
        )

    @property
    def num_entries(self):
        """Approximate number of entries of the factors of a matrix."""
        return sum(
            (f.stop - f.start) * ((f.stop - f.start) // 2 + len(f.boundary))
            for f in self.fronts
        )


def _dissect(graph, atoms):
    """Parts `(atoms, number of children)`, each after its children."""
    if len(atoms) <= SMALLEST_PART:
        return [(atoms, 0)]
    inside = graph[atoms][:, atoms]
    num_pieces, piece = connected_components(inside, directed=False)
    if num_pieces > 1:
        parts = []
        for k in range(num_pieces):
            parts += _dissect(graph, atoms[piece == k])
        last, num_children = parts[-1]
        return parts[:-1] + [(last, num_children + num_pieces - 1)]
    left, right, cut = _halve(inside)
    if not len(left) or not len(right):
        return [(atoms, 0)]
    halves = _dissect(graph, atoms[left]), _dissect(graph, atoms[right])
    return halves[0] + halves[1] + [(atoms[cut], 2)]


def _halve(graph):
    """Positions of two halves, and of the separator."""
    best, least = None, np.inf
    for coordinate in _coordinates(graph):
        first = np.zeros(graph.shape[0], dtype=bool)
        first[np.argsort(coordinate, kind="stable")[: len(first) // 2]] = True
        for half in (first, ~first):
            cut = ~half & (graph @ half.astype(np.float64) > 0)
            rest = ~half & ~cut
            imbalance = abs(int(half.sum()) - int(rest.sum())) / len(half)
            cost = cut.sum() * (1 + imbalance)
            if cost < least:
                best, least = (half, rest, cut), cost
    return [np.flatnonzero(part) for part in best]


def _coordinates(graph):
    """Smooth functions of the atoms that grow across the crystal."""
    graph = (graph != 0).astype(np.float64)
    degrees = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1)
    end = int(degrees.argmin())
    for _ in range(3):
        distance = dijkstra(graph, unweighted=True, indices=end)
        end = int(distance.argmax())
    other = dijkstra(graph, unweighted=True, indices=end)
    for coordinate in (distance - other, distance):
        for _ in range(NUM_SMOOTHINGS):
            coordinate = (graph @ coordinate) / degrees
        yield coordinate


def _ranges(starts, sizes):
    """`starts[0], starts[0] + 1, ...` for each range, one after another."""
    ends = np.cumsum(sizes)
    shifts = np.repeat(starts - ends + sizes, sizes)
    return np.arange(ends[-1] if len(ends) else 0) + shifts
