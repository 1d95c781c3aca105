"""Inputs of ABACUS."""

import re

import numpy as np

from data_tools.abacus_input import BOHR_IN_ANGSTROM
from data_tools.abacus_input import input_value
from data_tools.abacus_input import read_stru
from data_tools.abacus_input import stru_sections
from data_tools.inputs.wave_vectors import same_density
from data_tools.labels import element_of_label

FOLDERS = ("pseudo_dir", "orbital_dir")


class AbacusTemplate:
    """A folder with INPUT, STRU and, unless INPUT has `kspacing`, KPT.

    Args:
        path: path.

    Raises:
        ValueError: if the run moves atoms or writes no Hamiltonian, or the
            files cannot be read.
    """

    def __init__(self, path):
        self.path = path
        kind = input_value(path / "INPUT", "calculation") or "scf"
        if kind != "scf":
            raise ValueError(
                f"{path}/INPUT has calculation {kind}. Set it to scf."
            )
        if input_value(path / "INPUT", "out_mat_hs2") not in ("1", "true"):
            raise ValueError(
                f"{path}/INPUT writes no Hamiltonian. Add out_mat_hs2 1."
            )
        atoms, _ = read_stru(path / "STRU")
        self.cell = atoms.cell[:]
        sections = stru_sections(path / "STRU")
        self.species, self.orbitals = {}, {}
        orbitals = sections.get("NUMERICAL_ORBITAL", [])
        for words, orbital in zip(sections["ATOMIC_SPECIES"], orbitals):
            symbol = element_of_label(path, words[0])
            self.species[symbol] = words
            self.orbitals[symbol] = orbital
        self.grid = self._grid()

    @staticmethod
    def matches(path):
        """Whether a path is a folder with inputs of ABACUS."""
        return all((path / file).is_file() for file in ("INPUT", "STRU"))

    def write(self, folder, name, atoms):
        """Writes INPUT, STRU and KPT; the run writes OUT.* beside them."""
        symbols = list(dict.fromkeys(atoms.symbols))
        missing = sorted(set(symbols) - set(self.species))
        if missing:
            raise ValueError(
                f"{self.path}/STRU has no species of {', '.join(missing)}, "
                f"which {name!r} has. Give a template with all elements."
            )
        (folder / "INPUT").write_text(self._input(len(symbols)))
        (folder / "STRU").write_text(self._stru(symbols, atoms))
        if self.grid is not None:
            kind, numbers, shifts = self.grid
            numbers = same_density(numbers, self.cell, atoms.cell[:])
            words = " ".join([*map(str, numbers), *shifts])
            (folder / "KPT").write_text(f"K_POINTS\n0\n{kind}\n{words}\n")

    def _input(self, num_species):
        """INPUT, with folders that are found from everywhere."""
        path = self.path / "INPUT"
        values = {"ntype": num_species, "latname": "none"}
        for key in FOLDERS:
            place = self.path / (input_value(path, key) or ".")
            if place.is_dir():
                values[key] = place.resolve()
        lines = [
            line
            for line in path.read_text(errors="replace").splitlines()
            if line.split()[:1] and line.split()[0] not in values
        ]
        lines += [f"{key} {value}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    def _stru(self, symbols, atoms):
        lines = ["ATOMIC_SPECIES"]
        lines += [" ".join(self.species[symbol]) for symbol in symbols]
        lines += ["", "NUMERICAL_ORBITAL"]
        lines += [" ".join(self.orbitals[symbol]) for symbol in symbols]
        lines += ["", "LATTICE_CONSTANT", repr(1 / BOHR_IN_ANGSTROM)]
        lines += ["", "LATTICE_VECTORS", *map(_numbers, atoms.cell[:])]
        lines += ["", "ATOMIC_POSITIONS", "Direct"]
        places = atoms.get_scaled_positions(wrap=False)
        for symbol in symbols:
            own = places[atoms.symbols == symbol]
            lines += ["", self.species[symbol][0], "0.0", str(len(own))]
            lines += [f"{_numbers(place)} 0 0 0" for place in own]
        return "\n".join(lines) + "\n"

    def _grid(self):
        """Kind, numbers and shifts of KPT, or `None` without one."""
        path = self.path / "KPT"
        if not path.is_file():
            return None
        lines = [re.split(r"#|//", x)[0] for x in path.read_text().splitlines()]
        lines = [line.split() for line in lines if line.strip()]
        is_grid = len(lines) > 3 and lines[1] == ["0"] and len(lines[3]) > 2
        if not is_grid or lines[2][0].lower() not in ("gamma", "mp"):
            raise ValueError(
                f"{path} is no grid of wave vectors, which is scaled to other "
                "cells: expected K_POINTS, 0, Gamma or MP, and six numbers."
            )
        numbers = np.array(lines[3][:3], int).tolist()
        return lines[2][0], numbers, lines[3][3:]


def _numbers(row):
    return " ".join(f"{x:.12f}" for x in row)
