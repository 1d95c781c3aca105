"""wannier90's `_hr.dat`: H(R) between Wannier functions, which are orthogonal.

Structure and orbitals come from the `.win` of the run: the functions keep the
order of its projections, and are taken for the shells of atoms that they were
projected on. That they rotate as such shells is right for projections alone
(`num_iter = 0`) and for functions that keep their symmetry; energies are right
in any case. S is 1. Degeneracies are divided out; `_wsvec.dat` and `_tb.dat`
are not read.

Checked: the way back of this package's export, block by block and by bands;
order and signs against the user guide and the source of wannier90 3.
"""

import collections
import pathlib
import warnings

import numpy as np
import scipy.sparse

from data_tools.cell_matrices import blocks_of_stack
from data_tools.deeph_files import on_pairs
from data_tools.plausibility import plausible
from data_tools.shells import element_shells
from data_tools.spin_blocks import spin_part
from data_tools.wannier90_input import read_win
from data_tools.wannier90_input import win_place
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import shell_order
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers
from keras_hamiltonian.reading import reader
from keras_hamiltonian.reading import reading

# Bytes of a line of seven numbers.
SHORTEST_LINE = 14
# Å: centre of a Wannier function and its atom.
FURTHEST_CENTRE = 0.5
# eV; without spin Wannier functions are real up to what the run left.
LARGEST_IMAGINARY = 1e-3
# Keywords with which the functions are not those of the projections.
_OTHER_ORIGINS = ("auto_projections", "use_bloch_phases", "select_projections")


@reader
@plausible
def read_wannier90(path, win=None, spin_order="projections"):
    """Reads `_hr.dat` with its `.win`.

    Warns if the functions were minimised (`num_iter` is not 0).

    Args:
        path: str or path. The `_hr.dat`.
        win: str or path. Defaults to the `.win` of the same seed beside it.
        spin_order: str. Of spinors: `"projections"`, as wannier90 has them
            from version 2.1 on, u and d of each function together unless the
            lines say otherwise; `"blocks"`, all up and then all down, as
            interfaces of version 1.2 leave them.

    Returns:
        `Calculation` with S = 1 on the pairs of H, and the Fermi level if the
        `.win` has `fermi_energy`. Pairs whose numbers are all 0 are left out.

    Raises:
        ValueError: if a file is missing, cut short or of another kind, the
            projections are no whole shells on all atoms, or a function is
            centred elsewhere (`_centres.xyz`).
    """
    path = pathlib.Path(path)
    if spin_order not in ("projections", "blocks"):
        raise ValueError(
            "`spin_order` is 'projections' or 'blocks'. Received: "
            f"{spin_order!r}."
        )
    place = pathlib.Path(win) if win else win_place(path)
    found = read_win(place)
    _check_origin(path, found)
    cells, matrices = _read_hr(path)
    projections = found.projections
    if len(projections) != matrices.shape[1]:
        raise ValueError(
            f"{path} has {matrices.shape[1]} Wannier functions, and {place} "
            f"{len(projections)} projections. They belong to two runs."
        )
    if spin_order == "blocks":
        projections = sorted(projections, key=lambda p: p.spin)
    atoms = found.atoms
    is_spinor = found.is_true("spinors")
    shells, places, widths = _orbitals(place, atoms, projections, is_spinor)
    _check_centres(path, atoms, projections)
    hamiltonian = _blocks(cells, matrices, projections, places, widths)
    spin, hamiltonian = _spin(path, hamiltonian, is_spinor)
    counts = widths // (2 if is_spinor else 1)
    onsite = [(0, 0, 0, n, n) for n in range(len(counts))]
    identity = BlockMatrix.from_blocks(onsite, [np.eye(n) for n in counts])
    pairs = sorted({*hamiltonian.index, *onsite})
    level = found.keywords.get("fermi_energy")
    return Calculation(
        atoms,
        OrbitalBasis(shells),
        spin=spin,
        hamiltonian=on_pairs(hamiltonian, pairs, widths),
        overlap=on_pairs(identity, pairs, counts),
        fermi_level=None if level is None else float(level),
        name=path.name.removesuffix("_hr.dat"),
        source={"code": "wannier90", "file": path.name},
    )


