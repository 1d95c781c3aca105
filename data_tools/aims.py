"""FHI-aims: Hamiltonian and overlap in numeric atom-centred orbitals.

Reads what `output_rs_matrices plain` or `hdf5` leaves: `rs_indices.out`,
`rs_overlap` and `rs_hamiltonian` (`.out` or `.h5`; with collinear spin
`rs_hamiltonian_up` and `_dn` or `_down`), beside `geometry.in` and
`basis-indices.out`.

`rs_indices.out` counts numbers and cells, one too many of both, and orbitals,
and lists

    cell_index                  R1 R2 R3 of each cell
    index_hamiltonian(1,:,:)    first number of orbital b in cell R
    index_hamiltonian(2,:,:)    last number; 0 and -1 where there is none
    column_index_hamiltonian    orbital a of each number

The number itself is <a in cell 0 | H | b in cell R>, in hartree, for a ≤ b
alone; the rest follows from H_ab(R) = H_ba(-R). Orbitals are ordered m = -l..l
with the sign -1 for odd m > 0.

R is the cell of b in comments of FHI-aims' sources and in AimsPy, that of a in
DeepH-dock. A run whose overlap falls with distance in the second way only is
refused.

Checked, without FHI-aims at hand: the layout against those comments and the
readers of DeepH-dock, AimsPy and Quoll.jl; units, order of orbitals and the
triangle against a published run of version 260110 (two water molecules), whose
levels come out as it printed them, to 2e-5 eV; but the 1s level of oxygen at
-511 eV is off by 1e-3 eV. Not checked on a run: crystals, HDF5, collinear spin,
and the sign of odd m > 0, on which those readers agree and which a planar
molecule does not show.
"""

import dataclasses
import pathlib
import re
import warnings

import numpy as np
import scipy.sparse

from data_tools import aims_input
from data_tools.cell_matrices import blocks_of_stack
from data_tools.images import CLEARLY_NEARER
from data_tools.images import images_of_overlap
from data_tools.plausibility import plausible
from data_tools.spin_blocks import join_spins
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.hdf5_files import read_dataset
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers
from keras_hamiltonian.reading import reader
from keras_hamiltonian.structures.neighbors import edge_vectors

INDICES = "rs_indices.out"
_SECTIONS = (
    "cell_index",
    "index_hamiltonian(1,:,:)",
    "index_hamiltonian(2,:,:)",
    "column_index_hamiltonian",
)
_COUNTS = ("n_hamiltonian_matrix_size", "n_cells_in_hamiltonian", "n_basis")
_UP, _DOWN = (
    ("rs_hamiltonian_up",),
    ("rs_hamiltonian_dn", "rs_hamiltonian_down"),
)


@reader
@plausible
def read_aims(folder, output=None):
    """Reads an FHI-aims run.

    Warns if the run had spin-orbit coupling: the matrices are without it.

    Args:
        folder: str or path. The folder with `rs_indices.out`.
        output: str or path. What the run printed, with Fermi level and number
            of electrons. Defaults to `aims.out` in the folder.

    Returns:
        `Calculation`. Without `rs_hamiltonian` the overlap alone. FHI-aims
        moves atoms into the cell; they are put where the overlap has them.

    Raises:
        ValueError: if a file is missing, cut short or of another kind, or they
            do not belong together.
    """
    folder = pathlib.Path(folder)
    atoms = aims_input.read_geometry(folder / "geometry.in")
    basis = aims_input.read_basis(folder / "basis-indices.out", atoms)
    widths = np.array([basis.num_orbitals(z) for z in atoms.numbers])
    layout = _read_layout(folder / INDICES, atoms.pbc.any())
    if layout.size != widths.sum():
        raise ValueError(
            f"{folder / INDICES} has {layout.size} orbitals, "
            f"basis-indices.out {widths.sum()}. They belong to two runs."
        )
    spins = _hamiltonians(folder)
    hamiltonian = None
    if spins:
        parts = [_read_matrix(path, layout, widths) for path in spins]
        hamiltonian = parts[0] if len(parts) == 1 else join_spins(*parts)
        energies = hamiltonian.entries * HARTREE_IN_EV
        hamiltonian = hamiltonian.with_entries(energies)
    overlap = _read_matrix(_file(folder, ("rs_overlap",)), layout, widths)
    if atoms.pbc.any():
        atoms.positions -= _whole_cells(atoms)
        images = images_of_overlap(atoms, overlap)
        atoms.positions += images @ np.asarray(atoms.cell)
        _check_direction(folder, atoms, overlap)
    _warn_of_spin_orbit(folder / "control.in")
    fermi_level, num_electrons = aims_input.read_log(
        pathlib.Path(output or folder / "aims.out")
    )
    matrices = {"hamiltonian": hamiltonian, "overlap": overlap}
    return Calculation(
        atoms,
        basis,
        spin="collinear" if len(spins) == 2 else "none",
        fermi_level=fermi_level,
        num_electrons=num_electrons,
        name=folder.resolve().name,
        source={"code": "FHI-aims", "file": INDICES},
        **{
            field: to_package_order(matrix, "fhi-aims", basis, atoms.numbers)
            for field, matrix in matrices.items()
            if matrix is not None
        },
    )


