"""Legacy DeepH folders: one HDF5 dataset per atom pair."""

import dataclasses
import json
import pathlib
import typing

import ase
import h5py
import numpy as np

from data_tools import deeph_files
from data_tools.plausibility import plausible
from data_tools.shells import element_shells
from keras_hamiltonian.data.calculation import TYPES
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.files import write_text
from keras_hamiltonian.hdf5_files import new_hdf5
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.reading import check_size
from keras_hamiltonian.reading import reader
from keras_hamiltonian.structures.soundness import check_atoms
from keras_hamiltonian.structures.soundness import check_cell

# `prediction` is a Hamiltonian that a model wrote.
LEGACY_FILES = {
    "hamiltonian": "hamiltonians.h5",
    "overlap": "overlaps.h5",
    "initial_hamiltonian": "hamiltonians_0.h5",
    "prediction": "hamiltonians_pred.h5",
}


class PredictionReport(typing.NamedTuple):
    """How a written prediction differs from the Hamiltonian it came from.

    Attributes:
        num_zero: int. Pairs of the overlap without a block in the Hamiltonian,
            written as zeros.
        num_dropped: int. Blocks of the Hamiltonian whose pair the overlap does
            not have, left out.
    """

    num_zero: int
    num_dropped: int


@reader
@plausible
def read_legacy(folder, files=None):
    """Reads a legacy DeepH folder.

    Args:
        folder: str or path. Holds `element.dat`, `lat.dat`,
            `site_positions.dat`, `orbital_types.dat`, `info.json` and the
            matrices.
        files: dict or `None`. File names that differ from `LEGACY_FILES`, for
            example `{"hamiltonian": "hamiltonians_pred.h5"}` to read a
            prediction; the name `None` leaves a matrix out.

    Returns:
        `Calculation`. A matrix without a file is `None`. Blocks are in
        m = -l..l; numbers only move, none is computed.

    Raises:
        ValueError: if a file is missing or does not hold what it should.
    """
    folder = pathlib.Path(folder)
    paths = deeph_files.matrix_paths(folder, LEGACY_FILES, files)
    atoms = read_legacy_atoms(folder)
    basis = _read_basis(folder, atoms)
    info = deeph_files.read_info(folder)
    matrices = {}
    for content, path in paths.items():
        matrix = _read_blocks(path, len(atoms))
        matrices[content] = to_package_order(
            matrix, "openmx", basis, atoms.numbers
        )
    num_orbitals = [basis.num_orbitals(z) for z in atoms.numbers]
    return Calculation(
        atoms,
        basis,
        spin=deeph_files.spin_layout(
            folder, info.get("isspinful"), matrices, num_orbitals
        ),
        fermi_level=info.get("fermi_level"),
        num_electrons=info.get("num_electrons"),
        name=folder.resolve().name,
        source={**info.get("source", {}), "format": "DeepH legacy"},
        **matrices,
    )


def write_legacy(folder, calculation, files=None):
    """Writes a legacy DeepH folder; the inverse of `read_legacy`.

    Every file is complete or absent at any time. `num_electrons` and `source`
    go into `info.json` under these names, which DeepH ignores. Collinear
    blocks stay real.

    Args:
        folder: str or path. Made if it does not exist.
        calculation: `Calculation`.
        files: dict or `None`. File names, as in `read_legacy`.

    Raises:
        ValueError: if the calculation has no matrix, a degree is unknown to
            the format, or the folder holds a matrix of another calculation.
    """
    folder = pathlib.Path(folder)
    check_cell(calculation.atoms)
    names = deeph_files.matrix_names(LEGACY_FILES, files)
    ordered = {
        names[content]: _in_file_order(matrix, calculation)
        for content, matrix in deeph_files.matrices_to_write(
            calculation, names
        ).items()
    }
    deeph_files.prepare_folder(folder, LEGACY_FILES, ordered)
    _write_structure(folder, calculation)
    shifts = np.concatenate([m.atom_pairs[:, :3] for m in ordered.values()])
    _write_table(folder / "R_list.dat", np.unique(shifts, axis=0))
    for name, matrix in ordered.items():
        _write_blocks(folder / name, matrix)
    deeph_files.write_info(folder, _info(calculation))


def write_prediction(folder, calculation, overlap=None):
    """Writes a predicted Hamiltonian where DeepH's programs look for it.

    That is `hamiltonians_pred.h5` and `info.json`. DeepH's sparse
    diagonalisation stops at a pair that `overlaps.h5` does not have, so the
    file gets exactly the pairs of the overlap. An existing `info.json` is kept,
    with its `isspinful` set.

    Args:
        folder: str or path. Made if it does not exist.
        calculation: `Calculation` with a Hamiltonian.
        overlap: `BlockMatrix` that gives the pairs. Defaults to the
            calculation's; without either, the Hamiltonian's own pairs are
            written.

    Returns:
        `PredictionReport`: how many blocks were missing and how many left out.

    Raises:
        ValueError: if there is no Hamiltonian, or the overlap is not one of
            this structure.
    """
    if calculation.hamiltonian is None:
        raise ValueError("The calculation has no Hamiltonian to write.")
    folder = pathlib.Path(folder)
    matrix = calculation.hamiltonian
    overlap = calculation.overlap if overlap is None else overlap
    report = PredictionReport(0, 0)
    if overlap is not None:
        # Checks that the overlap is one of this structure.
        calculation = dataclasses.replace(calculation, overlap=overlap)
        doubling = 2 if calculation.is_spinful else 1
        matrix = deeph_files.on_pairs(
            matrix, list(overlap.index), doubling * calculation.num_orbitals
        )
        num_shared = len(overlap.index.keys() & calculation.hamiltonian.index)
        report = PredictionReport(
            num_zero=len(overlap) - num_shared,
            num_dropped=len(calculation.hamiltonian) - num_shared,
        )
    matrix = _in_file_order(matrix, calculation)
    folder.mkdir(parents=True, exist_ok=True)
    _write_blocks(folder / LEGACY_FILES["prediction"], matrix)
    info = {**_info(calculation), **deeph_files.read_info(folder)}
    info["isspinful"] = calculation.is_spinful
    deeph_files.write_info(folder, info)
    return report


