"""Two-centre integrals of one pair of elements, as functions of distance."""

import dataclasses

import numpy as np

from keras_hamiltonian.encoded_arrays import decode_array
from keras_hamiltonian.encoded_arrays import encode_array
from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.irreps.wigner import shell_rotations

# Two families of Gaussians on [0, reach]: broad ones interpolate distances that
# the data leave out, narrow ones follow the details. The ridge is the numerical
# noise of the data over the size of the coefficients.
FAMILIES = (  # spacing in Å, ridge
    (0.50, 1e-8),
    (0.15, 1e-6),
)
WIDTH_OVER_SPACING = 1.5
# Overlaps of confined orbitals vanish at the reach like a high power.
ENVELOPE_POWER = 4
MOST_PAIRS_IN_FIT = 20_000
# Distances of the data closer than this leave no gap between them.
GAP_IN_ANGSTROM = 0.3
CHUNK = 4096


@dataclasses.dataclass
class TwoCentreIntegrals:
    """Blocks `(rows of A, columns of B)` that depend on the edge alone.

    In the frame whose polar axis is the edge, a two-centre block joins equal m
    only, with one value for +m and -m: the Slater-Koster integrals. There is
    one function of distance per channel (shell p of A, shell q of B, |m|).

    Attributes:
        shells: pair of tuples. Degrees of the shells of A and of B.
        reach: float. The block vanishes from this distance on, in Å.
        covered: `(num_ranges, 2)` array. Ranges of distance with data, in Å.
        coefficients: `(num_functions, num_channels)` array.
    """

    shells: tuple
    reach: float
    covered: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def fit(cls, shells, reach, distances, integrals, is_symmetric):
        """Ridge least squares for all channels at once.

        Args:
            shells: pair of tuples. Degrees of the shells of A and of B.
            reach: float, in Å.
            distances: `(P,)` array, in Å.
            integrals: `(P, num_channels)` array, from `slater_koster`.
            is_symmetric: bool. Whether A and B are the same element: then
                integrals are averaged over both directions of an edge.
        """
        if is_symmetric:
            swapped, signs = _exchange(shells)
            integrals = (integrals + signs * integrals[:, swapped]) / 2
        covered = _ranges(distances, reach)
        if len(distances) > MOST_PAIRS_IN_FIT:
            picks = np.linspace(0, len(distances) - 1, MOST_PAIRS_IN_FIT)
            chosen = np.argsort(distances)[picks.astype(int)]
            distances, integrals = distances[chosen], integrals[chosen]
        functions = radial_functions(distances, reach)
        ridge = np.concatenate(
            [np.full(len(_centers(s, reach)), r) for s, r in FAMILIES]
        )
        equations = np.concatenate([functions, np.diag(ridge)])
        values = np.concatenate(
            [integrals, np.zeros((len(ridge), integrals.shape[1]))]
        )
        coefficients = np.linalg.lstsq(equations, values, rcond=None)[0]
        return cls(shells, reach, covered, coefficients)

    def blocks(self, vectors):
        """Blocks of edges from A to B.

        Args:
            vectors: `(P, 3)` array, in Å.

        Returns:
            `(P, rows of A, columns of B)` array.
        """
        rows, columns, channels = _entries(*self.shells)
        sizes = [sum(2 * l + 1 for l in shells) for shells in self.shells]
        blocks = np.zeros((len(vectors), *sizes))
        for start in range(0, len(vectors), CHUNK):
            part = slice(start, start + CHUNK)
            distances = np.linalg.norm(vectors[part], axis=1)
            values = radial_functions(distances, self.reach)
            values = values @ self.coefficients
            in_frame = np.zeros((len(distances), *sizes))
            in_frame[:, rows, columns] = values[:, channels]
            left, right = _rotations(self.shells, vectors[part])
            blocks[part] = left.transpose(0, 2, 1) @ in_frame @ right
        return blocks

    def distance_to_data(self, distances):
        """How far distances lie from the ranges with data: `(P,)`, in Å."""
        low, high = self.covered.T
        outside = np.maximum(
            low - distances[:, None], distances[:, None] - high
        )
        return np.maximum(outside, 0).min(axis=1)

    def to_dict(self):
        """JSON-ready form."""
        return {
            "shells": [list(shells) for shells in self.shells],
            # The name that files of version 0.1.0 have.
            "cutoff": self.reach,
            "covered": self.covered.tolist(),
            "coefficients": encode_array(self.coefficients),
        }

    @classmethod
    def from_dict(cls, config):
        """From what `to_dict` returned."""
        return cls(
            tuple(tuple(shells) for shells in config["shells"]),
            config["cutoff"],
            np.array(config["covered"]),
            decode_array(config["coefficients"]),
        )


