"""H⁰ from a second run beside the converged Hamiltonian.

H⁰ is the Hamiltonian that a program builds from superposed atomic densities
before its first SCF step. A run that ends there is a calculation like any
other, in any format, whose Hamiltonian is H⁰; README.md has the input lines of
each program.
"""

import dataclasses
import pathlib

import numpy as np

from data_tools.deeph_files import on_pairs

# Holds the initial runs of the calculations beside it.
INITIAL_FOLDER = "initial"
# Å; programs print positions with seven digits and more.
POSITION_TOLERANCE = 1e-4
# S of both runs has no unit and does not depend on the density.
OVERLAP_TOLERANCE = 1e-5
# eV. Programs with a threshold leave out blocks smaller than this.
NEGLIGIBLE_BLOCK = 1e-6


def initial_place(path):
    """Where the initial run of a calculation is looked for.

    Args:
        path: path. A calculation: `runs/000.HSX` or the folder `runs/000`.

    Returns:
        Path: `runs/initial/000.HSX`, or the folder `runs/000/initial`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return path / INITIAL_FOLDER
    return path.parent / INITIAL_FOLDER / path.name


def with_initial(calculation, initial):
    """The calculation with the Hamiltonian of another run as its H⁰.

    Args:
        calculation: `Calculation`, converged.
        initial: `Calculation` of the same crystal. Its H⁰ is taken if it has
            one, else its Hamiltonian.

    Returns:
        `Calculation` with H⁰ on the pairs of the Hamiltonian; `initial_file`
        in its `source` names the origin.

    Raises:
        ValueError: if the runs differ in atoms, basis, spin, overlap or pairs,
            if H⁰ is equal to H, or there is none.
    """
    found = initial.initial_hamiltonian
    if found is None:
        found = initial.hamiltonian
    if found is None:
        raise ValueError(
            f"The initial run {_place(initial)} has no Hamiltonian, so there "
            "is no H⁰. Write it there as in the converged run."
        )
    _check_same_crystal(calculation, initial)
    hamiltonian = calculation.hamiltonian
    if hamiltonian is not None:
        found = _on_pairs_of(hamiltonian, found, calculation, initial)
        if np.array_equal(found.entries, hamiltonian.entries):
            raise ValueError(
                f"H⁰ of {_place(initial)} is equal to H: the same run was "
                "given twice, or its SCF did not stop at the first step."
            )
    origin = initial.source.get("file")
    named = {} if origin is None else {"initial_file": origin}
    return dataclasses.replace(
        calculation,
        initial_hamiltonian=found,
        source={**calculation.source, **named},
    )


def _place(calculation):
    return calculation.source.get("file") or calculation.name or "given"


def _check_same_crystal(calculation, initial):
    reason = _difference(calculation, initial)
    if reason is not None:
        raise ValueError(
            f"The initial run {_place(initial)} does not belong to "
            f"{_place(calculation)}: {reason}. Both runs need the same input, "
            "up to the number of SCF steps."
        )


def _difference(calculation, initial):
    """What keeps two runs from being of one crystal, in words, or `None`."""
    ours, theirs = calculation.atoms, initial.atoms
    if list(ours.numbers) != list(theirs.numbers):
        return f"its atoms are {theirs.symbols}, not {ours.symbols}"
    for what, left, right in (
        ("lattices", np.asarray(ours.cell), np.asarray(theirs.cell)),
        ("positions", ours.positions, theirs.positions),
    ):
        error = np.abs(left - right).max()
        if error > POSITION_TOLERANCE:
            return f"{what} differ by up to {error:.2g} Å"
    # Elements that do not occur may be in one basis only.
    for symbol in dict.fromkeys(ours.symbols):
        left, right = (
            c.basis.to_dict()[symbol] for c in (calculation, initial)
        )
        if left != right:
            return f"its shells of {symbol} are {right!r}, not {left!r}"
    if calculation.spin != initial.spin:
        return f"its spin is {initial.spin!r}, not {calculation.spin!r}"
    if None not in (calculation.overlap, initial.overlap):
        error = _largest_difference(calculation.overlap, initial.overlap)
        if error > OVERLAP_TOLERANCE:
            return f"overlaps differ by up to {error:.2g}"
    return None


def _largest_difference(first, second):
    """Largest difference of two matrices on the pairs that both list."""
    return max(
        (
            float(np.abs(block - second.find(pair)).max())
            for pair, block in zip(first.index, first.blocks())
            if pair in second.index
        ),
        default=0.0,
    )


def _on_pairs_of(hamiltonian, found, calculation, initial):
    """H⁰ on the pairs of H; a block that one of them lacks must be zero."""
    for matrix, other, name in (
        (hamiltonian, found, f"H⁰ of {_place(initial)}"),
        (found, hamiltonian, f"H of {_place(calculation)}"),
    ):
        missing = [pair for pair in matrix.index if pair not in other.index]
        sizes = [np.abs(matrix.find(pair)).max() for pair in missing]
        if max(sizes, default=0.0) > NEGLIGIBLE_BLOCK:
            worst = int(np.argmax(sizes))
            raise ValueError(
                f"{name} lacks {len(missing)} of {len(matrix)} atom pairs, "
                f"first {missing[worst]} with numbers up to "
                f"{sizes[worst]:.1e} eV in the other run. Run both with the "
                "same basis and thresholds."
            )
    doubling = 2 if calculation.is_spinful else 1
    return on_pairs(
        found, list(hamiltonian.index), doubling * calculation.num_orbitals
    )
