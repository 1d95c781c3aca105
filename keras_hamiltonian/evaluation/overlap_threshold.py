"""Which combinations of orbitals the bands of predictions leave out."""

import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.evaluation.spectrum import obstacle
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.states import solve_states

THRESHOLDS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
NUM_STRUCTURES = 3
NUM_K_POINTS = 3
# What is left out is missing in the basis: it has to be worth it.
LARGEST_SHARE = 0.9
# A threshold that makes bands this many times worse is the last one tried.
LARGEST_LOSS = 2.0


def choose_overlap_threshold(
    model, calculations, thresholds=THRESHOLDS, window=3.0
):
    """Looks for the overlap threshold with the best bands.

    Nearly dependent orbitals make wrong bands of small errors: in a
    combination of norm s, an eigenvalue of S(k), the error of H counts 1/s
    times. A combination that is left out costs the little that it brings to
    the true bands. Which is worse depends on the model, so bands are compared
    with those of calculations that the model was not trained on, at a few
    wave vectors of a few of them.

    Args:
        model: `Stage`.
        calculations: iterable of `Calculation` with a Hamiltonian, of which
            the first three that have an overlap and a Fermi level or a number
            of electrons count.
        thresholds: ascending floats to choose from, besides none.
        window: float. Energies about the Fermi level, in eV.

    Returns:
        The best threshold, or `None` if none makes bands better by 10 %; and
        the mean absolute error of the levels in the window, in eV, a dict
        from `"none"` and each threshold that was tried, as str. It is empty
        if there was nothing to compare with.

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
    exact = np.stack([_levels(reference, k, None) for k in k_points])
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
        found = [_levels(predicted, k, threshold) for k in k_points]
        errors.append(np.abs(np.stack(found) - exact)[near].mean())
    return errors


def _levels(matrices, k_point, threshold):
    return solve_states(
        matrices, k_point, overlap_threshold=threshold, coefficients=False
    ).energies
