"""Species of OpenMX: its `.pao` and `.vps` files."""

import collections
import pathlib
import re

import numpy as np
from ase.data import chemical_symbols
from scipy.integrate import cumulative_simpson

from data_tools.openmx_input import read_openmx_input
from data_tools.openmx_neutral_atom import neutral_atom_projectors
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Projector
from keras_hamiltonian.superposition.species import Species
from keras_hamiltonian.superposition.zeroth_step import ZerothStep

# bohr; what the tables of orbitals hold beyond their radius counts in OpenMX's
# integrals up to here, without which S is off by 1e-5.
TAIL = 0.5
# Projectors end where they are smaller; their tails are long.
NEGLIGIBLE = 1e-10
# 1/bohr; how sharply the neutral-atom potential ends at the orbitals' radius.
SHARPNESS = 20.0


def read_openmx_species(folder, orbitals, potentials=None, spin_orbit=False):
    """Reads the species of a calculation.

    Args:
        folder: str or path. `DFT_DATA19`, or a folder with the files.
        orbitals: list of str, for each element one name as in OpenMX's input:
            `"C6.0-s2p2d1"` takes two s, two p and one d of `C6.0.pao`.
        potentials: list of str, `"C_PBE19"` for example. Defaults to `PBE19`
            of each element.
        spin_orbit: bool. Whether projectors keep their j. Without it OpenMX
            averages their energies and functions over j, each by itself, and
            so do these.

    Returns:
        Dict from element symbols to `Species`.

    Raises:
        ValueError: if a file is missing or incomplete, has fewer orbitals
            than are asked for, or two names are of one element.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder} with species files.")
    if potentials is None:
        potentials = [f"{_element(name)}_PBE19" for name in orbitals]
    by_element = {_element(name): name for name in potentials}
    species = {}
    for name in orbitals:
        symbol = _element(name)
        if symbol in species or symbol not in by_element:
            raise ValueError(
                "Each element has one name of orbitals and one of potentials. "
                f"Received: {', '.join(orbitals)}; {', '.join(potentials)}."
            )
        base, _, shells = name.partition("-")
        species[symbol] = _read(
            symbol,
            _find(folder, "PAO", f"{base}.pao"),
            _find(folder, "VPS", f"{by_element[symbol]}.vps"),
            _counts(name, shells),
            spin_orbit,
        )
    return species


def openmx_zeroth_step(path, folder, **options):
    """A `ZerothStep` with the settings of an input of OpenMX.

    Args:
        path: str or path. The input file, of any structure of the set.
        folder: str or path. `DFT_DATA19`, or a folder with the species files.
        **options: further ones of `ZerothStep`.

    Returns:
        `ZerothStep`.

    Raises:
        ValueError: see `read_openmx_input` and `read_openmx_species`.
    """
    known = read_openmx_input(path)
    species = read_openmx_species(
        folder, known.orbitals, known.potentials, known.spin_orbit
    )
    return ZerothStep(
        species,
        **{
            "functional": known.functional,
            "spin": known.spin,
            "grid_cutoff": known.grid_cutoff,
            "source": {
                "code": "OpenMX",
                "orbitals": known.orbitals,
                "potentials": known.potentials,
            },
            **options,
        },
    )


def only_names(folder, orbitals=None, potentials=None, basis=None, lda=False):
    """Names for `read_openmx_species`, as far as they leave no choice.

    Args:
        folder: as for `read_openmx_species`.
        orbitals: list of str. Defaults to the only `.pao` file of each element
            with the shells of `basis`.
        potentials: list of str. Defaults to the only `.vps` file of each
            element; of several to `PBE19`, or `CA19`.
        basis: `OrbitalBasis` of the data, where no orbitals are given.
        lda: bool. Whether `CA19` is meant.

    Returns:
        Two lists of str.

    Raises:
        ValueError: if an element has several `.pao` files, or none.
    """
    if not orbitals:
        orbitals = []
        for symbol, degrees in basis.shells.items():
            known = _stems(folder, symbol, "pao")
            if len(known) != 1:
                raise ValueError(
                    f"{folder} has {len(known) or 'no'} .pao files of {symbol}"
                    f"{': ' if known else ''}{', '.join(known)}. Say which of "
                    f"each element by `orbitals` (--orbitals "
                    f"{symbol}6.0-{_shells(degrees)}), or give an input of the "
                    "data set (`input`, --input)."
                )
            orbitals.append(f"{known[0]}-{_shells(degrees)}")
    if potentials is None:
        potentials = []
        for symbol in map(_element, orbitals):
            known = _stems(folder, symbol, "vps")
            usual = f"{symbol}_{'CA19' if lda else 'PBE19'}"
            potentials.append(known[0] if len(known) == 1 else usual)
    return orbitals, potentials


def _stems(folder, symbol, ending):
    """Names of the files of an element, without their ending."""
    return sorted(
        path.stem
        for path in pathlib.Path(folder).rglob(f"{symbol}*.{ending}")
        if re.match("[A-Z][a-z]?", path.stem).group() == symbol
    )


def _shells(degrees):
    """`s2p2d1` of the degrees of shells."""
    counts = collections.Counter(degrees)
    return "".join(f"{SHELL_LETTERS[l]}{n}" for l, n in sorted(counts.items()))


def _element(name):
    found = re.match(r"[A-Z][a-z]?", name)
    if found is None or found.group() not in chemical_symbols[1:]:
        raise ValueError(
            f"{name!r} is no name of OpenMX's species; expected an element, a "
            "radius and shells, such as C6.0-s2p2d1, or an element and a "
            "potential, such as C_PBE19."
        )
    return found.group()


def _counts(name, shells):
    """How many orbitals of each degree `s2p2d1` takes."""
    found = re.findall(rf"([{SHELL_LETTERS}])(\d+)", shells)
    if not found or "".join(map("".join, found)) != shells:
        raise ValueError(
            f"The orbitals {name!r} end in {shells!r}; expected shells and "
            "their numbers, such as s2p2d1. Contracted orbitals (s4>1) cannot "
            "be read."
        )
    return {SHELL_LETTERS.index(letter): int(n) for letter, n in found}


def _find(folder, subfolder, name):
    for place in (folder / name, folder / subfolder / name):
        if place.is_file():
            return _File(place)
    known = sorted(
        p.stem for p in folder.rglob(f"*{pathlib.Path(name).suffix}")
    )
    raise ValueError(
        f"There is no {name} in {folder} or its folder {subfolder}; found: "
        f"{', '.join(known[:20]) or 'no file of this kind'}."
    )


class _File:
    """Keys and tables of a species file."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text(errors="replace")

    def key(self, name, default=None):
        """The first value of a key: files repeat some of them."""
        found = re.search(
            rf"^\s*{re.escape(name)}\s+(\S+)", self.text, re.M | re.I
        )
        if found is None and default is None:
            raise ValueError(
                f"{self.path} has no {name!r}: it is incomplete, or no "
                "species file of OpenMX."
            )
        return default if found is None else found.group(1)

    def has_table(self, name):
        return f"<{name}" in self.text

    def lines(self, name):
        word = re.escape(name)
        found = re.search(
            rf"^\s*<{word}[^\n]*\n(.*?)^\s*{word}>",
            self.text,
            re.DOTALL | re.MULTILINE,
        )
        if found is None:
            raise ValueError(
                f"{self.path} has no complete table <{name}: it was cut "
                "short, or is no species file of OpenMX."
            )
        return [line.split() for line in found.group(1).splitlines() if line]

    def table(self, name):
        return np.array(self.lines(name), dtype=float)