def _in_file_order(matrix, calculation):
    numbers = calculation.atoms.numbers
    return from_package_order(matrix, "openmx", calculation.basis, numbers)


def _info(calculation):
    return {
        "nsites": len(calculation.atoms),
        "isorthogonal": False,
        "isspinful": calculation.is_spinful,
        "norbits": int(calculation.num_orbitals.sum()),
        "fermi_level": calculation.fermi_level,
        "num_electrons": calculation.num_electrons,
        "source": calculation.source or None,
    }


def _read_numbers(path, dtype=float):
    if not path.is_file():
        raise ValueError(
            f"{path.parent} holds no {path.name}, so it is no complete legacy "
            "DeepH folder."
        )
    try:
        return np.loadtxt(path, dtype=dtype, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} is no table of numbers: {error}.") from None


@reader
def read_legacy_atoms(folder):
    """The `ase.Atoms` of a legacy DeepH folder.

    Raises:
        ValueError: if a file is missing or does not hold what it should.
    """
    numbers = _read_numbers(folder / "element.dat", int).ravel()
    lattice = _read_numbers(folder / "lat.dat")
    if lattice.shape != (3, 3):
        raise ValueError(
            f"{folder / 'lat.dat'} has the shape {lattice.shape}; expected "
            "(3, 3), columns being the lattice vectors in Å."
        )
    positions = _read_numbers(folder / "site_positions.dat")
    if positions.shape != (3, len(numbers)):
        hint = (
            " It looks transposed: an atom is a column here, not a row."
            if positions.shape == (len(numbers), 3)
            else ""
        )
        raise ValueError(
            f"{folder / 'site_positions.dat'} has the shape "
            f"{positions.shape}; expected (3, {len(numbers)}) in Å for the "
            f"{len(numbers)} atoms of element.dat.{hint}"
        )
    atoms = ase.Atoms(numbers, positions.T, cell=lattice.T, pbc=True)
    check_atoms(atoms)
    return atoms


def _read_basis(folder, atoms):
    path = folder / "orbital_types.dat"
    if not path.is_file():
        raise ValueError(f"{folder} holds no {path.name}.")
    try:
        lines = [
            tuple(int(l) for l in line.split())
            for line in path.read_text().splitlines()
            if line.strip()
        ]
    except ValueError as error:
        raise ValueError(f"{path} is no table of degrees: {error}.") from None
    if len(lines) != len(atoms):
        raise ValueError(
            f"{path} has {len(lines)} lines for {len(atoms)} atoms; expected "
            "one line per atom with the degrees of its shells."
        )
    return OrbitalBasis(element_shells(path, zip(atoms.symbols, lines)))


def _read_blocks(path, num_atoms):
    pairs, blocks, total = [], [], 0
    with open_hdf5(path) as file:
        for name in file.id:
            # h5py's low level: a folder holds thousands of small data sets.
            dataset = h5py.h5d.open(file.id, name)
            total += int(np.prod(dataset.shape)) * dataset.dtype.itemsize
            check_size(path, total)
            pairs.append(_pair(path, name, num_atoms))
            blocks.append(_read_dataset(path, dataset, name))
    return BlockMatrix.from_blocks(pairs, blocks)


def _pair(path, name, num_atoms):
    try:
        r1, r2, r3, i, j = pair = json.loads(name)
        if any(type(number) is not int for number in pair):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ValueError(
            f"{path} holds {name.decode()!r}; expected keys such as "
            "'[0, 0, 0, 1, 2]': a lattice shift and two atoms, counted from 1."
        ) from None
    if not (1 <= i <= num_atoms and 1 <= j <= num_atoms):
        raise ValueError(
            f"{path} holds the pair {name.decode()}; expected atoms from 1 to "
            f"{num_atoms}."
        )
    return r1, r2, r3, i - 1, j - 1


def _read_dataset(path, dataset, name):
    if len(dataset.shape) != 2 or dataset.dtype.name not in TYPES:
        raise ValueError(
            f"{path}, {name.decode()}: a block has two dimensions, and numbers "
            f"of the type {', '.join(TYPES)}. Received the shape "
            f"{dataset.shape} and {dataset.dtype}."
        )
    block = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, block)
    return block


def _write_blocks(path, matrix):
    with new_hdf5(path) as file:
        for pair, block in zip(matrix.atom_pairs.tolist(), matrix.blocks()):
            *shift, i, j = pair
            file.create_dataset(str([*shift, i + 1, j + 1]), data=block)


def _write_structure(folder, calculation):
    atoms, basis = calculation.atoms, calculation.basis
    lattice = np.asarray(atoms.cell).T
    _write_table(folder / "lat.dat", lattice)
    _write_table(folder / "rlat.dat", 2 * np.pi * np.linalg.inv(lattice).T)
    _write_table(folder / "site_positions.dat", atoms.positions.T)
    _write_table(folder / "element.dat", atoms.numbers[:, None])
    degrees = [basis.shells[symbol] for symbol in atoms.symbols]
    _write_table(folder / "orbital_types.dat", degrees)


def _write_table(path, rows):
    # str of a double is its shortest exact form.
    lines = ("\t".join(str(x) for x in row) for row in rows)
    write_text(path, "\n".join(lines) + "\n")
