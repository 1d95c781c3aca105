"""OpenMX 3.9 and 4.0: Hamiltonian and overlap from `*.scfout` files."""

import gzip
import math
import pathlib
import re
import zlib

import ase
import numpy as np
from ase.data import atomic_numbers

from data_tools.openmx_input import input_section
from data_tools.plausibility import plausible
from data_tools.shells import element_shells
from data_tools.spin_blocks import adjoint
from data_tools.spin_blocks import join_spins
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.basis import repeated_degrees
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.reading import check_size
from keras_hamiltonian.reading import reader

# The file's format number, which OpenMX adds to the spin switch times four.
FORMATS = {
    0: "3.7, 3.8 or older",
    1: "3.7.x, a development version",
    2: "3.7.x, a development version",
    3: "3.9 and 4.0",
}
SPINS = {0: "none", 1: "collinear", 3: "noncollinear"}
LINE_LENGTH = 256
# Of the .out file that may be appended.
LONGEST_TEXT = 2**26


@reader
@plausible
def read_scfout(path, output=None):
    """Reads a calculation of OpenMX 3.9 or 4.0 (`HS.fileout on`).

    The elements and their shells come from the input text that OpenMX puts at
    the end of the file, or from its `.out` file.

    Args:
        path: str or path. The `.scfout` file, plain or gzipped, with or
            without the text of the `.out` file appended.
        output: str or path or `None`. OpenMX's `.out` or input file. Only
            asked for if the scfout file has no input text; then a `.out` file
            of the same name in its folder is used too.

    Returns:
        `Calculation` with Hamiltonian (eV), overlap, Fermi level and number of
        valence electrons. Positions are OpenMX's own (Å), which the lattice
        shifts of the pairs belong to; they may be outside the cell.

    Raises:
        ValueError: if the file is of another version or kind, is cut short,
            or its elements and shells are unknown.
    """
    path = pathlib.Path(path)
    raw = _read_binary(path)
    text = _input_text(path, raw, output)
    symbols, basis = _species(path, text, raw["num_orbitals"])
    atoms = ase.Atoms(
        symbols,
        raw["positions"] * BOHR_IN_ANGSTROM,
        cell=raw["lattice"] * BOHR_IN_ANGSTROM,
        pbc=True,
    )
    overlap = BlockMatrix(raw["pairs"], raw["shapes"], raw["overlap"])
    hamiltonian = _hamiltonian(raw, overlap)
    return Calculation(
        atoms,
        basis,
        spin=SPINS[raw["spin"]],
        hamiltonian=to_package_order(
            hamiltonian, "openmx", basis, atoms.numbers
        ),
        overlap=to_package_order(overlap, "openmx", basis, atoms.numbers),
        fermi_level=raw["chemical_potential"] * HARTREE_IN_EV,
        num_electrons=raw["num_electrons"],
        name=re.sub(r"\.scfout(\.gz)?$", "", path.name),
        source={"code": "OpenMX", "version": "3.9 or 4.0", "file": path.name},
    )


class _Numbers:
    """Takes numbers from a binary file one array after the other."""

    def __init__(self, path, file):
        self.path = path
        self.file = file

    def take(self, dtype, *shape, what):
        size = math.prod(map(int, shape)) * np.dtype(dtype).itemsize
        check_size(self.path, size)
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError(
                f"{self.path} ends before {what} is complete: {len(data)} of "
                f"{size} bytes. The file was cut short: copy it "
                "again, or repeat the run with enough disk space."
            )
        return np.frombuffer(data, dtype).reshape(shape)

    def integers(self, *shape, what):
        return self.take("<i4", *shape, what=what).astype(np.int64)

    def reals(self, *shape, what):
        return self.take("<f8", *shape, what=what)

    def skip_reals(self, count):
        self.file.seek(8 * count, 1)


def _read_binary(path):
    try:
        with open(path, "rb") as start:
            is_gzipped = start.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    opener = gzip.open if is_gzipped else open
    with opener(path, "rb") as file:
        try:
            return _read_arrays(path, file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}). Copy it again."
            ) from None


