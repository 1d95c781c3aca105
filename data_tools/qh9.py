"""QH9's molecules: `QH9Stable.db`, `QH9Dynamic_*.db` (SQLite).

A row of the table `data` is a molecule: atomic numbers `Z` (int32), positions
`pos` and the Fock matrix `Ham` of B3LYP/def2-SVP (float64, hartree), in PySCF's
order with p as (x, y, z). The dynamic set has `geo_id` beside `id`, and its
positions are in bohr, not in Å. There is no overlap: PySCF computes it, if it
is installed. All electrons are counted.

Yu et al., QH9: A quantum Hamiltonian prediction benchmark for QM9 molecules
(arXiv:2306.09549). Checked: layout against its sources, numbers against PySCF.
"""

import contextlib
import functools
import pathlib
import sqlite3

import ase
import numpy as np

from data_tools.cell_matrices import blocks_of_matrix
from data_tools.plausibility import plausible
from data_tools.search import chosen
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers
from keras_hamiltonian.reading import reader
from keras_hamiltonian.reading import reading
from keras_hamiltonian.structures.soundness import check_atoms

# PySCF's.
HARTREE_IN_EV = 27.21138602
BOHR_IN_ANGSTROM = 0.52917721092
# def2-SVP: shells of the elements of QM9.
SHELLS = {"H": "2s 1p", **dict.fromkeys("CNOF", "3s 2p 1d")}
# Å of vacuum beside a molecule: files of other formats need a cell.
VACUUM = 20.0
_MARK = b"SQLite format 3\0"
_COLUMNS = {"id", "N", "Z", "pos", "Ham"}
# SQLite's steps for each byte of a file, and some more.
STEPS = 10**6


def is_qh9(path):
    """Whether a file is a database of QH9."""
    if path.suffix != ".db" or not path.is_file():
        return False
    with open(path, "rb") as file:
        if file.read(len(_MARK)) != _MARK:
            return False
    with reading(path), _open(path) as database:
        return _COLUMNS <= _columns(database)


def qh9_structures(path):
    """The molecules of a database; their matrices are not read.

    Args:
        path: path.

    Returns:
        Dict from the name, the id (and `_geo_id`), to a function that reads
        the molecule; see `read_qh9`.

    Raises:
        ValueError: if the file is damaged or two molecules have one name.
    """
    with reading(path), _open(path) as database:
        is_dynamic = "geo_id" in _columns(database)
        names = "id, geo_id" if is_dynamic else "id"
        rows = {}
        for row, *numbers in database.execute(
            f"SELECT rowid, {names} FROM data"
        ):
            name = "_".join(str(_whole(number)) for number in numbers)
            if name in rows:
                raise ValueError(f"{path} has two molecules {name}.")
            rows[name] = row
    return {
        name: functools.partial(_read, path, name, row, is_dynamic)
        for name, row in rows.items()
    }


def read_qh9(path, name=None):
    """Reads one molecule of a database.

    Args:
        path: str or path.
        name: str. Its id; of the dynamic set `"id_geo_id"`. Defaults to the
            only one.

    Returns:
        `Calculation` without period, in a box with vacuum, with the overlap
        if PySCF is installed.

    Raises:
        ValueError: if there is no such molecule, or its numbers do not fit.
    """
    path = pathlib.Path(path)
    _, read = chosen(path, list(qh9_structures(path).items()), name)
    return read()


