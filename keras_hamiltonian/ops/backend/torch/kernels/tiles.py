"""Sizes of the pieces that one program of a kernel works on.

A program has `NUM_WARPS` warps. A tile is edges × components × channels;
channels are contiguous in memory and across the threads of a warp. Components
(2l+1 of them) are padded to a power of two.
"""

NUM_WARPS = 4
# Tiles of edges × components stay below one element per thread: Triton then
# loads them where they are needed instead of passing them through shared
# memory.
MAX_EDGES_TIMES_COMPONENTS = 64
# 16 numbers for each thread.
MAX_TILE = 2048
MAX_EDGES = 8


def power_of_two(number):
    """The smallest power of two that is not below a number."""
    return 1 << max(number - 1, 0).bit_length()


def tile_edges(dim):
    """Edges of a tile of irreps with `dim` components."""
    padded = power_of_two(dim)
    return max(1, min(MAX_EDGES, MAX_EDGES_TIMES_COMPONENTS // padded))


def tile_channels(dim, multiplicity):
    """Channels of a tile of irreps with `dim` components."""
    room = MAX_TILE // (tile_edges(dim) * power_of_two(dim))
    return max(1, min(power_of_two(multiplicity), room, 128))
