"""Products of a set of irreps with itself that ignore the order of factors."""

import dataclasses
import functools
import itertools
import math

import numpy as np

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.irreps import Irreps

# Residues of exact zeros are near 1e-15, norms of what is new near one.
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class SymmetricCouplings:
    """All couplings of `order` equal factors to one irrep.

    Attributes:
        monomials: `(num_monomials, order)` int array. Components of the
            input that are multiplied, ascending; each row once.
        coefficients: `(num_paths, 2 l + 1, num_monomials)` float64 array.
            Coupling η is `Σ_q coefficients[η, m, q] Π_k x[monomials[q, k]]`.
    """

    monomials: np.ndarray
    coefficients: np.ndarray

    @property
    def num_paths(self):
        """How many couplings there are."""
        return len(self.coefficients)

    def tensor(self, dim):
        """The couplings as symmetric tensors, all entries.

        Args:
            dim: int. Components of the input.

        Returns:
            `(num_paths, 2 l + 1, dim, ..., dim)` float64 array with `order`
            axes of size `dim`. Over these its rows are orthonormal.
        """
        order = self.monomials.shape[1]
        leading = self.coefficients.shape[:2]
        result = np.zeros((*leading, *(dim,) * order))
        for q, monomial in enumerate(self.monomials.tolist()):
            arrangements = set(itertools.permutations(monomial))
            entry = self.coefficients[:, :, q] / len(arrangements)
            for indices in arrangements:
                result[(..., *indices)] = entry
        return result


@functools.cache
def symmetric_couplings(irreps, irrep_out, order):
    """A basis of the symmetric couplings of one set of irreps to one irrep.

    The basis is orthonormal as tensors and always the same one: terms in
    lexicographic order, within them the intermediate degrees ascending, each
    made orthogonal to those before (weights refer to it).

    Args:
        irreps: `Irreps`, each term with multiplicity 1.
        irrep_out: `Irrep`.
        order: int. Number of factors, at least 1.

    Returns:
        `SymmetricCouplings`.

    Example:

    >>> from keras_hamiltonian.irreps.irreps import Irrep
    >>> squared = symmetric_couplings(Irreps("1o"), Irrep(0, 1), 2)
    >>> squared.monomials.tolist(), squared.coefficients.round(3).tolist()
    ([[0, 0], [1, 1], [2, 2]], [[[0.577, 0.577, 0.577]]])

    Reference: Drautz 2019 and Batatia et al. 2022 (MACE) for the use; checked
    against `e3nn.o3.ReducedTensorProducts`.
    """
    if any(mul != 1 for mul, _ in irreps) or order < 1:
        raise ValueError(
            "Symmetric couplings are those of the components of one channel, "
            f"of order 1 or more. Received: irreps={irreps}, order={order}."
        )
    starts = [where.start for where in irreps.slices()]
    found = []
    for terms in itertools.combinations_with_replacement(
        range(len(irreps)), order
    ):
        tensors = _symmetric_basis(
            tuple(irreps[k][1] for k in terms), terms, irrep_out
        )
        offsets = [starts[k] for k in terms]
        found += [_collect(tensor, offsets, terms) for tensor in tensors]
    keys = sorted({key for entries in found for key in entries})
    position = {key: q for q, key in enumerate(keys)}
    coefficients = np.zeros((len(found), irrep_out.dim, len(keys)))
    for row, entries in zip(coefficients, found):
        for key, numbers in entries.items():
            row[:, position[key]] = numbers
    monomials = np.array(keys, dtype="int32").reshape(len(keys), order)
    # What cancels when summed over arrangements is not needed.
    kept = np.abs(coefficients).max(axis=(0, 1), initial=0.0) > 1e-12
    return SymmetricCouplings(monomials[kept], coefficients[:, :, kept])


def _symmetric_basis(factors, terms, irrep_out):
    """Orthonormal couplings that do not see the order of equal terms."""
    exchanges = _exchanges(terms)
    basis = []
    for tensor in _chains(factors, irrep_out):
        tensor = sum(tensor.transpose(*e, -1) for e in exchanges)
        tensor = tensor / len(exchanges)
        for _ in range(2):  # the second time against rounding
            for other in basis:
                tensor = tensor - np.vdot(other, tensor) * other
        norm = np.linalg.norm(tensor)
        if norm > TOLERANCE:
            basis.append(tensor / norm)
    # Rows of unit length: one for each component of the output.
    return [tensor * math.sqrt(irrep_out.dim) for tensor in basis]


def _chains(factors, irrep_out):
    """Couples factors one after the other, by all intermediate degrees.

    Returns:
        List of arrays: an axis for each factor, the last for the output.
    """
    if math.prod(irrep.p for irrep in factors) != irrep_out.p:
        return []
    partial = [(factors[0].l, np.eye(factors[0].dim))]
    for irrep in factors[1:]:
        partial = [
            (l, np.tensordot(x, _isometry(before, irrep.l, l), (-1, 0)))
            for before, x in partial
            for l in range(abs(before - irrep.l), before + irrep.l + 1)
        ]
    return [x / math.sqrt(2 * l + 1) for l, x in partial if l == irrep_out.l]


def _isometry(l1, l2, l3):
    return math.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)


def _exchanges(terms):
    """Permutations of the factors that map each to an equal term."""
    groups = [
        [k for k, other in enumerate(terms) if other == term]
        for term in sorted(set(terms))
    ]
    return [
        tuple(itertools.chain.from_iterable(choice))
        for choice in itertools.product(*map(itertools.permutations, groups))
    ]


def _collect(tensor, offsets, terms):
    """Numbers of each monomial, `(2 l + 1,)`, by ascending components."""
    counts = [terms.count(term) for term in set(terms)]
    arrangements = math.factorial(len(terms)) / math.prod(
        map(math.factorial, counts)
    )
    # As a tensor over all components it has that many equal blocks.
    tensor = tensor * math.sqrt(arrangements)
    entries = {}
    nonzero = np.argwhere(np.abs(tensor).max(axis=-1) > 1e-12)
    for indices in nonzero.tolist():
        key = tuple(sorted(a + b for a, b in zip(indices, offsets)))
        numbers = tensor[tuple(indices)]
        entries[key] = entries.get(key, 0) + numbers
    return entries


def count_symmetric_paths(irreps_in, irreps_out, correlation):
    """Couplings of all orders from 1 to `correlation`.

    Args:
        irreps_in: `Irreps`. Multiplicities do not matter.
        irreps_out: `Irreps`.
        correlation: int. Highest order.

    Returns:
        Dict from the position of a term of `irreps_out` to a list: the number
        of couplings of order 1, 2, ...

    Example:

    >>> irreps = Irreps("8x0e + 8x1o")
    >>> count_symmetric_paths(irreps, irreps, 3)
    {0: [1, 2, 2], 1: [1, 1, 2]}
    """
    single = Irreps([(1, irrep) for _, irrep in irreps_in])
    return {
        k: [
            symmetric_couplings(single, irrep, order).num_paths
            for order in range(1, correlation + 1)
        ]
        for k, (_, irrep) in enumerate(irreps_out)
    }
