"""Frames of bonds and the Wigner matrices that turn features into them."""

import functools

import numpy as np

from keras_hamiltonian.irreps.bond import frame_rows
from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.wigner import VECTOR_ORDER
from keras_hamiltonian.ops import backend


def bond_frames(edge_vectors):
    """Rotations that lay each bond along the polar axis.

    The frames of `v` and `-v` share their x axis exactly, bit for bit, so they
    differ by a half turn about it: `reverse_bonds` rests on this.

    Args:
        edge_vectors: `(N, M, 3)` tensor, Å, no zero vectors.

    Returns:
        `(N, M, 3, 3)` tensor; the rows are the axes x, y, z of the frame.
    """
    x, y, z = (edge_vectors[..., k] for k in range(3))
    length = backend.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    # Project out of the bond whichever of the axes x and z is farther from it.
    use_z = backend.abs(x) > 0.9
    ax = backend.where(use_z, -z * x, 1 - x * x)
    ay = backend.where(use_z, -z * y, -x * y)
    az = backend.where(use_z, 1 - z * z, -x * z)
    norm = backend.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / norm, ay / norm, az / norm
    # y axis = z axis × x axis.
    bx, by, bz = y * az - z * ay, z * ax - x * az, x * ay - y * ax
    rows = [
        backend.stack(row, axis=-1)
        for row in ((ax, ay, az), (bx, by, bz), (x, y, z))
    ]
    return backend.stack(rows, axis=-2)


def wigner_d(frames, lmax):
    """Wigner matrices of rotations, rows in the order of the bond kinds.

    Args:
        frames: `(..., 3, 3)` tensor of proper rotations.
        lmax: int. Largest degree.

    Returns:
        List of `(..., 2l+1, 2l+1)` tensors for l = 1..lmax. Rows: component 0,
        then the pairs (m, -m); columns: m = -l..l.

    Reference: the recursion of `irreps.wigner_d_matrix`.
    """
    order = list(VECTOR_ORDER)
    first = backend.stack(
        [
            backend.stack([frames[..., a, b] for b in order], axis=-1)
            for a in order
        ],
        axis=-2,
    )
    matrices = [first]
    for degree in range(2, lmax + 1):
        right = _constant(_coupling(degree), frames)
        left = _constant((2 * degree + 1) * _coupling(degree), frames)
        half = backend.einsum("...bd,adm->...abm", matrices[-1], right)
        full = backend.einsum("...ac,...cbm->...abm", first, half)
        matrices.append(backend.einsum("abn,...abm->...nm", left, full))
    return [
        backend.einsum("rn,...nm->...rm", _constant(frame_rows(l), m), m)
        for l, m in enumerate(matrices, start=1)
    ]


@functools.cache
def _coupling(degree):
    return np.array(clebsch_gordan(1, degree - 1, degree))


def _constant(array, like):
    return backend.constant(array, like)