def _read_arrays(path, file):
    numbers = _Numbers(path, file)
    header = numbers.integers(7, what="the header")
    raw = {"spin": _check_header(path, header)}
    num_atoms, num_cells, order_max = (int(header[k]) for k in (0, 5, 6))
    _read_pairs(path, numbers, num_atoms, num_cells, raw)

    size = int(raw["shapes"].prod(axis=1).sum())
    is_noncollinear = raw["spin"] == 3
    raw["real"] = numbers.reals(raw["spin"] + 1, size, what="the Hamiltonian")
    raw["imaginary"] = numbers.reals(
        3 if is_noncollinear else 0, size, what="the Hamiltonian"
    )
    raw["overlap"] = numbers.reals(size, what="the overlap")
    # Position (3 x order), momentum (3) and density matrices (real, and two
    # imaginary parts) follow.
    numbers.skip_reals(size * (3 * order_max + 3 + raw["spin"] + 1 + 2))
    numbers.integers(1, what="the solver")
    scalars = numbers.reals(10, what="the chemical potential")
    raw["chemical_potential"] = float(scalars[0])
    raw["num_electrons"] = float(scalars[8])
    num_lines = int(numbers.integers(1, what="the input text")[0])
    lines = numbers.take("S1", num_lines, LINE_LENGTH, what="the input text")
    # Each line ends at its first zero byte; the rest has no meaning.
    texts = [line.tobytes().split(b"\0")[0] for line in lines]
    raw["input"] = b"".join(texts).decode(errors="replace")
    raw["appended"] = file.read(LONGEST_TEXT).decode(errors="replace")
    return raw


def _check_header(path, header):
    """The spin switch (0, 1, 3) of a header that can be read."""
    num_atoms, switch = int(header[0]), int(header[1])
    swapped = header.astype("<i4").byteswap()
    if switch >> 8 and 0 <= swapped[1] < 64 and swapped[0] > 0:
        raise ValueError(
            f"{path} holds big-endian numbers; expected little-endian ones. "
            "Repeat the run on a little-endian machine."
        )
    if not (0 < num_atoms < 10**7 and 0 <= switch < 64 and header.min() >= 0):
        raise ValueError(
            f"{path} is no OpenMX scfout file: expected the number of atoms "
            "and the spin switch first. Received: "
            f"{', '.join(str(x) for x in header)}."
        )
    version, spin = switch >> 2, switch & 3
    if version != 3:
        raise ValueError(
            f"{path} has the scfout format {version} of OpenMX "
            f"{FORMATS.get(version, 'newer than 4.0')}; only "
            "format 3 can be read. Repeat the run with OpenMX 3.9 or 4.0."
        )
    if spin not in SPINS:
        raise ValueError(
            f"{path} has the spin switch {spin}; expected 0 (none), 1 "
            "(collinear) or 3 (non-collinear)."
        )
    if header[3] or header[4]:
        raise ValueError(
            f"{path} is of a transport calculation with {header[3]} and "
            f"{header[4]} atoms in the leads; only periodic cells can be read."
        )
    return spin


def _read_pairs(path, numbers, num_atoms, num_cells, raw):
    # Vectors are stored with an unused zeroth component, the lists of cells
    # with the home cell first, each list of neighbours with the atom itself.
    numbers.skip_reals(4 * (num_cells + 1))
    shifts = numbers.integers(num_cells + 1, 4, what="the cells")[:, 1:]
    num_orbitals = numbers.integers(num_atoms, what="the orbitals")
    counts = numbers.integers(num_atoms, what="the neighbours") + 1
    _check_range(path, num_orbitals, 1, 10**4, "numbers of orbitals")
    _check_range(path, counts, 1, 10**6, "numbers of neighbours")
    total = int(counts.sum())
    neighbors = numbers.integers(total, what="the neighbours") - 1
    cells = numbers.integers(total, what="the cells of the neighbours")
    _check_range(path, neighbors, 0, num_atoms - 1, "neighbours")
    _check_range(path, cells, 0, num_cells, "cells")
    atoms = np.repeat(np.arange(num_atoms), counts)
    raw["pairs"] = np.column_stack([shifts[cells], atoms, neighbors])
    raw["shapes"] = num_orbitals[raw["pairs"][:, 3:]]
    raw["num_orbitals"] = num_orbitals
    raw["lattice"] = numbers.reals(3, 4, what="the lattice")[:, 1:]
    numbers.skip_reals(3 * 4)
    positions = numbers.reals(num_atoms, 4, what="the positions")
    raw["positions"] = positions[:, 1:]


def _check_range(path, values, lowest, highest, what):
    if values.min() < lowest or values.max() > highest:
        raise ValueError(
            f"{path} lists {what} from {values.min()} to {values.max()}; "
            f"expected {lowest} to {highest}. It is damaged or no scfout file."
        )


