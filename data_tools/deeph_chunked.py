"""DeepH-dock's folders: one flat array of blocks per matrix."""

import pathlib

import ase.io

from data_tools import deeph_files
from data_tools.plausibility import plausible
from data_tools.poscar import read_poscar
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.data.matrix_group import DATASETS
from keras_hamiltonian.data.matrix_group import read_matrix
from keras_hamiltonian.files import replacing
from keras_hamiltonian.hdf5_files import new_hdf5
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.reading import reader
from keras_hamiltonian.structures.soundness import check_cell

# `prediction` is a Hamiltonian that a model wrote. `hamiltonian_0.h5` is this
# package's name; DeepH-dock has none.
CHUNKED_FILES = {
    "hamiltonian": "hamiltonian.h5",
    "overlap": "overlap.h5",
    "initial_hamiltonian": "hamiltonian_0.h5",
    "prediction": "hamiltonian_pred.h5",
}
UNITS = {"hamiltonian": "eV", "initial_hamiltonian": "eV", "overlap": "1"}


@reader
@plausible
def read_chunked(folder, files=None):
    """Reads a folder of DeepH-dock.

    Args:
        folder: str or path. Holds `POSCAR`, `info.json` and the matrices.
        files: dict or `None`. File names that differ from `CHUNKED_FILES`, for
            example `{"hamiltonian": "hamiltonian_pred.h5"}` to read a
            prediction; the name `None` leaves a matrix out.

    Returns:
        `Calculation`. A matrix without a file is `None`.

    Raises:
        ValueError: if a file is missing or does not hold what it should.
    """
    folder = pathlib.Path(folder)
    paths = deeph_files.matrix_paths(folder, CHUNKED_FILES, files)
    atoms = _read_poscar(folder / "POSCAR")
    info = deeph_files.read_info(folder)
    basis = _read_basis(folder, info, atoms)
    matrices = {content: _read_matrix(path) for content, path in paths.items()}
    num_orbitals = [basis.num_orbitals(z) for z in atoms.numbers]
    return Calculation(
        atoms,
        basis,
        spin=deeph_files.spin_layout(
            folder, info.get("spinful"), matrices, num_orbitals
        ),
        fermi_level=info.get("fermi_energy_eV"),
        num_electrons=info.get("occupation"),
        name=folder.resolve().name,
        source={**info.get("source", {}), "format": "DeepH-dock"},
        **matrices,
    )


def write_chunked(folder, calculation, files=None, fill_missing=False):
    """Writes a folder of DeepH-dock; the inverse of `read_chunked`.

    Every file is complete or absent at any time. Matrices are read
    back bit for bit; a POSCAR has 16 decimals (Å). DeepH-dock needs the same
    pairs in all matrices of a folder: those of the Hamiltonian, in its order.

    Args:
        folder: str or path. Made if it does not exist.
        calculation: `Calculation`.
        files: dict or `None`. File names, as in `read_chunked`.
        fill_missing: bool. Where the matrices list different pairs, write all
            pairs of any of them, with zero blocks where a matrix has none.
            Defaults to `False`, which raises an error instead.

    Raises:
        ValueError: if the calculation has no matrix, its matrices list
            different pairs, or the folder holds a matrix of another
            calculation.
    """
    folder = pathlib.Path(folder)
    check_cell(calculation.atoms)
    names = deeph_files.matrix_names(CHUNKED_FILES, files)
    matrices = deeph_files.matrices_to_write(calculation, names)
    matrices = _on_common_pairs(matrices, calculation, fill_missing)
    deeph_files.prepare_folder(
        folder, CHUNKED_FILES, {names[content] for content in matrices}
    )
    with replacing(folder / "POSCAR") as temporary:
        ase.io.write(temporary, calculation.atoms, format="vasp", sort=False)
    for content, matrix in matrices.items():
        _write_matrix(folder / names[content], matrix, UNITS[content])
    deeph_files.write_info(folder, _info(calculation))


def _info(calculation):
    return {
        "atoms_quantity": len(calculation.atoms),
        "orbits_quantity": int(calculation.num_orbitals.sum()),
        "orthogonal_basis": False,
        "spinful": calculation.is_spinful,
        "fermi_energy_eV": calculation.fermi_level,
        "occupation": calculation.num_electrons,
        "elements_orbital_map": {
            symbol: list(calculation.basis.shells[symbol])
            for symbol in dict.fromkeys(calculation.atoms.symbols)
        },
        "source": calculation.source or None,
    }


def _read_poscar(path):
    if not path.is_file():
        raise ValueError(
            f"{path.parent} holds no POSCAR, so it is no folder of DeepH-dock."
        )
    return read_poscar(path)


def _read_basis(folder, info, atoms):
    shells = info.get("elements_orbital_map")
    missing = set(atoms.symbols) - set(shells or {})
    if missing:
        raise ValueError(
            f"{folder / 'info.json'} has no `elements_orbital_map` entry for "
            f"{', '.join(sorted(missing))}; expected the degrees of the "
            f'shells of each element, such as {{"C": [0, 0, 1, 1, 2]}}.'
        )
    return OrbitalBasis(shells)


def _read_matrix(path):
    with open_hdf5(path) as file:
        return read_matrix(file)


def _write_matrix(path, matrix, units):
    arrays = (matrix.atom_pairs, matrix.shapes, matrix.boundaries)
    with new_hdf5(path) as file:
        for name, array in zip(DATASETS, (*arrays, matrix.entries)):
            file.create_dataset(name, data=array)
        file.attrs["units"] = units


def _on_common_pairs(matrices, calculation, fill_missing):
    pairs = list(dict.fromkeys(p for m in matrices.values() for p in m.index))
    counts = {content: len(matrix) for content, matrix in matrices.items()}
    if set(counts.values()) != {len(pairs)} and not fill_missing:
        raise ValueError(
            f"The matrices list different pairs: {counts}, {len(pairs)} in "
            "all. DeepH-dock needs the same pairs in all of them; "
            "fill_missing=True writes zero blocks for the rest."
        )
    num_rows = calculation.num_orbitals
    doubling = 2 if calculation.is_spinful else 1
    return {
        content: deeph_files.on_pairs(
            matrix, pairs, num_rows * (1 if content == "overlap" else doubling)
        )
        for content, matrix in matrices.items()
    }
