"""H⁰, the zeroth-step Hamiltonian, for a prediction: in every form users have.

H⁰ is the Hamiltonian of the superposed densities of free atoms: what a
density-functional program has before its first diagonalisation.
"""

import dataclasses
import os

import numpy as np

from keras_hamiltonian.conventions import CODE
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

# Distance over the reach of two orbitals: reaches are estimated from data.
FARTHEST = 1.1
HOW_TO_MAKE_IT = (
    "H⁰ comes from a run of one SCF step with the settings of the training "
    "set. OpenMX: `scf.maxIter 1`, the .scfout file. SIESTA: "
    "`MaxSCFIterations 1` and `SCF.Mix density`, the .HSX file. ABACUS: "
    "`scf_nmax 1`, `init_chg atomic`, `out_mat_hs2 1`. DeepH folders: "
    "`hamiltonians_0.h5`. Without a run, from species files: "
    "`keras-hamiltonian zeroth`; a model trained with `species` computes it "
    "itself."
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


def check_distances(calculation, reaches):
    """Refuses H⁰ whose pairs of atoms are too far apart to be neighbours.

    Args:
        calculation: `Calculation` with H⁰.
        reaches: dict from element to Å.

    Raises:
        ValueError: naming the pair that is farthest apart.
    """
    pairs = calculation.initial_hamiltonian.atom_pairs
    atoms = calculation.atoms
    reach = np.array([reaches[s] for s in atoms.symbols])
    distances = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    limits = reach[pairs[:, 3:]].sum(axis=1)
    worst = np.argmax(distances / limits)
    if distances[worst] > FARTHEST * limits[worst]:
        i, j = pairs[worst, 3:]
        raise ValueError(
            f"H⁰ of {calculation.name!r} lists the pair of atoms {i} and {j} "
            f"in cell {tuple(pairs[worst, :3].tolist())}, which are "
            f"{distances[worst]:.2f} Å apart where orbitals reach "
            f"{limits[worst]:.2f} Å. It is that of other atoms, or of these in "
            "another order: make it from the very structure."
        )


def zeroth_calculation(zeroth_step, atoms, name):
    """A `Calculation` like one of a run that stopped at its first SCF step.

    Args:
        zeroth_step: `ZerothStep`.
        atoms: `ase.Atoms`.
        name: str.

    Returns:
        `Calculation`, whose Hamiltonian is H⁰.
    """
    hamiltonian, overlap = zeroth_step(atoms)
    electrons = (zeroth_step.species[s].num_electrons for s in atoms.symbols)
    return Calculation(
        atoms,
        zeroth_step.basis,
        zeroth_step.spin,
        hamiltonian=hamiltonian,
        overlap=overlap,
        num_electrons=sum(electrons),
        name=name,
        source={"code": CODE, "hamiltonian": "H0"},
    )


def with_own_initial(model, structure):
    """A structure with the H⁰ that a model of its own species computes.

    Args:
        model: `Stage`.
        structure: `ase.Atoms` or `Calculation`.

    Returns:
        `Calculation` with H⁰ and S; or the structure as it is, if the model
        takes no H⁰ or has no species, or the structure has H⁰.
    """
    is_known = isinstance(structure, Calculation)
    has_initial = is_known and structure.initial_hamiltonian is not None
    if has_initial or not model.takes_initial or model.zeroth_step is None:
        return structure
    model.check_elements(structure.atoms if is_known else structure)
    if not is_known:
        structure = Calculation(structure, model.basis, spin=model.spin)
    return given_initial(structure, model.zeroth_step)


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