def _hamiltonian(raw, overlap):
    """Blocks in eV and OpenMX's order, on the pairs of the overlap."""
    real = raw["real"] * HARTREE_IN_EV
    if raw["spin"] == 0:
        return overlap.with_entries(real[0])
    parts = list(real)
    if raw["spin"] == 3:
        imaginary = raw["imaginary"] * HARTREE_IN_EV
        parts = [
            real[0] + 1j * imaginary[0],
            real[1] + 1j * imaginary[1],
            real[2] + 1j * (real[3] + imaginary[2]),
        ]
    parts = [overlap.with_entries(entries) for entries in parts]
    if raw["spin"] == 3:
        parts.append(adjoint(parts[2]))
    return join_spins(*parts)


def _input_text(path, raw, output):
    """OpenMX's input: from the file named, the scfout or the file beside."""
    candidates = [raw["input"], raw["appended"]]
    if output is not None:
        output = pathlib.Path(output)
        if not output.is_file():
            raise ValueError(f"There is no file {output}.")
        candidates = [output.read_text(errors="replace")]
    else:
        stem = re.sub(r"\.scfout(\.gz)?$", "", path.name)
        beside = path.with_name(stem + ".out")
        if beside.is_file():
            candidates.append(beside.read_text(errors="replace"))
    for text in candidates:
        if input_section(text, "Definition.of.Atomic.Species"):
            return text
    raise ValueError(
        f"{output or path} holds no input text of OpenMX (a section "
        "<Definition.of.Atomic.Species), so the elements and their shells are "
        "unknown. Pass OpenMX's .out or input file as `output`."
    )


def _species(path, text, num_orbitals):
    """Element symbols of the atoms and the basis."""
    species = {
        line[0]: line[1:3]
        for line in input_section(text, "Definition.of.Atomic.Species")
    }
    atoms = input_section(text, "Atoms.SpeciesAndCoordinates")
    if len(atoms) != len(num_orbitals):
        raise ValueError(
            f"The input text of {path} lists {len(atoms)} atoms; the file has "
            f"{len(num_orbitals)}. Pass the .out file of this run as `output`."
        )
    shells, kinds = [], {}
    for line, count in zip(atoms, num_orbitals.tolist()):
        if line[1] not in species:
            raise ValueError(
                f"The input text of {path} defines the species "
                f"{', '.join(species)}, but an atom is of {line[1]!r}."
            )
        kind = species[line[1]]
        if kind[1] == "E":
            raise ValueError(
                f"{path}: the species {line[1]!r} is an empty atom (its "
                "pseudopotential is E). Empty atoms are not supported."
            )
        shells.append(_shells(path, kind[0], count))
        symbol = shells[-1][0]
        if kinds.setdefault(symbol, kind) != kind:
            raise ValueError(
                f"{path} has {symbol} with two kinds of orbitals or "
                f"potentials: {' '.join(kinds[symbol])} and {' '.join(kind)}. "
                "One model needs one basis and one potential per element."
            )
    symbols = [symbol for symbol, _ in shells]
    return symbols, OrbitalBasis(element_shells(path, shells))


def _shells(path, orbitals, count):
    """Element and degrees of pseudo-atomic orbitals such as `C6.0-s2p2d1`.

    `s4>1` contracts four functions to one; the number of orbitals in the
    file shows which of the two the run used.
    """
    name, _, shells = orbitals.partition("-")
    symbol = re.match(r"[A-Z][a-z]?", name)
    found = re.findall(rf"([{SHELL_LETTERS}])(\d+)(?:>(\d+))?", shells)
    if symbol is None or symbol.group() not in atomic_numbers or not found:
        raise ValueError(
            f"{path} uses the orbitals {orbitals!r}; expected an element, a "
            "radius and shells, such as C6.0-s2p2d1. Empty atoms are not "
            "supported."
        )
    for column in (1, 2):
        counts = [
            (SHELL_LETTERS.index(shell[0]), int(shell[column] or shell[1]))
            for shell in found
        ]
        degrees = tuple(repeated_degrees(counts))
        if sum(2 * l + 1 for l in degrees) == count:
            return symbol.group(), degrees
    raise ValueError(
        f"{path} has {count} orbitals for an atom whose orbitals are "
        f"{orbitals!r}. Pass the .out or input file of this run as `output`."
    )
