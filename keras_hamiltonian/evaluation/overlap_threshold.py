"""The overlap threshold of a model: combinations of orbitals to leave out."""

import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.evaluation.spectrum import obstacle
from keras_hamiltonian.physics.fermi import spread_k_points
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.solvers.damped_problem import high_level
from keras_hamiltonian.physics.solvers.damped_problem import leave_out

THRESHOLDS = (1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2)
LARGEST_NUMBER = 40
NUM_K_POINTS = 3
# Errors of H that a threshold has to stand, in those of the model.
FACTORS = (1, -1, 2)
# A threshold makes the basis smaller, so it has to reduce errors to this share.
LARGEST_SHARE = 0.9
# No larger threshold is tried after one that increases errors by this factor.
LARGEST_LOSS = 2.0


def choose_overlap_threshold(
    model, calculations, thresholds=THRESHOLDS, window=3.0
):
    """Finds the overlap threshold with the best bands.

    Where orbitals are nearly dependent, small errors of H make wrong bands: in
    a combination of norm s, an eigenvalue of S(k), they count 1/s times.
    Without the combination, its small contribution to the true bands is
    missing. Which error is larger depends on the model, so bands are compared
    with those of calculations that the model was not trained on.

    False levels are rare and far off, and whether one of a few structures has
    one is a matter of luck. So all structures count, and each three times:
    with the model's error of H(k), with that of the other sign, and with twice
    the error, which a new structure may have.

    Args:
        model: `Stage`.
        calculations: iterable of `Calculation` with a Hamiltonian, of which
            the first 40 with an overlap and a Fermi level or a number of
            electrons are used.
        thresholds: ascending floats to choose from.
        window: float. Energies about the Fermi level, in eV.

    Returns:
        The best threshold, or `None` if no threshold improves the bands by
        10 %; and a dict from `"none"` and each threshold that was tried, as
        str, to the mean absolute error of the levels in the window, in eV. It
        is empty if no calculation could be used.

    Raises:
        ValueError: if a calculation does not fit the model.

    Example:

    >>> known = (store[name] for name in split.validate)  # doctest: +SKIP
    >>> model.overlap_threshold, errors = choose_overlap_threshold(
    ...     model, known
    ... )                                                 # doctest: +SKIP
    """
    candidates = (None, *thresholds)
    errors = []
    for calculation in calculations:
        reference = ElectronicStructure(calculation, model)
        if obstacle(reference) is not None:
            continue
        blocks = predicted_blocks(model, reference.calculation)
        found = _errors(reference, blocks, candidates, window)
        if found is not None:
            errors.append(found)
        if len(errors) == LARGEST_NUMBER:
            break
    if not errors:
        return None, {}
    means = np.mean(errors, axis=0)
    scores = means.mean(axis=1)
    best = int(np.argmin(scores))
    threshold = candidates[best]
    if scores[best] > LARGEST_SHARE * scores[0]:
        threshold = None
    names = ["none", *map(str, thresholds)]
    own = zip(names, means[:, 0].tolist())
    return threshold, {name: e for name, e in own if np.isfinite(e)}


def _errors(crystal, blocks, candidates, window):
    """Mean absolute errors of the levels in the window: an array of as many
    rows as candidates, or `None` without levels there."""
    reference = crystal.matrices
    predicted = BlochMatrices(
        blocks, crystal.overlap, crystal.calculation.num_orbitals
    )
    k_points = spread_k_points(reference, k_grid(crystal.atoms), NUM_K_POINTS)
    problems = [
        _Levels(reference, predicted, k_point, crystal.fermi_level, window)
        for k_point in k_points
    ]
    problems = [problem for problem in problems if problem.near.any()]
    if not problems:
        return None
    smallest = min(problem.norms[0] for problem in problems)
    errors = []
    for threshold in candidates:
        if errors and threshold < smallest / 3:
            errors.append(errors[0])
        elif errors and errors[-1].mean() > LARGEST_LOSS * min(
            known.mean() for known in errors
        ):
            errors.append(np.full(len(FACTORS), np.inf))
        else:
            found = [problem.errors(threshold) for problem in problems]
            errors.append(np.mean(found, axis=0))
    return np.array(errors)


class _Levels:
    """Levels at one wave vector, in the eigenvectors of S(k)."""

    def __init__(self, reference, predicted, k_point, fermi_level, window):
        self._exact, overlap = reference.dense_at(k_point)
        wrong, _ = predicted.dense_at(k_point)
        self._high = high_level(wrong, overlap)
        self.norms, vectors = np.linalg.eigh(overlap)
        self._exact, wrong = (
            vectors.conj().T @ matrix @ vectors
            for matrix in (self._exact, wrong)
        )
        self._error = wrong - self._exact
        self._levels = self._solve(0, 0.0)
        self.near = np.abs(self._levels - fermi_level) < window

    def _solve(self, factor, threshold):
        matrix = leave_out(
            self._exact + factor * self._error,
            self.norms,
            threshold or 0.0,
            self._high,
        )
        return np.linalg.eigvalsh(matrix)

    def errors(self, threshold):
        """Mean absolute error in the window, for each factor."""
        found = np.array([self._solve(x, threshold) for x in FACTORS])
        return np.abs(found - self._levels)[:, self.near].mean(axis=1)
