"""H⁰, the zeroth-step Hamiltonian, for a prediction: in every form users have.

H⁰ is the Hamiltonian of the superposed densities of free atoms: what a
density-functional program has before its first diagonalisation.
"""

import dataclasses
import os

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

HOW_TO_MAKE_IT = (
    "H⁰ comes from a run of one SCF step with the settings of the training "
    "set. OpenMX: `scf.maxIter 1`, the .scfout file. SIESTA: "
    "`MaxSCFIterations 1` and `SCF.Mix density`, the .HSX file. ABACUS: "
    "`scf_nmax 1`, `init_chg atomic`, `out_mat_hs2 1`. DeepH folders: "
    "`hamiltonians_0.h5`. Without a run, from OpenMX's species files: "
    "`keras-hamiltonian zeroth`."
)


def given_initial(calculation, initial):
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
        from data_tools.initial import with_initial

        # H itself, where it is known, is not asked for.
        bare = dataclasses.replace(calculation, hamiltonian=None)
        found, overlap = with_initial(bare, initial), initial.overlap
    elif isinstance(initial, tuple) and isinstance(initial[0], BlockMatrix):
        matrix, overlap = initial
        found = dataclasses.replace(calculation, initial_hamiltonian=matrix)
    else:
        raise ValueError(
            "`initial` is a `Calculation` with H⁰, the path of one, H⁰ as a "
            "`BlockMatrix`, or a function from atoms to H⁰ and S. Received: "
            f"{initial!r}. {HOW_TO_MAKE_IT}"
        )
    if found.overlap is None:
        found = dataclasses.replace(found, overlap=overlap)
    return found


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
