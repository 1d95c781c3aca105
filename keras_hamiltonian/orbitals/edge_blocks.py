"""Hopping blocks in the frame of their edge: Slater-Koster channels and more.

With the polar axis along the edge, the orbitals of a shell are σ, π, δ, ...:
one or two for each |m|. A block between them splits into slabs, one for each
pair (|m1|, |m2|), and the product of the two kinds splits into kinds again
(`edge_product`). The channels of kind `"0+"` that couple m1 = m2 are the
two-centre integrals of Slater and Koster; all others vanish for two atoms in
empty space and are made by the environment of the edge.
"""

import dataclasses
import functools

import numpy as np

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge import edge_product
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps


class EdgeBlockLayout:
    """Which channel of which kind makes which element of a frame block.

    Rows of a frame block are ordered by |m|, then component of the pair, then
    shell: all σ orbitals, then (cos, sin) of the π orbitals, and so on.

    Args:
        shells: sequence of int. Degrees of the table's shells.
        part: str. `"scalar"` (spinless blocks, and c_0) or `"vector"` (the
            three components of c, frame components 0-, then the pair 1).
        column_shells: sequence of int. Shells of the second atom, where they
            are others. Defaults to `shells`.

    Attributes:
        channels: `EdgeIrreps`.
        slabs: list of `Slab` records, by m1 outer and m2 inner.
        num_rows: int. Rows of the block.
        columns: `EdgeBlockLayout` of the second atom's shells; by default the
            layout itself.

    Example:

    >>> EdgeBlockLayout((0, 0, 1, 1, 2)).channels
    EdgeIrreps('35x0+ + 10x0- + 36x1 + 19x2 + 6x3 + 1x4')
    """

    def __init__(self, shells, part="scalar", column_shells=None):
        self.shells = tuple(shells)
        self.part = part
        self.num_parts = 1 if part == "scalar" else 3
        self.num_rows = sum(2 * l + 1 for l in self.shells)
        self.mmax = max(self.shells)
        self.shells_of = [
            [k for k, l in enumerate(self.shells) if l >= m]
            for m in range(self.mmax + 1)
        ]
        self.columns = self
        if column_shells is not None:
            self.columns = EdgeBlockLayout(column_shells)
        self.slabs = []
        counts = {}
        spins = ("0+",) if part == "scalar" else ("0-", "1")
        for m1 in range(self.mmax + 1):
            for m2 in range(self.columns.mmax + 1):
                for spin in spins:
                    self.slabs.append(self._slab(m1, m2, spin, counts))
        self.channels = EdgeIrreps(counts)

    def _slab(self, m1, m2, spin, counts):
        factors = (spin, *(str(m) if m else "0+" for m in (m1, m2)))
        kinds, coupling = edge_product(*factors)
        num = len(self.shells_of[m1]) * len(self.columns.shells_of[m2])
        starts = []
        for kind in kinds:
            starts.append(counts.get(kind, 0))
            counts[kind] = starts[-1] + num
        return Slab(m1, m2, spin, kinds, starts, num, coupling)

    @functools.cached_property
    def frame_transform(self):
        """From a shell-ordered block row to the frame order.

        Returns:
            `(num_rows, num_rows)` array P: `P @ D_shells` are the frame rows
            of the block-diagonal Wigner matrix.
        """
        starts = np.cumsum([0] + [2 * l + 1 for l in self.shells])
        rows = []
        for m in range(self.mmax + 1):
            for component in range(1 if m == 0 else 2):
                for k in self.shells_of[m]:
                    row = np.zeros(self.num_rows)
                    l = self.shells[k]
                    source = 0 if m == 0 else 2 * m - 1 + component
                    row[starts[k] : starts[k + 1]] = frame_rows(l)[source]
                    rows.append(row)
        return np.array(rows)

    @functools.cached_property
    def channel_shells(self):
        """For each kind, the shells (p, q) of every channel: a dict of
        `(channels, 2)` int arrays."""
        shells = {
            k: np.zeros((n, 2), dtype=int) for k, n in self.channels.items()
        }
        for slab in self.slabs:
            pairs = [
                (p, q)
                for p in self.shells_of[slab.m1]
                for q in self.columns.shells_of[slab.m2]
            ]
            for kind, start in zip(slab.kinds, slab.starts):
                shells[kind][start : start + slab.num_channels] = pairs
        return shells

    def to_channels(self, frame_blocks):
        """Channels of blocks in their edge frame.

        Args:
            frame_blocks: `(E, rows, columns)` array in frame order, or
                `(E, 3, rows, columns)` for the vector part, components 0-,
                then the pair 1.

        Returns:
            Dict from kind to `(E, edge_dim, channels)` arrays.
        """
        blocks = np.asarray(frame_blocks)
        blocks = blocks.reshape(
            len(blocks), self.num_parts, self.num_rows, self.columns.num_rows
        )
        result = {
            kind: np.zeros((len(blocks), edge_dim(kind), num), blocks.dtype)
            for kind, num in self.channels.items()
        }
        row_slices, column_slices = self.row_slices, self.columns.row_slices
        for slab in self.slabs:
            part = blocks[
                :,
                slab.spin_slice if self.part == "vector" else slice(0, 1),
                row_slices[slab.m1],
                column_slices[slab.m2],
            ]
            d1, d2 = min(slab.m1, 1) + 1, min(slab.m2, 1) + 1
            ds = part.shape[1]
            n1, n2 = part.shape[2] // d1, part.shape[3] // d2
            part = part.reshape(-1, ds, d1, n1, d2, n2)
            part = part.transpose(0, 1, 2, 4, 3, 5)
            part = part.reshape(-1, ds * d1 * d2, n1 * n2)
            split = np.einsum("kc,ekn->ecn", slab.coupling, part)
            row = 0
            for kind, start in zip(slab.kinds, slab.starts):
                dim = edge_dim(kind)
                result[kind][:, :, start : start + slab.num_channels] = split[
                    :, row : row + dim
                ]
                row += dim
        return result

    @property
    def row_slices(self):
        """Rows of the frame block that belong to each |m|."""
        sizes = [
            len(shells) * (1 if m == 0 else 2)
            for m, shells in enumerate(self.shells_of)
        ]
        stops = np.cumsum(sizes).tolist()
        return [slice(a, b) for a, b in zip([0, *stops], stops)]


@dataclasses.dataclass(frozen=True, eq=False)
class Slab:
    """The part of a frame block between the orbitals of two |m|.

    Attributes:
        m1, m2: int. |m| of the rows and of the columns.
        spin: str. Kind of the spin component.
        kinds: list of str. Kinds in the product.
        starts: list of int. First channel of this slab in each of them.
        num_channels: int. Channels in each of them.
        coupling: `(K, K)` orthogonal array from kinds to the product basis.
    """

    m1: int
    m2: int
    spin: str
    kinds: list
    starts: list
    num_channels: int
    coupling: np.ndarray

    @property
    def spin_slice(self):
        """Which of the three frame components of c this slab holds."""
        return slice(0, 1) if self.spin == "0-" else slice(1, 3)
