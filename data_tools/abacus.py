"""ABACUS: Hamiltonian and overlap in numerical atomic orbitals.

Reads and writes the text files of `out_mat_hs2 1` of both generations: up to
3.8 (`data-HR-sparse_SPIN0.csr`, `data-SR-sparse_SPIN0.csr`) and from 3.9.0.25
on (`hrs1_nao.csr`, `srs1_nao.csr`, later `sr_nao.csr`). See
`data_tools.abacus_csr` for what stands in them.

Orbitals: atom > l > zeta > m = 0, 1, -1, 2, -2 with the sign (-1)^m, so p is
(z, -x, -y). Energies in Ry of 13.605698 eV, ABACUS' constant.

Checked: both layouts against ABACUS' sources and documentation. Cells, order
and signs against a file that ABACUS keeps for its own tests (silicon, 26
orbitals, 183 cells), by hand: column atoms stand in cell R, and with (-1)^m its
s-p and s-d blocks follow the edges of the cell (½ ½ 0), (½ 0 ½), (0 ½ ½). The
file does not state its cell; without the signs the same cell rotated by 180°
about z would fit. The Bloch sum: the documentation writes exp(-ikR), the source
(`folding_HR`) computes exp(+2πi k·R), as this package does.

Not checked against a run: matrices with spin-orbit coupling (nspin 4). The
order, spin inside m, and that values are `<i 0|H|j R>` and not their conjugate,
are taken from the documentation and the source.

Known faults of ABACUS itself (deepmodeling/abacus-develop): with non-collinear
magnetisation the sign of the y component in H changed between versions (#7522,
#7759); without magnetisation H has no such part. Version 3.4 put some atoms
into other cells than STRU (#3064); the check of the geometry in
`data_tools.check` notices that.
"""

import pathlib

import numpy as np

from data_tools import abacus_csr
from data_tools import abacus_input
from data_tools import deeph_files
from data_tools.cell_matrices import blocks_of_stack
from data_tools.cell_matrices import stack_of_blocks
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.files import replacing
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.orbitals.orders import to_package_order

RYDBERG_IN_EV = 13.605698
# Names of H (up, down) and S; for S also those of `calculation get_s`.
LAYOUTS = {
    "new": (
        ("hrs1_nao.csr", "hrs2_nao.csr"),
        ("srs1_nao.csr", "sr_nao.csr"),
    ),
    "old": (
        ("data-HR-sparse_SPIN0.csr", "data-HR-sparse_SPIN1.csr"),
        ("data-SR-sparse_SPIN0.csr", "SR.csr"),
    ),
}
# A six-digit lattice in the header against that of STRU.
LATTICE_TOLERANCE = 1e-4


def read_abacus(folder, basis=None, structure=None):
    """Reads an ABACUS run.

    Only numbers above ABACUS' threshold are in the files, so a pair of atoms
    has a block if H or S has any number of it, and H and S get the same pairs.

    Args:
        folder: str or path. The folder of the run, with one `OUT.*` in it, or
            the `OUT.*` itself.
        basis: dict. Shells of each element, such as `{"Si": "2s 2p 1d"}`.
            By default from the log, `Orbital`, or names of orbital files.
        structure: str or path. The STRU file. Defaults to the one the run's
            INPUT names, or STRU beside `OUT.*`. Without one the unit cell in
            the matrix file serves, with the six digits that ABACUS prints.

    Returns:
        `Calculation`, with Fermi level and electrons if the log has them.
        Without a Hamiltonian (`calculation get_s`) the overlap alone.

    Raises:
        ValueError: if a file is missing, cut short or of another kind, or they
            do not belong together.
    """
    folder = pathlib.Path(folder)
    output = find_output(folder)
    if output is None:
        names = [layout[0][0] for layout in LAYOUTS.values()]
        raise ValueError(
            f"{folder} is no folder of an ABACUS run with matrices: expected "
            f"{' or '.join(names)}, or one OUT.* with them. Repeat the run "
            "with out_mat_hs2 1."
        )
    paths = _matrix_paths(output)
    files = [abacus_csr.read_csr(path) for path in paths["hamiltonian"]]
    overlap = abacus_csr.read_csr(paths["overlap"])
    _check_spins(paths, files, overlap)
    log = _text(sorted(output.glob("running_*.log")))
    atoms, names = _structure(folder, output, structure, [*files, overlap])
    if basis is None:
        orbital = _text([output / "Orbital"])
        basis = abacus_input.read_basis(output, atoms, log, orbital, names)
    else:
        basis = OrbitalBasis(basis)
    spin, widths = _spin(paths, atoms, basis, files, overlap)
    matrices = _matrices(paths, files, overlap, spin, widths)
    fermi_level, num_electrons = abacus_input.read_log(log)
    return Calculation(
        atoms,
        basis,
        spin=spin,
        fermi_level=fermi_level,
        num_electrons=num_electrons,
        name=_run_folder(output).resolve().name,
        source={"code": "ABACUS", "file": paths["overlap"].name},
        **{
            field: to_package_order(matrix, "abacus", basis, atoms.numbers)
            for field, matrix in matrices.items()
        },
    )


