"""Edge features and lists of Wigner matrices as single tensors.

A second stage takes in what the first one found: plain tensors, which a
data set can keep and a model can name as inputs.
"""

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels


def pack_edges(edges, channels):
    """Edge features one kind after the other.

    Args:
        edges: edge features (see `keras_hamiltonian.ops.edges`).
        channels: `EdgeIrreps`.

    Returns:
        `(N, M, Σ d · channels)` tensor in the order of `channels`.
    """
    shape = backend.shape(next(iter(edges.values())))[:2]
    return join_channels(
        backend.reshape(edges[kind], (*shape, edge_dim(kind) * size))
        for kind, size in channels.items()
    )


def unpack_edges(packed, channels):
    """Edge features from what `pack_edges` returned.

    Args:
        packed: `(N, M, Σ d · channels)` tensor.
        channels: `EdgeIrreps`.

    Returns:
        Dict of `(N, M, d, channels)` tensors.
    """
    shape = backend.shape(packed)[:2]
    sizes = [edge_dim(kind) * size for kind, size in channels.items()]
    return {
        kind: backend.reshape(piece, (*shape, edge_dim(kind), size))
        for (kind, size), piece in zip(
            channels.items(), split_channels(packed, sizes)
        )
    }


def pack_wigner(wigner):
    """Wigner matrices of all degrees: `(N, M, Σ (2l+1)²)`.

    Args:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0.., as
            `wigner_d` returns them. The ones of l = 0 are left out.
    """
    shape = backend.shape(wigner[0])[:2]
    return join_channels(
        backend.reshape(w, (*shape, (2 * l + 1) ** 2))
        for l, w in enumerate(wigner)
        if l
    )


def unpack_wigner(packed, lmax):
    """The list that `pack_wigner` joined.

    Args:
        packed: `(N, M, Σ (2l+1)²)` tensor.
        lmax: int. Largest degree.

    Returns:
        List of `(N, M, 2l+1, 2l+1)` tensors for l = 0..lmax.
    """
    shape = backend.shape(packed)[:2]
    dims = [2 * l + 1 for l in range(1, lmax + 1)]
    pieces = split_channels(packed, [d * d for d in dims])
    ones = backend.ones_like(packed[..., :1, None])
    return [
        ones,
        *(backend.reshape(x, (*shape, d, d)) for x, d in zip(pieces, dims)),
    ]
