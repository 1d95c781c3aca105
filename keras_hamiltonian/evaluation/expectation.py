"""Expected errors against those that were observed."""

import numpy as np
from scipy.stats import spearmanr

from keras_hamiltonian.metrics.matrix import energy_shift
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.orbitals.matrix_elements import element_pairs
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.uncertainty.prediction_warnings import structure_warnings


class ExpectationErrors:
    """Compares expected errors with observed ones, one structure at a time.

    Observed are errors after the best shift of the energy zero, where the
    overlap is known.
    """

    def __init__(self):
        self._structures = []
        self._atoms = []

    def update(self, model, predicted, calculation, features):
        """Adds a structure.

        Args:
            model: `Stage` with an `error_estimate`.
            predicted: `BlockMatrix` of the pairs of the calculation.
            calculation: `Calculation` with a Hamiltonian.
            features: list of arrays, of `predict_with_features`.
        """
        reference = calculation.hamiltonian
        expected = model.error_estimate.expected(
            predicted, calculation, features, model.basis
        )
        if calculation.overlap is not None:
            shift = energy_shift(predicted, reference, calculation.overlap)
            predicted = shifted(predicted, -shift, calculation.overlap)
        errors = np.abs(matrix_difference(predicted, reference))
        atom = reference.atom_pairs[:, 3][element_pairs(reference)]
        size = len(calculation.atoms)
        counts = np.bincount(atom, minlength=size)
        observed = np.bincount(atom, errors, size) / np.maximum(counts, 1)
        self._atoms.append((expected.of_atoms, observed))
        found = structure_warnings(model, calculation.atoms, expected.novelty)
        self._structures.append(
            {
                "name": calculation.name,
                "expected": expected.mae,
                "observed": float(errors.mean()),
                "novelty": float(expected.novelty.mean()),
                "warnings": [warning["kind"] for warning in found],
            }
        )

    def merge(self, other):
        """Adds the errors of other structures, in their order."""
        self._structures += other._structures
        self._atoms += other._atoms

    def result(self):
        """JSON values, energies in eV.

        Returns:
            Dict of `structures` (`name`, `expected` and `observed` mean
            absolute error, mean `novelty` of the atoms, kinds of `warnings`),
            `ratio` (observed over expected, geometric mean over structures),
            `atom_correlation` and `structure_correlation` (Spearman's, of
            expected with observed errors; `None` for less than three).
        """
        pairs = np.array(
            [[x["expected"], x["observed"]] for x in self._structures]
        ).T
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(pairs[1] / pairs[0])
        ratios = ratios[np.isfinite(ratios)]
        return {
            "structures": self._structures,
            "ratio": float(np.exp(ratios.mean())) if ratios.size else None,
            "atom_correlation": _correlation(
                np.concatenate(self._atoms, axis=1)
            ),
            "structure_correlation": _correlation(pairs),
        }


def _correlation(pairs):
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3 or not np.ptp(pairs, axis=1).all():
        return None
    return float(spearmanr(*pairs).statistic)
