"""Features of atoms seen from their edges, and back: the edge-frame product.

In the frame of an edge the tensor product with its spherical harmonics is one
matrix product for each |m| (Passaro & Zitnick 2023). Edge
features are dicts from kind (`"0+"`, `"0-"`, `"1"`, `"2"`, ...; see
`keras_hamiltonian.irreps.edge`) to `(N, M, d, channels)` tensors, d being 1
for `"0±"` and 2 otherwise.
"""

import functools

import numpy as np

from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops import backend


def split_channels(x, sizes, axis=-1):
    """Splits an axis, by default the last, into pieces of the given sizes."""
    if len(sizes) == 1:
        return [x]
    return backend.split(x, sizes, axis)


def join_channels(pieces):
    """Joins pieces along the last axis."""
    pieces = list(pieces)
    if len(pieces) == 1:
        return pieces[0]
    return backend.concatenate(pieces, axis=-1)


def rotate_into_edges(
    atoms, irreps, wigner, neighbors=None, reverse_edge=None, kernel=None
):
    """Rotates the features of an atom of each edge into the edge's frame.

    Args:
        atoms: `(N, dim)` tensor, `ir_mul` layout.
        irreps: str or `Irreps`. What they are.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0.., as
            `wigner_d` returns them.
        neighbors: `(N, M)` int tensor. The atom whose features are rotated.
            Defaults to the atom that the edge belongs to.
        reverse_edge: `(N, M)` int tensor. Flat position of the reverse edge:
            its own inverse, and `reverse_edge // M` are the neighbours, so
            that padding points to its own atom and to itself, as
            `NeighborTable` has it. The gradient of the fused kernel takes it
            for the list of the edges that end at an atom.
        kernel: `None`, `"fused"` or `"reference"`.

    Returns:
        Edge features: dict of `(N, M, d, channels)` tensors.

    Raises:
        ValueError: if `"fused"` cannot run, or one of `neighbors` and
            `reverse_edge` is missing.
    """
    if (neighbors is None) != (reverse_edge is None):
        missing = "neighbors" if neighbors is None else "reverse_edge"
        raise ValueError(
            "`neighbors` and `reverse_edge` are given together or not at all. "
            f"Received: {missing}=None. Pass both."
        )
    fused = backend.fused_kernel("rotate_into_edges", kernel, atoms, *wigner)
    if fused is not None:
        return fused(atoms, irreps, wigner, neighbors, reverse_edge)
    if neighbors is not None:
        return _rotate_neighbors(atoms, irreps, wigner, neighbors)
    irreps = Irreps(irreps)
    num_atoms, num_neighbors = backend.shape(wigner[0])[:2]
    parts = {}
    terms = split_channels(atoms, [mul * irrep.dim for mul, irrep in irreps])
    for (mul, irrep), term in zip(irreps, terms):
        term = backend.reshape(term, (-1, irrep.dim, mul))
        if irrep.l == 0:
            shape = (num_atoms, num_neighbors, 1, mul)
            rotated = backend.broadcast_to(term[:, None], shape)
            pieces = [rotated]
        else:
            matrix = backend.reshape(
                wigner[irrep.l],
                (num_atoms, num_neighbors * irrep.dim, irrep.dim),
            )
            rotated = backend.reshape(
                matrix @ term, (num_atoms, num_neighbors, irrep.dim, mul)
            )
            pieces = split_channels(rotated, [1] + [2] * irrep.l, axis=2)
        for kind, piece in zip(irrep_kinds(irrep), pieces):
            if kind not in ("0+", "0-") and not irrep.is_natural:
                piece = backend.stack([piece[:, :, 1], -piece[:, :, 0]], axis=2)
            parts.setdefault(kind, []).append(piece)
    return {kind: join_channels(pieces) for kind, pieces in parts.items()}


def _rotate_neighbors(atoms, irreps, wigner, neighbors):
    """Each edge as if it were an atom with one edge."""
    num_atoms, num_neighbors = backend.shape(neighbors)
    taken = backend.take(
        atoms, backend.reshape(neighbors, (num_atoms * num_neighbors,)), axis=0
    )
    matrices = [
        backend.reshape(w, (num_atoms * num_neighbors, 1, *w.shape[2:]))
        for w in wigner
    ]
    edges = rotate_into_edges(taken, irreps, matrices, kernel="reference")
    return {
        kind: backend.reshape(x, (num_atoms, num_neighbors, *x.shape[2:]))
        for kind, x in edges.items()
    }


def reverse_edges(edges, irreps, reverse_edge):
    """The same features seen from the reverse edge, in the frame of the edge.

    From the features of atom i on edge (i, j) this makes those of atom j: they
    are the features of j on edge (j, i), rotated by the half turn between the
    two frames, which changes signs only.

    Args:
        edges: edge features as `rotate_into_edges` returns them.
        irreps: str or `Irreps`. What they were made of.
        reverse_edge: `(N, M)` int tensor. Flat position of the reverse edge.

    Returns:
        Edge features of the same shapes.
    """
    signs = _reversal_signs(Irreps(irreps))
    positions = backend.reshape(reverse_edge, (-1,))
    result = {}
    for kind, x in edges.items():
        shape = backend.shape(x)
        flat = backend.reshape(x, (-1, x.shape[2] * x.shape[3]))
        sign = backend.constant(signs[kind], x)
        flat = backend.exchange_rows(flat, positions, sign)
        result[kind] = backend.reshape(flat, shape)
    return result


