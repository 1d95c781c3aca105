"""Pseudopotentials in the unified format (UPF 1 and 2), norm-conserving ones.

Energies are rydberg, lengths bohr; projectors are r β(r), the density is
4π r² n(r), the partial core n_core(r). Facts of the format: Quantum ESPRESSO's
description of UPF.
"""

import dataclasses
import re

import numpy as np

from data_tools.radial_data import numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Pseudopotential:
    """What a file holds, in its own units.

    Attributes:
        symbol: str. The element.
        num_electrons: float. Valence electrons.
        mesh: `(n,)` array, bohr.
        local: `(n,)` array, rydberg.
        projectors: `(num_projectors, n)` array, r β(r).
        degrees: list of int, of the projectors.
        momenta: list of float, their j; `None` without spin-orbit coupling.
        strengths: `(num_projectors, num_projectors)` array, D_ij.
        core: `(n,)` array, bohr^-3, or `None`.
        density: `(n,)` array, 4π r² n of the free atom, 1/bohr.
    """

    symbol: str
    num_electrons: float
    mesh: np.ndarray
    local: np.ndarray
    projectors: np.ndarray
    degrees: list
    momenta: list | None
    strengths: np.ndarray
    core: np.ndarray | None
    density: np.ndarray


def read_upf(path):
    """Reads a file.

    Args:
        path: path.

    Returns:
        `Pseudopotential`.

    Raises:
        ValueError: if the file is incomplete, of another version, or not
            norm-conserving.
    """
    file = _File(path)
    header = file.header()
    kind, count = header["type"], header["projectors"]
    if kind not in ("NC", "SL"):
        raise ValueError(
            f"{path} is no norm-conserving pseudopotential: its type is "
            f"{kind!r}. Ultrasoft ones, PAW and bare Coulomb potentials have "
            "no H⁰ of this form."
        )
    mesh = numbers(f"{path}: PP_R", file.body("PP_R"))
    size = len(mesh)

    def section(name):
        return numbers(f"{path}: {name}", file.body(name), size)

    projectors, degrees = file.projectors(count, size)
    return Pseudopotential(
        header["symbol"],
        header["electrons"],
        mesh,
        section("PP_LOCAL"),
        projectors,
        degrees,
        file.momenta(count, header) if header["spin_orbit"] else None,
        file.strengths(count),
        section("PP_NLCC") if header["core"] else None,
        section("PP_RHOATOM"),
    )