def write_abacus(folder, calculation, layout="new"):
    """Writes a folder that looks like an ABACUS run; appears when complete.

    STRU lies in it, the matrices, `Orbital` and a log with Fermi level and
    number of electrons in `OUT.ABACUS`. Atoms are sorted by element, as ABACUS
    has them. Blocks that are zero throughout are not in the files.

    Args:
        folder: str or path. Not there yet, or empty.
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


def find_output(folder, layout=None):
    """The folder with the matrices: this one or the only `OUT.*` in it.

    Args:
        folder: path.
        layout: str. `"new"`, `"old"` or `None` for either.

    Returns:
        Path, or `None` if there are no matrices, or several `OUT.*` with them.
    """
    layouts = LAYOUTS if layout is None else [layout]
    names = [n for key in layouts for pair in LAYOUTS[key] for n in pair]
    if not folder.is_dir():
        return None
    found = [
        place
        for place in [folder, *sorted(folder.glob("OUT.*"))]
        if any((place / name).is_file() for name in names)
    ]
    return found[0] if len(found) == 1 else None


def _matrix_paths(output):
    """Paths of the Hamiltonians (none, one, or up and down) and the overlap."""
    found = []
    for layout, (hamiltonians, overlaps) in LAYOUTS.items():
        paths = {
            "hamiltonian": [output / name for name in hamiltonians],
            "overlap": [output / name for name in overlaps],
        }
        paths = {k: [p for p in v if p.is_file()] for k, v in paths.items()}
        if paths["hamiltonian"] or paths["overlap"]:
            found.append((layout, paths))
    if len(found) > 1:
        raise ValueError(
            f"{output} holds matrices of two generations of ABACUS: "
            f"{found[0][1]['overlap'] + found[1][1]['overlap']}. Remove those "
            "of the other run."
        )
    layout, paths = found[0]
    if len(paths["overlap"]) != 1:
        expected = " or ".join(LAYOUTS[layout][1])
        raise ValueError(
            f"{output} holds {len(paths['overlap'])} overlaps; expected one, "
            f"{expected}. It is written along with the Hamiltonian by "
            "out_mat_hs2 1."
        )
    return {**paths, "overlap": paths["overlap"][0]}


def _check_spins(paths, files, overlap):
    for path, file in zip(paths["hamiltonian"], files):
        if file.num_spins == 2 and len(files) == 1:
            raise ValueError(
                f"{path} is of a spin-polarised run (nspin 2), but the other "
                "spin is missing: expected hrs1_nao.csr and hrs2_nao.csr."
            )
        if file.size != overlap.size:
            raise ValueError(
                f"{path} has {file.size} orbitals, {paths['overlap'].name} "
                f"{overlap.size}. They belong to two runs."
            )
    names = [path.name for path in paths["hamiltonian"]]
    if names and names[0] not in [v[0][0] for v in LAYOUTS.values()]:
        raise ValueError(
            f"{paths['hamiltonian'][0]} is the spin-down matrix; the spin-up "
            "one is missing."
        )


def _structure(folder, output, structure, files):
    """Atoms, and the orbital file of each element."""
    header = next((file for file in files if file.structure), None)
    atoms, names = None, {}
    path = _stru_path(output) if structure is None else structure
    if path is not None:
        atoms, names = abacus_input.read_stru(pathlib.Path(path))
    if header is None:
        if atoms is None:
            raise ValueError(
                f"{folder}: the structure is unknown. Expected STRU beside "
                "OUT.*; or pass it as `structure`."
            )
        return atoms, names
    own = abacus_input.read_structure_lines(output, header.structure)
    if atoms is None:
        return own, names
    scale = np.abs(np.asarray(own.cell)).max()
    is_same = list(own.symbols) == list(atoms.symbols) and np.allclose(
        own.cell, atoms.cell, rtol=0, atol=LATTICE_TOLERANCE * scale
    )
    shifts = np.zeros((1, 3))
    if is_same:
        direct = own.get_scaled_positions(wrap=False)
        shifts = direct - atoms.get_scaled_positions(wrap=False)
    if not is_same or np.abs(shifts - np.rint(shifts)).max() > 1e-4:
        raise ValueError(
            f"{path} is not the structure of the matrices in {output}; did "
            "the run move the atoms? Pass the file of the last step as "
            "`structure`, for example OUT.*/STRU_ION_D."
        )
    # The cells R belong to the positions of the header, the digits to STRU.
    atoms.positions += np.rint(shifts) @ np.asarray(atoms.cell)
    return atoms, names


def _run_folder(output):
    return output.parent if output.name.startswith("OUT.") else output


def _stru_path(output):
    places = [_run_folder(output), output]
    for place in places:
        for line in _text([place / "INPUT"]).splitlines():
            words = line.split("#")[0].split()
            if len(words) == 2 and words[0] == "stru_file":
                for start in places:
                    if (start / words[1]).is_file():
                        return start / words[1]
    return next((p / "STRU" for p in places if (p / "STRU").is_file()), None)


def _text(paths):
    return "\n".join(
        path.read_text(errors="replace") for path in paths if path.is_file()
    )


def _spin(paths, atoms, basis, files, overlap):
    """Layout of the spin, and orbitals of each atom without spin."""
    widths = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    size = int(widths.sum())
    if overlap.size not in (size, 2 * size):
        raise ValueError(
            f"{paths['overlap']} has {overlap.size} orbitals; the atoms "
            f"{atoms.get_chemical_formula()} with the basis "
            f"{basis.to_dict()} have {size}, or {2 * size} with spin. Pass "
            "the right `basis` or `structure`."
        )
    is_spinor = overlap.size == 2 * size
    for path, file in zip(paths["hamiltonian"], files):
        if is_spinor != np.iscomplexobj(file.stack):
            kind = "real" if is_spinor else "complex"
            raise ValueError(
                f"{path} has {kind} numbers for {file.size} orbitals, and the "
                f"basis {basis.to_dict()} gives {size}. Expected complex "
                "numbers with twice as many (nspin 4), real ones otherwise. "
                "Pass the right `basis`."
            )
    if is_spinor:
        return "noncollinear", widths
    return ("collinear" if len(files) == 2 else "none"), widths


def _matrices(paths, files, overlap, spin, widths):
    """H in eV and S on the pairs that either has, in ABACUS' order."""
    is_spinor = spin == "noncollinear"
    factor = 2 if is_spinor else 1

    def blocks_of(file):
        stack = file.stack
        if is_spinor:
            stack = _permuted(stack, _spinor_places(widths))
        return blocks_of_stack(file.cells, stack, factor * widths)

    spins, overlap = [blocks_of(file) for file in files], blocks_of(overlap)
    if is_spinor:
        overlap = _spinless(paths["overlap"], overlap)
    pairs = sorted({pair for m in (overlap, *spins) for pair in m.index})
    spins = [deeph_files.on_pairs(m, pairs, factor * widths) for m in spins]
    matrices = {"overlap": deeph_files.on_pairs(overlap, pairs, widths)}
    if len(spins) == 2:
        blocks = [
            np.kron([[1, 0], [0, 0]], up) + np.kron([[0, 0], [0, 1]], down)
            for up, down in zip(spins[0].blocks(), spins[1].blocks())
        ]
        spins = [BlockMatrix.from_blocks(pairs, blocks)]
    if spins:
        found = spins[0]
        matrices["hamiltonian"] = BlockMatrix(
            found.atom_pairs, found.shapes, found.entries * RYDBERG_IN_EV
        )
    return matrices


