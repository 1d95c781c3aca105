"""Kernels of the channel-wise convolution.

All are contractions of one form of four factors, for each path,

    Q(x, K, w, g) = Σ_e w[e, u] K[e, a, c] x[neighbor(e), a, u] g[own(e), c, u]

x being the features of the neighbour, K a matrix of the edge (the harmonics
times the Clebsch-Gordan tensor), w the weights and g an output; so the
derivatives of each kernel are the others. Arguments:

- `features` (N, dim), `outputs` (N, dim_out), `matrices` (E, matrix_size),
  `weights` (E, num_weights);
- `neighbors` and `reverse_edge` (E,): the edges that end at an atom are the
  reverse of its own, so sums over them take no atomic additions;
- `table` (3 · paths,): where outputs, weights and matrices of paths begin;
- `PLAN`, a `ConvolutionPlan`; `WIDE`, the float type of sums.

A program takes one term and some of its channels, and goes through the paths
of the term one after the other, while its neighbours are in the cache.
"""

import triton
import triton.language as tl


@triton.jit
def _starts(table, path, GROUP: tl.constexpr):
    """Where outputs, weights and matrices of a path begin."""
    MULTIPLE: tl.constexpr = GROUP.multiple
    row = table + 3 * path
    start = tl.multiple_of(tl.load(row), MULTIPLE)
    weight_start = tl.multiple_of(tl.load(row + 1), MULTIPLE)
    return start, weight_start, tl.load(row + 2)


