"""Blocks as sums of irreps and back: orthogonal, with and without spin.

An orbital block (shell p, shell q) of degrees l1 and l2 holds every degree
`L = |l1-l2| .. l1+l2`, all of parity (-1)^(l1+l2):
`h_LM = sqrt(2L+1) Σ C(l1 m1, l2 m2, L M) H_m1m2`. With this factor the map is
orthogonal and keeps `Σ|H|²`.

A spinful block is first written as `(c_0 + c·σ) / √2`, the scalar part c_0 and
the vector part c = (c_y, c_z, c_x) being spinless blocks. The vector is axial,
so L couples with it to `J = L-1, L, L+1` of unchanged parity.
"""

import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps


class BlockCoupling:
    """Map between a table block and a vector of irreps, for one spin part.

    Args:
        shells: sequence of int. Degrees of the table's shells.
        part: str. `"scalar"` (spinless blocks, and c_0) or `"vector"` (c).

    Attributes:
        irreps: `Irreps`, sorted by degree, e before o.
        channels: list of `(p, q, L, irrep)`, one per multiplicity, in the
            order of `irreps`.
        matrix: `(parts · rows · rows, irreps.dim)` orthogonal float64 array;
            irreps in `ir_mul` layout (components outer, channels inner).

    Example:

    >>> coupling = BlockCoupling((0, 0, 1, 1, 2))
    >>> str(coupling.irreps)
    '9x0e+5x1e+12x1o+9x2e+4x2o+1x3e+4x3o+1x4e'
    """

    def __init__(self, shells, part="scalar"):
        if part not in ("scalar", "vector"):
            raise ValueError(
                f'`part` is "scalar" or "vector". Received: {part!r}.'
            )
        self.shells = tuple(shells)
        self.part = part
        self.num_parts = 1 if part == "scalar" else 3
        self.channels = self._channels()
        self.irreps = Irreps(
            [(1, channel[3]) for channel in self.channels]
        ).regrouped()
        self.matrix = self._matrix()

    @property
    def num_rows(self):
        """Rows of the table block."""
        return sum(2 * l + 1 for l in self.shells)

    def to_irreps(self, blocks):
        """From blocks `(..., rows, rows)`, or `(..., 3, rows, rows)` for the
        vector part, to irreps `(..., dim)`."""
        tail = 2 if self.part == "scalar" else 3
        blocks = np.asarray(blocks)
        return blocks.reshape(*blocks.shape[:-tail], -1) @ self.matrix

    def to_blocks(self, irreps):
        """The inverse of `to_irreps`."""
        rows = self.num_rows
        tail = (rows, rows) if self.part == "scalar" else (3, rows, rows)
        irreps = np.asarray(irreps)
        return (irreps @ self.matrix.T).reshape(*irreps.shape[:-1], *tail)

    def _channels(self):
        found = []
        for p, l1 in enumerate(self.shells):
            for q, l2 in enumerate(self.shells):
                parity = (-1) ** (l1 + l2)
                for degree in range(abs(l1 - l2), l1 + l2 + 1):
                    spin = 0 if self.part == "scalar" else 1
                    for total in range(abs(degree - spin), degree + spin + 1):
                        found.append((p, q, degree, Irrep(total, parity)))
        return sorted(found, key=lambda c: (c[3].l, -c[3].p))

    def _matrix(self):
        starts = np.cumsum([0] + [2 * l + 1 for l in self.shells])
        rows = self.num_rows
        columns = []
        position = 0
        for mul, irrep in self.irreps:
            group = np.zeros((self.num_parts, rows, rows, irrep.dim, mul))
            for k in range(mul):
                p, q, degree, _ = self.channels[position + k]
                where = (
                    slice(None),
                    slice(starts[p], starts[p + 1]),
                    slice(starts[q], starts[q + 1]),
                    slice(None),
                    k,
                )
                group[where] = self._coupling(
                    self.shells[p], self.shells[q], degree, irrep.l
                )
            position += mul
            columns.append(group.reshape(-1, irrep.dim * mul))
        return np.concatenate(columns, axis=1)

    def _coupling(self, l1, l2, degree, total):
        orbital = np.sqrt(2 * degree + 1) * clebsch_gordan(l1, l2, degree)
        if self.part == "scalar":
            return orbital[None]
        spin = np.sqrt(2 * total + 1) * clebsch_gordan(degree, 1, total)
        return np.einsum("abL,LsJ->sabJ", orbital, spin)


def spin_parts(blocks):
    """Scalar and vector part of spinful blocks.

    Args:
        blocks: `(..., 2, 2, rows, columns)` complex array, axes spin of the
            row and spin of the column (up, down).

    Returns:
        `c_0` `(..., rows, columns)` and `c` `(..., 3, rows, columns)` with
        components (y, z, x); `Σ|blocks|² = Σ|c_0|² + Σ|c|²`.
    """
    blocks = np.asarray(blocks)
    uu, ud = blocks[..., 0, 0, :, :], blocks[..., 0, 1, :, :]
    du, dd = blocks[..., 1, 0, :, :], blocks[..., 1, 1, :, :]
    root = np.sqrt(0.5)
    scalar = (uu + dd) * root
    vector = np.stack(
        [1j * (ud - du) * root, (uu - dd) * root, (ud + du) * root], axis=-3
    )
    return scalar, vector


def join_spin_parts(scalar, vector):
    """The inverse of `spin_parts`: `(c_0 + c·σ) / √2`."""
    y, z, x = (vector[..., k, :, :] for k in range(3))
    root = np.sqrt(0.5)
    rows = [
        np.stack([scalar + z, x - 1j * y], axis=-3),
        np.stack([x + 1j * y, scalar - z], axis=-3),
    ]
    return np.stack(rows, axis=-4) * root


def label_irreps(shells, spin_orbit=False):
    """Irreps of one table block, real and imaginary parts counted.

    Args:
        shells: sequence of int. Degrees of the table's shells.
        spin_orbit: bool. Whether blocks are spinful and complex.

    Returns:
        `Irreps`.

    Example:

    >>> label_irreps((0, 0, 1, 1, 2)).dim
    169
    """
    irreps = BlockCoupling(shells, "scalar").irreps
    if spin_orbit:
        irreps = irreps + BlockCoupling(shells, "vector").irreps
        irreps = irreps + irreps
    return irreps.regrouped()
