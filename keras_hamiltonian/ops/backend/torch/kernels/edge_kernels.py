"""Kernels of the edge rotations.

All are contractions of one trilinear form, for each term of the irreps,

    T(x, W, g) = Σ_e Σ_rcu g[e, r, u] W[e, r, c] x[atom(e), c, u]

x being the atoms' features, W the Wigner matrices and g the edge features,
whose row r stands in kind m = (r + 1) // 2. So the derivatives of each kernel
are the others. Arguments:

- `atoms` (N, dim), `edges` a tuple of (E, d, width), `wigner` a tuple of
  (E, 2l+1, 2l+1) or, where `ROWS_FIRST` says so, (2l+1, E, 2l+1);
- `neighbors` (E,) or `None`: the atom that each edge takes or gives, by
  default its own; `reverse_edge` (E,) or `None`: the edges that an atom sums
  over, by default its own;
- `PLAN`, a `EdgePlan`; `WIDE`, the float type of sums.

A program works on one term; programs of all terms of the same edges are next
to each other, so that lines they share are written while in the cache.
"""

import triton
import triton.language as tl


@triton.jit
def _matrix_steps(TERM: tl.constexpr, num_edges, ROWS_FIRST: tl.constexpr):
    """Distance of the matrices of two edges, and of two rows."""
    if ROWS_FIRST[TERM.matrix]:
        edge_step = TERM.dim
        row_step = num_edges.to(tl.int64) * TERM.dim
    else:
        edge_step = TERM.dim * TERM.dim
        row_step = tl.full((), TERM.dim, tl.int64)
    return edge_step, row_step


@triton.jit
def _edge_row(edges, TERM: tl.constexpr, ROW: tl.constexpr, edge):
    """Where one row of the features of some edges begins, and its sign."""
    M: tl.constexpr = (ROW + 1) // 2
    NUM_PARTNERS: tl.constexpr = 1 if M == 0 else 2
    PARTNER: tl.constexpr = (
        0 if M == 0 else (ROW + (1 if TERM.is_natural else 0)) % 2
    )
    row = edge * NUM_PARTNERS + PARTNER
    return edges[TERM.kinds[M]] + row * TERM.widths[M] + TERM.offsets[M]


