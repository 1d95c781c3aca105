"""Writes folders like those of ABACUS runs, see `data_tools.abacus`."""

import pathlib

import numpy as np
from ase.data import atomic_masses
from ase.data import atomic_numbers

from data_tools.abacus_csr import LAYOUTS
from data_tools.abacus_csr import RYDBERG_IN_EV
from data_tools.abacus_csr import permuted
from data_tools.abacus_csr import spinor_places
from data_tools.abacus_input import BOHR_IN_ANGSTROM
from data_tools.cell_matrices import stack_of_blocks
from data_tools.spin_blocks import join_spins
from data_tools.spin_blocks import spin_part
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.files import replacing
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.structures.soundness import check_cell

_BANNER_LINES = (
    "-" * 70,
    "CSR Format",
    "For each cell: R1 R2 R3 and how many numbers follow.",
    "Then, in three parts:",
    "the numbers, row by row;",
    "the column of each, from 0;",
    "where each row starts, and the end.",
    "-" * 70,
)


def write_abacus(folder, calculation, layout="new"):
    """Writes a folder like that of an ABACUS run; it appears when complete.

    It holds STRU and, in `OUT.ABACUS`, the matrices, `Orbital` and a log with
    Fermi level and number of electrons. Atoms are sorted by element, as ABACUS
    has them. Blocks that are zero throughout are not in the files.

    Args:
        folder: str or path. New, or empty.
        calculation: `Calculation` with an overlap.
        layout: str. `"new"` (3.9.0.25 and later) or `"old"`.

    Returns:
        `(num_atoms,)` int array: the atoms of the calculation in the order of
        the files.

    Raises:
        ValueError: if the overlap is missing, the shells of an atom are not in
            the order of their degrees, or the folder is not empty.
    """
    if layout not in LAYOUTS:
        raise ValueError(
            f"`layout` is {' or '.join(LAYOUTS)}. Received: {layout!r}."
        )
    if calculation.overlap is None:
        raise ValueError(
            f"The calculation {calculation.name!r} has no `overlap`; ABACUS' "
            "files come in pairs."
        )
    check_cell(calculation.atoms)
    for symbol in dict.fromkeys(calculation.atoms.symbols):
        degrees = list(calculation.basis.shells[symbol])
        if degrees != sorted(degrees):
            raise ValueError(
                f"ABACUS sorts shells by degree; {symbol} has {degrees}."
            )
    folder = pathlib.Path(folder).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty. Choose another folder.")
    symbols = list(dict.fromkeys(calculation.atoms.symbols))
    rank = [symbols.index(symbol) for symbol in calculation.atoms.symbols]
    order = np.argsort(rank, kind="stable")
    with replacing(folder) as place:
        (place / "OUT.ABACUS").mkdir(parents=True)
        _write_run(place, calculation, order, layout)
    return order


def _write_run(folder, calculation, order, layout):
    output = folder / "OUT.ABACUS"
    atoms, basis = calculation.atoms[order], calculation.basis
    position = np.argsort(order)
    widths = calculation.num_orbitals[order]

    def sorted_matrix(matrix):
        pairs = matrix.atom_pairs.copy()
        pairs[:, 3:] = position[pairs[:, 3:]]
        matrix = BlockMatrix(pairs, matrix.shapes, matrix.entries)
        return from_package_order(matrix, "abacus", basis, atoms.numbers)

    structure = None
    if layout == "new":
        structure = _structure_lines(atoms)
    (up, down), (overlap_name, _) = LAYOUTS[layout]
    overlap = sorted_matrix(calculation.overlap)
    hamiltonians = []
    if calculation.hamiltonian is not None:
        hamiltonians = [sorted_matrix(calculation.hamiltonian)]
    if calculation.spin == "noncollinear":
        overlap = overlap.with_entries(overlap.entries.astype(complex))
        overlap = join_spins(overlap, overlap)
    elif calculation.spin == "collinear":
        hamiltonians = [
            spin_part(matrix, s, s) for matrix in hamiltonians for s in (0, 1)
        ]

    def write(name, label, matrix, unit, count, spin):
        factor = 2 if calculation.spin == "noncollinear" else 1
        cells, stack = stack_of_blocks(matrix, factor * widths)
        if factor == 2:
            stack = permuted(stack, np.argsort(spinor_places(widths)))
        _write_csr(
            output / name, label, cells, stack / unit, structure, count, spin
        )

    write(overlap_name, "S", overlap, 1.0, 1, 1)
    for k, matrix in enumerate(hamiltonians):
        count = len(hamiltonians)
        write((up, down)[k], "H", matrix, RYDBERG_IN_EV, count, k + 1)
    _write_stru(folder / "STRU", atoms, basis)
    _write_orbital(output / "Orbital", atoms, basis)
    lines = ["written by keras_hamiltonian, not by ABACUS"]
    if calculation.num_electrons is not None:
        lines.append(
            f"AUTOSET number of electrons:  = {calculation.num_electrons!r}"
        )
    if calculation.fermi_level is not None:
        lines.append(f"EFERMI = {float(calculation.fermi_level)!r} eV")
    (output / "running_scf.log").write_text("\n".join(lines) + "\n")