def _spinor_places(widths):
    """Where ABACUS' orbital (spin innermost) stands: up, down per atom."""
    starts = 2 * (np.cumsum(widths) - widths)
    return np.concatenate(
        [
            start + np.arange(2 * n) // 2 + n * (np.arange(2 * n) % 2)
            for start, n in zip(starts, widths)
        ]
    )


def _permuted(stack, place):
    """The stack with row and column k moved to `place[k]`."""
    stack = stack.tocoo()
    cell, row = np.divmod(stack.row, len(place))
    stack.row = cell * len(place) + place[row]
    stack.col = place[stack.col]
    return stack.tocsr()


def _spinless(path, matrix):
    """The up-up part of an overlap, which the other parts must agree with."""
    blocks = []
    for block in matrix.blocks():
        rows, columns = block.shape[0] // 2, block.shape[1] // 2
        part = block[:rows, :columns]
        error = np.abs(block - np.kron(np.eye(2), part.real)).max(initial=0)
        if error > 1e-6:
            raise ValueError(
                f"{path}: the overlap of up and down differ, or mix, by "
                f"{error:.1e}. It is no overlap of a run with nspin 4."
            )
        blocks.append(part.real)
    return BlockMatrix.from_blocks(matrix.atom_pairs, blocks)


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
        structure = abacus_input.structure_lines(atoms)
    (up, down), (overlap_name, _) = LAYOUTS[layout]
    overlap = sorted_matrix(calculation.overlap)
    hamiltonians = []
    if calculation.hamiltonian is not None:
        hamiltonians = [sorted_matrix(calculation.hamiltonian)]
    if calculation.spin == "noncollinear":
        overlap = BlockMatrix.from_blocks(
            overlap.atom_pairs,
            [np.kron(np.eye(2), b).astype(complex) for b in overlap.blocks()],
        )
    elif calculation.spin == "collinear":
        hamiltonians = [
            BlockMatrix.from_blocks(
                matrix.atom_pairs,
                [
                    block.reshape(2, len(block) // 2, 2, -1)[s, :, s]
                    for block in matrix.blocks()
                ],
            )
            for matrix in hamiltonians
            for s in (0, 1)
        ]

    def write(name, label, matrix, unit, count, spin):
        factor = 2 if calculation.spin == "noncollinear" else 1
        cells, stack = stack_of_blocks(matrix, factor * widths)
        if factor == 2:
            stack = _permuted(stack, np.argsort(_spinor_places(widths)))
        abacus_csr.write_csr(
            output / name, label, cells, stack / unit, structure, count, spin
        )

    write(overlap_name, "S", overlap, 1.0, 1, 1)
    for k, matrix in enumerate(hamiltonians):
        count = len(hamiltonians)
        write((up, down)[k], "H", matrix, RYDBERG_IN_EV, count, k + 1)
    abacus_input.write_stru(folder / "STRU", atoms, basis)
    _write_orbital(output / "Orbital", atoms, basis)
    lines = ["written by keras_hamiltonian, not by ABACUS"]
    if calculation.num_electrons is not None:
        lines.append(
            f"AUTOSET number of electrons:  = {calculation.num_electrons!r}"
        )
    if calculation.fermi_level is not None:
        lines.append(f"EFERMI = {float(calculation.fermi_level)!r} eV")
    (output / "running_scf.log").write_text("\n".join(lines) + "\n")


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