@triton.jit
def _weights(
    weights,
    start,
    edge,
    is_element,
    channel,
    shape: tl.constexpr,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Weights of a path, the same for all components."""
    source = weights + edge * PLAN.num_weights + start
    source = source[:, None, None] + channel[None, None, :]
    source = tl.broadcast_to(source, shape)
    return tl.load(source, mask=is_element, other=0).to(WIDE)


@triton.jit
def _couple(
    features,
    matrices,
    neighbors,
    start,
    edge,
    is_edge,
    channel,
    is_element,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    GROUP: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Products of some edges on one path, without the weights."""
    DIM: tl.constexpr = TERM.dim
    shape: tl.constexpr = (GROUP.edges, GROUP.padded, TERM.channels)
    column = tl.arange(0, GROUP.padded)
    atom = tl.load(neighbors + edge, mask=is_edge, other=0).to(tl.int64)
    source = features + atom * PLAN.dim + TERM.start
    source = source[:, None, None] + channel[None, None, :]
    source = tl.broadcast_to(source, shape)
    matrix = matrices + edge * PLAN.matrix_size + start
    matrix = matrix[:, None] + column[None, :]
    is_entry = is_edge[:, None] & (column < GROUP.dim)[None, :]
    total = tl.zeros(shape, WIDE)
    for a in tl.static_range(DIM):
        x = tl.load(source + a * TERM.multiplicity, mask=is_element, other=0)
        k = tl.load(matrix + a * GROUP.dim, mask=is_entry, other=0)
        total += k.to(WIDE)[:, :, None] * x.to(WIDE)
    return total


@triton.jit
def _sum_path(
    features,
    matrices,
    weights,
    neighbors,
    outputs,
    table,
    atom,
    num_neighbors,
    channel,
    is_channel,
    path,
    G: tl.constexpr,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    WIDE: tl.constexpr,
):
    GROUP: tl.constexpr = TERM.groups[G]
    start, weight_start, matrix_start = _starts(table, path, GROUP)
    shape: tl.constexpr = (GROUP.edges, GROUP.padded, TERM.channels)
    column = tl.arange(0, GROUP.padded)
    is_output = (column < GROUP.dim)[:, None] & is_channel[None, :]
    total = tl.zeros(shape, WIDE)
    for first in range(0, num_neighbors, GROUP.edges):
        neighbor = first + tl.arange(0, GROUP.edges)
        is_edge = neighbor < num_neighbors
        edge = atom * num_neighbors + neighbor
        is_element = is_edge[:, None, None] & is_output[None, :, :]
        w = _weights(
            weights, weight_start, edge, is_element, channel, shape, PLAN, WIDE
        )
        total += w * _couple(
            features,
            matrices,
            neighbors,
            matrix_start,
            edge,
            is_edge,
            channel,
            is_element,
            PLAN,
            TERM,
            GROUP,
            WIDE,
        )
    target = outputs + atom * PLAN.dim_out + start
    tl.store(
        target + column[:, None] * TERM.multiplicity + channel[None, :],
        tl.sum(total, axis=0),
        mask=is_output,
    )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def to_outputs_kernel(
    features,
    matrices,
    weights,
    neighbors,
    outputs,
    table,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by g, the convolution. Programs: atoms, terms; channels."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    atom = (tl.program_id(0) // NUM_TERMS).to(tl.int64)
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            NUM_GROUPS: tl.constexpr = len(TERM.groups)
            first = tl.program_id(1) * TERM.channels
            if first < TERM.multiplicity:
                channel = first + tl.arange(0, TERM.channels)
                for g in tl.static_range(NUM_GROUPS):
                    for path in range(
                        TERM.groups[g].first, TERM.groups[g].stop
                    ):
                        _sum_path(
                            features,
                            matrices,
                            weights,
                            neighbors,
                            outputs,
                            table,
                            atom,
                            num_neighbors,
                            channel,
                            channel < TERM.multiplicity,
                            path,
                            g,
                            PLAN,
                            TERM,
                            WIDE,
                        )


@triton.jit
def _weights_of_path(
    features,
    matrices,
    weights,
    neighbors,
    outputs,
    table,
    atom,
    num_neighbors,
    channel,
    is_channel,
    path,
    G: tl.constexpr,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    WIDE: tl.constexpr,
):
    GROUP: tl.constexpr = TERM.groups[G]
    start, weight_start, matrix_start = _starts(table, path, GROUP)
    column = tl.arange(0, GROUP.padded)
    is_output = (column < GROUP.dim)[:, None] & is_channel[None, :]
    source = outputs + atom * PLAN.dim_out + start
    g = tl.load(
        source + column[:, None] * TERM.multiplicity + channel[None, :],
        mask=is_output,
        other=0,
    ).to(WIDE)
    for first in range(0, num_neighbors, GROUP.edges):
        neighbor = first + tl.arange(0, GROUP.edges)
        is_edge = neighbor < num_neighbors
        edge = atom * num_neighbors + neighbor
        products = _couple(
            features,
            matrices,
            neighbors,
            matrix_start,
            edge,
            is_edge,
            channel,
            is_edge[:, None, None] & is_output[None, :, :],
            PLAN,
            TERM,
            GROUP,
            WIDE,
        )
        target = weights + edge * PLAN.num_weights + weight_start
        tl.store(
            target[:, None] + channel[None, :],
            tl.sum(products * g[None, :, :], axis=1),
            mask=is_edge[:, None] & is_channel[None, :],
        )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def to_weights_kernel(
    features,
    matrices,
    weights,
    neighbors,
    outputs,
    table,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by w. Programs: atoms, terms; channels."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    atom = (tl.program_id(0) // NUM_TERMS).to(tl.int64)
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            NUM_GROUPS: tl.constexpr = len(TERM.groups)
            first = tl.program_id(1) * TERM.channels
            if first < TERM.multiplicity:
                channel = first + tl.arange(0, TERM.channels)
                for g in tl.static_range(NUM_GROUPS):
                    for path in range(
                        TERM.groups[g].first, TERM.groups[g].stop
                    ):
                        _weights_of_path(
                            features,
                            matrices,
                            weights,
                            neighbors,
                            outputs,
                            table,
                            atom,
                            num_neighbors,
                            channel,
                            channel < TERM.multiplicity,
                            path,
                            g,
                            PLAN,
                            TERM,
                            WIDE,
                        )
