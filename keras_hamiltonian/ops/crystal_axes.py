"""Features of single edges in the axes of the crystal, rotated or not.

If the crystal is rotated by Q and the frame of each edge with it, the Wigner
matrices of the frames become `W D(Q)ᵀ` and features in the frames stay as they
are. So one product per degree takes features out of the frames *and* rotates
them.
"""

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import rotate_into_edges
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.edges import sum_over_edges


def rotate_frames(wigner, rotation):
    """Wigner matrices of the edges of a rotated crystal: `W D(Q)ᵀ`.

    Args:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0...
        rotation: list of `(N, 2l+1, 2l+1)` tensors D(Q), for each atom that of
            its crystal.

    Returns:
        List of tensors of the shapes of `wigner`.
    """
    rotated = [wigner[0]]
    for w, d in zip(wigner[1:], rotation[1:]):
        shape = backend.shape(w)
        rows = backend.reshape(w, (shape[0], shape[1] * shape[2], shape[3]))
        rotated.append(backend.reshape(rows @ backend.swapaxes(d, 1, 2), shape))
    return rotated


def rotate_irreps(features, irreps, rotation, inverse=False):
    """Rotates features by a proper rotation whose matrices are known.

    Args:
        features: `(N, dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`. What they are.
        rotation: list of `(N, 2l+1, 2l+1)` tensors D(Q) for l = 0...
        inverse: bool. Whether to rotate back.

    Returns:
        `(N, dim)` tensor.
    """
    irreps = Irreps(irreps)
    pieces = split_channels(features, [mul * i.dim for mul, i in irreps])
    rotated = []
    for (mul, irrep), x in zip(irreps, pieces):
        if irrep.l:
            matrix = rotation[irrep.l]
            matrix = backend.swapaxes(matrix, 1, 2) if inverse else matrix
            x = matrix @ backend.reshape(x, (-1, irrep.dim, mul))
            x = backend.reshape(x, (-1, irrep.dim * mul))
        rotated.append(x)
    return join_channels(rotated)


def edges_to_axes(edges, irreps, wigner):
    """Rotates edge features out of the frames, without a sum over edges.

    Args:
        edges: edge features whose channels follow `irreps`.
        irreps: str or `Irreps`.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0...

    Returns:
        `(N, M, irreps.dim)` tensor, `ir_mul` layout.
    """
    irreps = Irreps(irreps)
    shape = backend.shape(wigner[0])[:2]
    single = {kind: _single(x) for kind, x in edges.items()}
    matrices = [_single(w) for w in wigner]
    rotated = sum_over_edges(single, irreps, matrices, kernel="reference")
    return backend.reshape(rotated, (*shape, irreps.dim))


def axes_to_edges(features, irreps, wigner, kernel="reference"):
    """Rotates features of edges into the frames: the inverse.

    Args:
        features: `(N, M, irreps.dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0...
        kernel: of `rotate_into_edges`.

    Returns:
        Edge features.
    """
    shape = backend.shape(features)[:2]
    flat = backend.reshape(features, (-1, features.shape[-1]))
    matrices = [_single(w) for w in wigner]
    single = rotate_into_edges(flat, irreps, matrices, kernel=kernel)
    return {
        kind: backend.reshape(x, (*shape, *x.shape[2:]))
        for kind, x in single.items()
    }


def _single(x):
    """Each edge as if it were an atom with one edge."""
    return backend.reshape(x, (-1, 1, *x.shape[2:]))