def slater_koster(shells, vectors, blocks):
    """The two-centre integrals that blocks hold.

    Args:
        shells: pair of tuples. Degrees of the shells of A and of B.
        vectors: `(P, 3)` array. Edges from A to B.
        blocks: `(P, rows of A, columns of B)` array.

    Returns:
        `(P, num_channels)` array, the mean of +m and -m, and the largest
        deviation of any element from the two-centre form.
    """
    left, right = _rotations(shells, vectors)
    in_frame = left @ blocks @ right.transpose(0, 2, 1)
    rows, columns, channels = _entries(*shells)
    sums = np.zeros((len(blocks), channels.max() + 1))
    np.add.at(sums.T, channels, in_frame[:, rows, columns].T)
    integrals = sums / np.bincount(channels)
    in_frame[:, rows, columns] -= integrals[:, channels]
    return integrals, float(np.abs(in_frame).max(initial=0.0))


def radial_functions(distances, reach):
    """The radial basis: Gaussians that vanish smoothly at the reach.

    Args:
        distances: `(P,)` array, in Å.
        reach: float, in Å.

    Returns:
        `(P, num_functions)` array.
    """
    distances = np.asarray(distances)[:, None]
    families = []
    for spacing, _ in FAMILIES:
        centers = _centers(spacing, reach)
        width = WIDTH_OVER_SPACING * spacing
        families.append(np.exp(-(((distances - centers) / width) ** 2) / 2))
    envelope = np.maximum(1 - distances / reach, 0) ** ENVELOPE_POWER
    return envelope * np.concatenate(families, axis=1)


def _centers(spacing, reach):
    return np.arange(0.0, reach + spacing, spacing)


def _rotations(shells, vectors):
    """Rotations of the orbitals of A and of B into the frames."""
    frames = edge_frames(vectors)
    return [shell_rotations(degrees, frames) for degrees in shells]


def _channel_list(first, second):
    return [
        (p, q, m)
        for p, l1 in enumerate(first)
        for q, l2 in enumerate(second)
        for m in range(min(l1, l2) + 1)
    ]


def _entries(first, second):
    """Row, column and channel of every element of the two-centre form."""
    centers = [
        np.cumsum([2 * l + 1 for l in shells]) - np.array(shells) - 1
        for shells in (first, second)
    ]
    entries = [
        (centers[0][p] + sign * m, centers[1][q] + sign * m, channel)
        for channel, (p, q, m) in enumerate(_channel_list(first, second))
        for sign in ((1, -1) if m else (1,))
    ]
    return np.array(entries).T


def _exchange(shells):
    """Channel of the same edge read from B to A, and its sign."""
    first, second = shells
    channels = _channel_list(first, second)
    position = {channel: k for k, channel in enumerate(channels)}
    swapped = np.array([position[q, p, m] for p, q, m in channels])
    signs = np.array([(-1.0) ** (first[p] + second[q]) for p, q, _ in channels])
    return swapped, signs


def _ranges(distances, reach):
    """Ranges of distance with data; the zero at the reach counts as one."""
    ordered = np.append(np.sort(distances), reach)
    breaks = np.flatnonzero(np.diff(ordered) > GAP_IN_ANGSTROM)
    return np.column_stack(
        [ordered[np.append(0, breaks + 1)], ordered[np.append(breaks, -1)]]
    )
