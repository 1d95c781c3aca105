"""H⁰, the zeroth-step Hamiltonian, for a prediction: in every form users have.

H⁰ is the Hamiltonian of the superposed densities of free atoms: what a
density-functional program has before its first diagonalisation.
"""

import dataclasses
import os

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

HOW_TO_MAKE_IT = (
    "H⁰ comes from a run that stops before the first diagonalisation, with the "
    "settings of the training set. OpenMX: `scf.maxIter 1` and `HS.fileout "
    "on`, the .scfout file. SIESTA: `MaxSCFIterations 0` and `TS.HS.Save "
    "true`. ABACUS: `calculation get_hs`. DeepH folders: `hamiltonians_0.h5`."
)


def with_initial(calculation, initial):
    """A calculation with H⁰, and with S where only that of H⁰ is known.

    Args:
        calculation: `Calculation`.
        initial: see `kh.predict`; `None` leaves the calculation as it is.

    Returns:
        `Calculation`.

    Raises:
        ValueError: if there is no H⁰ in `initial`, or it is one of other
            atoms or shells.
    """
    if initial is None:
        return calculation
    if callable(initial):
        initial = initial(calculation.atoms)
    if isinstance(initial, str | os.PathLike):
        from data_tools.formats import read_calculation

        initial = read_calculation(initial)
    if isinstance(initial, BlockMatrix):
        initial = (initial, None)
    if isinstance(initial, Calculation):
        matrix = initial.initial_hamiltonian
        _check_atoms(calculation, initial)
        found = initial.hamiltonian if matrix is None else matrix
        initial = (found, initial.overlap)
    if not isinstance(initial, tuple) or not isinstance(
        initial[0], BlockMatrix
    ):
        raise ValueError(
            "`initial` is a `Calculation` with H⁰, the path of one, or a "
            "function from atoms to it or to H⁰ and S. Received: "
            f"{initial!r}. {HOW_TO_MAKE_IT}"
        )
    matrix, overlap = initial
    if calculation.overlap is not None:
        overlap = calculation.overlap
    return dataclasses.replace(
        calculation, initial_hamiltonian=matrix, overlap=overlap
    )


def initial_matrix(model, calculation):
    """H⁰ of a calculation, for a model that takes it.

    Args:
        model: `Stage`.
        calculation: `Calculation`, or `None`.

    Returns:
        `BlockMatrix` in eV.

    Raises:
        ValueError: saying how to make it, if there is none.
    """
    matrix = None if calculation is None else calculation.initial_hamiltonian
    if matrix is None:
        name = "the structure" if calculation is None else calculation.name
        raise ValueError(
            f"The model {model.name!r} takes H⁰, the Hamiltonian of the "
            f"superposed atoms, and {name} comes without it. Give it as "
            f"`initial=` (command line: --initial). {HOW_TO_MAKE_IT}"
        )
    return matrix


def _check_atoms(calculation, initial):
    atoms, others = calculation.atoms, initial.atoms
    if len(atoms) == len(others) and (atoms.numbers == others.numbers).all():
        # Positions of one atom may differ by lattice vectors; blocks are then
        # those of other pairs.
        moved = abs(atoms.positions - others.positions).max(initial=0.0)
        turned = abs(atoms.cell.array - others.cell.array).max()
        if max(moved, turned) < 1e-3:
            return
        change = max(moved, turned)
        reason = f"their positions or cells differ by {change:.3g} Å"
    else:
        reason = (
            f"it has {atoms.get_chemical_formula()}, H⁰ "
            f"{others.get_chemical_formula()}"
        )
    raise ValueError(
        f"H⁰ does not belong to {calculation.name or 'the structure'}: "
        f"{reason}. Give the run of the same structure, atoms in the same "
        "order and cell."
    )
