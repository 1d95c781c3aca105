"""The overlap threshold of a model: combinations of orbitals to leave out."""

import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.evaluation.spectrum import obstacle
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid

THRESHOLDS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
NUM_STRUCTURES = 3
NUM_K_POINTS = 3
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
    with those of calculations that the model was not trained on, at a few
    wave vectors of a few structures.

    Args:
        model: `Stage`.
        calculations: iterable of `Calculation` with a Hamiltonian, of which
            the first three with an overlap and a Fermi level or a number of
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
        if np.isfinite(found[0]):
            errors.append(found)
        if len(errors) == NUM_STRUCTURES:
            break
    if not errors:
        return None, {}
    means = np.mean(errors, axis=0)
    best = int(np.argmin(means))
    threshold = candidates[best]
    if means[best] > LARGEST_SHARE * means[0]:
        threshold = None
    names = ["none", *map(str, thresholds)]
    tried = {n: e for n, e in zip(names, means.tolist()) if np.isfinite(e)}
    return threshold, tried


def _errors(crystal, blocks, candidates, window):
    """Mean absolute errors of the levels in the window."""
    reference = crystal.matrices
    predicted = BlochMatrices(
        blocks, crystal.overlap, crystal.calculation.num_orbitals
    )
    k_points, _ = k_grid_points(
        reference, k_grid(crystal.atoms), gamma_centered=True
    )
    if reference.spinful:
        # The other half has the same levels (k and -k, Kramers).
        k_points = k_points[: len(k_points) // 2 + 1]
    chosen = np.linspace(0, len(k_points) - 1, NUM_K_POINTS).round()
    k_points = k_points[np.unique(chosen.astype(int))]
    exact = solve_bands(reference, k_points)
    near = np.abs(exact - crystal.fermi_level) < window
    if not near.any():
        return [np.nan]
    smallest = min(
        np.linalg.eigvalsh(reference.dense_at(k)[1])[0] for k in k_points
    )
    errors = []
    for threshold in candidates:
        if errors and threshold < smallest / 3:
            errors.append(errors[0])
            continue
        if errors and errors[-1] > LARGEST_LOSS * min(errors):
            errors.append(np.inf)
            continue
        predicted.overlap_threshold = threshold
        found = solve_bands(predicted, k_points)
        errors.append(np.abs(found - exact)[near].mean())
    return errors
