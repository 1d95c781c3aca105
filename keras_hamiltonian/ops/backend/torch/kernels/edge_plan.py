"""What the kernels of the edge rotations need to know of the irreps.

Plans are constants of the compiled kernels. They are dataclasses, not tuples,
which Triton would take apart; each is made once, so that it is enough to
compare them by identity (`eq=False`), which every launch does.
"""

import dataclasses
import functools

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.backend.torch.kernels.tiles import power_of_two
from keras_hamiltonian.ops.backend.torch.kernels.tiles import tile_channels
from keras_hamiltonian.ops.backend.torch.kernels.tiles import tile_edges


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeTerm:
    """One term of the irreps of the atoms.

    Attributes:
        dim, multiplicity: int. Components and channels.
        start: int. Where it begins among the numbers of an atom.
        is_natural: bool. Whether the parity is (-1)^l.
        matrix: int. Position of its Wigner matrix, -1 if there is none.
        is_unit: bool. Whether 1 stands for the matrix that is not there,
            instead of 0.
        kinds: tuple of int. For m = 0..l, position of the kind's tensor, -1
            if there is none.
        widths, offsets: tuples of int. For m = 0..l, channels of the kind and
            where those of the term begin.
        padded, edges, channels: int. Sizes of a tile.
    """

    dim: int
    multiplicity: int
    start: int
    is_natural: bool
    matrix: int
    is_unit: bool
    kinds: tuple
    widths: tuple
    offsets: tuple
    padded: int
    edges: int
    channels: int


@dataclasses.dataclass(frozen=True, eq=False)
class EdgePlan:
    """All terms.

    Attributes:
        dim: int. Numbers of an atom.
        terms: tuple of `EdgeTerm`.
        degrees: tuple of int. Degree of each Wigner matrix.
        terms_of: tuple of tuples of int. Terms of each Wigner matrix.
        edges: int. Edges of one program.
        num_chunks: int. Tiles that the channels of the largest term fill.
    """

    dim: int
    terms: tuple
    degrees: tuple
    terms_of: tuple
    edges: int
    num_chunks: int


def matrix_degrees(irreps, scalars):
    """Degrees whose Wigner matrices take part.

    Args:
        irreps: str or `Irreps`.
        scalars: str. What is in the place of the matrix for l = 0: a
            `"weight"`, `"one"`, or `"zero"`.
    """
    degrees = {irrep.l for mul, irrep in Irreps(irreps) if mul}
    return sorted(l for l in degrees if l > 0 or scalars == "weight")


@functools.cache
def edge_plan(irreps, kinds, scalars):
    """The plan for irreps.

    Args:
        irreps: str. Irreps of the atoms.
        kinds: str. Kinds of the edge features, joined by commas.
        scalars: str. See `matrix_degrees`.

    Returns:
        `EdgePlan`.
    """
    irreps = Irreps(irreps)
    kinds = kinds.split(",")
    degrees = matrix_degrees(irreps, scalars)
    widths = EdgeIrreps(irreps)
    used = dict.fromkeys(widths, 0)
    terms = []
    for (mul, irrep), where in zip(irreps, irreps.slices()):
        own = irrep_kinds(irrep)
        if mul:
            terms.append(
                EdgeTerm(
                    dim=irrep.dim,
                    multiplicity=mul,
                    start=where.start,
                    is_natural=irrep.is_natural,
                    matrix=_position(irrep.l, degrees),
                    is_unit=irrep.l == 0 and scalars == "one",
                    kinds=tuple(_position(kind, kinds) for kind in own),
                    widths=tuple(widths[kind] for kind in own),
                    offsets=tuple(used[kind] for kind in own),
                    padded=power_of_two(irrep.dim),
                    edges=tile_edges(irrep.dim),
                    channels=tile_channels(irrep.dim, mul),
                )
            )
        for kind in own:
            used[kind] = used.get(kind, 0) + mul
    return EdgePlan(
        dim=irreps.dim,
        terms=tuple(terms),
        degrees=tuple(degrees),
        terms_of=tuple(
            tuple(k for k, term in enumerate(terms) if term.dim == 2 * l + 1)
            for l in degrees
        ),
        edges=max((term.edges for term in terms), default=1),
        num_chunks=max(
            (-(-term.multiplicity // term.channels) for term in terms),
            default=1,
        ),
    )


def edge_shapes(irreps, kinds, num_atoms, num_neighbors):
    """Shapes of the edge features of the given kinds."""
    channels = EdgeIrreps(irreps)
    return [
        (num_atoms, num_neighbors, edge_dim(kind), channels[kind])
        for kind in kinds.split(",")
    ]


def _position(value, values):
    return values.index(value) if value in values else -1
