"""wannier90's `.win`: structure, and what each Wannier function started from.

A line of the projections names sites and angular functions. wannier90 runs over
the sites of a line, then the degrees upwards, then mr, then the spins, u before
d; the Wannier functions keep the order of the projections.
"""

import dataclasses
import re

import ase
import numpy as np

from data_tools.labels import element_of_label
from keras_hamiltonian.files import replacing
from keras_hamiltonian.orbitals.orders import shell_order

BOHR_IN_ANGSTROM = 0.52917720859  # wannier90's
# Å: a projection is on an atom.
SITE_TOLERANCE = 0.01
OWN_LINE = "! Structure and orbitals of the _hr.dat of keras_hamiltonian."
_NAMES = {
    **{name: (l, range(1, 2 * l + 2)) for l, name in enumerate("spdf")},
    **{name: (1, [mr]) for mr, name in enumerate(("pz", "px", "py"), 1)},
    **{
        name: (2, [mr])
        for mr, name in enumerate(("dz2", "dxz", "dyz", "dx2-y2", "dxy"), 1)
    },
}
_WAY_OUT = (
    "Only whole shells s, p, d, f on atoms, along the axes, fit the package's "
    "orbitals. Repeat the run with such projections."
)


@dataclasses.dataclass(frozen=True)
class Projection:
    """What one Wannier function was projected on.

    Attributes:
        atom: int.
        cell: tuple of three ints, the cell the site lies in.
        l, mr: int. Degree, and wannier90's number of the component, from 1.
        spin: int. 0 up or none, 1 down.
    """

    atom: int
    cell: tuple
    l: int
    mr: int
    spin: int


@dataclasses.dataclass(frozen=True)
class WinFile:
    """What the reader of `_hr.dat` takes from a `.win` file.

    Attributes:
        atoms: `ase.Atoms`.
        projections: list of `Projection`.
        keywords: dict from keyword to text, in small letters.
    """

    atoms: ase.Atoms
    projections: list
    keywords: dict

    def is_true(self, keyword):
        """Whether a logical keyword is set to true."""
        return "t" in self.keywords.get(keyword, "")


def read_win(path):
    """Reads a `.win` file.

    Args:
        path: path.

    Returns:
        `WinFile`.

    Raises:
        ValueError: if a block is missing or cannot be read, or a projection is
            no angular function on an atom along the axes.
    """
    keywords, blocks = _contents(path)
    missing = [
        name
        for name in ("unit_cell_cart", "projections")
        if not blocks.get(name)
    ]
    if missing or not (blocks.get("atoms_frac") or blocks.get("atoms_cart")):
        raise ValueError(
            f"{path} lacks the block {(missing or ['atoms_frac'])[0]}; "
            "expected lattice, atoms and projections of the run."
        )
    labels, atoms = _atoms(path, blocks)
    win = WinFile(atoms, [], keywords)
    is_spinor = win.is_true("spinors")
    unit = 1.0
    for number, line in blocks["projections"]:
        name = f"{path}, line {number}"
        if line in ("ang", "bohr", "angstrom"):
            unit = BOHR_IN_ANGSTROM if line == "bohr" else 1.0
            continue
        try:
            win.projections.extend(
                _projections(name, line, labels, atoms, unit, is_spinor)
            )
        except (ValueError, IndexError) as error:
            if name in str(error):
                raise
            raise ValueError(
                f"{name} is no projection known here: {line!r}. {_WAY_OUT}"
            ) from None
    return win


