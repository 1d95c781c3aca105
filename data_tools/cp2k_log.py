"""Structure, basis and lattice translations from CP2K's log and input."""

import dataclasses
import re

import ase.cell
import numpy as np
from ase.data import atomic_numbers

from data_tools.shells import element_shells
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.reading import reader

# CODATA 2006, for a log that does not state them.
HARTREE_IN_EV = 27.2113838565563
BOHR_IN_ANGSTROM = 0.529177208590
# Longer files are no logs.
LONGEST_LOG = 2**28
# The log has three digits of a vector, six of its length and of the angles.
VECTOR_TOLERANCE = 6e-4
LENGTH_TOLERANCE = 2e-6
ANGLE_TOLERANCE = 2e-5
_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_START = "PROGRAM STARTED AT"
_LATTICE = ("A", "B", "C", "ABC", "ALPHA_BETA_GAMMA")


@dataclasses.dataclass
class Run:
    """What a log says.

    Attributes:
        path: path of the log.
        version: str.
        input: str. Name of the input file.
        symbols: list of str. Element of each atom.
        positions: `(num_atoms, 3)` array, Å.
        pbc: list of three bool.
        shells: dict from element to the degrees of its shells.
        images: dict from `"KS"` and `"S"` to `(num_R, 3)` lists of
            translations; empty without k points.
        lattice: `(3, 4)` array: vectors (three digits) and lengths in Å.
        angles: `(3,)` array, degrees.
        hartree, bohr: float. In eV and Å.
        fermi_level: float in eV, or `None`.
        num_electrons: float.
        num_spins: int.
    """

    path: object
    version: str
    input: str
    symbols: list
    positions: np.ndarray
    pbc: list
    shells: dict
    images: dict
    lattice: np.ndarray
    angles: np.ndarray
    hartree: float
    bohr: float
    fermi_level: float | None
    num_electrons: float
    num_spins: int


def find_log(folder, files):
    """The log of a project in a folder.

    Args:
        folder: path.
        files: dict. See `data_tools.cp2k_csr.matrix_files`.

    Returns:
        Path.

    Raises:
        ValueError: if there is none, or several.
    """
    matrix = next(iter(files["S"][1].values())).name
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".out", ".log", ".txt") or not path.is_file():
            continue
        with open(path, errors="replace") as file:
            head = file.read(2**17)
        project = re.search(r"GLOBAL\| Project name +(\S+)", head)
        if project and matrix.startswith(f"{project.group(1)}-"):
            found.append(path)
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found) or "none"
    raise ValueError(
        f"{folder} needs the log of the run that wrote {matrix}: one *.out, "
        f"*.log or *.txt with its project name. Found: {names}. Put it there, "
        "or pass it as `log`."
    )


