"""Frames of edges and the Wigner matrices that rotate features into them."""

import functools

import keras
import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.wigner import VECTOR_ORDER
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.symbolic import is_symbolic


def edge_frames(edge_vectors):
    """Rotations that lay each edge along the polar axis.

    The frames of `v` and `-v` share their x axis exactly, bit for bit, so they
    differ by a half turn about it: `reverse_edges` rests on this.

    Args:
        edge_vectors: `(..., 3)` tensor, Å, no zero vectors.

    Returns:
        `(..., 3, 3)` tensor; the rows are the axes x, y, z of the frame.

    Example:

    >>> frames = edge_frames(keras.ops.convert_to_tensor([[0.0, 2.0, 0.0]]))
    >>> print(keras.ops.convert_to_numpy(frames)[0, 2])
    [0. 1. 0.]
    """
    if is_symbolic(edge_vectors):
        return EdgeFrames()(edge_vectors)
    return _frames(edge_vectors)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class EdgeFrames(keras.Operation):
    """`edge_frames` as a node of a graph."""

    def call(self, edge_vectors):
        return _frames(edge_vectors)

    def compute_output_spec(self, edge_vectors):
        return keras.KerasTensor((*edge_vectors.shape, 3), edge_vectors.dtype)


def _frames(edge_vectors):
    x, y, z = (edge_vectors[..., k] for k in range(3))
    length = backend.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    # Project out of the edge whichever of the axes x and z is farther from it.
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
    """Wigner matrices of rotations, rows in the order of the edge kinds.

    Args:
        frames: `(..., 3, 3)` tensor of proper rotations.
        lmax: int. Largest degree.

    Returns:
        List of `(..., 2l+1, 2l+1)` tensors for l = 0..lmax. Rows: component 0,
        then the pairs (m, -m); columns: m = -l..l.

    Example:

    >>> matrices = wigner_d(keras.ops.eye(3)[None], 2)
    >>> [tuple(matrix.shape) for matrix in matrices]
    [(1, 1, 1), (1, 3, 3), (1, 5, 5)]

    Reference: the recursion of `irreps.wigner_d_matrix`.
    """
    if is_symbolic(frames):
        return WignerD(lmax)(frames)
    return rotation_matrices(frames, lmax, in_frame=True)


@keras.saving.register_keras_serializable(package="keras_hamiltonian.ops")
class WignerD(keras.Operation):
    """`wigner_d` as a node of a graph."""

    def __init__(self, lmax, name=None):
        super().__init__(name=name)
        self.lmax = lmax

    def call(self, frames):
        return rotation_matrices(frames, self.lmax, in_frame=True)

    def compute_output_spec(self, frames):
        leading = frames.shape[:-2]
        return [
            keras.KerasTensor((*leading, 2 * l + 1, 2 * l + 1), frames.dtype)
            for l in range(self.lmax + 1)
        ]


def rotation_matrices(rotations, lmax, in_frame=False):
    """Matrices of rotations on all degrees from 0 to `lmax`.

    Polynomials of degree l in the entries: for an improper rotation they act
    with the parity (-1)^l.

    Args:
        rotations: `(..., 3, 3)` tensor of orthogonal matrices.
        lmax: int. Largest degree.
        in_frame: bool. Whether rows are in the order of the edge kinds
            instead of m = -l..l.

    Returns:
        List of `(..., 2l+1, 2l+1)` tensors.
    """
    order = list(VECTOR_ORDER)
    first = backend.stack(
        [
            backend.stack([rotations[..., a, b] for b in order], axis=-1)
            for a in order
        ],
        axis=-2,
    )
    matrices = [backend.ones_like(first[..., :1, :1])]
    if lmax >= 1:
        matrices.append(first)
    if lmax >= 1 and in_frame:
        rows = backend.constant(frame_rows(1), first)
        matrices[1] = backend.einsum("rn,...nm->...rm", rows, first)
    for degree in range(2, lmax + 1):
        left, right = _couplings(degree, in_frame)
        half = backend.einsum(
            "...bd,adm->...abm", matrices[-1], backend.constant(right, first)
        )
        full = backend.einsum("...ac,...cbm->...abm", first, half)
        matrices.append(
            backend.einsum(
                "abn,...abm->...nm", backend.constant(left, first), full
            )
        )
    return matrices


@functools.cache
def _couplings(degree, in_frame):
    """Coupling of degrees 1 and l-1 to l: for the rows and for the columns."""
    right = np.array(clebsch_gordan(1, degree - 1, degree))
    left = (2 * degree + 1) * right
    if in_frame:
        left = np.einsum(
            "abn,sb,rn->asr", left, frame_rows(degree - 1), frame_rows(degree)
        )
    return left, right
