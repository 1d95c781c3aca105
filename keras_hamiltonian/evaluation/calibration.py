"""The error estimate of a model, from structures it was not trained on."""

import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.spectrum import obstacle
from keras_hamiltonian.initial import with_own_initial
from keras_hamiltonian.metrics.matrix import energy_shift
from keras_hamiltonian.orbitals.gauge import aligned
from keras_hamiltonian.orbitals.gauge import gauge_shift
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.prediction import predict_with_features
from keras_hamiltonian.uncertainty.error_estimate import KINDS
from keras_hamiltonian.uncertainty.error_estimate import ErrorEstimate
from keras_hamiltonian.uncertainty.error_estimate import growth
from keras_hamiltonian.uncertainty.expected_errors import ExpectedErrors
from keras_hamiltonian.uncertainty.feature_distance import FeatureDistance
from keras_hamiltonian.uncertainty.lattice_images import common_translations
from keras_hamiltonian.uncertainty.typical_errors import TypicalErrors

# Structures that levels are compared of, and wave vectors of each.
NUM_SPECTRA = 4
NUM_K_POINTS = 3
WINDOW_IN_EV = 3.0
# Weight of an exponent of one beside the validation structures, as a sum of
# squared differences in the logarithm of novelty.
PRIOR = 0.25
LARGEST_EXPONENT = 3.0


def fit_error_estimate(model, training, validation):
    """Fits what a model knows of its own errors.

    Novelty comes from the features of training structures; how large errors
    are, and how they grow with novelty, from validation structures. Those of
    other cells than the training's make the estimate better: novelties then
    differ, and tell the growth. As far as they do not, it is proportional.

    Errors are those that remain after the best shift of the energy zero, where
    the overlap is known.

    Args:
        model: `Stage`.
        training: iterable of `Calculation` that the model was trained on.
        validation: iterable of `Calculation` with a Hamiltonian that it was
            not trained on.

    Returns:
        `ErrorEstimate`, for `model.error_estimate`.

    Raises:
        ValueError: if one of the two has no structure.

    Example:

    >>> model = kh.load_model("old.keras")                # doctest: +SKIP
    >>> known = [store[name] for name in split.train]     # doctest: +SKIP
    >>> others = [store[name] for name in split.validate] # doctest: +SKIP
    >>> model.error_estimate = kh.evaluation.fit_error_estimate(
    ...     model, known, others
    ... )                                                 # doctest: +SKIP
    >>> model.save("old.keras")                           # doctest: +SKIP
    """
    known, cells = [], []
    for calculation in training:
        known.append(_features(model, calculation)[1:])
        cells.append(calculation.atoms)
    looked_at = [_Looked(model, calculation) for calculation in validation]
    if not (known and looked_at):
        raise ValueError(
            "An error estimate needs structures that the model was trained on "
            f"and others. Received: {len(known)} and {len(looked_at)}. Give a "
            "split that has both."
        )
    others = [(x.symbols, x.features) for x in looked_at]
    distance = FeatureDistance.fit(model.feature_irreps, known)
    estimate = ErrorEstimate(
        distance,
        _scales(distance, looked_at),
        {},
        TypicalErrors({}, {}),
        dict.fromkeys(KINDS, 1.0),
        translations=common_translations(
            cells, 4 * max(model.reaches.values())
        ),
    )
    for looked in looked_at:
        looked.novelty = estimate.novelty(looked.symbols, looked.features)
    for symbols, features in known + others:
        novelty = estimate.novelty(symbols, features)
        for symbol in set(symbols) & set(estimate.scales):
            most = max(n for n, s in zip(novelty, symbols) if s == symbol)
            most = max(float(most), estimate.largest.get(symbol, 0.0))
            estimate.largest[symbol] = most
    _fit_errors(estimate, looked_at, model.basis)
    estimate.level_factor = _level_factor(estimate, looked_at, model)
    return estimate


class _Looked:
    """A structure with its features, its prediction and the error of that."""

    def __init__(self, model, calculation):
        reference = ElectronicStructure(
            with_own_initial(model, calculation), model
        )
        self.calculation = reference.calculation
        predicted, self.symbols, self.features = _features(
            model, self.calculation
        )
        matrix, overlap = self.calculation.hamiltonian, reference.overlap
        if overlap is not None:
            shift = energy_shift(predicted, matrix, overlap)
            predicted = shifted(predicted, -shift, overlap)
        self.predicted = predicted
        self.errors = np.abs(matrix_difference(predicted, matrix))
        self.sizes = np.abs(_learned(model, self.calculation).entries)
        self.novelty = None


def _features(model, calculation):
    """Prediction, elements and features of the atoms of a structure."""
    pairs = calculation.hamiltonian.atom_pairs
    hamiltonian, features = predict_with_features(model, calculation, pairs)
    symbols = calculation.atoms.get_chemical_symbols()
    return hamiltonian, symbols, features