def _read(symbol, pao, vps, counts, spin_orbit):
    reach = float(pao.key("radial.cutoff.pao"))
    functions = _pseudo_atomic_orbitals(pao)
    orbitals = []
    for degree, count in sorted(counts.items()):
        known = functions.get(degree, [])
        if count > len(known):
            raise ValueError(
                f"{pao.path} has {len(known)} orbitals of degree {degree}; "
                f"asked for: {count}."
            )
        orbitals += [f.up_to(reach + TAIL) for f in known[:count]]
    table = vps.table("Pseudo.Potentials")
    valence, num_electrons = _valence_density(pao, vps)
    potential = _neutral_atom_potential(valence, table[:, :3], reach)
    core = None
    if vps.key("charge.pcc.calc", "off").lower() == "on":
        core = _density(*vps.table("density.PCC").T)
    return Species(
        symbol,
        reach,
        tuple(orbitals),
        _projectors(vps, table, reach, spin_orbit),
        potential,
        valence,
        core,
        num_electrons,
        neutral_atom_projectors(
            potential, functions, max(counts), reach + TAIL
        ),
        damping=True,
    )


def _pseudo_atomic_orbitals(pao):
    """All orbitals of a file: lists of `RadialFunction` by degree."""
    largest, count = int(pao.key("PAO.Lmax")), int(pao.key("PAO.Mul"))
    functions = {}
    for degree in range(largest + 1):
        table = pao.table(f"pseudo.atomic.orbitals.L={degree}")
        functions[degree] = [
            RadialFunction.through(degree, table[:, 1], column)
            for column in table.T[2 : 2 + count]
        ]
    return functions


