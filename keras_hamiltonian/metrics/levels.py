"""Errors of energy levels and of their wave functions at one wave vector."""

import numpy as np

# Levels closer than this (eV) mix under a perturbation as small as the error
# of a model; only the space they span is compared.
DEGENERACY_IN_EV = 0.005


def near_degenerate_groups(energies, tolerance=DEGENERACY_IN_EV):
    """Groups of levels whose neighbors are closer than a tolerance.

    Args:
        energies: `(num_levels,)` array in eV, ascending.
        tolerance: float, in eV.

    Returns:
        `(num_levels,)` int array: the number of each level's group.

    Example:

    >>> near_degenerate_groups([0.0, 0.001, 0.4])
    array([0, 0, 1])
    """
    gaps = np.diff(np.asarray(energies, dtype=np.float64))
    return np.concatenate([[0], np.cumsum(gaps > tolerance)])


def level_similarities(
    predicted, reference, overlap, energies, tolerance=DEGENERACY_IN_EV
):
    """Similarity of predicted and reference wave functions, level by level.

    For a single level it is `|<c_pred|S|c_ref>|`. The vectors of
    near-degenerate levels are arbitrary up to a rotation among them, so their
    spaces are compared: the similarity of each is the mean of the singular
    values of `C_pred^† S C_ref` over the group, the mean cosine of the
    principal angles between both spaces. A level that trades its place with
    one outside its group has similarity 0.

    Args:
        predicted: `(num_orbitals, num_levels)` array, `C^† S C = 1`. Level n
            of the prediction is compared with level n of the reference.
        reference: array of the same shape.
        overlap: `(num_orbitals, num_orbitals)` array or sparse matrix.
        energies: `(num_levels,)` array of the reference in eV, ascending.
        tolerance: float, in eV. See `near_degenerate_groups`.

    Returns:
        `(num_levels,)` array between 0 and 1.

    Raises:
        ValueError: if the shapes differ.

    Reference: Björck and Golub, Math. Comp. 27, 579 (1973).
    """
    if predicted.shape != reference.shape:
        raise ValueError(
            "Both sides need the same orbitals and levels. Received: shapes "
            f"{predicted.shape} and {reference.shape}."
        )
    products = predicted.conj().T @ (overlap @ reference)
    groups = near_degenerate_groups(energies, tolerance)
    starts = np.append(np.unique(groups, return_index=True)[1], len(groups))
    found = np.empty(len(groups))
    for start, stop in zip(starts[:-1], starts[1:]):
        block = products[start:stop, start:stop]
        found[start:stop] = np.linalg.svd(block, compute_uv=False).mean()
    return np.minimum(found, 1.0)
