"""Species of ABACUS: orbitals from `.orb` files, the rest from `.upf` files.

ABACUS has no neutral-atom potentials. Here they are the local pseudopotential
with the Hartree potential of the free atom's density, which end where ABACUS
ends them: at its `pseudo_rcut`, far beyond the orbitals.
"""

import pathlib
import re

import numpy as np
from ase.data import atomic_numbers
from scipy.interpolate import CubicSpline

from data_tools.radial_data import check_spin_orbit
from data_tools.radial_data import numbers
from data_tools.radial_data import projectors_by_j
from data_tools.radial_data import splined
from data_tools.upf import read_upf
from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.superposition.species import Species

RYDBERG = 0.5
# bohr; ABACUS' default of `pseudo_rcut`.
LARGEST_RADIUS = 15.0
# bohr; functions are taken as r^l below.
SMALLEST_RADIUS = 1e-3
# Projectors end where r β is smaller.
NEGLIGIBLE = 1e-10


def read_abacus_species(
    folder, orbitals=None, potentials=None, spin_orbit=False
):
    """Reads the species of a calculation.

    Args:
        folder: str or path. A folder with `.orb` and `.upf` files, at any
            depth.
        orbitals: list of str: names of `.orb` files, one of each element.
            Defaults to all.
        potentials: list of str: names of `.upf` files, as many. Defaults to
            all.
        spin_orbit: bool. Whether projectors must have their j. Without it they
            may.

    Returns:
        Dict from element symbols to `Species`.

    Raises:
        ValueError: if a file is missing, incomplete, of another kind or not
            norm-conserving, if an element has several, or if projectors have
            no j.
    """
    folder = pathlib.Path(folder)
    shells, pseudos = {}, {}
    for path in _files(folder, ".orb", orbitals):
        symbol, functions = _read_orbitals(path)
        _add(shells, symbol, path, functions)
    for path in _files(folder, ".upf", potentials):
        pseudo = read_upf(path)
        _add(pseudos, pseudo.symbol, path, pseudo)
    without = sorted(set(shells) - set(pseudos))
    if without:
        raise ValueError(
            f"{folder} has no .upf file of {', '.join(without)}, only of "
            f"{', '.join(sorted(pseudos))}."
        )
    return {
        symbol: _species(symbol, functions, *pseudos[symbol], spin_orbit)
        for symbol, (_, functions) in shells.items()
    }


def _files(folder, ending, names):
    known = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ending)
    found = [p for p in known if names is None or p.name in names]
    missing = set(names or ()) - {p.name for p in found}
    if missing or not found:
        raise ValueError(
            f"{folder} has no {', '.join(sorted(missing)) or f'*{ending}'}; "
            f"found: {', '.join(p.name for p in known) or 'none'}."
        )
    return found


def _add(found, symbol, path, content):
    if symbol not in atomic_numbers or symbol == "X":
        raise ValueError(f"{path} is of {symbol!r}, which is no element.")
    if symbol in found:
        raise ValueError(
            f"{found[symbol][0]} and {path} are both of {symbol}. Name the "
            "files of one for each element."
        )
    found[symbol] = path, content


def _read_orbitals(path):
    """Element and orbitals, which are normalised as ABACUS does."""
    head, *blocks = re.split(
        r"^\s*Type\s+L\s+N\s*$", path.read_text(errors="replace"), flags=re.M
    )

    def key(name):
        found = re.search(rf"^\s*{re.escape(name)}\s+(\S+)", head, re.M)
        if found is None:
            raise ValueError(f"{path} has no {name!r}: it is no .orb file.")
        return found.group(1)

    grid = numbers(f"{path}: Mesh, dr", f"{key('Mesh')} {key('dr')}", 2)
    size, step = int(grid[0]), grid[1]
    counts = re.findall(r"Number of (\w)orbital-->\s+(\d+)", head)
    announced = [
        (SHELL_LETTERS.index(letter.lower()), n)
        for letter, count in counts
        for n in range(min(int(count), len(blocks) + 1))
    ]
    mesh, held = step * np.arange(size), {}
    for n, block in enumerate(blocks):
        place = f"{path}: orbital {n + 1}"
        _, degree, number, *values = numbers(place, block, size + 3)
        held[int(degree), int(number)] = place, np.array(values)
    missing = [orbital for orbital in announced if orbital not in held]
    if missing or not announced:
        raise ValueError(
            f"{path} announces orbitals (l, n) {announced} and holds "
            f"{sorted(held)}: it is incomplete."
        )
    # Files hold others besides, which ABACUS does not read.
    functions = [_orbital(l, mesh, *held[l, n]) for l, n in announced]
    return key("Element"), tuple(functions)


