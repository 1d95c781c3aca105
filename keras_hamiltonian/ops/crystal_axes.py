"""Features of single bonds in the axes of the crystal, turned or not.

If the crystal is turned by Q and the frame of each bond with it, the Wigner
matrices of the frames become `W D(Q)ᵀ` and features in the frames stay as they
are. So one product per degree takes features out of the frames *and* turns
them.
"""

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.bonds import join_channels
from keras_hamiltonian.ops.bonds import rotate_into_bonds
from keras_hamiltonian.ops.bonds import split_channels
from keras_hamiltonian.ops.bonds import sum_over_bonds


def turn_frames(wigner, rotation):
    """Wigner matrices of the bonds of a turned crystal: `W D(Q)ᵀ`.

    Args:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 1...
        rotation: list of `(N, 2l+1, 2l+1)` tensors D(Q), for each atom that of
            its crystal.

    Returns:
        List of tensors of the shapes of `wigner`.
    """
    turned = []
    for w, d in zip(wigner, rotation):
        shape = backend.shape(w)
        rows = backend.reshape(w, (shape[0], shape[1] * shape[2], shape[3]))
        turned.append(backend.reshape(rows @ backend.swapaxes(d, 1, 2), shape))
    return turned


def turn_irreps(features, irreps, rotation, inverse=False):
    """Turns features by a proper rotation whose matrices are known.

    Args:
        features: `(N, dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`. What they are.
        rotation: list of `(N, 2l+1, 2l+1)` tensors D(Q) for l = 1...
        inverse: bool. Whether to turn back.

    Returns:
        `(N, dim)` tensor.
    """
    irreps = Irreps(irreps)
    pieces = split_channels(features, [mul * i.dim for mul, i in irreps])
    turned = []
    for (mul, irrep), x in zip(irreps, pieces):
        if irrep.l:
            matrix = rotation[irrep.l - 1]
            matrix = backend.swapaxes(matrix, 1, 2) if inverse else matrix
            x = matrix @ backend.reshape(x, (-1, irrep.dim, mul))
            x = backend.reshape(x, (-1, irrep.dim * mul))
        turned.append(x)
    return join_channels(turned)


def bonds_to_axes(bonds, irreps, wigner):
    """Turns bond features out of the frames, without a sum over bonds.

    Args:
        bonds: bond features whose channels follow `irreps`.
        irreps: str or `Irreps`.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 1...

    Returns:
        `(N, M, irreps.dim)` tensor, `ir_mul` layout.
    """
    irreps = Irreps(irreps)
    shape = backend.shape(wigner[0])[:2]
    single = {kind: _single(x) for kind, x in bonds.items()}
    matrices = [_single(w) for w in wigner]
    matrices = [backend.ones_like(matrices[0][:, :, :1, :1]), *matrices]
    turned = sum_over_bonds(single, irreps, matrices, kernel="reference")
    return backend.reshape(turned, (*shape, irreps.dim))


def axes_to_bonds(features, irreps, wigner, kernel="reference"):
    """Turns features of bonds into the frames: the inverse.

    Args:
        features: `(N, M, irreps.dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 1...
        kernel: of `rotate_into_bonds`.

    Returns:
        Bond features.
    """
    shape = backend.shape(features)[:2]
    flat = backend.reshape(features, (-1, features.shape[-1]))
    matrices = [_single(w) for w in wigner]
    single = rotate_into_bonds(flat, irreps, matrices, kernel=kernel)
    return {
        kind: backend.reshape(x, (*shape, *x.shape[2:]))
        for kind, x in single.items()
    }


def _single(x):
    """Each bond as if it were an atom with one bond."""
    return backend.reshape(x, (-1, 1, *x.shape[2:]))
