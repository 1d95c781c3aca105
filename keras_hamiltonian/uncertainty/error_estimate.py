"""What a model knows of its own errors; it stands in the model's file."""

import dataclasses

import numpy as np

from keras_hamiltonian.orbitals.matrix_elements import element_pairs
from keras_hamiltonian.uncertainty.expected_errors import ExpectedErrors
from keras_hamiltonian.uncertainty.feature_distance import FeatureDistance
from keras_hamiltonian.uncertainty.typical_errors import TypicalErrors

KINDS = ("onsite", "hopping")


@dataclasses.dataclass
class ErrorEstimate:
    """Expected errors from the novelty of environments.

    An element of the block of atoms i and j is expected to be off by
    `typical × t^b`, at most by its typical size. The typical error is that of
    validation structures, by elements, shells and distance; t² is the mean of
    the squared novelties of i and j and, with the same weight, of all atoms,
    because those of single atoms scatter more than their errors do. Novelties
    are distances in the features (`FeatureDistance`) over those of validation
    atoms; b, of onsite and of hopping blocks, is one as far as novelties of
    the validation structures do not differ enough to tell.
    `kh.evaluation.fit_error_estimate` fits all of it.

    Attributes:
        distance: `FeatureDistance`.
        scales: dict from element to the root mean square of the distance of
            its validation atoms.
        largest: dict from element to the largest novelty of its training and
            validation atoms.
        typical: `TypicalErrors`.
        exponents: dict from `"onsite"` and `"hopping"` to b.
        level_factor: float, or `None`: observed errors of levels over those
            of `ExpectedErrors.of_levels` with a factor of one.
        translations: list of floats, see `common_translations`.
    """

    distance: FeatureDistance
    scales: dict
    largest: dict
    typical: TypicalErrors
    exponents: dict
    level_factor: float | None = None
    translations: list = dataclasses.field(default_factory=list)

    def novelty(self, symbols, features):
        """Novelty of each atom, about one for structures like those known.

        Args:
            symbols: `(N,)` element symbols.
            features: list of `(N, dim)` arrays, `ir_mul` layout.

        Returns:
            `(N,)` array; infinite for an element without training atoms.
        """
        scales = [self.scales.get(symbol, np.nan) for symbol in symbols]
        found = self.distance(symbols, features) / scales
        return np.where(np.isfinite(found), found, np.inf)

    def expected(self, hamiltonian, calculation, features, basis):
        """Expected errors of a prediction.

        Args:
            hamiltonian: `BlockMatrix`, predicted.
            calculation: `Calculation` of the structure.
            features: list of `(N, dim)` arrays.
            basis: `OrbitalBasis` of the model.

        Returns:
            `ExpectedErrors`.
        """
        symbols = calculation.atoms.get_chemical_symbols()
        novelty = self.novelty(symbols, features)
        typical, bounds = self.typical(hamiltonian, calculation, basis)
        factors = growth(hamiltonian, novelty, self.exponents)
        return ExpectedErrors(
            novelty,
            hamiltonian.with_entries(np.minimum(typical * factors, bounds)),
            calculation.num_orbitals,
            self.level_factor,
        )

    def to_dict(self):
        """JSON values of which `from_dict` makes the same."""
        return {
            **vars(self),
            "distance": self.distance.to_dict(),
            "typical": self.typical.to_dict(),
        }

    @classmethod
    def from_dict(cls, values):
        """The `ErrorEstimate` of `to_dict`."""
        return cls(
            **{
                **values,
                "distance": FeatureDistance.from_dict(values["distance"]),
                "typical": TypicalErrors.from_dict(values["typical"]),
            }
        )


def growth(matrix, novelty, exponents):
    """Factor of the typical error of each element, `t^b`.

    Args:
        matrix: `BlockMatrix`.
        novelty: `(num_atoms,)` array.
        exponents: dict from `"onsite"` and `"hopping"` to b.

    Returns:
        `(num_elements,)` array.
    """
    squares = novelty**2
    known = squares[np.isfinite(squares)]
    mean = known.mean() if known.size else 1.0
    squares = ((squares + mean) / 2)[matrix.atom_pairs[:, 3:]]
    onsite, hopping = (exponents[kind] / 2 for kind in KINDS)
    powers = np.where(matrix.is_onsite, onsite, hopping)
    return (squares.mean(axis=1) ** powers)[element_pairs(matrix)]
