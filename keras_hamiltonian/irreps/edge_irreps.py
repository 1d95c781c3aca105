"""What the features of an edge are: channels of the irreps of its axis."""

import collections.abc
import re

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge import edge_kinds
from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.irreps.irreps import Irreps

TERM = re.compile(r"(?:(\d+)\s*x\s*)?(0[+-]|[1-9]\d*)")
# No degree of a real network comes near.
LARGEST_KIND = 99


class EdgeIrreps(collections.abc.Mapping):
    """Numbers of channels by kind, in the order of the kinds.

    Edge features are dicts from kind to `(N, M, d, channels)` tensors; this
    says which kinds (see `keras_hamiltonian.irreps.edge`) and how many
    channels there are. It reads like a dict and cannot change.

    Args:
        irreps: str such as `"96x0+ + 8x0- + 40x1"`; irreps of O(3), as a str
            such as `"64x0e + 32x1o"` or `Irreps`, whose components split into
            kinds; or a mapping from kind to channels.

    Raises:
        ValueError: if a text or a kind cannot be read.

    Example:

    >>> irreps = EdgeIrreps("64x0e + 32x1o + 8x1e")
    >>> irreps
    EdgeIrreps('96x0+ + 8x0- + 40x1')
    >>> irreps["1"], irreps.dim
    (40, 184)
    >>> EdgeIrreps("4x0+ + 2x1").shapes((5, 7))
    {'0+': (5, 7, 1, 4), '1': (5, 7, 2, 2)}
    """

    def __init__(self, irreps=""):
        if isinstance(irreps, str) and re.search("[eo]", irreps):
            irreps = Irreps(irreps)
        if isinstance(irreps, Irreps):
            counts = _split(irreps)
        elif isinstance(irreps, str):
            counts = _parse(irreps)
        else:
            counts = dict(irreps)
        order = edge_kinds(LARGEST_KIND)
        if not set(counts) <= set(order):
            raise ValueError(
                'Kinds are "0+", "0-", "1", "2", ... Received: '
                f"{', '.join(map(repr, counts))}."
            )
        if any(n < 0 for n in counts.values()):
            raise ValueError(
                f"Numbers of channels are not negative. Received: {counts}."
            )
        self._channels = {k: counts[k] for k in order if counts.get(k)}

    def __getitem__(self, kind):
        return self._channels[kind]

    def __iter__(self):
        return iter(self._channels)

    def __len__(self):
        return len(self._channels)

    def __hash__(self):
        return hash(tuple(self._channels.items()))

    def __add__(self, other):
        other = EdgeIrreps(other)
        kinds = {*self, *other}
        return EdgeIrreps({k: self.get(k, 0) + other.get(k, 0) for k in kinds})

    def __str__(self):
        return " + ".join(f"{n}x{kind}" for kind, n in self.items())

    def __repr__(self):
        return f"EdgeIrreps({str(self)!r})"

    @property
    def dim(self):
        """Number of components of all channels."""
        return sum(edge_dim(kind) * n for kind, n in self.items())

    def shapes(self, leading):
        """Shapes of edge features, `leading` being `(N, M)`."""
        return {kind: (*leading, edge_dim(kind), n) for kind, n in self.items()}


def _split(irreps):
    """Channels of the kinds into which irreps of O(3) split; those of one
    kind follow the order of the irreps."""
    counts = {}
    for mul, irrep in irreps:
        for kind in irrep_kinds(irrep):
            counts[kind] = counts.get(kind, 0) + mul
    return counts


def _parse(text):
    counts = {}
    for term in re.split(r"\s+\+\s+", text.strip()) if text.strip() else []:
        found = TERM.fullmatch(term)
        if found is None:
            raise ValueError(
                'Expected edge irreps such as "96x0+ + 8x0- + 40x1". '
                f"Received: {text!r}."
            )
        number, kind = found.groups()
        counts[kind] = counts.get(kind, 0) + int(number or 1)
    return counts
