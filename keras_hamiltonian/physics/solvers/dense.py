"""All states at one wave vector, or the lowest, by dense matrices."""

import numpy as np
import scipy.linalg

from keras_hamiltonian.physics.solvers.damped_problem import damped_problem
from keras_hamiltonian.physics.solvers.damped_problem import inverse_roots


def solve_dense(matrices, k_point, num_states=None, coefficients=True):
    """Solves `H(k) c = E S(k) c`, without what `overlap_threshold` leaves out.

    Args:
        matrices: `BlochMatrices`.
        k_point: `(3,)` array, fractional.
        num_states: int. Solves for the lowest states only, where that saves
            time. By default, and with an `overlap_threshold`, all are found.
        coefficients: bool. Whether to return the coefficients.

    Returns:
        `(num_found,)` energies in eV, ascending, `(num_orbitals, num_found)`
        coefficients, and the largest norm `|H c - E S c|` in eV; the last two
        are `None` without `coefficients`.

    Raises:
        ValueError: if the matrices are too large, not finite, or S(k) is not
            positive definite.
    """
    hamiltonian, overlap = matrices.dense_at(k_point)
    threshold = matrices.overlap_threshold
    if threshold is None:
        solved = _eigh(hamiltonian, overlap, k_point, num_states, coefficients)
        if not coefficients:
            return solved, None, None
        energies, found = solved
        error = hamiltonian @ found - overlap @ found * energies
    else:
        damped, norms, combinations = damped_problem(
            hamiltonian, overlap, threshold
        )
        if not coefficients:
            return np.linalg.eigvalsh(damped), None, None
        energies, inside = np.linalg.eigh(damped)
        found = (combinations * inverse_roots(norms)) @ inside
        error = damped @ inside - inside * energies
    residual = float(np.linalg.norm(error, axis=0).max())
    return energies, found, residual


def _eigh(hamiltonian, overlap, k_point, num_states, coefficients):
    lowest = None
    if num_states is not None and num_states < len(overlap):
        lowest = (0, num_states - 1)
    try:
        return scipy.linalg.eigh(
            hamiltonian,
            overlap,
            eigvals_only=not coefficients,
            subset_by_index=lowest,
            check_finite=False,
        )
    except np.linalg.LinAlgError as error:
        if not np.isfinite(hamiltonian).all():
            raise ValueError(
                f"H(k) at k = {np.round(k_point, 4).tolist()} has numbers that "
                "are not finite. If it was predicted, the training failed."
            ) from error
        smallest = np.linalg.eigvalsh(overlap)[0]
        raise ValueError(
            f"S(k) at k = {np.round(k_point, 4).tolist()} is not positive "
            f"definite: its smallest eigenvalue is {smallest:.3e}. Either the "
            "overlap does not belong to this structure or lacks pairs, or the "
            "orbitals are nearly dependent; then leave out the dependent "
            "combinations with `matrices.overlap_threshold = 1e-5`."
        ) from error