def _check_origin(path, win):
    other = [name for name in _OTHER_ORIGINS if win.is_true(name)]
    if other or win.keywords.get("spin") in ("up", "down"):
        what = other[0] if other else "spin = " + win.keywords["spin"]
        raise ValueError(
            f"{path}: the run had {what}, so its functions are not those of "
            "the projections, or of one spin alone. Repeat it with plain "
            "projections, and with spinors for spin."
        )
    if win.keywords.get("num_iter", "100").strip() != "0":
        warnings.warn(
            f"{path}: its functions were minimised (num_iter is not 0) and may "
            "be mixtures of the shells of their projections: energies are "
            "right, what rotations do with the blocks need not be.",
            stacklevel=2,
        )


def _read_hr(path):
    """Cells `(num_R, 3)`, and H(R) `(num_R, n, n)` over the degeneracies."""
    with open(path, "rb") as file:
        file.readline()
        heads = [file.readline().split() for _ in range(2)]
        size, count = (
            int(words[0]) if len(words) == 1 and words[0].isdigit() else 0
            for words in heads
        )
        total = path.stat().st_size
        if min(size, count) < 1 or SHORTEST_LINE * count * size**2 > total:
            raise ValueError(
                f"{path}, lines 2 and 3, announces {size} functions and "
                f"{count} cells in {total} bytes. It is no _hr.dat, or was "
                "cut short."
            )
        lines, degeneracies = 3, []
        while len(degeneracies) < count:
            words, lines = file.readline().split(), lines + 1
            if not words:
                raise ValueError(f"{path} ends within the degeneracies.")
            degeneracies += [int(x) for x in words]
        try:
            table = np.loadtxt(file, comments=None, ndmin=2)
        except ValueError as error:  # names row and column
            raise ValueError(f"{path}, below line {lines}: {error}") from None
    if len(degeneracies) != count or min(degeneracies) < 1:
        raise ValueError(
            f"{path}, line {lines}: {len(degeneracies)} degeneracies, the "
            f"smallest {min(degeneracies)}; expected {count} from 1 on."
        )
    if table.shape != (count * size**2, 7):
        raise ValueError(
            f"{path} has {table.shape} numbers below line {lines}; expected "
            f"{(count * size**2, 7)}. It was cut short."
        )
    wrong = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if wrong.size:
        raise ValueError(
            f"{path}, line {lines + wrong[0] + 1}: a number is none."
        )
    places = table[:, :5].astype(np.int64)
    if (places != table[:, :5]).any():
        raise ValueError(f"{path} has cells or functions that are fractions.")
    rows, columns = (
        whole_numbers(x - 1, f"functions of {path}", 0, size - 1)
        for x in places[:, 3:].T
    )
    cells, cell = np.unique(places[:, :3], axis=0, return_inverse=True)
    listed = np.repeat(degeneracies, size**2)
    matrices = np.full((count, size, size), np.nan, complex)
    if len(cells) == count:
        numbers = table[:, 5] + 1j * table[:, 6]
        matrices[cell.ravel(), rows, columns] = numbers / listed
    if np.isnan(matrices).any():
        raise ValueError(
            f"{path} lists a cell or a pair of functions twice. It is damaged."
        )
    return cells, matrices


