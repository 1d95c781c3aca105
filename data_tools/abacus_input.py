"""Structure, shells and Fermi level of an ABACUS run."""

import re

import ase
import numpy as np
from ase.data import atomic_numbers

from data_tools.shells import element_shells
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.orbitals.basis import OrbitalBasis

# ABACUS' own constant.
BOHR_IN_ANGSTROM = 0.529177
_SECTIONS = (
    "ATOMIC_SPECIES",
    "NUMERICAL_ORBITAL",
    "NUMERICAL_DESCRIPTOR",
    "LATTICE_CONSTANT",
    "LATTICE_VECTORS",
    "LATTICE_PARAMETERS",
    "ATOMIC_POSITIONS",
    "PAW_FILES",
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def read_stru(path):
    """Reads a STRU file.

    Args:
        path: path.

    Returns:
        `ase.Atoms` in Å, positions as they are, and a dict from element symbol
        to the name of its orbital file.

    Raises:
        ValueError: if a section is missing or cannot be read.
    """
    sections = _sections(path)
    missing = [
        name
        for name in ("LATTICE_CONSTANT", "LATTICE_VECTORS", "ATOMIC_POSITIONS")
        if not sections.get(name)
    ]
    if missing:
        raise ValueError(
            f"{path} has no section {', '.join(missing)}; expected the STRU "
            "file of an ABACUS run, with explicit lattice vectors."
        )
    try:
        unit = float(sections["LATTICE_CONSTANT"][0][0]) * BOHR_IN_ANGSTROM
        rows = [line[:3] for line in sections["LATTICE_VECTORS"][:3]]
        cell = unit * np.array(rows, dtype=float).reshape(3, 3)
        symbols, numbers, kind = _positions(path, sections["ATOMIC_POSITIONS"])
    except (ValueError, IndexError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(
            f"{path} cannot be read as a STRU file ({error})."
        ) from None
    atoms = ase.Atoms(symbols, cell=cell, pbc=True)
    _place(path, atoms, numbers, kind, unit)
    labels = [line[0] for line in sections.get("ATOMIC_SPECIES", [])]
    files = [line[0] for line in sections.get("NUMERICAL_ORBITAL", [])]
    return atoms, {element(path, x): f for x, f in zip(labels, files)}


def read_structure_lines(path, lines):
    """The unit cell in the header of a new matrix file, as `ase.Atoms`.

    The lattice has six digits there, the positions fifteen.

    Raises:
        ValueError: if it is incomplete.
    """
    try:
        unit = float(lines[1])
        cell = unit * np.array([line.split() for line in lines[2:5]], float)
        labels, counts = lines[5].split(), map(int, lines[6].split())
        symbols = [
            element(path, label)
            for label, count in zip(labels, counts, strict=True)
            for _ in range(count)
        ]
        rows = [line.split()[:3] for line in lines[8 : 8 + len(symbols)]]
        direct = np.array(rows, dtype=float).reshape(len(symbols), 3)
    except (ValueError, IndexError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(
            f"{path}: the unit cell in the header is incomplete ({error})."
        ) from None
    return ase.Atoms(symbols, scaled_positions=direct, cell=cell, pbc=True)


def read_basis(path, atoms, log, orbital, files):
    """Shells of each element: from the log, `Orbital` or orbital file names.

    Args:
        path: path. For errors.
        atoms: `ase.Atoms`.
        log: str. Text of the run's log, or empty.
        orbital: str. Text of the file `Orbital`, or empty.
        files: dict. Name of the orbital file of each element.

    Returns:
        `OrbitalBasis`.

    Raises:
        ValueError: if none of them has the shells of every element.
    """
    elements = set(atoms.symbols)
    for shells in (
        _shells_of_log(path, log),
        _shells_of_orbital(path, orbital),
        _shells_of_names(files),
    ):
        if elements <= set(shells):
            return OrbitalBasis({s: shells[s] for s in elements})
    raise ValueError(
        f"{path}: the shells of {', '.join(sorted(elements))} are unknown. "
        "Expected running_*.log with lines 'L=0, number of zeta = 2', a file "
        "Orbital, or orbital files with names such as "
        'Si_gga_7au_100Ry_2s2p1d.orb in STRU. Or pass them: basis={"Si": '
        '"2s 2p 1d"}.'
    )


def read_log(log):
    """Fermi level in eV and number of electrons of a log; `None` if absent."""
    levels = re.findall(rf"EFERMI\s*=\s*({_NUMBER})\s*eV", log)
    # Later versions print a table: hartree's half, then eV.
    levels += re.findall(rf"\bE_Fermi\s+{_NUMBER}\s+({_NUMBER})", log)
    counts = re.findall(
        rf"(?:AUTOSET number of electrons|nelec now)[^=\n]*=\s*({_NUMBER})", log
    )
    return (
        float(levels[-1]) if levels else None,
        float(counts[-1]) if counts else None,
    )


def element(path, label):
    """Element symbol of a label such as `Fe1`.

    Raises:
        ValueError: for an empty (ghost) atom or no element.
    """
    found = re.match(r"[A-Z][a-z]?", label)
    symbol = found.group() if found else ""
    if symbol not in atomic_numbers:
        symbol = symbol[:1]
    if symbol not in atomic_numbers or "empty" in label.lower():
        raise ValueError(
            f"{path} has atoms labelled {label!r}; expected an element, such "
            "as Fe or Fe1. Empty atoms are not supported."
        )
    return symbol


def _sections(path):
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    sections, current = {}, None
    for line in text.splitlines():
        words = re.split(r"#|//", line)[0].split()
        if words and words[0] in _SECTIONS:
            current = sections.setdefault(words[0], [])
        elif words and current is not None:
            current.append(words)
    return sections


def _positions(path, lines):
    kind = lines[0][0]
    symbols, rows, place = [], [], 1
    while place < len(lines):
        # Label, magnetism and count, then the atoms.
        symbol, count = element(path, lines[place][0]), int(lines[place + 2][0])
        block = lines[place + 3 : place + 3 + count]
        if len(block) < count:
            raise ValueError(
                f"{path} announces {count} atoms of {symbol} and lists "
                f"{len(block)}."
            )
        symbols += [symbol] * count
        rows += [[float(x) for x in line[:3]] for line in block]
        place += 3 + count
    return symbols, np.array(rows).reshape(-1, 3), kind


def _place(path, atoms, numbers, kind, unit):
    kinds = {"Cartesian": unit, "Cartesian_angstrom": 1.0}
    kinds["Cartesian_au"] = BOHR_IN_ANGSTROM
    if kind == "Direct":
        atoms.positions = numbers @ np.asarray(atoms.cell)
    elif kind in kinds:
        atoms.positions = kinds[kind] * numbers
    else:
        raise ValueError(
            f"{path} gives positions as {kind!r}; known are Direct, "
            f"{', '.join(kinds)}."
        )


def _shells_of_log(path, log):
    shells = []
    for block in re.split(r"READING ATOM TYPE", log)[1:]:
        label = re.search(r"(?i:atom label)\s*=\s*(\S+)", block)
        counts = re.findall(r"L=(\d+), number of zeta\s*=\s*(\d+)", block)
        if label and counts:
            degrees = [int(l) for l, n in counts for _ in range(int(n))]
            shells.append((element(path, label.group(1)), degrees))
    return element_shells(path, shells)


def _shells_of_orbital(path, text):
    rows = [line.split() for line in text.splitlines()]
    rows = [r for r in rows if len(r) >= 5 and r[0].isdigit()]
    shells = []
    for atom in dict.fromkeys(row[0] for row in rows):
        own = [row for row in rows if row[0] == atom]
        zetas = dict.fromkeys((int(row[2]), int(row[4])) for row in own)
        degrees = [l for l, _ in zetas]
        shells.append((element(path, own[0][1]), degrees))
    return element_shells(path, shells)


def _shells_of_names(files):
    shells = {}
    for symbol, name in files.items():
        found = re.search(rf"_((?:\d+[{SHELL_LETTERS}])+)\.orb$", name)
        if found:
            pairs = re.findall(rf"(\d+)([{SHELL_LETTERS}])", found.group(1))
            shells[symbol] = [
                SHELL_LETTERS.index(letter)
                for count, letter in pairs
                for _ in range(int(count))
            ]
    return shells