def _contents(path):
    """Keywords, and numbered lines of each block."""
    if not path.is_file():
        raise ValueError(
            f"{path} is missing: it has atoms and orbitals of the _hr.dat."
        )
    keywords, blocks, open_block = {}, {}, None
    text = path.read_text(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        line = re.split("[!#]", line)[0].strip().lower()
        words = line.split()
        if not words:
            continue
        if words[0] in ("begin", "end") and len(words) == 2:
            open_block = words[1] if words[0] == "begin" else None
        elif open_block:
            blocks.setdefault(open_block, []).append((number, line))
        else:
            key, *value = re.split(r"[\s=:]+", line, maxsplit=1)
            keywords[key] = value[0] if value else ""
    return keywords, blocks


def _atoms(path, blocks):
    """Labels in small letters, and `ase.Atoms`."""
    cell = _vectors(path, blocks["unit_cell_cart"], 0)[1]
    if cell.shape != (3, 3):
        raise ValueError(
            f"{path}: unit_cell_cart has {len(cell)} lines; expected three."
        )
    is_fractional = bool(blocks.get("atoms_frac"))
    lines = blocks["atoms_frac" if is_fractional else "atoms_cart"]
    labels, positions = _vectors(path, lines, 1)
    symbols = [element_of_label(path, x.capitalize()) for x in labels]
    if is_fractional:
        positions = positions @ cell
    return labels, ase.Atoms(symbols, positions, cell=cell, pbc=True)


def _vectors(path, lines, skip):
    """First words, and the three numbers after them, in Å."""
    unit = 1.0
    if len(lines[0][1].split()) == 1:
        unit = BOHR_IN_ANGSTROM if lines[0][1].startswith("bohr") else 1.0
        lines = lines[1:]
    labels, rows = [], []
    for number, line in lines:
        words = line.split()
        try:
            rows.append([float(x) for x in words[skip : skip + 3]])
        except ValueError:
            rows.append([])
        if len(rows[-1]) < 3:
            raise ValueError(
                f"{path}, line {number}: expected three numbers. Received: "
                f"{line!r}."
            )
        labels.append(words[0])
    return labels, unit * np.array(rows).reshape(-1, 3)


def _projections(name, line, labels, atoms, unit, is_spinor):
    """The `Projection`s of one line."""
    line = line.replace(" ", "")
    line, _, axis = line.partition("[")
    if axis and axis.rstrip("]") != "0,0,1":
        raise ValueError(f"{name} turns the spin axis: {axis!r}. {_WAY_OUT}")
    spins = [0, 1] if is_spinor else [0]
    if is_spinor and line.endswith(")"):
        line, _, chosen = line.partition("(")
        spins = [k for k, letter in enumerate("ud") if letter in chosen]
    site, functions, *options = line.split(":")
    for option in options:
        key, _, value = option.partition("=")
        axis = {"z": [0, 0, 1], "x": [1, 0, 0]}.get(key)
        if axis and not _is_along(value, axis):
            raise ValueError(
                f"{name} turns the axes of functions: {option!r}. {_WAY_OUT}"
            )
    states = sorted(
        {state for item in functions.split(";") for state in _states(item)}
    )
    return [
        Projection(atom, cell, l, mr, spin)
        for atom, cell in _sites(name, site, labels, atoms, unit)
        for l, mr in states
        for spin in spins
    ]


def _is_along(text, axis):
    vector = np.array(text.split(","), float)
    return np.allclose(vector / np.linalg.norm(vector), axis, atol=1e-6)


def _states(item):
    """Pairs (l, mr) of `d`, `dxz,dyz`, `l=2` or `l=2,mr=1,4`."""
    found = re.fullmatch(r"l=(\d)(?:,mr=([\d,]+))?", item)
    if found is None:
        return [
            (l, mr)
            for l, components in (_NAMES[x] for x in _known(item.split(",")))
            for mr in components
        ]
    l = int(found.group(1))
    components = range(1, 2 * l + 2)
    if found.group(2):
        components = [int(x) for x in found.group(2).split(",")]
    shell_order("wannier90", l)
    if not 1 <= min(components) <= max(components) <= 2 * l + 1:
        raise ValueError(f"mr of l = {l} goes from 1 to {2 * l + 1}.")
    return [(l, mr) for mr in components]


def _known(names):
    unknown = [name for name in names if name not in _NAMES]
    if unknown:
        raise ValueError(f"The function {unknown[0]!r} is unknown.")
    return names


def _sites(name, site, labels, atoms, unit):
    """Atoms and cells of a site."""
    if site[:2] not in ("f=", "c="):
        found = [n for n, label in enumerate(labels) if label == site]
        if not found:
            raise ValueError(f"{name}: there are no atoms {site!r}.")
        return [(n, (0, 0, 0)) for n in found]
    place = np.array(site[2:].split(","), float)
    cell = np.asarray(atoms.cell)
    place = place @ cell if site[0] == "f" else unit * place
    shifts = (place - atoms.positions) @ np.linalg.inv(cell)
    cells = np.rint(shifts)
    distances = np.linalg.norm((shifts - cells) @ cell, axis=1)
    nearest = int(distances.argmin())
    if not distances[nearest] < SITE_TOLERANCE:
        raise ValueError(
            f"{name}: the site {site!r} is on no atom; the nearest is "
            f"{distances[nearest]:.2f} Å away. {_WAY_OUT}"
        )
    return [(nearest, tuple(cells[nearest].astype(int).tolist()))]


def win_place(path):
    """Where the `.win` of an `_hr.dat` lies: beside it, with the same seed."""
    seed = path.name.removesuffix("_hr.dat")
    return path.with_name(f"{seed}.win")


def check_win(path):
    """Refuses to replace a `.win` file of somebody else.

    Args:
        path: path. Need not be there.

    Raises:
        ValueError: if `write_win` did not write it.
    """
    if path.exists() and not path.read_text("utf-8", "replace").startswith(
        OWN_LINE
    ):
        raise ValueError(
            f"{path} is there already, and not of this package. It would be "
            "replaced by the orbitals of the new _hr.dat; choose another name."
        )


def write_win(path, calculation):
    """Writes structure and orbitals of a Hamiltonian that is exported.

    Every line of the projections is one orbital: atom by atom, shells outer,
    m = -l..l inner, all up before all down.

    Args:
        path: path.
        calculation: `Calculation`.
    """
    atoms, level = calculation.atoms, calculation.fermi_level
    projections = list(_projection_lines(calculation))
    lines = [
        OWN_LINE,
        "! It is no complete input of wannier90.",
        f"num_wann = {len(projections)}",
        "num_iter = 0",
        f"spinors = {'.true.' if calculation.is_spinful else '.false.'}",
        *([] if level is None else [f"fermi_energy = {level:.10f}"]),
        "begin unit_cell_cart",
        "ang",
        *(_numbers(vector) for vector in np.asarray(atoms.cell)),
        "end unit_cell_cart",
        "begin atoms_cart",
        "ang",
        *(f"{s} {_numbers(x)}" for s, x in zip(atoms.symbols, atoms.positions)),
        "end atoms_cart",
        "begin projections",
        *projections,
        "end projections",
    ]
    with replacing(path) as place:
        place.write_text("\n".join(lines) + "\n")


def _numbers(vector):
    return " ".join(f"{x:.12f}" for x in vector)


def _projection_lines(calculation):
    spins = ["(u)", "(d)"] if calculation.is_spinful else [""]
    atoms = calculation.atoms
    for spin in spins:
        for symbol, position in zip(atoms.symbols, atoms.positions):
            site = "c=" + ",".join(f"{x:.6f}" for x in position)
            seen = {}
            for l in calculation.basis.shells[symbol]:
                seen[l] = seen.get(l, 0) + 1
                for place in shell_order("wannier90", l)[0]:
                    function = f"l={l},mr={place + 1}"
                    yield f"{site}:{function}:r={seen[l]}{spin}"