@dataclasses.dataclass
class _Layout:
    """Where the numbers of a file belong.

    Attributes:
        cells: `(num_R, 3)` ints, R and -R each.
        size: int. Orbitals.
        count: int. Numbers in a file, the last one empty.
        place, row, column: ints. Of each number of the stack of H(R), see
            `stack_of_blocks`: its place in the file, row and column.
    """

    cells: np.ndarray
    size: int
    count: int
    place: np.ndarray
    row: np.ndarray
    column: np.ndarray


def _read_layout(path, is_crystal):
    data = path.read_bytes()
    counts, parts = _sections(path, data)
    count, num_cells, size = counts
    # The last cell is none, and so is the last number.
    num_cells -= 1
    if is_crystal != bool(parts[0]):
        kind = "without" if is_crystal else "with"
        raise ValueError(
            f"{path} is of a run {kind} periodic cells, and geometry.in is not."
        )
    listed = np.zeros((1, 3), int)
    if is_crystal:
        listed = _integers(path, parts[0], num_cells * 3).reshape(-1, 3)
    first, last = (
        _integers(path, part, num_cells * size) for part in parts[1:3]
    )
    column = _integers(path, parts[3], count - 1) - 1
    lengths = np.where(first > 0, last - first + 1, 0)
    if (lengths < 0).any() or lengths.sum() > count - 1:
        raise ValueError(
            f"{path}: the first and last numbers of the orbitals do not "
            f"follow one another from 1 to {count - 1}. It is damaged."
        )
    starts = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) + np.repeat(first - 1 - starts, lengths)
    cell, second = np.divmod(np.repeat(np.arange(len(first)), lengths), size)
    place = whole_numbers(place, f"numbers of {path}", 0, count - 2)
    column = whole_numbers(column, f"columns of {path}", 0, size - 1)[place]
    if (column > second).any():
        raise ValueError(
            f"{path} lists numbers of both triangles; expected those of one, "
            "packed_matrix_format index."
        )
    codes = np.repeat(np.arange(len(first)), lengths) * size + column
    if len(np.unique(codes)) < len(codes):
        raise ValueError(
            f"{path} lists a number of one cell and two orbitals twice. It is "
            "damaged."
        )
    cells, inverse = np.unique(
        np.concatenate([listed, -listed]), axis=0, return_inverse=True
    )
    here, there = inverse.reshape(2, -1)
    # A diagonal is listed for R and for -R, other numbers once.
    off = column != second
    return _Layout(
        cells,
        size,
        count,
        np.concatenate([place, place[off]]),
        np.concatenate(
            [
                here[cell] * size + column,
                there[cell[off]] * size + second[off],
            ]
        ),
        np.concatenate([second, column[off]]),
    )


def _sections(path, data):
    """Three counts, and the text of the four sections."""
    lines = data.splitlines(keepends=True)
    counts = []
    for name, line in zip(_COUNTS, lines):
        key, _, value = line.partition(b":")
        if key.strip() != name.encode() or not value.strip().isdigit():
            raise ValueError(
                f"{path}, line {len(counts) + 1}: expected {name!r} and a "
                f"number. Received: {line[:60]!r}. It is no index file of "
                "FHI-aims, or damaged."
            )
        counts.append(int(value))
    # Every number takes two bytes.
    if (
        len(counts) < 3
        or min(counts) < 1
        or counts[0] + counts[1] * counts[2] > len(data)
    ):
        raise ValueError(
            f"{path} announces {counts} numbers, cells and orbitals in "
            f"{len(data)} bytes. It was cut short or is damaged."
        )
    names = [
        line.split(b"(not")[0].strip().decode(errors="replace")
        for line in lines
    ]
    heads = [number for number, name in enumerate(names) if name in _SECTIONS]
    found = [names[number] for number in heads]
    if tuple(found) != _SECTIONS:
        raise ValueError(
            f"{path} has the sections {', '.join(found) or 'none'}; expected "
            f"{', '.join(_SECTIONS)}. It was cut short or is damaged."
        )
    ends = [*heads[1:], len(lines)]
    return counts, [
        b"".join(lines[start + 1 : end]) for start, end in zip(heads, ends)
    ]