@reader
def read_log(path):
    """Reads the log of a run.

    Args:
        path: path.

    Returns:
        `Run`.

    Raises:
        ValueError: if something is missing, an atom is a ghost, or an element
            has two bases or potentials.
    """
    if path.stat().st_size > LONGEST_LOG:
        raise ValueError(f"{path} is too long for a log of CP2K.")
    text = path.read_text(errors="replace")
    # CP2K appends to a log that is there.
    text = text[max(text.rfind(_START), 0) :]
    run_type = _find(path, text, r"GLOBAL\| Run type +(\S+)", "the run type")
    if run_type not in ("ENERGY", "ENERGY_FORCE", "WFN_OPT"):
        raise ValueError(
            f"{path} is of a run of type {run_type}, which moves atoms. Repeat "
            "it with RUN_TYPE ENERGY for the structure of the matrices."
        )
    kinds = _kinds(path, text)
    symbols, positions, members = _atoms(path, text, kinds)
    vector = rf"CELL\| Vector [abc] \[angstrom\]: +({_NUMBER}) +({_NUMBER}) +"
    vector += rf"({_NUMBER}) +\|[abc]\| = +({_NUMBER})"
    angle = rf"CELL\| Angle \([abc],[abc]\), \w+ +\[degree\]: +({_NUMBER})"
    lattice = np.array(re.findall(vector, text)[:3], float)
    angles = np.array(re.findall(angle, text)[:3], float)
    if lattice.shape != (3, 4) or angles.shape != (3,):
        raise ValueError(f"{path} lacks the cell. {_MEDIUM}")
    pbc = _find(path, text, r"CELL\| Periodicity +(\S+)", "the periodicity")
    hartree = _constant(text, r"\[a\.u\.\] -> \[eV\]", HARTREE_IN_EV)
    counts = re.findall(rf"\n +Number of electrons: +({_NUMBER})", text)
    # One of each spin; those of a fixed moment differ.
    fermi = re.findall(rf"Fermi energy: +({_NUMBER})", text)
    fermi = set(fermi[-max(len(counts), 1) :])
    if not counts:
        raise ValueError(f"{path} lacks the number of electrons. {_MEDIUM}")
    return Run(
        path=path,
        version=_find(
            path,
            text,
            r"CP2K\| version string: +CP2K version (.+)",
            "a version",
        ),
        input=_find(path, text, r"CP2K\| Input file name +(\S+)", "its input"),
        symbols=symbols,
        positions=positions,
        pbc=[axis in pbc for axis in "XYZ"],
        shells=element_shells(path, members),
        images=_images(path, text),
        lattice=lattice,
        angles=angles,
        hartree=hartree,
        bohr=_constant(
            text, r"\[Bohr\] = \[a\.u\.\] -> \[Angstrom\]", BOHR_IN_ANGSTROM
        ),
        fermi_level=float(*fermi) * hartree if len(fermi) == 1 else None,
        num_electrons=sum(map(float, counts)),
        num_spins=len(counts),
    )


def read_cell(folder, run):
    """The lattice vectors of the input file, which the log confirms.

    Args:
        folder: path.
        run: `Run`.

    Returns:
        `(3, 3)` array in Å.

    Raises:
        ValueError: if the file is missing or has no lattice vectors, or others
            than the log.
    """
    path = folder / run.input.rpartition("/")[2]
    way_out = (
        "CP2K's log has only three digits of the lattice vectors; pass them as "
        "`cell`, in Å."
    )
    if not path.is_file():
        raise ValueError(f"{path}, the input file, is missing. {way_out}")
    try:
        cell = _input_cell(path.read_text(errors="replace"), run.bohr)
    except ValueError as error:
        raise ValueError(f"{path}: {error}. {way_out}") from None
    found = ase.cell.Cell(cell).cellpar()
    if (
        np.abs(cell - run.lattice[:, :3]).max() > VECTOR_TOLERANCE
        or np.abs(found[:3] - run.lattice[:, 3]).max() > LENGTH_TOLERANCE
        or np.abs(found[3:] - run.angles).max() > ANGLE_TOLERANCE
    ):
        raise ValueError(
            f"{path} gives the lattice vectors {cell.round(6).tolist()} Å, the "
            f"log {run.path.name} {run.lattice[:, :3].tolist()}. {way_out}"
        )
    return cell


_MEDIUM = "Repeat the run with PRINT_LEVEL MEDIUM."


def _find(path, text, pattern, what):
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{path} is no log of CP2K: it lacks {what}.")
    return found.group(1).strip()


def _constant(text, pattern, default):
    found = re.search(rf"{pattern} +({_NUMBER})", text)
    return float(found.group(1)) if found else default


def _kinds(path, text):
    """Of each kind of atoms: degrees of its shells, basis and potential."""
    kinds = {}
    for part in re.split(r"\n +\d+\. Atomic kind: ", text)[1:]:
        part, _, _ = part.partition("MOLECULE KIND INFORMATION")
        # Other bases of the kind, for fits, follow.
        _, _, part = part.partition("Orbital Basis Set")
        basis, _, _ = re.split(r"\n *\S+ Basis Set ", part)[0].partition(
            "Potential information"
        )
        shells = dict(
            ((row[0], row[1]), SHELL_LETTERS.find(row[2]))
            for row in re.findall(
                r"\n +(\d+) +(\d+) +\d+([a-z])\S* +\S+ +\S+", basis
            )
        )
        degrees = tuple(shells.values())
        size = re.search(r"spherical basis functions: +(\d+)", basis)
        if not size or int(size.group(1)) != sum(2 * l + 1 for l in degrees):
            raise ValueError(
                f"{path} does not list the shells of every kind of atoms. "
                f"{_MEDIUM}"
            )
        potential = re.search(r"Potential information for +(\S+)", part)
        names = basis.split()[0], potential.group(1) if potential else "none"
        kinds[str(len(kinds) + 1)] = degrees, names
    return kinds


