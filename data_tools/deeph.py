"""DeepH folders: the legacy layout and the chunked one of DeepH-dock."""

import json
import pathlib

import ase
import h5py
import numpy as np

from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import to_package_order

# What each layout calls the file of a matrix. `prediction` is a Hamiltonian
# that a model wrote: plural in the legacy layout, singular in the new one.
LEGACY_FILES = {
    "hamiltonian": "hamiltonians.h5",
    "overlap": "overlaps.h5",
    "initial_hamiltonian": "hamiltonians_0.h5",
    "prediction": "hamiltonians_pred.h5",
}
MATRICES = ("hamiltonian", "overlap", "initial_hamiltonian")


def read_legacy(folder, files=None):
    """Reads a legacy DeepH folder.

    Args:
        folder: str or path. Holds `element.dat`, `lat.dat`,
            `site_positions.dat`, `orbital_types.dat`, `info.json` and the
            matrices.
        files: dict or `None`. File names that differ from `LEGACY_FILES`, for
            example `{"hamiltonian": "hamiltonians_pred.h5"}` to read a
            prediction; the value `None` leaves a matrix out.

    Returns:
        `Calculation`. A matrix whose file is not there is `None`. Blocks are
        in m = -l..l; nothing is computed, numbers only move.

    Raises:
        ValueError: if a file is missing or does not hold what it should.
    """
    folder = pathlib.Path(folder)
    atoms = _read_legacy_atoms(folder)
    basis = _read_legacy_basis(folder, atoms)
    info = _read_info(folder)
    matrices = {}
    for content, path in _matrix_paths(folder, LEGACY_FILES, files).items():
        matrix = _read_keyed_blocks(path, len(atoms))
        matrices[content] = to_package_order(
            matrix, "openmx", basis, atoms.numbers
        )
    return Calculation(
        atoms,
        basis,
        spin=_spin(folder, info.get("isspinful"), matrices, basis, atoms),
        fermi_level=info.get("fermi_level"),
        num_electrons=info.get("num_electrons"),
        name=folder.resolve().name,
        source={"format": "DeepH legacy", **info.get("source", {})},
        **matrices,
    )


def _matrix_paths(folder, defaults, files):
    unknown = set(files or {}) - set(MATRICES)
    if unknown:
        raise ValueError(
            f"`files` names the file of {', '.join(MATRICES)}. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    paths = {}
    for content in MATRICES:
        name = (files or {}).get(content, defaults[content])
        if name is None:
            continue
        if (folder / name).is_file():
            paths[content] = folder / name
        elif content in (files or {}):
            raise ValueError(f"{folder} holds no file {name}.")
    if not {"hamiltonian", "overlap"} & set(paths):
        raise ValueError(
            f"{folder} holds neither a Hamiltonian ({defaults['hamiltonian']}) "
            f"nor an overlap ({defaults['overlap']}). For a prediction pass "
            f'files={{"hamiltonian": "{defaults["prediction"]}"}}.'
        )
    return paths


def _read_numbers(path, dtype=float):
    if not path.is_file():
        raise ValueError(
            f"{path.parent} holds no {path.name}, so it is not a complete "
            "legacy DeepH folder."
        )
    try:
        return np.loadtxt(path, dtype=dtype, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} is not a table of numbers: {error}") from None


def _read_legacy_atoms(folder):
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
            " It looks transposed: one column per atom, not one row."
            if positions.shape == (len(numbers), 3)
            else ""
        )
        raise ValueError(
            f"{folder / 'site_positions.dat'} has the shape "
            f"{positions.shape}; expected (3, {len(numbers)}), Å, for the "
            f"{len(numbers)} atoms of element.dat.{hint}"
        )
    return ase.Atoms(numbers, positions.T, cell=lattice.T, pbc=True)


def _read_legacy_basis(folder, atoms):
    path = folder / "orbital_types.dat"
    if not path.is_file():
        raise ValueError(f"{folder} holds no {path.name}.")
    lines = [
        tuple(int(l) for l in line.split())
        for line in path.read_text().splitlines()
        if line.strip()
    ]
    if len(lines) != len(atoms):
        raise ValueError(
            f"{path} has {len(lines)} lines for {len(atoms)} atoms; expected "
            "one line per atom with the degrees of its shells."
        )
    shells = {}
    for atom, (symbol, degrees) in enumerate(zip(atoms.symbols, lines)):
        if shells.setdefault(symbol, degrees) != degrees:
            raise ValueError(
                f"{path} gives {symbol} the shells {shells[symbol]} and, for "
                f"atom {atom + 1}, {degrees}. One model needs one basis per "
                "element."
            )
    return OrbitalBasis(shells)


def _read_info(folder):
    path = folder / "info.json"
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def _read_keyed_blocks(path, num_atoms):
    """Blocks under keys `"[R1, R2, R3, i, j]"`, in the file's order."""
    pairs, blocks = [], []
    with _open(path) as file:
        for name in file.id:
            pairs.append(_pair(path, name, num_atoms))
            blocks.append(_read_dataset(path, file, name))
    return BlockMatrix.from_blocks(pairs, blocks)


def _pair(path, name, num_atoms):
    try:
        r1, r2, r3, i, j = json.loads(name)
    except (ValueError, TypeError):
        raise ValueError(
            f"{path} holds a dataset {name.decode()!r}; expected keys such as "
            "'[0, 0, 0, 1, 2]' (lattice shift, then two atoms from 1)."
        ) from None
    if not (1 <= i <= num_atoms and 1 <= j <= num_atoms):
        raise ValueError(
            f"{path} holds the pair {name.decode()} for {num_atoms} atoms; "
            f"expected atoms from 1 to {num_atoms}."
        )
    return r1, r2, r3, i - 1, j - 1


def _open(path):
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened as HDF5 ({error}); it may be cut short "
            "or of another kind."
        ) from None


def _read_dataset(path, file, name):
    # h5py's low level: a folder holds thousands of small datasets.
    try:
        dataset = h5py.h5d.open(file.id, name)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} holds a dataset {name.decode()!r} that HDF5 "
            f"{h5py.version.hdf5_version} cannot open ({error}). Files "
            "written by HDF5 2.0 need h5py 3.15 or newer."
        ) from None
    block = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, block)
    if block.ndim != 2:
        raise ValueError(
            f"{path}, {name.decode()}: a block has two dimensions. Received "
            f"the shape {block.shape}."
        )
    return block


def _spin(folder, is_spinful, matrices, basis, atoms):
    """Spin layout from `info.json`, checked against the blocks."""
    matrix = matrices.get("hamiltonian", matrices.get("initial_hamiltonian"))
    if matrix is None or len(matrix) == 0:
        return "noncollinear" if is_spinful else "none"
    atom = matrix.atom_pairs[0, 3]
    orbitals = basis.num_orbitals(atoms.numbers[atom])
    has_spin = bool(matrix.shapes[0, 0] == 2 * orbitals)
    if is_spinful is not None and bool(is_spinful) != has_spin:
        raise ValueError(
            f"{folder / 'info.json'} says spinful: {is_spinful}, but a block "
            f"of atom {atom + 1} ({orbitals} orbitals) has "
            f"{matrix.shapes[0, 0]} rows."
        )
    if not has_spin:
        return "none"
    is_complex = np.iscomplexobj(matrix.entries)
    return "noncollinear" if is_complex else "collinear"
