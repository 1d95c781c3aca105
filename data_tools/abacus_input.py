"""Structure, shells and Fermi level of an ABACUS run."""

import re

import ase
import numpy as np

from data_tools.abacus_lattices import lattice_by_name
from data_tools.labels import element_of_label
from data_tools.shells import element_shells
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.basis import repeated_degrees

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
_CENTRES = ("xy", "xz", "yz", "xyz")
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
    sections = stru_sections(path)
    missing = [
        name
        for name in ("LATTICE_CONSTANT", "ATOMIC_POSITIONS")
        if not sections.get(name)
    ]
    if missing:
        raise ValueError(
            f"{path} has no section {', '.join(missing)}; expected the STRU "
            "file of an ABACUS run."
        )
    try:
        unit = float(sections["LATTICE_CONSTANT"][0][0]) * BOHR_IN_ANGSTROM
        cell = unit * _lattice(path, sections)
        symbols, numbers, kind = _positions(path, sections["ATOMIC_POSITIONS"])
    except (ValueError, IndexError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(
            f"{path} cannot be read as a STRU file ({error})."
        ) from None
    atoms = ase.Atoms(symbols, cell=cell, pbc=True)
    _place(path, atoms, numbers, kind, unit)
    return atoms, _orbital_files(path, sections)


def input_value(path, key):
    """Value of a key in an INPUT file, `None` if there is none.

    Args:
        path: path. Need not be there.
        key: str.
    """
    if not path.is_file():
        return None
    for line in path.read_text(errors="replace").splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2 and words[0] == key:
            return words[1]
    return None


def _lattice(path, sections):
    """Rows in units of the lattice constant."""
    if sections.get("LATTICE_VECTORS"):
        rows = [line[:3] for line in sections["LATTICE_VECTORS"][:3]]
        return np.array(rows, dtype=float).reshape(3, 3)
    name = input_value(path.parent / "INPUT", "latname")
    if name is None:
        raise ValueError(
            f"{path} has no section LATTICE_VECTORS, and no INPUT beside it "
            "has latname, which names the lattice. Put the INPUT file of the "
            "run beside STRU, or write the vectors."
        )
    words = [w for line in sections.get("LATTICE_PARAMETERS", []) for w in line]
    return lattice_by_name(name, [float(word) for word in words])


def _orbital_files(path, sections):
    """Name of the orbital file of each element."""
    species = sections.get("ATOMIC_SPECIES", [])
    files = [line[0] for line in sections.get("NUMERICAL_ORBITAL", [])]
    kinds = {}
    for line, file in zip(species, files):
        symbol, kind = element_of_label(path, line[0]), (*line[2:3], file)
        if kinds.setdefault(symbol, kind) != kind:
            raise ValueError(
                f"{path} has {symbol} with two kinds of orbitals or "
                f"potentials: {' '.join(kinds[symbol])} and {' '.join(kind)}. "
                "One model needs one basis and one potential per element."
            )
    return {symbol: kind[-1] for symbol, kind in kinds.items()}


def read_structure_lines(path, lines):
    """The unit cell in the header of a new matrix file, as `ase.Atoms`.

    The lattice has six digits there, the positions fifteen.

    Raises:
        ValueError: if it is incomplete.
    """
    try:
        unit = float(lines[1])
        cell = unit * np.array([line.split() for line in lines[2:5]], float)
        labels, counts = lines[5].split(), list(map(int, lines[6].split()))
        if min(counts) < 0 or sum(counts) > len(lines) - 8:
            raise ValueError(f"{sum(counts)} atoms, {len(lines) - 8} lines")
        symbols = [
            element_of_label(path, label)
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
    if not levels:
        # Of a fixed moment up and down have levels of their own.
        both = re.findall(
            rf"\bE_Fermi_(?:up|dw)\s+{_NUMBER}\s+({_NUMBER})", log
        )
        levels = both[-1:] if len(set(both[-2:])) == 1 else []
    counts = re.findall(
        rf"(?:AUTOSET (?:the )?number of electrons|nelec now)[^=\n]*"
        rf"=\s*({_NUMBER})",
        log,
        re.IGNORECASE,
    )
    return (
        float(levels[-1]) if levels else None,
        float(counts[-1]) if counts else None,
    )


def stru_sections(path):
    """Words of each line of each section of a STRU file: dict of lists."""
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
        symbol = element_of_label(path, lines[place][0])
        count = int(lines[place + 2][0])
        block = lines[place + 3 : place + 3 + count]
        if count < 0 or len(block) < count:
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
    # From the centre of the cell along these axes.
    centred = {f"Cartesian_angstrom_center_{a}": a for a in _CENTRES}
    if kind == "Direct":
        atoms.positions = numbers @ np.asarray(atoms.cell)
    elif kind in kinds:
        atoms.positions = kinds[kind] * numbers
    elif kind in centred:
        axes = np.array([axis in centred[kind] for axis in "xyz"])
        atoms.positions = numbers + axes * np.asarray(atoms.cell).sum(0) / 2
    else:
        raise ValueError(
            f"{path} gives positions as {kind!r}; known are Direct, "
            f"{', '.join([*kinds, *centred])}."
        )


def _shells_of_log(path, log):
    shells = []
    for block in re.split(r"READING ATOM TYPE", log)[1:]:
        label = re.search(r"(?i:atom label)\s*=\s*(\S+)", block)
        counts = re.findall(r"L=(\d+), number of zeta\s*=\s*(\d+)", block)
        if label and counts:
            degrees = repeated_degrees((int(l), int(n)) for l, n in counts)
            shells.append((element_of_label(path, label.group(1)), degrees))
    return element_shells(path, shells)


def _shells_of_orbital(path, text):
    rows = [line.split() for line in text.splitlines()]
    rows = [r for r in rows if len(r) >= 5 and r[0].isdigit()]
    shells = []
    for atom in dict.fromkeys(row[0] for row in rows):
        own = [row for row in rows if row[0] == atom]
        zetas = dict.fromkeys((int(row[2]), int(row[4])) for row in own)
        degrees = [l for l, _ in zetas]
        shells.append((element_of_label(path, own[0][1]), degrees))
    return element_shells(path, shells)


def _shells_of_names(files):
    shells = {}
    for symbol, name in files.items():
        found = re.search(rf"_((?:\d+[{SHELL_LETTERS}])+)\.orb$", name)
        if found:
            pairs = re.findall(rf"(\d+)([{SHELL_LETTERS}])", found.group(1))
            shells[symbol] = repeated_degrees(
                (SHELL_LETTERS.index(letter), int(count))
                for count, letter in pairs
            )
    return shells