def _orbitals(path, atoms, projections, is_spinor):
    """Shells of each element, and the place of each function.

    Returns:
        Dict from element to degrees; `(num_functions,)` ints, the row of each
        in the package's order, spin included; `(num_atoms,)` ints, the rows of
        each atom.
    """
    seen = collections.Counter()
    # Components of the k-th shell of degree l, of each atom and spin.
    shells = collections.defaultdict(dict)
    for number, p in enumerate(projections):
        turn = seen[p.atom, p.spin, p.l, p.mr]
        seen[p.atom, p.spin, p.l, p.mr] += 1
        shell = shells[p.atom, p.spin].setdefault((p.l, turn), {})
        shell[p.mr] = number
    spins = range(2 if is_spinor else 1)
    degrees, places, widths = [], np.zeros(len(projections), int), []
    for atom, symbol in enumerate(atoms.symbols):
        own = shells[atom, 0]
        whole = all(
            shells[atom, spin].keys() == own.keys()
            and all(
                len(s) == 2 * l + 1 for (l, _), s in shells[atom, spin].items()
            )
            for spin in spins
        )
        if not own or not whole:
            raise ValueError(
                f"{path}: the projections on atom {atom + 1} ({symbol}) are "
                f"{'no' if own else 'none, and no'} whole shells s, p, d or f, "
                "the same for both spins. The package's orbitals are such "
                "shells: repeat the run with them. Atoms without any may be "
                "taken out of a copy of the .win, given as `win`."
            )
        place = sum(widths)
        for spin in spins:
            for l, turn in own:
                order = shell_order("wannier90", l)[0]
                for mr, number in shells[atom, spin][l, turn].items():
                    inside = int(np.flatnonzero(order == mr - 1)[0])
                    places[number] = place + inside
                place += 2 * l + 1
        widths.append(place - sum(widths))
        degrees.append([l for l, _ in own])
    return (
        element_shells(path, zip(atoms.symbols, degrees)),
        places,
        np.array(widths),
    )


def _blocks(cells, matrices, projections, places, widths):
    """`BlockMatrix` of all spins; a site in another cell moves its function."""
    cell, row, column = np.nonzero(matrices)
    sites = np.array([p.cell for p in projections])
    moved = cells[cell] + sites[column] - sites[row]
    cells, moved = np.unique(moved, axis=0, return_inverse=True)
    size = len(places)
    stack = scipy.sparse.coo_matrix(
        (
            matrices[np.nonzero(matrices)],
            (moved.ravel() * size + places[row], places[column]),
        ),
        shape=(len(cells) * size, size),
    )
    return blocks_of_stack(cells, stack, widths)


def _spin(path, matrix, is_spinor):
    """Layout of the spin, and the matrix, real where the layout is."""
    imaginary = np.abs(matrix.entries.imag).max(initial=0.0)
    mixed = is_spinor and any(
        spin_part(matrix, *box).entries.any() for box in ((0, 1), (1, 0))
    )
    if mixed or (is_spinor and imaginary > 0):
        return "noncollinear", matrix
    if imaginary > LARGEST_IMAGINARY:
        raise ValueError(
            f"{path}: H(R) without spin is complex, by up to {imaginary:.1e} "
            "eV, and the package's is real: the Wannier functions have not "
            "become real. Minimise further, or start from projections."
        )
    return "collinear" if is_spinor else "none", matrix.with_entries(
        matrix.entries.real
    )


def _check_centres(path, atoms, projections):
    """Compares `_centres.xyz`, where there is one, with the atoms."""
    name = path.name.removesuffix("_hr.dat")
    place = path.with_name(f"{name}_centres.xyz")
    if not place.is_file():
        return
    with reading(place):
        rows = [line.split() for line in place.read_text().splitlines()[2:]]
        centres = np.array([r[1:4] for r in rows if r[:1] == ["X"]], float)
        cell = np.asarray(atoms.cell)
        wanted = atoms.positions[[p.atom for p in projections]]
        shifts = (centres - wanted) @ np.linalg.inv(cell)
        lengths = np.linalg.norm((shifts - np.rint(shifts)) @ cell, axis=1)
    if not lengths.max() < FURTHEST_CENTRE:
        worst = int(lengths.argmax())
        raise ValueError(
            f"{place}: Wannier function {worst + 1} is {lengths[worst]:.2f} Å "
            f"from atom {projections[worst].atom + 1}, which it was projected "
            "on: it is no orbital of that atom. Repeat the run with num_iter "
            "= 0, or with other projections."
        )
