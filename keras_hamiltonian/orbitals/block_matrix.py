"""A matrix of a crystal in localized orbitals: blocks between atom pairs."""

import functools

import numpy as np

from keras_hamiltonian.orbitals.whole_numbers import whole_numbers

# Of a lattice translation, in cells, and of the orbitals of one atom.
LARGEST_SHIFT = 10**6
MOST_ORBITALS = 10**5
# Numbers that are worked on at once, so that what comes between stays small.
PART = 4_000_000


class BlockMatrix:
    """Blocks `M_ij(R)` of a crystal, one for each listed atom pair.

    The blocks follow one another in a flat array, so that pairs of
    different elements need no padding: the chunk layout of the DeepH-dock
    files (`atom_pairs`, `chunk_shapes`, `chunk_boundaries`, `entries`).

    Args:
        atom_pairs: `(P, 5)` int array. Rows `(R1, R2, R3, i, j)`, atoms from
            0, i in the home cell and j in cell R.
        shapes: `(P, 2)` int array. Rows and columns of each block.
        entries: `(Σ rows · columns,)` array, float64 or complex128. The blocks
            row by row.

    Raises:
        ValueError: if the shapes do not fit, a pair is listed twice, or
            indices are no whole numbers within reason.
    """

    def __init__(self, atom_pairs, shapes, entries):
        pairs = whole_numbers(atom_pairs, "atom pairs").reshape(-1, 5)
        whole_numbers(
            pairs[:, :3], "lattice shifts", -LARGEST_SHIFT, LARGEST_SHIFT
        )
        self.atom_pairs = pairs
        self.shapes = whole_numbers(
            shapes, "shapes of the blocks", 0, MOST_ORBITALS
        ).reshape(-1, 2)
        self.entries = np.asarray(entries)
        self.boundaries = np.concatenate(
            [[0], np.cumsum(self.shapes.prod(axis=1))]
        )
        if len(self.shapes) != len(self.atom_pairs):
            raise ValueError(
                f"{len(self.atom_pairs)} atom pairs came with "
                f"{len(self.shapes)} shapes; each pair needs one."
            )
        if self.entries.shape != (self.boundaries[-1],):
            raise ValueError(
                f"The shapes need {self.boundaries[-1]} entries in one "
                f"flat array. Received: entries of shape {self.entries.shape}."
            )
        _, is_first = _sorted(self.atom_pairs)
        if not is_first.all():
            raise ValueError("An atom pair (R1, R2, R3, i, j) is listed twice.")

    @functools.cached_property
    def index(self):
        """Dict from each pair, a tuple, to its position, in order.

        Made when first asked for: it takes ten times the room of the pairs.
        """
        return {tuple(p): k for k, p in enumerate(self.atom_pairs.tolist())}

    @classmethod
    def from_blocks(cls, atom_pairs, blocks):
        """From a list of pairs and the list of their two-dimensional blocks."""
        shapes = [block.shape for block in blocks]
        entries = (
            np.concatenate([np.ravel(block) for block in blocks])
            if len(blocks)
            else np.zeros(0)
        )
        return cls(atom_pairs, shapes, entries)

    def with_entries(self, entries):
        """The same pairs with other numbers."""
        return BlockMatrix(self.atom_pairs, self.shapes, entries)

    @property
    def is_onsite(self):
        """`(P,)` bools: pairs of an atom with itself in the home cell."""
        pairs = self.atom_pairs
        return ~pairs[:, :3].any(axis=1) & (pairs[:, 3] == pairs[:, 4])

    def __len__(self):
        return len(self.atom_pairs)

    def block(self, position):
        """The block at a position of the list: a `(rows, columns)` view."""
        start, stop = self.boundaries[position : position + 2]
        return self.entries[start:stop].reshape(self.shapes[position])

    def blocks(self):
        """All blocks in order: a list of `(rows, columns)` views."""
        return [self.block(p) for p in range(len(self))]

    def find(self, pair):
        """The block of `(R1, R2, R3, i, j)`, or `None` if it is not listed."""
        position = self.index.get(tuple(int(x) for x in pair))
        return None if position is None else self.block(position)

    def not_finite(self):
        """Number of entries that are NaN or infinite, and the first's pair.

        Infinite in single precision, in which models are trained.

        Returns:
            int, and a tuple `(R1, R2, R3, i, j)` or `None`.
        """
        largest = np.finfo(np.float32).max
        bad = np.flatnonzero(~(np.abs(self.entries) <= largest))
        if not bad.size:
            return 0, None
        position = np.searchsorted(self.boundaries, bad[0], "right") - 1
        return len(bad), tuple(self.atom_pairs[position].tolist())

    def reverse_positions(self):
        """Position of the partner `(-R, j, i)` of each pair.

        Returns:
            `(P,)` int array; -1 where the partner is missing.
        """
        return reverse_positions(self.atom_pairs)

    def select(self, positions):
        """The pairs at the given positions, as a new matrix."""
        positions = np.asarray(positions)
        if positions.dtype == bool:
            positions = np.flatnonzero(positions)
        pieces = [
            self.entries[self.boundaries[start] : self.boundaries[stop]]
            for start, stop, *_ in runs(positions)
        ]
        return BlockMatrix(
            self.atom_pairs[positions],
            self.shapes[positions],
            np.concatenate(pieces or [self.entries[:0]]),
        )

    def hermitian_error(self):
        """Largest `|M_ij(R) - M_ji(-R)^†|`; a missing partner counts as 0."""
        partners, starts = self.reverse_positions(), self.boundaries[:-1]
        error = 0.0
        for rows, columns in np.unique(self.shapes, axis=0):
            same = np.flatnonzero((self.shapes == (rows, columns)).all(axis=1))
            inside = np.arange(rows * columns)
            mirror = inside.reshape(columns, rows).T.ravel()
            number = max(1, PART // max(1, len(inside)))
            for first in range(0, len(same), number):
                some = same[first : first + number]
                blocks = self.entries[starts[some, None] + inside]
                listed = partners[some] >= 0
                partner = starts[partners[some[listed]], None] + mirror
                blocks[listed] -= self.entries[partner].conj()
                error = max(error, float(np.abs(blocks).max(initial=0.0)))
        return error

    def symmetrized(self):
        """The Hermitian part: `(M + M^†) / 2`.

        Raises:
            ValueError: if a pair lacks its partner.
        """
        partners = self.reverse_positions()
        if (partners < 0).any():
            raise ValueError(
                f"{int((partners < 0).sum())} of {len(self)} pairs lack the "
                "partner (-R, j, i); the matrix has no Hermitian part."
            )
        return BlockMatrix.from_blocks(
            self.atom_pairs,
            [
                (self.block(p) + self.block(q).conj().T) / 2
                for p, q in enumerate(partners)
            ],
        )

    def __eq__(self, other):
        return (
            isinstance(other, BlockMatrix)
            and np.array_equal(self.atom_pairs, other.atom_pairs)
            and np.array_equal(self.shapes, other.shapes)
            and np.array_equal(self.entries, other.entries)
        )

    __hash__ = None

    def __repr__(self):
        return (
            f"BlockMatrix({len(self)} pairs, {self.entries.size} numbers, "
            f"{self.entries.dtype})"
        )


def reverse_positions(atom_pairs):
    """Position of the partner `(-R, j, i)` of each pair.

    Args:
        atom_pairs: `(P, 5)` int array of `(R1, R2, R3, i, j)`.

    Returns:
        `(P,)` int array; -1 where the partner is missing.
    """
    pairs = np.asarray(atom_pairs, dtype=np.int64).reshape(-1, 5)
    count = len(pairs)
    reverse = np.hstack([-pairs[:, :3], pairs[:, :2:-1]])
    order, is_first = _sorted(np.concatenate([pairs, reverse]))
    # A pair comes before the reverse that equals it.
    first, second = order[:-1], order[1:]
    found = ~is_first[1:] & (first < count) & (second >= count)
    partners = np.full(count, -1)
    partners[second[found] - count] = first[found]
    return partners


def runs(positions):
    """Runs of consecutive numbers.

    Args:
        positions: `(n,)` int array, ascending.

    Yields:
        For each run its first number and the one after its last, and the same
        of their places.

    Example:

    >>> list(runs(np.array([2, 3, 7])))
    [(2, 4, 0, 2), (7, 8, 2, 3)]
    """
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    ends = [0, *breaks.tolist(), len(positions)]
    for first, last in zip(ends, ends[1:]):
        if last > first:
            start = int(positions[first])
            yield start, start + last - first, first, last


def _sorted(rows):
    """Order of the rows of an array, and which of them are no repetition."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, is_first