def _orbital(degree, mesh, place, values):
    """A normalised orbital."""
    function = splined(degree, mesh, values)
    norm = CubicSpline(mesh, (mesh * function.values) ** 2)
    norm = norm.integrate(0, mesh[-1])
    if not 0.9 < norm < 1.1:
        raise ValueError(
            f"{place} has the norm {norm:.3g}; expected 1 of R(r)."
        )
    return splined(degree, mesh, values / np.sqrt(norm))


def _species(symbol, orbitals, path, pseudo, spin_orbit):
    projectors = projectors_by_j(path, _terms(path, pseudo))
    if spin_orbit:
        check_spin_orbit(
            path, projectors, "Take a fully relativistic pseudopotential."
        )
    inside = pseudo.mesh <= LARGEST_RADIUS
    inside &= pseudo.mesh > SMALLEST_RADIUS
    mesh = pseudo.mesh[inside]
    valence, hartree = _valence(path, pseudo, inside)
    potential = RYDBERG * pseudo.local[inside] + hartree
    core = pseudo.core
    return Species(
        symbol,
        max(f.end for f in orbitals),
        orbitals,
        projectors,
        splined(0, mesh, potential),
        splined(0, mesh, valence),
        None if core is None else splined(0, mesh, core[inside]),
        pseudo.num_electrons,
        field_reach=float(mesh[-1]),
    )


def _valence(path, pseudo, inside):
    """The density of the neutral atom, and its Hartree potential.

    `(1/R) ∫₀ᴿ ρ + ∫_R ρ/r` with ρ = 4π r² n, scaled to the valence electrons:
    files hold a few more or less.
    """
    mesh = pseudo.mesh[inside]
    density = pseudo.density[inside]
    r = np.append(0.0, mesh)
    inner = CubicSpline(r, np.append(0.0, density)).antiderivative()
    outer = CubicSpline(r, np.append(0.0, density / mesh)).antiderivative()
    electrons = float(inner(r[-1]))
    if electrons <= 0:
        raise ValueError(
            f"{path} has no density of the atom (PP_RHOATOM is zero)."
        )
    scale = pseudo.num_electrons / electrons
    hartree = inner(mesh) / mesh + outer(r[-1]) - outer(mesh)
    return scale * density / (4 * np.pi * mesh**2), scale * hartree


def _terms(path, pseudo):
    """Terms `|p> e <p|` of `Σ |β_i> D_ij <β_j|`, for each l and j.

    The eigenvectors of D mix the β, which need not be normalised for it.
    """
    count = len(pseudo.degrees)
    labels = list(zip(pseudo.degrees, pseudo.momenta or [None] * count))
    terms, left = [], pseudo.strengths.copy()
    for degree, j in dict.fromkeys(labels):
        same = [n for n in range(count) if labels[n] == (degree, j)]
        block = np.ix_(same, same)
        left[block] = 0.0
        energies, vectors = np.linalg.eigh(pseudo.strengths[block])
        functions = vectors.T @ pseudo.projectors[same]
        for energy, values in zip(energies, functions):
            large = np.abs(values) > NEGLIGIBLE
            if energy and large.any():
                end = np.flatnonzero(large)[-1] + 2
                inside = pseudo.mesh[:end] > SMALLEST_RADIUS
                mesh = pseudo.mesh[:end][inside]
                function = splined(degree, mesh, values[:end][inside] / mesh)
                terms.append((j, function, RYDBERG * float(energy)))
    if left.any():
        raise ValueError(
            f"{path}: PP_DIJ couples projectors of different l or j."
        )
    return terms
