"""What the kernels of the channel-wise convolution need to know of the paths.

See `edge_plan` on why these are dataclasses compared by identity.
"""

import dataclasses
import functools
import math

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.backend.torch.kernels.tiles import power_of_two
from keras_hamiltonian.ops.backend.torch.kernels.tiles import tile_channels
from keras_hamiltonian.ops.backend.torch.kernels.tiles import tile_edges


@dataclasses.dataclass(frozen=True, eq=False)
class PathGroup:
    """The couplings of a term to outputs of one degree.

    A kernel has the code for a group once and goes through its paths in a
    loop: with the code for each path Triton took minutes to compile 42 paths.

    Attributes:
        dim: int. Components of the output.
        first, stop: int. Its rows in the table of paths.
        multiple: int. Divides the positions of outputs and of weights.
        padded, edges: int. Sizes of a tile of outputs.
    """

    dim: int
    first: int
    stop: int
    multiple: int
    padded: int
    edges: int


@dataclasses.dataclass(frozen=True, eq=False)
class ConvolutionTerm:
    """One term of the irreps of the features, and its couplings.

    Attributes:
        dim, multiplicity: int. Components and channels.
        start: int. Where it begins among the numbers of an atom.
        groups: tuple of `PathGroup`.
        padded, edges, channels: int. Sizes of a tile of inputs; that of
            outputs has the same channels.
    """

    dim: int
    multiplicity: int
    start: int
    groups: tuple
    padded: int
    edges: int
    channels: int


@dataclasses.dataclass(frozen=True, eq=False)
class ConvolutionPlan:
    """All terms.

    Attributes:
        dim, dim_out, num_weights, matrix_size: int. Numbers of an atom before
            and after, and of the weights and the matrices of an edge.
        terms: tuple of `ConvolutionTerm`.
        edges: int. Edges of one program that goes by edges.
        num_chunks: int. Tiles that the channels of the largest term fill.
        table: tuple of int. For each path, group by group, where its outputs,
            its weights and its matrices begin.
    """

    dim: int
    dim_out: int
    num_weights: int
    matrix_size: int
    terms: tuple
    edges: int
    num_chunks: int
    table: tuple


@functools.cache
def convolution_plan(irreps, couplings):
    """The plan for features of some irreps.

    Args:
        irreps: str. Irreps of the features.
        couplings: str. For each path, in order, the position of its term and
            the degree of its output: `"0:0,0:1,1:0"`.

    Returns:
        `ConvolutionPlan`.
    """
    irreps = Irreps(irreps)
    paths = {}
    start = weight_start = matrix_start = 0
    for coupling in couplings.split(","):
        term, degree = map(int, coupling.split(":"))
        mul, irrep = irreps[term]
        dim = 2 * degree + 1
        of_term = paths.setdefault(term, {})
        of_term.setdefault(dim, []).append((start, weight_start, matrix_start))
        start += dim * mul
        weight_start += mul
        matrix_start += dim * irrep.dim
    terms, table = [], []
    for k, ((mul, irrep), where) in enumerate(zip(irreps, irreps.slices())):
        if not mul:
            continue
        groups = []
        for dim, rows in sorted(paths.get(k, {}).items()):
            groups.append(_group(dim, rows, len(table)))
            table.extend(rows)
        terms.append(
            ConvolutionTerm(
                dim=irrep.dim,
                multiplicity=mul,
                start=where.start,
                groups=tuple(groups),
                padded=power_of_two(irrep.dim),
                edges=tile_edges(irrep.dim),
                channels=tile_channels(
                    max([irrep.dim, *(group.dim for group in groups)]), mul
                ),
            )
        )
    return ConvolutionPlan(
        dim=irreps.dim,
        dim_out=start,
        num_weights=weight_start,
        matrix_size=matrix_start,
        terms=tuple(terms),
        edges=max(
            (group.edges for term in terms for group in term.groups), default=1
        ),
        num_chunks=max(
            (-(-term.multiplicity // term.channels) for term in terms),
            default=1,
        ),
        table=tuple(number for row in table for number in row),
    )


def _group(dim, rows, first):
    positions = [number for row in rows for number in row[:2]]
    return PathGroup(
        dim=dim,
        first=first,
        stop=first + len(rows),
        multiple=math.gcd(16, *positions),
        padded=power_of_two(dim),
        edges=tile_edges(dim),
    )