@reader
@plausible
def _read(path, name, row, is_dynamic):
    with reading(path, f"molecule {name}"), _open(path) as database:
        numbers, positions, fock = _arrays(path, database, row)
        atoms = ase.Atoms(
            whole_numbers(numbers, "atomic numbers", 1, 118),
            positions * (BOHR_IN_ANGSTROM if is_dynamic else 1.0),
        )
        check_atoms(atoms)
        atoms.cell = np.ptp(atoms.positions, axis=0) + VACUUM
        strange = set(atoms.symbols) - set(SHELLS)
        if strange:
            raise ValueError(
                f"the basis of {', '.join(sorted(strange))} is unknown; QH9 "
                f"has {', '.join(SHELLS)}"
            )
        basis = OrbitalBasis({s: SHELLS[s] for s in set(atoms.symbols)})
        widths = [basis.num_orbitals(z) for z in atoms.numbers]
        if fock.size != sum(widths) ** 2:
            raise ValueError(
                f"the matrix has {fock.size} numbers; the atoms "
                f"{atoms.symbols} have {sum(widths)} orbitals"
            )
        matrices = {"hamiltonian": HARTREE_IN_EV * fock}
        overlap = _overlap(atoms)
        if overlap is not None:
            matrices["overlap"] = overlap
        return Calculation(
            atoms,
            basis,
            num_electrons=float(atoms.numbers.sum()),
            name=name,
            source={"code": "PySCF (QH9)", "file": path.name},
            **{
                field: to_package_order(
                    blocks_of_matrix(matrix.reshape(sum(widths), -1), widths),
                    "pyscf",
                    basis,
                    atoms.numbers,
                )
                for field, matrix in matrices.items()
            },
        )


@contextlib.contextmanager
def _open(path):
    """The database, read only, with bounds on the work for it."""
    size = path.stat().st_size
    place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    database = sqlite3.connect(place, uri=True)
    try:
        # The bound on the length is 10^9 by default.
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(size + 1000, 10**9))
        steps = iter(range(1 + size // STEPS))
        # A value that is true ends the work, with an error.
        database.set_progress_handler(lambda: next(steps, None) is None, STEPS)
        database.execute("PRAGMA trusted_schema = OFF")
        yield database
    finally:
        database.close()


def _columns(database):
    """Columns of the table `data`; none of a view or a virtual table."""
    found = database.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'data'"
    ).fetchone()
    if not found or not found[0].upper().startswith("CREATE TABLE"):
        return set()
    return {row[1] for row in database.execute("PRAGMA table_info(data)")}


def _whole(number):
    """An id: a number, or the eight bytes of one."""
    if isinstance(number, bytes) and len(number) == 8:
        return int.from_bytes(number, "little", signed=True)
    if not isinstance(number, int):
        raise ValueError(f"an id is {number!r}, which is no whole number")
    return number


def _arrays(path, database, row):
    """Atomic numbers, positions `(N, 3)` and the numbers of the matrix."""
    count, *sizes = database.execute(
        "SELECT N, length(Z), length(pos), length(Ham) FROM data "
        "WHERE rowid = ?",
        (row,),
    ).fetchone()
    size = path.stat().st_size
    if not isinstance(count, int) or not 0 < count <= size:
        raise ValueError(f"the number of atoms is {count!r}")
    kinds = []
    for what, length, types, items in zip(
        ("Z", "pos", "Ham"),
        sizes,
        (("<i4", "<i8"), ("<f4", "<f8"), ("<f8",)),
        (count, 3 * count, None),
    ):
        fitting = [
            kind
            for kind in types
            if isinstance(length, int)
            and length <= size
            and length == (items or length // 8) * np.dtype(kind).itemsize
        ]
        if not fitting:
            raise ValueError(f"{what} of {count} atoms has {length} bytes")
        kinds.append(fitting[0])
    blobs = database.execute(
        "SELECT Z, pos, Ham FROM data WHERE rowid = ?", (row,)
    ).fetchone()
    numbers, positions, fock = map(np.frombuffer, blobs, kinds)
    if not np.isfinite(fock).all():
        raise ValueError("the matrix has numbers that are not finite")
    return numbers, positions.reshape(-1, 3).astype(float), fock


def _overlap(atoms):
    """S in PySCF's order, `None` where PySCF is not installed."""
    try:
        from pyscf import gto
    except ImportError:
        return None
    molecule = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions)),
        basis={symbol: _functions(symbol) for symbol in set(atoms.symbols)},
        spin=None,
        verbose=0,
    )
    return molecule.intor("int1e_ovlp")


@functools.cache
def _functions(symbol):
    """The basis of an element, as PySCF lists it."""
    from pyscf import gto

    return gto.basis.load("def2-svp", symbol)