def _write_stru(path, atoms, basis):
    """Writes a STRU file; atoms of one element follow one another.

    Orbital and pseudopotential files are named, not made.
    """
    symbols = list(dict.fromkeys(atoms.symbols))
    lines = ["ATOMIC_SPECIES"]
    for symbol in symbols:
        mass = atomic_masses[atomic_numbers[symbol]]
        lines.append(f"{symbol} {mass:.3f} {symbol}.upf")
    lines += ["", "NUMERICAL_ORBITAL"]
    lines += [f"{s}_{_letters(basis.shells[s])}.orb" for s in symbols]
    lines += ["", "LATTICE_CONSTANT", repr(1 / BOHR_IN_ANGSTROM)]
    lines += ["", "LATTICE_VECTORS", *_rows(np.asarray(atoms.cell))]
    lines += ["", "ATOMIC_POSITIONS", "Direct"]
    direct = atoms.get_scaled_positions(wrap=False)
    for symbol in symbols:
        own = direct[atoms.symbols == symbol]
        lines += ["", symbol, "0.0", str(len(own))]
        lines += [f"{row} 0 0 0" for row in _rows(own)]
    path.write_text("\n".join(lines) + "\n")


def _write_orbital(path, atoms, basis):
    lines = ["  #io    spec    l    m    z"]
    for number, symbol in enumerate(atoms.symbols):
        degrees = basis.shells[symbol]
        for l in sorted(set(degrees)):
            for zeta in range(1, degrees.count(l) + 1):
                lines += [
                    f"{number:5d}{symbol:>8}{l:5d}{m:5d}{zeta:5d}"
                    for m in range(2 * l + 1)
                ]
    path.write_text("\n".join(lines) + "\n")


def _structure_lines(atoms):
    """The unit cell as the new matrix files have it."""
    symbols = list(dict.fromkeys(atoms.symbols))
    counts = [str(int((atoms.symbols == symbol).sum())) for symbol in symbols]
    return [
        " user_defined_lattice",
        " 1",
        *[f" {row}" for row in _rows(np.asarray(atoms.cell))],
        " " + " ".join(symbols),
        " " + " ".join(counts),
        " Direct",
        *[f" {row}" for row in _rows(atoms.get_scaled_positions(wrap=False))],
    ]


def _write_csr(path, label, cells, stack, structure=None, num_spins=1, spin=1):
    """Writes one file; the numbers keep all their digits.

    Args:
        path: path.
        label: str. `"H"` or `"S"`.
        cells: `(num_R, 3)` ints.
        stack: sparse matrix `(num_R n, n)`. Zeros are left out.
        structure: list of str. The unit cell; `None` writes the old header.
        num_spins: int. Files of this matrix, 2 for up and down.
        spin: int. Which of them, from 1.
    """
    size = stack.shape[1]
    stack = stack.tocsr(copy=True)
    stack.eliminate_zeros()
    is_new = structure is not None
    parts = [stack[r * size : (r + 1) * size] for r in range(len(cells))]
    full = [(cell, part) for cell, part in zip(cells, parts) if part.nnz]
    with open(path, "w") as file:
        if is_new:
            lines = [
                " --- Ionic Step 1 ---",
                f" # print {label} matrix in real space {label}(R)",
                f" {num_spins} # number of spin directions",
                f" {spin} # spin index",
                f" {size} # number of localized basis",
                f" {len(full)} # number of Bravais lattice vector R",
                "",
                *structure,
                "",
                # ABACUS skips this banner by its eight lines.
                *(f" #{line:^70}#" for line in _BANNER_LINES),
                "",
            ]
        else:
            lines = [
                "STEP: 0",
                f"Matrix Dimension of {label}(R): {size}",
                f"Matrix number of {label}(R): {len(full)}",
            ]
        print("\n".join(lines), file=file)
        for cell, part in full:
            names = ("values", "column indices", "row pointers")
            arrays = (_texts(part.data), part.indices, part.indptr)
            start = " " if is_new else ""
            print(f"{start}{' '.join(map(str, cell))} {part.nnz}", file=file)
            for name, array in zip(names, arrays):
                if is_new:
                    print(f" # CSR {name}", file=file)
                print("", *array, file=file)
            if is_new:
                print(file=file)


def _texts(values):
    if np.iscomplexobj(values):
        return [f"({x.real:.16e},{x.imag:.16e})" for x in values]
    return [f"{x:.16e}" for x in values]


def _letters(degrees):
    return "".join(
        f"{degrees.count(l)}{SHELL_LETTERS[l]}" for l in sorted(set(degrees))
    )


def _rows(numbers):
    return [" ".join(repr(float(x)) for x in row) for row in numbers]