def rotate_both_ends(atoms, irreps, wigner, reverse_edge, kernel=None):
    """The features of both atoms of each edge in the frame of the edge.

    The reference rotates those of the first atom, one matrix product per atom,
    and takes those of the second from the reverse edge. The fused kernel
    gathers and rotates the second's as well, which moves less memory.

    Args:
        atoms, irreps, wigner: see `rotate_into_edges`.
        reverse_edge: `(N, M)` int tensor. Flat position of the reverse edge.
        kernel: `None`, `"fused"` or `"reference"`.

    Returns:
        Edge features of the first atom and of the second.
    """
    first = rotate_into_edges(atoms, irreps, wigner, kernel=kernel)
    fused = backend.fused_kernel("rotate_into_edges", kernel, atoms, *wigner)
    if fused is None:
        return first, reverse_edges(first, irreps, reverse_edge)
    neighbors = reverse_edge // reverse_edge.shape[1]
    return first, fused(atoms, irreps, wigner, neighbors, reverse_edge)


def rotate_ends_of_rows(own, atoms, irreps, wigner, neighbors):
    """As `rotate_both_ends`, of the edges of a part of the atoms alone.

    Args:
        own: `(n, dim)` tensor, the features of this part.
        atoms: `(N, dim)` tensor of all atoms.
        irreps: str or `Irreps`. What they are.
        wigner: list of `(n, M, 2l+1, 2l+1)` tensors for l = 0..
        neighbors: `(n, M)` int tensor, rows of `atoms`.

    Returns:
        Edge features of the first atom and of the second.
    """
    first = rotate_into_edges(own, irreps, wigner, kernel="reference")
    return first, _rotate_neighbors(atoms, irreps, wigner, neighbors)


@functools.cache
def _reversal_signs(irreps):
    """Signs of a half turn about the frame's x axis, `(d · channels,)`."""
    signs = {}
    for mul, irrep in irreps:
        for m, kind in enumerate(irrep_kinds(irrep)):
            sign = irrep.p * (-1) ** m
            column = {"0+": [sign], "0-": [-sign]}.get(kind, [sign, -sign])
            signs.setdefault(kind, []).append(np.repeat([column], mul, 0).T)
    return {k: np.concatenate(v, axis=1).ravel() for k, v in signs.items()}


def sum_over_edges(edges, irreps, wigner, kernel=None):
    """Rotates messages out of the edge frames and sums them at each atom.

    Args:
        edges: edge features whose channels follow `irreps`; kinds may be
            missing (their components are zero).
        irreps: str or `Irreps`. What the sums are.
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0.., each edge's
            Wigner matrix times its weight in the sum.
        kernel: `None`, `"fused"` or `"reference"`.

    Returns:
        `(N, irreps.dim)` tensor, `ir_mul` layout.

    Raises:
        ValueError: if `"fused"` cannot run.
    """
    fused = backend.fused_kernel(
        "sum_over_edges", kernel, *wigner, *edges.values()
    )
    if fused is not None:
        return fused(edges, irreps, wigner)
    irreps = Irreps(irreps)
    num_atoms, num_neighbors = backend.shape(wigner[0])[:2]
    sizes = {kind: [] for kind in edges}
    for mul, irrep in irreps:
        for kind in irrep_kinds(irrep):
            sizes.setdefault(kind, []).append(mul)
    pieces = {
        kind: iter(split_channels(x, sizes[kind])) for kind, x in edges.items()
    }
    sums = []
    for mul, irrep in irreps:
        rows = [
            _partner_order(next(pieces[kind]), kind, irrep)
            for kind in irrep_kinds(irrep)
            if kind in pieces
        ]
        sums.append(
            _rotate_out(rows, mul, irrep, wigner, num_atoms, num_neighbors)
        )
    return join_channels(sums)


def _partner_order(piece, kind, irrep):
    if kind in ("0+", "0-") or irrep.is_natural:
        return piece
    return backend.stack([-piece[:, :, 1], piece[:, :, 0]], axis=2)


def _rotate_out(rows, mul, irrep, wigner, num_atoms, num_neighbors):
    if not rows:
        return backend.zeros((num_atoms, irrep.dim * mul), wigner[0].dtype)
    x = rows[0] if len(rows) == 1 else backend.concatenate(rows, axis=2)
    # Without its "0-" an axial irrep starts at its first pair; without the
    # highest pairs it stops early.
    first = 1 if rows[0].shape[2] == 2 else 0
    num_rows = x.shape[2]
    matrix = wigner[irrep.l][:, :, first : first + num_rows]
    matrix = backend.reshape(
        matrix, (num_atoms, num_neighbors * num_rows, irrep.dim)
    )
    x = backend.reshape(x, (num_atoms, num_neighbors * num_rows, mul))
    rotated = backend.swapaxes(matrix, 1, 2) @ x
    return backend.reshape(rotated, (num_atoms, irrep.dim * mul))
