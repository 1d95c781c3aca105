"""The `.csr` files of CP2K: one for each matrix, spin and translation.

A line of text, or a Fortran record, for each number: row, column (from 1) and
value in hartree. A matrix without numbers is an empty file.
"""

import re

import numpy as np
import scipy.sparse

from keras_hamiltonian.orbitals.whole_numbers import whole_numbers
from keras_hamiltonian.reading import reader

# Project, matrix, spin, translation or wave vector, counters of the step.
_NAME = re.compile(
    r"(.*)-(KS|S)_SPIN_([12])(?:_([RK])_(\d{1,9}))?-([\d_]+)\.csr"
)
_RECORD = np.dtype(
    [("start", "<i4"), ("row", "<i4"), ("column", "<i4"), ("value", "<f8")]
    + [("end", "<i4")]
)
_LENGTH = 16


def is_cp2k(folder):
    """Whether a folder holds matrices of CP2K."""
    return folder.is_dir() and any(
        _NAME.fullmatch(path.name) for path in folder.glob("*_SPIN_*.csr")
    )


def matrix_files(folder):
    """The files of the matrices of a run.

    Args:
        folder: path.

    Returns:
        Dict with `"S"` and `"KS"`, of each a dict from spin (1, 2) to a dict
        from the number of the translation (from 1; 0 without k points) to the
        path; `"KS"` is empty where there is an overlap alone.

    Raises:
        ValueError: if there is no overlap, or files of several runs or steps,
            or at wave vectors.
    """
    files, runs = {"KS": {}, "S": {}}, {}
    for path in sorted(folder.glob("*_SPIN_*.csr")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        project, kind, spin, letter, number, step = match.groups()
        if letter == "K":
            raise ValueError(
                f"{path} is the matrix at a wave vector, which does not give "
                "H(R). Repeat the run with REAL_SPACE .TRUE. in KS_CSR_WRITE "
                "and S_CSR_WRITE."
            )
        runs.setdefault(kind, {})[project, step, letter] = path.name
        places = files[kind].setdefault(int(spin), {})
        places[int(number or 0)] = path
    for found in runs.values():
        if len(found) > 1:
            names = " and ".join(list(found.values())[:2])
            raise ValueError(
                f"{folder} holds matrices of several runs or steps: {names}. "
                "One calculation is one step; put each into its own folder."
            )
    if list(files["S"]) != [1] or list(files["KS"]) not in ([], [1], [1, 2]):
        have = [f"{k}_SPIN_{s}" for k, spins in files.items() for s in spins]
        raise ValueError(
            f"{folder} holds {', '.join(have)}; expected S_SPIN_1 and, beside "
            "it, KS_SPIN_1, with KS_SPIN_2 of a spin-polarised run. Write both "
            "matrices: KS_CSR_WRITE and S_CSR_WRITE."
        )
    return files


def read_stack(paths, cells, size):
    """The matrices of all cells, one below the other.

    Of `UPPER_TRIANGULAR` files, where no number is below the diagonal, the
    rest is added: M(R) = M(-R)ᵀ.

    Args:
        paths: list of paths.
        cells: `(num_R, 3)` ints, or list. Lattice translations of the files.
        size: int. Orbitals in a cell.

    Returns:
        `scipy.sparse.csr_matrix` `(num_R size, size)` in hartree.

    Raises:
        ValueError: if a file is damaged, or has more orbitals.
    """
    parts = [_read(path, size) for path in paths]
    counts = [len(part[2]) for part in parts]
    cell = np.repeat(np.arange(len(parts)), counts)
    row, column, value = map(np.concatenate, zip(*parts))
    if (row <= column).all() and (row < column).any():
        places = {tuple(c): k for k, c in enumerate(np.asarray(cells).tolist())}
        reverse = [places.get(tuple(-x for x in c), -1) for c in places]
        above = row < column
        partner = np.array(reverse)[cell[above]]
        if (partner < 0).any():
            raise ValueError(
                f"{paths[0]} is an upper triangle, and the translation "
                f"{list(places)[cell[above][partner.argmin()]]} has no "
                "reverse. Copy all files of the run, or repeat it without "
                "UPPER_TRIANGULAR."
            )
        lower = column[above], row[above], value[above]
        row, column, value = (
            np.concatenate(pair) for pair in zip((row, column, value), lower)
        )
        cell = np.concatenate([cell, partner])
    return scipy.sparse.csr_matrix(
        (value, (cell * size + row, column)), shape=(len(parts) * size, size)
    )


@reader
def _read(path, size):
    """Rows and columns from 0, and values of one file."""
    data = path.read_bytes()
    start = data[:4]
    if start == _LENGTH.to_bytes(4, "little"):
        records = np.frombuffer(
            data[: len(data) // _RECORD.itemsize * _RECORD.itemsize], _RECORD
        )
        marks = records[["start", "end"]].tolist()
        if len(data) % _RECORD.itemsize or set(marks) != {(_LENGTH, _LENGTH)}:
            raise ValueError(
                f"{path} is no sequence of Fortran records of {_LENGTH} bytes. "
                "It is damaged, or cut short."
            )
        row, column = records["row"], records["column"]
        value = records["value"].astype(float)
    elif start == _LENGTH.to_bytes(4, "big"):
        raise ValueError(
            f"{path} holds big-endian numbers; expected little-endian ones. "
            "Write text: BINARY .FALSE."
        )
    else:
        numbers = np.array(data.split(), float).reshape(-1, 3)
        value = numbers[:, 2]
        row, column = numbers[:, 0].astype(int), numbers[:, 1].astype(int)
        if (numbers[:, :2] != np.column_stack([row, column])).any():
            raise ValueError(f"{path} has rows or columns with fractions.")
    if not np.isfinite(value).all():
        raise ValueError(f"{path} holds numbers that are not finite.")
    row, column = (
        whole_numbers(x, what, 1, size) - 1
        for x, what in ((row, "rows"), (column, "columns"))
    )
    if len(np.unique(row * size + column)) < len(row):
        raise ValueError(f"{path} lists an element twice. It is damaged.")
    return row, column, value