def _atoms(path, text, kinds):
    """Elements, positions in Å, and element and shells of each kind."""
    _, _, table = text.partition("ATOMIC COORDINATES IN ANGSTROM")
    row = rf"\n +\d+ +(\d+) +([A-Z][a-z]?) +(\d+) +({_NUMBER}) +({_NUMBER}) +"
    # The table ends with an empty line, after the one below its title.
    table = "\n".join(table.split("\n\n")[1:2])
    rows = re.findall(rf"{row}({_NUMBER}) +({_NUMBER})", "\n" + table)
    if not rows or len(rows) != len(table.splitlines()) - 1:
        raise ValueError(f"{path} lacks the table of atoms. {_MEDIUM}")
    members, named = {}, {}
    for kind, symbol, number, *_, charge in rows:
        if float(charge) == 0 or atomic_numbers.get(symbol) != int(number):
            raise ValueError(
                f"{path}: {symbol} with the charge {charge} is a ghost or no "
                "element. Ghost atoms are not supported."
            )
        degrees, names = kinds[kind]
        members[kind] = symbol, degrees
        if named.setdefault(symbol, names) != names:
            raise ValueError(
                f"{path} has {symbol} with two bases or potentials: "
                f"{' '.join(named[symbol])} and {' '.join(names)}. One model "
                "needs one basis and one potential per element."
            )
    positions = np.array([row[3:6] for row in rows], float)
    return [row[1] for row in rows], positions, members.values()


def _images(path, text):
    """The translations of `KS` and `S`, in the order of their files."""
    images = {}
    for kind, count, rows in re.findall(
        r"\n +(KS|S) CSR write\| +(\d+) +periodic images\n.*\n"
        r"((?: +\d+ +-?\d+ +-?\d+ +-?\d+\n)*)",
        text,
    ):
        table = np.array([line.split() for line in rows.splitlines()], int)
        if (
            table.shape != (int(count), 4)
            or (table[:, 0] != np.arange(1, len(table) + 1)).any()
        ):
            raise ValueError(
                f"{path} announces {count} periodic images of {kind} and lists "
                f"{len(table)}. It is damaged."
            )
        images[kind] = table[:, 1:].tolist()
    return images


def _input_cell(text, bohr):
    """Lattice vectors in Å of `&CELL` in an input."""
    found, section = {}, []
    for line in text.splitlines():
        words = re.split(r"[!#]", line)[0].split()
        if not words:
            continue
        name = words[0].upper()
        if name.startswith("&END"):
            section = section[:-1]
        elif name.startswith("&"):
            section = [*section, name]
        elif section[-1:] == ["&CELL"] and name in _LATTICE:
            if name in found:
                raise ValueError(f"&CELL gives {name} twice")
            found[name] = _values(words[1:], bohr)
    if set(found) == {"A", "B", "C"}:
        return np.array([found[key] for key in "ABC"])
    if set(found) in ({"ABC"}, {"ABC", "ALPHA_BETA_GAMMA"}):
        angles = found.get("ALPHA_BETA_GAMMA", [90.0] * 3)
        return ase.cell.Cell.new([*found["ABC"], *angles]).array
    raise ValueError(
        "&CELL gives no A, B and C, nor ABC with or without ALPHA_BETA_GAMMA"
    )


def _values(words, bohr):
    """Three numbers, of an input in Å."""
    units = {"[ANGSTROM]": 1.0, "[BOHR]": bohr, "[DEG]": 1.0}
    factor = 1.0
    if words and words[0].startswith("["):
        factor = units.get(words[0].upper())
        words = words[1:]
    if factor is None or len(words) != 3:
        raise ValueError("&CELL has other units than [angstrom] and [bohr]")
    return [factor * float(word.lower().replace("d", "e")) for word in words]