@triton.jit
def _rotate_in_term(
    atoms,
    wigner,
    edges,
    neighbors,
    first,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    ROWS_FIRST: tl.constexpr,
    WIDE: tl.constexpr,
):
    DIM: tl.constexpr = TERM.dim
    edge = first + tl.arange(0, TERM.edges)
    is_edge = edge < num_edges
    if neighbors is None:
        atom = edge // num_neighbors
    else:
        atom = tl.load(neighbors + edge, mask=is_edge, other=0).to(tl.int64)
    rows = tl.arange(0, TERM.padded)
    channel = tl.program_id(1) * TERM.channels + tl.arange(0, TERM.channels)
    is_element = (
        is_edge[:, None, None]
        & (rows < TERM.dim)[None, :, None]
        & (channel < TERM.multiplicity)[None, None, :]
    )
    from_atom = atoms + atom * PLAN.dim + TERM.start
    from_atom = from_atom[:, None, None] + channel[None, None, :]
    shape: tl.constexpr = (TERM.edges, TERM.padded, TERM.channels)
    from_atom = tl.broadcast_to(from_atom, shape)
    total = tl.zeros(shape, WIDE)
    for c in tl.static_range(DIM):
        x = tl.load(
            from_atom + c * TERM.multiplicity, mask=is_element, other=0
        ).to(WIDE)
        if TERM.is_unit:
            total += x
        if TERM.matrix >= 0:
            edge_step, row_step = _matrix_steps(TERM, num_edges, ROWS_FIRST)
            w = tl.load(
                wigner[TERM.matrix]
                + edge[:, None] * edge_step
                + rows[None, :] * row_step
                + c,
                mask=is_edge[:, None] & (rows < TERM.dim)[None, :],
                other=0,
            ).to(WIDE)
            total += w[:, :, None] * x
    if not TERM.is_natural:
        total = tl.where((rows % 2 == 1)[None, :, None], -total, total)
    partner = (rows + (1 if TERM.is_natural else 0)) % 2
    for m in tl.static_range((DIM + 1) // 2):
        if TERM.kinds[m] >= 0:
            if m == 0:
                row = edge[:, None] + tl.zeros_like(rows)[None, :]
            else:
                row = edge[:, None] * 2 + partner[None, :]
            target = edges[TERM.kinds[m]] + row * TERM.widths[m]
            tl.store(
                (target + TERM.offsets[m])[:, :, None] + channel[None, None, :],
                total,
                mask=is_element & ((rows + 1) // 2 == m)[None, :, None],
            )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def rotate_in_kernel(
    atoms,
    wigner,
    edges,
    neighbors,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    ROWS_FIRST: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by g: edge features of the atoms. Programs: edges, terms."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    block = (tl.program_id(0) // NUM_TERMS).to(tl.int64) * PLAN.edges
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            if tl.program_id(1) * TERM.channels < TERM.multiplicity:
                for k in tl.static_range(PLAN.edges // TERM.edges):
                    _rotate_in_term(
                        atoms,
                        wigner,
                        edges,
                        neighbors,
                        block + k * TERM.edges,
                        num_edges,
                        num_neighbors,
                        PLAN,
                        TERM,
                        ROWS_FIRST,
                        WIDE,
                    )


@triton.jit
def _rotate_out_term(
    atoms,
    wigner,
    edges,
    reverse_edge,
    atom,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    ROWS_FIRST: tl.constexpr,
    WIDE: tl.constexpr,
):
    DIM: tl.constexpr = TERM.dim
    columns = tl.arange(0, TERM.padded)
    is_column = columns < TERM.dim
    channel = tl.program_id(1) * TERM.channels + tl.arange(0, TERM.channels)
    is_channel = channel < TERM.multiplicity
    shape: tl.constexpr = (TERM.edges, TERM.padded, TERM.channels)
    total = tl.zeros(shape, WIDE)
    for first in range(0, num_neighbors, TERM.edges):
        neighbor = first + tl.arange(0, TERM.edges)
        is_edge = neighbor < num_neighbors
        edge = atom * num_neighbors + neighbor
        if reverse_edge is not None:
            edge = tl.load(reverse_edge + edge, mask=is_edge, other=0)
            edge = edge.to(tl.int64)
        is_element = (
            is_edge[:, None, None]
            & is_column[None, :, None]
            & is_channel[None, None, :]
        )
        for row in tl.static_range(DIM):
            if TERM.kinds[(row + 1) // 2] >= 0:
                source = _edge_row(edges, TERM, row, edge)
                source = source[:, None, None] + channel[None, None, :]
                source = tl.broadcast_to(source, shape)
                g = tl.load(source, mask=is_element, other=0).to(WIDE)
                if TERM.matrix >= 0:
                    edge_step, row_step = _matrix_steps(
                        TERM, num_edges, ROWS_FIRST
                    )
                    w = tl.load(
                        (wigner[TERM.matrix] + edge * edge_step)[:, None]
                        + row * row_step
                        + columns[None, :],
                        mask=is_edge[:, None] & is_column[None, :],
                        other=0,
                    ).to(WIDE)
                    if row % 2 == 1 and not TERM.is_natural:
                        w = -w
                    total += w[:, :, None] * g
                if TERM.is_unit:
                    total += g
    tl.store(
        atoms
        + atom * PLAN.dim
        + TERM.start
        + columns[:, None] * TERM.multiplicity
        + channel[None, :],
        tl.sum(total, axis=0),
        mask=is_column[:, None] & is_channel[None, :],
    )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def rotate_out_kernel(
    atoms,
    wigner,
    edges,
    reverse_edge,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    ROWS_FIRST: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by x: sums of edge features. Programs: atoms, terms."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    atom = (tl.program_id(0) // NUM_TERMS).to(tl.int64)
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            if tl.program_id(1) * TERM.channels < TERM.multiplicity:
                _rotate_out_term(
                    atoms,
                    wigner,
                    edges,
                    reverse_edge,
                    atom,
                    num_edges,
                    num_neighbors,
                    PLAN,
                    TERM,
                    ROWS_FIRST,
                    WIDE,
                )
