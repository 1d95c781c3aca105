"""Energies without combinations of orbitals that are nearly dependent."""

import numpy as np

# Sharpness of the threshold, and the energy of combinations that are left out.
EDGE = 8
HIGH_IN_EV = 50.0


def damped_problem(hamiltonian, overlap, threshold):
    """The eigenproblem without combinations of orbitals of small norm.

    With `S = U s U^†` and the weight `w = 1 / (1 + (t / s)^8)` of each
    combination it is `√w s^{-1/2} U^† H U s^{-1/2} √w + (1 - w) E`: above the
    threshold t the problem itself, below it levels at a high energy E (50 eV
    above the mean of the orbitals) that mix with no other. The edge is smooth,
    so that bands do not jump where a norm crosses it.

    Args:
        hamiltonian: `(n, n)` Hermitian array in eV.
        overlap: `(n, n)` Hermitian array.
        threshold: float, 0 or more.

    Returns:
        `(n, n)` Hermitian array in eV; `(n,)` array of the norms s, ascending;
        and `(n, n)` array U. The orbitals' coefficients of an eigenvector v
        are `U s^{-1/2} v`, see `inverse_roots`.
    """
    norms, combinations = np.linalg.eigh(overlap)
    inside = combinations.conj().T @ hamiltonian @ combinations
    high = high_level(hamiltonian, overlap)
    damped = leave_out(inside, norms, threshold, high)
    return damped, norms, combinations


def leave_out(inside, norms, threshold, high):
    """The same from `U^† H U`, the norms, and the high energy in eV."""
    exists = norms > 0
    weights = exists / (1 + (threshold / np.where(exists, norms, 1.0)) ** EDGE)
    roots = np.sqrt(weights) * inverse_roots(norms)
    return roots[:, None] * inside * roots + np.diag((1 - weights) * high)


def high_level(hamiltonian, overlap):
    """The energy in eV of combinations that are left out; dense or sparse."""
    diagonal = hamiltonian.diagonal().real / overlap.diagonal().real
    return diagonal.mean() + HIGH_IN_EV


def inverse_roots(norms):
    """`s^{-1/2}` of an array, 0 where the norm is not positive."""
    exists = norms > 0
    return exists / np.sqrt(np.where(exists, norms, 1.0))
