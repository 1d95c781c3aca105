"""ABACUS: Hamiltonian and overlap in numerical atomic orbitals.

Reads the text files of `out_mat_hs2 1` of both generations: up to 3.8
(`data-HR-sparse_SPIN0.csr`, `data-SR-sparse_SPIN0.csr`) and from 3.9.0.25 on
(`hrs1_nao.csr`, `srs1_nao.csr`, later `sr_nao.csr`). See
`data_tools.abacus_csr` for their contents.

Orbitals: atom > l > zeta > m = 0, 1, -1, 2, -2 with the sign (-1)^m, so p is
(z, -x, -y). Energies in Ry of 13.605698 eV, ABACUS' constant.

Checked: both layouts against ABACUS' sources and documentation. Cells, order
and signs against a file that ABACUS keeps for its own tests (silicon, 26
orbitals, 183 cells), by hand: column atoms are in cell R, and with (-1)^m its
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
from data_tools.abacus_csr import LAYOUTS
from data_tools.abacus_csr import RYDBERG_IN_EV
from data_tools.abacus_csr import permuted
from data_tools.abacus_csr import spinor_places
from data_tools.abacus_writer import write_abacus
from data_tools.cell_matrices import blocks_of_stack
from data_tools.images import images_of_overlap
from data_tools.plausibility import plausible
from data_tools.spin_blocks import join_spins
from data_tools.spin_blocks import spin_part
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.reading import reader

__all__ = ["read_abacus", "write_abacus"]

# A six-digit lattice in the header against that of STRU.
LATTICE_TOLERANCE = 1e-4


@reader
@plausible
def read_abacus(folder, basis=None, structure=None):
    """Reads an ABACUS run.

    Only numbers above ABACUS' threshold are in the files, so a pair of atoms
    has a block if H or S has a number of it, and H and S get the same pairs.

    Args:
        folder: str or path. The folder of the run, with one `OUT.*` in it, or
            the `OUT.*` itself.
        basis: dict. Shells of each element, such as `{"Si": "2s 2p 1d"}`.
            By default from the log, `Orbital`, or names of orbital files.
        structure: str or path. The STRU file. Defaults to the one the run's
            INPUT names, or STRU beside `OUT.*`. Without one the unit cell in
            the matrix file is used, with the six digits that ABACUS prints.

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
    header = next((f for f in [*files, overlap] if f.structure), None)
    atoms, names = _structure(folder, output, structure, header)
    if basis is None:
        orbital = _text([output / "Orbital"])
        basis = abacus_input.read_basis(output, atoms, log, orbital, names)
    else:
        basis = OrbitalBasis(basis)
    spin, widths = _spin(paths, atoms, basis, files, overlap)
    matrices = _matrices(paths, files, overlap, spin, widths)
    if header is None:
        # ABACUS moves the atoms of STRU into the cell; close to its faces
        # digits decide, and the overlap tells how.
        atoms.positions -= _whole_cells(atoms)
        images = images_of_overlap(atoms, matrices["overlap"])
        atoms.positions += images @ np.asarray(atoms.cell)
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
        if any(matrix_files(place, name) for name in names)
    ]
    return found[0] if len(found) == 1 else None


def matrix_files(output, name):
    """Files of a matrix, one for each ionic step that is kept.

    Args:
        output: path. The folder `OUT.*`.
        name: str. One of `LAYOUTS`. With `out_app_flag 0` the step is part of
            it: `hrs1g1_nao.csr`, or `matrix/0_data-HR-sparse_SPIN0.csr`.

    Returns:
        List of paths.
    """
    if (output / name).is_file():
        return [output / name]
    if name.endswith("_nao.csr"):
        return sorted(output.glob(name.replace("_nao", "g[0-9]*_nao")))
    return sorted(output.glob(f"matrix/[0-9]*_{name}"))


def _matrix_paths(output):
    """Paths of the Hamiltonians (none, one, or up and down) and the overlap."""
    found = []
    for layout, (hamiltonians, overlaps) in LAYOUTS.items():
        paths = {
            "hamiltonian": _one_step(output, hamiltonians),
            "overlap": _one_step(output, overlaps),
        }
        if paths["hamiltonian"] and not matrix_files(output, hamiltonians[0]):
            raise ValueError(
                f"{paths['hamiltonian'][0]} is the spin-down matrix; the "
                "spin-up one is missing."
            )
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


def _one_step(output, names):
    found = [matrix_files(output, name) for name in names]
    for name, files in zip(names, found):
        if len(files) > 1:
            raise ValueError(
                f"{output} holds {len(files)} ionic steps of {name}: "
                f"{files[0].name} to {files[-1].name}. One calculation has "
                "one; repeat it for the last structure."
            )
    return [file for files in found for file in files]


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


def _structure(folder, output, structure, header):
    """Atoms, and the orbital file of each element."""
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


def _whole_cells(atoms):
    shifts = np.floor(atoms.get_scaled_positions(wrap=False))
    return shifts @ np.asarray(atoms.cell)


def _run_folder(output):
    return output.parent if output.name.startswith("OUT.") else output


def _stru_path(output):
    places = [_run_folder(output), output]
    for place in places:
        name = abacus_input.input_value(place / "INPUT", "stru_file")
        for start in places if name else ():
            if (start / name).is_file():
                return start / name
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
            stack = permuted(stack, spinor_places(widths))
        return blocks_of_stack(file.cells, stack, factor * widths)

    spins, overlap = [blocks_of(file) for file in files], blocks_of(overlap)
    if is_spinor:
        overlap = _spinless(paths["overlap"], overlap)
    pairs = sorted({pair for m in (overlap, *spins) for pair in m.index})
    spins = [deeph_files.on_pairs(m, pairs, factor * widths) for m in spins]
    matrices = {"overlap": deeph_files.on_pairs(overlap, pairs, widths)}
    if len(spins) == 2:
        spins = [join_spins(*spins)]
    if spins:
        entries = spins[0].entries * RYDBERG_IN_EV
        matrices["hamiltonian"] = spins[0].with_entries(entries)
    return matrices


def _spinless(path, matrix):
    """The up-up part of an overlap, which the other parts must agree with."""
    up = spin_part(matrix, 0, 0)
    up = up.with_entries(up.entries.real)
    difference = matrix.entries - join_spins(up, up).entries
    error = np.abs(difference).max(initial=0)
    if error > 1e-6:
        raise ValueError(
            f"{path}: the overlap of up and down differ, or mix, by "
            f"{error:.1e}. It is no overlap of a run with nspin 4."
        )
    return up