def _integers(path, text, number):
    """The first integers of a section, which must have so many."""
    words = text.split()[:number]
    if len(words) < number:
        raise ValueError(
            f"{path} ends within a section: {len(words)} of {number} numbers. "
            "It was cut short: copy it again, or repeat the run."
        )
    return np.array(words, dtype=np.int64)


def _hamiltonians(folder):
    """Paths of no Hamiltonian, one, or up and down."""
    both = [_file(folder, names, needed=False) for names in (_UP, _DOWN)]
    alone = _file(folder, ("rs_hamiltonian",), needed=False)
    if None not in both and alone is None:
        return both
    if both != [None, None]:
        raise ValueError(
            f"{folder} holds the Hamiltonians "
            f"{', '.join(p.name for p in [alone, *both] if p)}; expected "
            "rs_hamiltonian, or rs_hamiltonian_up with rs_hamiltonian_dn."
        )
    return [] if alone is None else [alone]


def _file(folder, names, needed=True):
    found = [
        folder / f"{name}{ending}"
        for name in names
        for ending in (".out", ".h5")
        if (folder / f"{name}{ending}").is_file()
    ]
    if len(found) == 1 or (not found and not needed):
        return found[0] if found else None
    raise ValueError(
        f"{folder} holds {len(found)} files of {names[0]}; expected "
        f"{names[0]}.out or {names[0]}.h5, which output_rs_matrices leaves."
    )


def _read_matrix(path, layout, widths):
    """`BlockMatrix` in FHI-aims' units and order."""
    if path.suffix == ".h5":
        with open_hdf5(path) as file:
            numbers = read_dataset(file["sparse_matrix"])
        if numbers.dtype.name not in ("float64", "float32"):
            raise ValueError(
                f"{path} holds numbers of the type {numbers.dtype}; expected "
                "real ones, float64 or float32."
            )
        numbers = numbers.astype(np.float64)
    else:
        # Fortran drops the E of exponents of three digits.
        words = re.sub(rb"(\d)([-+]\d)", rb"\1E\2", path.read_bytes())
        numbers = np.array(words.split(), dtype=np.float64)
    if numbers.shape not in ((layout.count,), (layout.count - 1,)):
        raise ValueError(
            f"{path} has {numbers.shape} numbers; {INDICES} has places for "
            f"{layout.count - 1} and an empty one. It was cut short, or "
            "belongs to another run."
        )
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        raise ValueError(
            f"{path} has numbers that are none, first in line {wrong[0] + 1}. "
            "Repeat the run."
        )
    stack = scipy.sparse.coo_matrix(
        (numbers[layout.place], (layout.row, layout.column)),
        shape=(len(layout.cells) * layout.size, layout.size),
    )
    return blocks_of_stack(layout.cells, stack, widths)


def _whole_cells(atoms):
    turns = np.rint(atoms.get_scaled_positions(wrap=False))
    return turns @ np.asarray(atoms.cell)


def _check_direction(folder, atoms, overlap):
    """Refuses cells that fit the overlap better with the opposite sign."""
    pairs = overlap.atom_pairs * [-1, -1, -1, 1, 1]
    turned = BlockMatrix(pairs, overlap.shapes, overlap.entries)
    try:
        images = images_of_overlap(atoms, turned)
    except ValueError:
        return
    other = atoms.copy()
    other.positions += images @ np.asarray(atoms.cell)
    if _spread(other, turned) < CLEARLY_NEARER * _spread(atoms, overlap):
        raise ValueError(
            f"{folder / INDICES}: the overlap falls with distance if R is the "
            "cell of the column, not of the row. This version of FHI-aims "
            "writes another layout than those known here; please report it."
        )


def _spread(atoms, overlap):
    """Mean square distance of two atoms, weighted with S², in Å²."""
    pairs = overlap.atom_pairs
    weights = np.add.reduceat(overlap.entries**2, overlap.boundaries[:-1])
    weights *= pairs[:, 3] != pairs[:, 4]
    squares = (edge_vectors(atoms, pairs) ** 2).sum(axis=1)
    return weights @ squares / max(weights.sum(), np.finfo(float).tiny)


def _warn_of_spin_orbit(path):
    text = path.read_text(errors="replace") if path.is_file() else ""
    if re.search(r"^\s*include_spin_orbit", text, re.MULTILINE):
        warnings.warn(
            f"{path} asks for spin-orbit coupling, which FHI-aims adds after "
            "the matrices are written: they are without it.",
            stacklevel=2,
        )