def _density(logarithm, mesh, values):
    """A density, with the slopes of Catmull and Rom in ln r."""
    slopes = np.gradient(values, logarithm[1] - logarithm[0]) / mesh
    return RadialFunction(0, mesh, values, slopes)


def _valence_density(pao, vps):
    """The valence density of the neutral atom, and its electrons.

    The files hold other numbers of electrons (4.5 for carbon).
    """
    logarithm, mesh, values = pao.table("valence.charge.density").T
    electrons = float(vps.key("valence.electron"))
    electrons += float(vps.key("AtomSpecies"))
    electrons -= float(vps.key("total.electron"))
    step = logarithm[1] - logarithm[0]
    held = 4 * np.pi * step * (values * np.exp(3 * logarithm)).sum()
    return _density(logarithm, mesh, values * electrons / held), electrons


def _neutral_atom_potential(valence, table, reach):
    """Local pseudopotential and Hartree potential, zero beyond the reach.

    `(4π/R) ∫₀ᴿ n r² + 4π ∫_R n r`, scaled to cancel the local potential at
    the point of the mesh nearest to the reach.
    """
    logarithm, mesh, local = table.T
    x = np.linspace(*np.log(valence.mesh[[0, -1]]), 20001)
    r = np.exp(x)
    density = valence(r)
    inner = cumulative_simpson(density * r**3, x=x, initial=0)
    outer = cumulative_simpson(density * r**2, x=x, initial=0)
    inside = np.maximum(np.log(mesh), x[0])
    hartree = np.interp(inside, x, inner) / mesh
    hartree += outer[-1] - np.interp(inside, x, outer)
    edge = int(np.abs(mesh - reach).argmin())
    hartree *= -local[edge] / hartree[edge]
    damping = np.exp(np.clip(SHARPNESS * (mesh - reach), -500, 500))
    return RadialFunction.through(0, mesh, (local + hartree) / (1 + damping))


def _projectors(vps, table, reach, spin_orbit):
    """Non-local projectors, with two functions each if they keep their j."""
    by_j = vps.key("j.dependent.pseudo.potentials", "off").lower() == "on"
    count, *rows = vps.lines("project.energies")
    rows = rows[: int(count[0])]
    mesh, columns = table[:, 1], table[:, 3:]
    columns = columns[:, : (2 if by_j else 1) * len(rows)]
    sizes = np.abs(columns).max(axis=1) * mesh
    end = mesh[np.flatnonzero(sizes > NEGLIGIBLE)[-1]] + 0.1
    end = min(end, reach)

    def function(degree, values):
        return RadialFunction.through(degree, mesh, values).up_to(end)

    projectors = []
    for n, (degree, *energies) in enumerate(rows):
        l, energies = int(degree), np.array(energies, dtype=float)
        if not by_j:
            parts, energies = [columns[:, n]], energies[:1]
        else:
            parts = [columns[:, 2 * n], columns[:, 2 * n + 1]]
            shares = np.array([l + 1, l]) / (2 * l + 1)
            if l == 0:
                parts, energies = parts[:1], energies[:1]
            elif not spin_orbit:
                parts = [shares[0] * parts[0] + shares[1] * parts[1]]
                energies = [float(shares @ energies[:2])]
        projectors.append(
            Projector(
                tuple(function(l, part) for part in parts),
                tuple(float(e) for e in energies[: len(parts)]),
            )
        )
    return tuple(projectors)
