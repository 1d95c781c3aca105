"""Inputs of OpenMX."""

import re
import warnings

import numpy as np

from data_tools.inputs.wave_vectors import same_density
from data_tools.labels import element_of_label
from data_tools.openmx_input import input_section
from data_tools.openmx_input import input_value

ATOMS = "Atoms.SpeciesAndCoordinates"
VECTORS = "Atoms.UnitVectors"
BOHR_IN_ANGSTROM = 0.529177249
GRID = r"^[ \t]*scf\.Kgrid[ \t]+(\d+)[ \t]+(\d+)[ \t]+(\d+)"
# Sections that say something of single atoms.
OF_ATOMS = ("MD.Fixed.XYZ", "MD.Init.Velocity")


class OpenMXTemplate:
    """An input file of OpenMX.

    Args:
        path: path.

    Raises:
        ValueError: if the run moves atoms or writes no Hamiltonian, or the
            input cannot be read.
    """

    def __init__(self, path):
        self.path = path
        self.text = path.read_text(errors="replace")
        moves = input_value(self.text, "MD.Type", "nomd")
        if moves.lower() != "nomd":
            raise ValueError(
                f"{path} moves the atoms: MD.Type {moves}. Set it to nomd."
            )
        if input_value(self.text, "HS.fileout", "off").lower() != "on":
            raise ValueError(
                f"{path} writes no Hamiltonian. Add HS.fileout on."
            )
        per_atom = [s for s in OF_ATOMS if input_section(self.text, s)]
        if per_atom:
            raise ValueError(
                f"{path} has sections of single atoms, which do not fit other "
                f"structures: {', '.join(per_atom)}. Take them out."
            )
        self.data = path.parent / input_value(
            self.text, "DATA.PATH", "../DFT_DATA"
        )
        if not self.data.is_dir():
            warnings.warn(
                f"The folder of the species, DATA.PATH of {path}, is not at "
                f"{self.data}: the new inputs keep the path as it is. Set it "
                "in them, or to the whole path in the template.",
                stacklevel=2,
            )
        self.kinds = self._kinds()
        self.cell = np.array(
            [line[:3] for line in input_section(self.text, VECTORS)], float
        )
        if self.cell.shape != (3, 3):
            raise ValueError(f"{path} has no section <{VECTORS} of a cell.")
        unit = input_value(self.text, f"{VECTORS}.Unit", "Ang")
        if unit.lower() == "au":
            self.cell *= BOHR_IN_ANGSTROM

    @staticmethod
    def matches(path):
        """Whether a path is an input of OpenMX."""
        if not path.is_file():
            return False
        text = path.read_text(errors="replace")
        return bool(input_section(text, ATOMS))

    def write(self, folder, name, atoms):
        """Writes `<name>.dat`; the run writes `<name>.scfout` beside it."""
        missing = sorted(set(atoms.symbols) - set(self.kinds))
        if missing:
            raise ValueError(
                f"{self.path} has no atoms of {', '.join(missing)}, which "
                f"{name!r} has. Give a template with all elements."
            )
        lines = []
        positions = zip(atoms.symbols, atoms.positions)
        for number, (symbol, place) in enumerate(positions, start=1):
            label, rest = self.kinds[symbol]
            lines.append(f" {number} {label} {_numbers(place)} {rest}")
        grid = re.search(GRID, self.text, re.M | re.I)
        text = self.text
        values = {
            "System.CurrrentDirectory": "./",
            "System.Name": name,
            "Atoms.Number": len(atoms),
            f"{ATOMS}.Unit": "Ang",
            f"{VECTORS}.Unit": "Ang",
        }
        if grid is not None:
            numbers = [int(n) for n in grid.groups()]
            grid = same_density(numbers, self.cell, atoms.cell[:])
            values["scf.Kgrid"] = " ".join(map(str, grid))
        if self.data.is_dir():
            values["DATA.PATH"] = self.data.resolve()
        for keyword, value in values.items():
            text = _set(text, keyword, value)
        text = _set_section(text, ATOMS, lines)
        text = _set_section(text, VECTORS, map(_numbers, atoms.cell[:]))
        (folder / f"{name}.dat").write_text(text)

    def _kinds(self):
        """Label and last words of a line of each element."""
        found = {}
        for words in input_section(self.text, ATOMS):
            symbol = element_of_label(self.path, words[1])
            kind = words[1], " ".join(words[5:])
            if found.setdefault(symbol, kind)[0] != kind[0]:
                raise ValueError(
                    f"{self.path} has {symbol} as {found[symbol][0]} and as "
                    f"{kind[0]}. One model needs one basis per element."
                )
        return found


def _numbers(row):
    return " ".join(f"{x:.14f}" for x in row)


def _set(text, keyword, value):
    """The text with another value of a keyword, or with one more line."""
    line = rf"^[ \t]*{re.escape(keyword)}[ \t]+[^\n]*"
    new = f"{keyword} {value}"
    text, count = re.subn(line, lambda _: new, text, flags=re.M | re.I)
    return text if count else f"{text.rstrip()}\n{new}\n"


def _set_section(text, keyword, lines):
    name = re.escape(keyword)
    section = "\n".join([f"<{keyword}", *lines, f"{keyword}>"])
    text, _ = re.subn(
        rf"^[ \t]*<{name}[^\n]*\n.*?^[ \t]*{name}>[^\n]*",
        lambda _: section,
        text,
        flags=re.DOTALL | re.M | re.I,
    )
    return text