def _learned(model, calculation):
    """What the model adds to what it is given: H, or H - H⁰ - μS."""
    matrix, initial = calculation.hamiltonian, calculation.initial_hamiltonian
    if not model.takes_initial:
        return matrix
    initial = aligned(initial, matrix, "zeroth step H⁰")
    rest = matrix.with_entries(matrix.entries - initial.entries)
    overlap = calculation.overlap
    if overlap is None:
        return rest
    return shifted(rest, -gauge_shift(matrix, initial, overlap), overlap)


def _scales(distance, looked_at):
    """Root mean square distance of the validation atoms of each element."""
    squares = {}
    for x in looked_at:
        for symbol, d in zip(x.symbols, distance(x.symbols, x.features)):
            squares.setdefault(symbol, []).append(d * d)
    return {
        symbol: float(np.sqrt(np.mean(values)))
        for symbol, values in squares.items()
        if np.isfinite(values).all()
    }


def _fit_errors(estimate, looked_at, basis):
    """Typical errors, and how they grow with novelty."""
    known = [x for x in looked_at if np.isfinite(x.novelty).all()]
    for is_last in (False, True):
        factors = [
            growth(x.calculation.hamiltonian, x.novelty, estimate.exponents)
            for x in known
        ]
        estimate.typical = TypicalErrors.fit(
            (
                (x.calculation, x.errors, x.sizes, factor)
                for x, factor in zip(known, factors)
            ),
            basis,
        )
        if not is_last:
            estimate.exponents = _exponents(estimate, known, basis)


def _exponents(estimate, looked_at, basis):
    """How errors grow with novelty, of each kind of blocks."""
    rows = {kind: [] for kind in KINDS}
    for x in looked_at:
        matrix = x.calculation.hamiltonian
        typical, _ = estimate.typical(matrix, x.calculation, basis)
        factors = growth(matrix, x.novelty, dict.fromkeys(KINDS, 1.0))
        onsite = np.repeat(matrix.is_onsite, np.diff(matrix.boundaries))
        for kind, chosen in zip(KINDS, (onsite, ~onsite)):
            errors, expected = x.errors[chosen].sum(), typical[chosen].sum()
            if errors > 0 and expected > 0:
                row = factors[chosen] @ typical[chosen] / expected
                rows[kind].append(np.log([row, errors / expected]))
    return {kind: exponent(pairs) for kind, pairs in rows.items()}


def exponent(pairs):
    """Slope of the logarithm of errors over that of novelty.

    Ridge regression towards one: structures of one cell hardly differ in
    novelty, and errors of other cells would be extrapolated far.

    Args:
        pairs: list of `(2,)` arrays, both logarithms of each structure.

    Returns:
        float.
    """
    pairs = np.array(pairs).reshape(-1, 2)
    x, y = (pairs - pairs.sum(axis=0) / max(len(pairs), 1)).T
    slope = (x @ y + PRIOR) / (x @ x + PRIOR)
    return float(np.clip(slope, 0.0, LARGEST_EXPONENT))


def _level_factor(estimate, looked_at, model):
    """Observed over expected errors of levels near the Fermi level."""
    observed = expected = 0.0
    # Evenly, because other cells may come last.
    chosen = np.linspace(0, len(looked_at) - 1, NUM_SPECTRA).round()
    for x in (looked_at[int(k)] for k in np.unique(chosen)):
        reference = ElectronicStructure(x.calculation)
        if obstacle(reference) is not None:
            continue
        found = estimate.expected(
            x.predicted, x.calculation, x.features, model.basis
        )
        found = ExpectedErrors(
            found.novelty, found.blocks, found.num_orbitals, 1.0
        )
        for pair in _levels(reference, x.predicted, found, model):
            observed, expected = observed + pair[0], expected + pair[1]
    return float(observed / expected) if expected else None


def _levels(reference, predicted, expected, model):
    """Sums of observed and expected errors at a few wave vectors."""
    matrices = BlochMatrices(
        predicted,
        reference.overlap,
        reference.calculation.num_orbitals,
        model.overlap_threshold,
    )
    k_points, _ = k_grid_points(
        reference.matrices, k_grid(reference.atoms), gamma_centered=True
    )
    chosen = np.linspace(0, len(k_points) // 2, NUM_K_POINTS).round()
    for k in k_points[np.unique(chosen.astype(int))]:
        exact = lowest_states(reference.matrices, k, coefficients=False)
        states = lowest_states(matrices, k)
        size = min(len(exact.energies), len(states.energies))
        energies = exact.energies[:size]
        near = np.abs(energies - reference.fermi_level) < WINDOW_IN_EV
        if near.sum() > 1:
            errors = (states.energies[:size] - energies)[near]
            # From the Fermi level, which moves with all of them.
            errors = np.abs(errors - np.median(errors))
            yield errors.sum(), expected.of_levels(states)[:size][near].sum()
