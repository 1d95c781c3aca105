"""The other two contractions of the form in `convolution_kernels`."""

import triton
import triton.language as tl

from keras_hamiltonian.ops.backend.torch.kernels.convolution_kernels import (
    _starts,
)
from keras_hamiltonian.ops.backend.torch.kernels.convolution_kernels import (
    _weights,
)


@triton.jit
def _features_of_path(
    total,
    matrices,
    weights,
    neighbors,
    reverse_edge,
    outputs,
    table,
    atom,
    num_neighbors,
    channel,
    is_input,
    path,
    G: tl.constexpr,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Adds what one path gives back to an atom, per edge of a tile."""
    GROUP: tl.constexpr = TERM.groups[G]
    start, weight_start, matrix_start = _starts(table, path, GROUP)
    DIM_OUT: tl.constexpr = GROUP.dim
    shape: tl.constexpr = (TERM.edges, TERM.padded, TERM.channels)
    row = tl.arange(0, TERM.padded)
    for first in range(0, num_neighbors, TERM.edges):
        neighbor = first + tl.arange(0, TERM.edges)
        is_edge = neighbor < num_neighbors
        own = atom * num_neighbors + neighbor
        edge = tl.load(reverse_edge + own, mask=is_edge, other=0).to(tl.int64)
        other = tl.load(neighbors + own, mask=is_edge, other=0).to(tl.int64)
        is_element = is_edge[:, None, None] & is_input[None, :, :]
        source = outputs + other * PLAN.dim_out + start
        source = source[:, None, None] + channel[None, None, :]
        source = tl.broadcast_to(source, shape)
        matrix = matrices + edge * PLAN.matrix_size + matrix_start
        matrix = matrix[:, None] + row[None, :] * GROUP.dim
        is_entry = is_edge[:, None] & (row < TERM.dim)[None, :]
        products = tl.zeros(shape, WIDE)
        for c in tl.static_range(DIM_OUT):
            g = tl.load(
                source + c * TERM.multiplicity, mask=is_element, other=0
            )
            k = tl.load(matrix + c, mask=is_entry, other=0)
            products += k.to(WIDE)[:, :, None] * g.to(WIDE)
        total += products * _weights(
            weights, weight_start, edge, is_element, channel, shape, PLAN, WIDE
        )
    return total


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def to_features_kernel(
    features,
    matrices,
    weights,
    neighbors,
    reverse_edge,
    outputs,
    table,
    num_edges,
    num_neighbors,
    PLAN: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Derivative by x. Programs: atoms, terms; channels."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    atom = (tl.program_id(0) // NUM_TERMS).to(tl.int64)
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            NUM_GROUPS: tl.constexpr = len(TERM.groups)
            shape: tl.constexpr = (TERM.edges, TERM.padded, TERM.channels)
            first = tl.program_id(1) * TERM.channels
            if first < TERM.multiplicity:
                channel = first + tl.arange(0, TERM.channels)
                row = tl.arange(0, TERM.padded)
                is_input = (row < TERM.dim)[:, None] & (
                    channel < TERM.multiplicity
                )[None, :]
                total = tl.zeros(shape, WIDE)
                for g in tl.static_range(NUM_GROUPS):
                    for path in range(
                        TERM.groups[g].first, TERM.groups[g].stop
                    ):
                        total = _features_of_path(
                            total,
                            matrices,
                            weights,
                            neighbors,
                            reverse_edge,
                            outputs,
                            table,
                            atom,
                            num_neighbors,
                            channel,
                            is_input,
                            path,
                            g,
                            PLAN,
                            TERM,
                            WIDE,
                        )
                target = features + atom * PLAN.dim + TERM.start
                tl.store(
                    target
                    + row[:, None] * TERM.multiplicity
                    + channel[None, :],
                    tl.sum(total, axis=0),
                    mask=is_input,
                )


@triton.jit
def _matrices_of_path(
    features,
    matrices,
    weights,
    neighbors,
    outputs,
    table,
    block,
    num_edges,
    num_neighbors,
    path,
    G: tl.constexpr,
    PLAN: tl.constexpr,
    TERM: tl.constexpr,
    WIDE: tl.constexpr,
):
    GROUP: tl.constexpr = TERM.groups[G]
    start, weight_start, matrix_start = _starts(table, path, GROUP)
    DIM: tl.constexpr = TERM.dim
    NUM_PIECES: tl.constexpr = PLAN.edges // GROUP.edges
    EDGES: tl.constexpr = GROUP.edges
    shape: tl.constexpr = (GROUP.edges, GROUP.padded, TERM.channels)
    row_shape: tl.constexpr = (GROUP.edges, GROUP.padded)
    column = tl.arange(0, GROUP.padded)
    for piece in tl.static_range(NUM_PIECES):
        edge = block + piece * EDGES + tl.arange(0, EDGES)
        is_edge = edge < num_edges
        atom = tl.load(neighbors + edge, mask=is_edge, other=0).to(tl.int64)
        from_input = features + atom * PLAN.dim + TERM.start
        from_output = outputs + (edge // num_neighbors) * PLAN.dim_out
        from_output = from_output[:, None] + (
            start + column[None, :] * TERM.multiplicity
        )
        is_entry = is_edge[:, None] & (column < GROUP.dim)[None, :]
        target = matrices + edge * PLAN.matrix_size + matrix_start
        for a in tl.static_range(DIM):
            total = tl.zeros(row_shape, WIDE)
            for first in range(0, TERM.multiplicity, TERM.channels):
                channel = first + tl.arange(0, TERM.channels)
                is_element = (
                    is_entry[:, :, None]
                    & (channel < TERM.multiplicity)[None, None, :]
                )
                w = _weights(
                    weights,
                    weight_start,
                    edge,
                    is_element,
                    channel,
                    shape,
                    PLAN,
                    WIDE,
                )
                source = from_input[:, None, None] + channel[None, None, :]
                source = tl.broadcast_to(source, shape)
                x = tl.load(
                    source + a * TERM.multiplicity, mask=is_element, other=0
                )
                g = tl.load(
                    from_output[:, :, None] + channel[None, None, :],
                    mask=is_element,
                    other=0,
                )
                total += tl.sum(w * x.to(WIDE) * g.to(WIDE), axis=2)
            tl.store(
                (target + a * GROUP.dim)[:, None] + column[None, :],
                total,
                mask=is_entry,
            )


@triton.jit(do_not_specialize=["num_edges", "num_neighbors"])
def to_matrices_kernel(
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
    """Derivative by K. Programs: edges, terms."""
    NUM_TERMS: tl.constexpr = len(PLAN.terms)
    block = (tl.program_id(0) // NUM_TERMS).to(tl.int64) * PLAN.edges
    for t in tl.static_range(NUM_TERMS):
        if tl.program_id(0) % NUM_TERMS == t:
            TERM: tl.constexpr = PLAN.terms[t]
            NUM_GROUPS: tl.constexpr = len(TERM.groups)
            for g in tl.static_range(NUM_GROUPS):
                for path in range(TERM.groups[g].first, TERM.groups[g].stop):
                    _matrices_of_path(
                        features,
                        matrices,
                        weights,
                        neighbors,
                        outputs,
                        table,
                        block,
                        num_edges,
                        num_neighbors,
                        path,
                        g,
                        PLAN,
                        TERM,
                        WIDE,
                    )
