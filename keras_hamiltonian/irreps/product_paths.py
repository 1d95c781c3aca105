"""Which irreps of two inputs couple to which of the output."""

import dataclasses
import math

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps


@dataclasses.dataclass(frozen=True)
class ProductPath:
    """One coupling of two input terms to an output term, with own weights.

    Attributes:
        term1, term2, term_out: int. Positions in the irreps.
        weight_start: int. Where its weights begin among those of all paths.
        weight_shape: tuple of int. `(mul1, mul2, mul_out)` where all channels
            are mixed, `(mul1, mul2)` where channel u of the first input makes
            channel u of the output.
        coefficient: float. Factor of the Clebsch-Gordan tensor.
    """

    term1: int
    term2: int
    term_out: int
    weight_start: int
    weight_shape: tuple
    coefficient: float

    @property
    def num_weights(self):
        """Product of `weight_shape`."""
        return math.prod(self.weight_shape)

    @property
    def weight_slice(self):
        """Its part of the last axis of the weights."""
        return slice(self.weight_start, self.weight_start + self.num_weights)

    @property
    def is_channelwise(self):
        """Whether channels of the first input stay separate."""
        return len(self.weight_shape) == 2


@dataclasses.dataclass(frozen=True)
class ProductPaths:
    """All couplings of a tensor product of two inputs.

    Paths and weights are in the order of e3nn's instructions: first input
    outermost, output innermost; the weights of a path are flattened with
    `mul1` outermost. Coefficients are e3nn's as well (`"component"` and
    `"element"` normalisation): inputs and weights of unit variance make an
    output of unit variance.

    Attributes:
        irreps_in1, irreps_in2, irreps_out: `Irreps`.
        paths: tuple of `ProductPath`.

    Example:

    >>> paths = ProductPaths.fully_connected("2x0e + 3x1o", "1o", "4x0e + 5x1o")
    >>> len(paths.paths), paths.num_weights
    (2, 22)
    >>> str(ProductPaths.channelwise("2x0e + 3x1o", "0e + 1o").irreps_out)
    '2x0e+2x1o+3x1o+3x0e+3x1e+3x2e'
    """

    irreps_in1: Irreps
    irreps_in2: Irreps
    irreps_out: Irreps
    paths: tuple

    @classmethod
    def fully_connected(cls, irreps1, irreps2, irreps_out):
        """Every allowed path; each mixes all channels of its terms."""
        irreps1, irreps2, irreps_out = map(
            Irreps, (irreps1, irreps2, irreps_out)
        )
        terms = [
            (i, j, k)
            for i, j in _pairs_of_terms(irreps1, irreps2)
            for k, (_, irrep) in enumerate(irreps_out)
            if irrep in couples_to(irreps1[i][1], irreps2[j][1])
        ]
        elements = [irreps1[i][0] * irreps2[j][0] for i, j, _ in terms]
        totals = [
            sum(n for n, other in zip(elements, terms) if other[2] == term[2])
            for term in terms
        ]
        paths, start = [], 0
        for (i, j, k), total in zip(terms, totals):
            (mul1, _), (mul2, _), (mul, irrep) = (
                irreps1[i],
                irreps2[j],
                irreps_out[k],
            )
            shape = (mul1, mul2, mul)
            coefficient = math.sqrt(irrep.dim / max(total, 1))
            paths.append(ProductPath(i, j, k, start, shape, coefficient))
            start += math.prod(shape)
        return cls(irreps1, irreps2, irreps_out, tuple(paths))

    @classmethod
    def channelwise(cls, irreps1, irreps2, irreps_out_filter=None):
        """Channel u of the first input makes channel u of the output (uvu).

        `irreps_out` has one term for each path, in the order of the paths.

        Args:
            irreps1, irreps2: str or `Irreps`.
            irreps_out_filter: str or `Irreps`. Keeps the paths to these
                irreps only (multiplicities do not matter). Default: all.
        """
        irreps1, irreps2 = Irreps(irreps1), Irreps(irreps2)
        kept = None
        if irreps_out_filter is not None:
            kept = {irrep for _, irrep in Irreps(irreps_out_filter)}
        paths, terms, start = [], [], 0
        for i, j in _pairs_of_terms(irreps1, irreps2):
            (mul1, irrep1), (mul2, irrep2) = irreps1[i], irreps2[j]
            for irrep in couples_to(irrep1, irrep2):
                if kept is not None and irrep not in kept:
                    continue
                coefficient = math.sqrt(irrep.dim / max(mul2, 1))
                paths.append(
                    ProductPath(
                        i, j, len(terms), start, (mul1, mul2), coefficient
                    )
                )
                terms.append((mul1, irrep))
                start += mul1 * mul2
        return cls(irreps1, irreps2, Irreps(terms), tuple(paths))

    @property
    def num_weights(self):
        """Weights of all paths."""
        return sum(path.num_weights for path in self.paths)

    def coupling(self, path):
        """Clebsch-Gordan tensor of a path times its coefficient.

        Returns:
            `(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)` float64 array.
        """
        degrees = (
            irreps[term][1].l
            for irreps, term in (
                (self.irreps_in1, path.term1),
                (self.irreps_in2, path.term2),
                (self.irreps_out, path.term_out),
            )
        )
        return path.coefficient * clebsch_gordan(*degrees)

    def as_dict(self):
        """All of it as JSON values."""
        return {
            "irreps_in1": str(self.irreps_in1),
            "irreps_in2": str(self.irreps_in2),
            "irreps_out": str(self.irreps_out),
            "paths": [
                {
                    **dataclasses.asdict(path),
                    "weight_shape": list(path.weight_shape),
                }
                for path in self.paths
            ],
        }

    @classmethod
    def from_dict(cls, values):
        """From what `as_dict` returned."""
        return cls(
            Irreps(values["irreps_in1"]),
            Irreps(values["irreps_in2"]),
            Irreps(values["irreps_out"]),
            tuple(
                ProductPath(
                    **{**path, "weight_shape": tuple(path["weight_shape"])}
                )
                for path in values["paths"]
            ),
        )


def couples_to(irrep1, irrep2):
    """The irreps in the product of two, by ascending degree.

    Example:

    >>> [str(irrep) for irrep in couples_to(Irrep(1, -1), Irrep(1, 1))]
    ['0o', '1o', '2o']
    """
    first, last = abs(irrep1.l - irrep2.l), irrep1.l + irrep2.l
    return [Irrep(l, irrep1.p * irrep2.p) for l in range(first, last + 1)]


def _pairs_of_terms(irreps1, irreps2):
    return [(i, j) for i in range(len(irreps1)) for j in range(len(irreps2))]
