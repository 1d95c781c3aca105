"""Inputs of SIESTA."""

import re
import shutil

import numpy as np

from data_tools.inputs.wave_vectors import same_density
from data_tools.labels import element_of_label

BOHR_IN_ANGSTROM = 0.529177210903
ATOMS = "atomiccoordinatesandatomicspecies"
GRID = "kgridmonkhorstpack"
# What gives the structure and the names of files, and is replaced.
REPLACED = {
    "systemlabel",
    "numberofatoms",
    "latticeconstant",
    "latticevectors",
    "latticeparameters",
    "atomiccoordinatesformat",
    ATOMS,
    GRID,
}
# What does not fit another structure.
REFUSED = (
    "supercell",
    "zmatrix",
    "atomiccoordinatesorigin",
    "geometryconstraints",
    "dminitspin",
)
STEPS = ("mdsteps", "mdnumcgsteps")
YES = ("true", "yes", "t", "y", "")
# Files of a species that lie beside the input.
ENDINGS = (".psml", ".psf", ".vps", ".ion.xml")


class SiestaTemplate:
    """An input file of SIESTA.

    Args:
        path: path, `.fdf`.

    Raises:
        ValueError: if the run moves atoms or writes no Hamiltonian, or the
            input has parts that do not fit another structure.
    """

    def __init__(self, path):
        self.path = path
        self.entries = _entries(path)
        found = [key for key in REFUSED if key in self.entries]
        if found:
            raise ValueError(
                f"{path} has {', '.join(found)}, which does not fit other "
                "structures. Take it out."
            )
        if any(int(self._value(key, "0")) > 0 for key in STEPS):
            raise ValueError(f"{path} moves the atoms. Set MD.Steps to 0.")
        if self._value("savehs", "no").lower().strip(".") not in YES:
            raise ValueError(f"{path} writes no Hamiltonian. Add SaveHS true.")
        self.labels = self._labels()
        self.grid = [line.split() for line in self.entries.get(GRID, [])[1:-1]]
        if self.grid:
            numbers = np.array([row[:3] for row in self.grid[:3]], int)
            if np.count_nonzero(numbers - np.diag(np.diag(numbers))):
                raise ValueError(
                    f"{path} has an oblique grid of wave vectors, which is "
                    "not scaled to other cells. Give a diagonal one, or "
                    "kgrid_cutoff."
                )
            self.cell = self._cell()

    @staticmethod
    def matches(path):
        """Whether a path is an input of SIESTA."""
        return path.is_file() and path.suffix.lower() == ".fdf"

    def write(self, folder, name, atoms):
        """Writes `<name>.fdf`; the run writes `<name>.HSX` beside it."""
        missing = sorted(set(atoms.symbols) - set(self.labels))
        if missing:
            raise ValueError(
                f"{self.path} has no species of {', '.join(missing)}, which "
                f"{name!r} has. Give a template with all elements."
            )
        lines = [
            f"SystemLabel {name}",
            f"NumberOfAtoms {len(atoms)}",
            "LatticeConstant 1.0 Ang",
            "%block LatticeVectors",
            *map(_numbers, atoms.cell[:]),
            "%endblock LatticeVectors",
            "AtomicCoordinatesFormat Ang",
            "%block AtomicCoordinatesAndAtomicSpecies",
            *(
                f"{_numbers(place)} {self.labels[symbol][0]}"
                for symbol, place in zip(atoms.symbols, atoms.positions)
            ),
            "%endblock AtomicCoordinatesAndAtomicSpecies",
        ]
        if self.grid:
            numbers = [int(row[k]) for k, row in enumerate(self.grid[:3])]
            numbers = same_density(numbers, self.cell, atoms.cell[:])
            lines.append("%block kgrid_Monkhorst_Pack")
            for row, grid in zip(np.diag(numbers), self.grid):
                lines.append(" ".join([*map(str, row), *grid[3:]]))
            lines.append("%endblock kgrid_Monkhorst_Pack")
        for key, kept in self.entries.items():
            if key not in REPLACED:
                lines += kept
        (folder / f"{name}.fdf").write_text("\n".join(lines) + "\n")
        for symbol in set(atoms.symbols):
            for ending in ENDINGS:
                file = self.path.parent / f"{self.labels[symbol][1]}{ending}"
                if file.is_file():
                    shutil.copy(file, folder)

    def _value(self, key, default):
        words = self.entries.get(key, [f"- {default}"])[0].split()
        return words[1] if len(words) > 1 else ""

    def _labels(self):
        """Number and label of the species of each element."""
        found = {}
        for line in self.entries.get("chemicalspecieslabel", [])[1:-1]:
            number, _, label = line.split()[:3]
            symbol = element_of_label(self.path, label)
            if symbol in found:
                raise ValueError(
                    f"{self.path} has {symbol} as {found[symbol][1]} and as "
                    f"{label}. One model needs one basis per element."
                )
            found[symbol] = number, label
        return found

    def _cell(self):
        """Lattice vectors in Å."""
        words = self.entries.get("latticeconstant", [""])[0].split()
        rows = [r.split()[:3] for r in self.entries.get("latticevectors", [])]
        if len(words) < 3 or len(rows) != 5:
            raise ValueError(
                f"{self.path} has no LatticeConstant and block LatticeVectors."
            )
        unit = 1.0 if words[2].lower() == "ang" else BOHR_IN_ANGSTROM
        return unit * float(words[1]) * np.array(rows[1:4], float)


def _entries(path):
    """Lines of each keyword and block of an fdf file, by their plain names."""
    found, block = {}, None
    for line in path.read_text(errors="replace").splitlines():
        words = re.split(r"[#!;]", line)[0].split()
        if not words:
            continue
        first = words[0].lower()
        if first == "%include" or "<" in words:
            raise ValueError(
                f"{path} includes other files. Write their lines into it."
            )
        if block is None:
            is_block = first == "%block"
            name = words[1] if is_block else words[0]
            key = re.sub(r"[-_.]", "", name).lower()
            # The first of two counts.
            lines = [] if key in found else found.setdefault(key, [])
            block = lines if is_block else None
        else:
            lines = block
            block = None if first == "%endblock" else block
        lines.append(" ".join(words))
    return found


def _numbers(row):
    return " ".join(f"{x:.12f}" for x in row)
