"""Which orbitals states consist of, and over how many atoms they spread."""

import numpy as np

from keras_hamiltonian.conventions import SHELL_LETTERS


def orbital_groups(calculation):
    """The rows of H(k) that belong to each element and kind of shell.

    Args:
        calculation: `Calculation`, or any object with its `atoms`, `basis`
            and `is_spinful`.

    Returns:
        Dict from names such as `"C p"` to int arrays. Together they hold each
        row once.
    """
    basis = calculation.basis
    groups = {}
    start = 0
    for symbol in calculation.atoms.get_chemical_symbols():
        for _ in range(2 if calculation.is_spinful else 1):
            for l in basis.shells[symbol]:
                name = f"{symbol} {SHELL_LETTERS[l]}"
                rows = np.arange(start, start + 2 * l + 1)
                groups.setdefault(name, []).append(rows)
                start += 2 * l + 1
    return {name: np.concatenate(rows) for name, rows in groups.items()}


def mulliken_populations(states, matrices, groups):
    """How much of each state belongs to groups of orbitals.

    Mulliken's `Re c* (S c)`, summed over the orbitals of a group. With
    overlap a population can be slightly negative.

    Args:
        states: `States` with coefficients.
        matrices: `BlochMatrices` they come from.
        groups: dict from names to int arrays of rows, see `orbital_groups`.

    Returns:
        Dict from names to `(num_states,)` arrays. If the groups hold every
        row once, they add up to 1.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> from keras_hamiltonian.physics.states import lowest_states
    >>> dimer = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 1), (0, 0, 0, 1, 0)], [-np.eye(1), -np.eye(1)]
    ... )
    >>> matrices = BlochMatrices(dimer, None, [1, 1])
    >>> states = lowest_states(matrices, [0, 0, 0])
    >>> mulliken_populations(states, matrices, {"left": [0]})["left"].round(6)
    array([0.5, 0.5])
    """
    per_orbital = _per_orbital(states, matrices)
    return {
        name: per_orbital[rows].sum(axis=0) for name, rows in groups.items()
    }


def participation_ratios(states, matrices):
    """Inverse participation ratio of each state.

    `Σ_a p_a² / (Σ_a p_a)²` with the Mulliken populations p of the atoms: 1 on
    a single atom, 1/N spread over N atoms.

    Args:
        states: `States` with coefficients.
        matrices: `BlochMatrices` they come from.

    Returns:
        `(num_states,)` array.
    """
    per_atom = atom_populations(states, matrices)
    return (per_atom**2).sum(axis=0) / per_atom.sum(axis=0) ** 2


def atom_populations(states, matrices):
    """How much of each state belongs to each atom.

    Args:
        states: `States` with coefficients.
        matrices: `BlochMatrices` they come from.

    Returns:
        `(num_atoms, num_states)` array, which adds up to 1 for each state.
    """
    starts = np.cumsum(matrices.num_orbitals) - matrices.num_orbitals
    return np.add.reduceat(_per_orbital(states, matrices), starts, axis=0)


def _per_orbital(states, matrices):
    if states.coefficients is None:
        raise ValueError(
            "Populations need the coefficients of the states; solve them with "
            "`coefficients=True`."
        )
    products = matrices.overlap_at(states.k_point) @ states.coefficients
    return (states.coefficients.conj() * products).real