class _File:
    """Sections of a file, whose attributes version 1 has not."""

    def __init__(self, path):
        self.path = path
        text = path.read_text(errors="replace")
        # Inputs of generators, of any syntax.
        self.text = re.sub(r"<PP_INFO>.*?</PP_INFO>", "", text, flags=re.DOTALL)
        if "<PP_HEADER" not in self.text:
            raise ValueError(
                f"{path} has no <PP_HEADER: it is no UPF file of version 1 or "
                "2."
            )
        self.is_old = "<UPF" not in self.text

    def section(self, name):
        """Attributes and text of a section; both `None` if there is none."""
        word = re.escape(name)
        found = re.search(
            rf'<{word}((?:\s+[\w:.-]+\s*=\s*"[^"]*")*)\s*'
            rf"(?:/>|>(.*?)</{word}>)",
            self.text,
            re.DOTALL,
        )
        if found is None:
            return None, None
        attributes = re.findall(r'([\w:.-]+)\s*=\s*"([^"]*)"', found.group(1))
        return {k: v.strip() for k, v in attributes}, found.group(2) or ""

    def body(self, name):
        return self.section(name)[1]

    def value(self, section, name):
        """A number among the attributes of a section."""
        place = f"{self.path}: {name} of {section}"
        return float(
            numbers(place, (self.section(section)[0] or {}).get(name), 1)[0]
        )

    def header(self):
        if not self.is_old:
            known = self.section("PP_HEADER")[0] or {}
            kind = known.get("pseudo_type", "unknown")
            for flag, name in (("is_ultrasoft", "US"), ("is_paw", "PAW")):
                kind = name if _is_true(known.get(flag, "F")) else kind
            return {
                "symbol": known.get("element", "").strip(),
                "type": kind,
                "core": _is_true(known.get("core_correction", "F")),
                "spin_orbit": _is_true(known.get("has_so", "F")),
                "electrons": self.value("PP_HEADER", "z_valence"),
                "projectors": int(self.value("PP_HEADER", "number_of_proj")),
            }
        lines = (self.body("PP_HEADER") or "").splitlines()
        words = [line.split() for line in lines if line.strip()]
        place = f"{self.path}: PP_HEADER"
        if len(words) < 11:
            raise ValueError(f"{place} has {len(words)} lines; expected: 11.")
        orbitals, projectors = numbers(place, " ".join(words[10][:2]), 2)
        return {
            "symbol": words[1][0],
            "type": words[2][0],
            "core": _is_true(words[3][0]),
            "spin_orbit": self.body("PP_ADDINFO") is not None,
            "electrons": float(numbers(place, words[5][0], 1)[0]),
            "projectors": int(projectors),
            "orbitals": int(orbitals),
        }

    def projectors(self, count, size):
        """r β(r) on the whole mesh, and degrees."""
        values, degrees, ends = np.zeros((count, size)), [], []
        old = re.findall(r"<PP_BETA>(.*?)</PP_BETA>", self.text, re.DOTALL)
        for n in range(count):
            name = f"PP_BETA.{n + 1}"
            place = f"{self.path}: {name}"
            if self.is_old:
                lines = old[n].strip().splitlines() if n < len(old) else []
                words = " ".join(lines[2:]).split()
                digits = [w for w in " ".join(lines[:2]).split() if w.isdigit()]
                _, degree, end = numbers(place, " ".join(digits[:3]), 3)
                end = min(int(end), size)
                # Cut-off radii may follow.
                values[n, :end] = numbers(place, " ".join(words[:end]), end)
            else:
                values[n] = numbers(place, self.body(name), size)
                degree = self.value(name, "angular_momentum")
                known = self.section(name)[0].get("cutoff_radius_index", "0")
                end = int(numbers(place, known, 1)[0])
            degrees.append(int(degree))
            ends.append(end)
        # Programs take all of them up to the last end.
        if ends and min(ends) > 0:
            values[:, max(ends) :] = 0.0
        return values, degrees

    def strengths(self, count):
        place = f"{self.path}: PP_DIJ"
        if not count:
            return np.zeros((0, 0))
        if not self.is_old:
            found = numbers(place, self.body("PP_DIJ"), count**2)
            return found.reshape(count, count)
        matrix = np.zeros((count, count))
        first, *lines = (self.body("PP_DIJ") or "").strip().splitlines() or [""]
        expected = int(numbers(place, " ".join(first.split()[:1]), 1)[0])
        rows = " ".join(" ".join(line.split()[:3]) for line in lines)
        rows = numbers(place, rows, 3 * expected).reshape(-1, 3)
        i, j = rows[:, :2].astype(int).T - 1
        if not np.isin([i, j], np.arange(count)).all():
            raise ValueError(f"{place} names projectors beyond {count}.")
        matrix[i, j] = matrix[j, i] = rows[:, 2]
        return matrix

    def momenta(self, count, header):
        """j of each projector."""
        if not self.is_old:
            names = [f"PP_RELBETA.{n + 1}" for n in range(count)]
            return [self.value(name, "jjj") for name in names]
        # Lines of the orbitals, of the projectors, of the mesh.
        lines = self.body("PP_ADDINFO").strip().splitlines()
        lines = lines[header["orbitals"] :][:count]
        words = " ".join(" ".join(line.split()[-2:]) for line in lines)
        place = f"{self.path}: PP_ADDINFO"
        return numbers(place, words, 2 * count)[1::2].tolist()


def _is_true(word):
    return word.strip(". ").lower().startswith("t")
