"""CP2K: Kohn-Sham matrix and overlap of `KS_CSR_WRITE` and `S_CSR_WRITE`.

Input of a run that can be read:

    &DFT
      &KPOINTS ... &END KPOINTS
      &PRINT
        &KS_CSR_WRITE
          REAL_SPACE .TRUE.
        &END KS_CSR_WRITE
        &S_CSR_WRITE
          REAL_SPACE .TRUE.
        &END S_CSR_WRITE
      &END PRINT
    &END DFT

CP2K writes one file for each spin and lattice translation, and lists the
translations in its log. They belong to the atoms moved into the cell, with
fractional positions from -½ to ½. Orbitals: set > shell > m = -l..l with the
usual signs, as in this package. Hartree and bohr of CODATA 2006, which the log
states. Without k points there is one matrix, of all cells added up: good for a
molecule in a large box, and refused for a crystal.

Checked on runs of CP2K 2023.1 (tests/data/README.md): eigenvalues that it
printed, and S against PySCF's integrals of the same basis.
"""

import pathlib

import ase
import numpy as np

from data_tools import cp2k_log
from data_tools.cell_matrices import blocks_of_stack
from data_tools.cp2k_csr import matrix_files
from data_tools.cp2k_csr import read_stack
from data_tools.deeph_files import on_pairs
from data_tools.images import images_of_overlap
from data_tools.plausibility import plausible
from data_tools.spin_blocks import join_spins
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.reading import reader


@reader
@plausible
def read_cp2k(folder, log=None, cell=None):
    """Reads a run of CP2K.

    Numbers below `THRESHOLD` are not in the files: a pair of atoms has a block
    if H or S has a number of it, and H and S get the same pairs.

    Args:
        folder: str or path. Holds the `.csr` files and the log.
        log: str or path. What CP2K printed (`PRINT_LEVEL MEDIUM`). Defaults to
            the only `*.out`, `*.log` or `*.txt` of this project in the folder.
        cell: `(3, 3)` array in Å, rows are vectors. Defaults to `&CELL` of the
            input file that the log names, which lies in the folder: the log
            has three digits only.

    Returns:
        `Calculation`, the positions within half a cell of the origin or at
        the images that S asks for. Without a Hamiltonian the overlap alone.

    Raises:
        ValueError: if a file is missing, cut short or of another kind, or they
            do not belong together.
    """
    folder = pathlib.Path(folder)
    files = matrix_files(folder)
    path = cp2k_log.find_log(folder, files) if log is None else log
    run = cp2k_log.read_log(pathlib.Path(path))
    if files["KS"] and len(files["KS"]) != run.num_spins:
        raise ValueError(
            f"{folder} holds KS_SPIN_* of {len(files['KS'])} spins, and the "
            f"log {run.path.name} is of {run.num_spins}. Copy all files and "
            "the log of one run."
        )
    vectors = cp2k_log.read_cell(folder, run) if cell is None else cell
    atoms = _moved(
        ase.Atoms(run.symbols, run.positions, cell=vectors, pbc=run.pbc)
    )
    basis = OrbitalBasis(run.shells)
    widths = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    matrices = _matrices(folder, files, run, widths)
    images = images_of_overlap(atoms, matrices["overlap"])
    atoms.positions += images @ np.asarray(atoms.cell)
    return Calculation(
        atoms,
        basis,
        spin="collinear" if len(files["KS"]) == 2 else "none",
        fermi_level=run.fermi_level,
        num_electrons=run.num_electrons,
        name=folder.resolve().name,
        source={"code": "CP2K", "version": run.version, "file": run.path.name},
        **matrices,
    )


def _moved(atoms):
    """The atoms within half a cell of the origin, as CP2K computes."""
    shifts = np.rint(atoms.get_scaled_positions(wrap=False)) * atoms.pbc
    atoms.positions -= shifts @ np.asarray(atoms.cell)
    return atoms


def _matrices(folder, files, run, widths):
    """H in eV and S on the pairs that either has."""
    found, lists = {}, set()
    for kind, spins in files.items():
        cells = run.images.get(kind)
        for spin, places in spins.items():
            if 0 in places:  # without k points
                names, translations = [places[0]], [(0, 0, 0)]
            elif cells is None or set(places) != set(range(1, len(cells) + 1)):
                listed = "no" if cells is None else len(cells)
                raise ValueError(
                    f"{folder} holds {len(places)} files {kind}_SPIN_{spin}_R_*"
                    f", and the log lists {listed} periodic images. Copy all "
                    "files and the log of one run."
                )
            else:
                names = [places[k + 1] for k in range(len(cells))]
                translations = cells
            lists.add(tuple(map(tuple, translations)))
            stack = read_stack(names, translations, int(widths.sum()))
            found[kind, spin] = blocks_of_stack(translations, stack, widths)
    if len(lists) > 1:
        raise ValueError(
            f"{folder}: KS and S are given at other translations. Copy all "
            "files and the log of one run."
        )
    pairs = sorted({pair for matrix in found.values() for pair in matrix.index})
    found = {k: on_pairs(m, pairs, widths) for k, m in found.items()}
    overlap = found.pop(("S", 1))
    matrices = {"overlap": overlap}
    spins = [found[key] for key in sorted(found)]
    if len(spins) == 2:
        spins = [join_spins(*spins)]
    if spins:
        energies = spins[0].entries * run.hartree
        matrices["hamiltonian"] = spins[0].with_entries(energies)
    return matrices
