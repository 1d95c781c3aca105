"""The third contraction of the form in `edge_kernels`."""

import triton
import triton.language as tl

from keras_hamiltonian.ops.backend.torch.kernels.edge_kernels import _edge_row


@triton.jit
def _outer_row(
    atoms,
    edges,
    atom,
    edge,
    is_edge,
    ROW: tl.constexpr,
    T: tl.constexpr,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """One row of the outer products of term `T`, summed over channels."""
    TERM: tl.constexpr = PLAN.terms[T]
    columns = tl.arange(0, TERM.padded)
    is_row = is_edge[:, None] & (columns < TERM.dim)[None, :]
    shape: tl.constexpr = (TERM.edges, TERM.padded, TERM.channels)
    row_shape: tl.constexpr = (TERM.edges, TERM.padded)
    total = tl.zeros(row_shape, WIDE)
    if TERM.kinds[(ROW + 1) // 2] >= 0:
        from_atom = atoms + atom * PLAN.dim + TERM.start
        from_atom = from_atom[:, None] + columns[None, :] * TERM.multiplicity
        from_edge = _edge_row(edges, TERM, ROW, edge)
        for first in range(0, TERM.multiplicity, TERM.channels):
            channel = first + tl.arange(0, TERM.channels)
            is_channel = channel < TERM.multiplicity
            is_element = is_row[:, :, None] & is_channel[None, None, :]
            source = from_edge[:, None, None] + channel[None, None, :]
            source = tl.broadcast_to(source, shape)
            g = tl.load(source, mask=is_element, other=0).to(WIDE)
            x = tl.load(
                from_atom[:, :, None] + channel[None, None, :],
                mask=is_element,
                other=0,
            ).to(WIDE)
            total += tl.sum(g * x, axis=2)
    if ROW % 2 == 1 and not TERM.is_natural:
        total = -total
    return total


@triton.jit
def _outer_degree(
    atoms,
    wigner,
    edges,
    neighbors,
    first,
    num_edges,
    num_neighbors,
    K: tl.constexpr,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    # All terms of a degree have tiles of equal edges and components.
    TERM: tl.constexpr = PLAN.terms[PLAN.terms_of[K][0]]
    DIM: tl.constexpr = TERM.dim
    NUM_TERMS: tl.constexpr = len(PLAN.terms_of[K])
    row_shape: tl.constexpr = (TERM.edges, TERM.padded)
    columns = tl.arange(0, TERM.padded)
    edge = first + tl.arange(0, TERM.edges)
    is_edge = edge < num_edges
    if neighbors is None:
        atom = edge // num_neighbors
    else:
        atom = tl.load(neighbors + edge, mask=is_edge, other=0).to(tl.int64)
    for row in tl.static_range(DIM):
        total = tl.zeros(row_shape, WIDE)
        for t in tl.static_range(NUM_TERMS):
            total += _outer_row(
                atoms,
                edges,
                atom,
                edge,
                is_edge,
                row,
                PLAN.terms_of[K][t],
                PLAN,
                WIDE,
            )
        target = wigner[K] + edge * (TERM.dim * TERM.dim) + row * TERM.dim
        tl.store(
            target[:, None] + columns[None, :],
            total,
            mask=is_edge[:, None] & (columns < TERM.dim)[None, :],
        )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def outer_kernel(
    atoms,
    wigner,
    edges,
    neighbors,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by W, (E, 2l+1, 2l+1). Programs: edges, degrees."""
    NUM_DEGREES: tl.constexpr = len(PLAN.degrees)
    block = (tl.program_id(0) // NUM_DEGREES).to(tl.int64) * PLAN.edges
    for k in tl.static_range(NUM_DEGREES):
        if tl.program_id(0) % NUM_DEGREES == k:
            NUM_PIECES: tl.constexpr = (
                PLAN.edges // PLAN.terms[PLAN.terms_of[k][0]].edges
            )
            EDGES: tl.constexpr = PLAN.edges // NUM_PIECES
            for piece in tl.static_range(NUM_PIECES):
                _outer_degree(
                    atoms,
                    wigner,
                    edges,
                    neighbors,
                    block + piece * EDGES,
                    num_edges,
                    num_neighbors,
                    k,
                    PLAN,
                    WIDE,
                )
