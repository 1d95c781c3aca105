"""Structure, shells and Fermi level of an FHI-aims run."""

import re

import ase
import numpy as np

from data_tools.labels import element_of_label
from data_tools.shells import element_shells
from keras_hamiltonian.orbitals.basis import OrbitalBasis

# Lines of geometry.in that add what is no atom.
_NO_ATOMS = ("empty", "pseudocore", "multipole")


def read_geometry(path):
    """Reads geometry.in.

    Args:
        path: path.

    Returns:
        `ase.Atoms` in Å, positions as they are; without lattice vectors a
        molecule.

    Raises:
        ValueError: if a line cannot be read, or adds what is no atom.
    """
    vectors, places, symbols = [], [], []
    for number, line in enumerate(_lines(path), 1):
        words = line.split("#")[0].split()
        name = f"{path}, line {number}"
        if words and words[0] in _NO_ATOMS:
            raise ValueError(
                f"{name}: {words[0]!r} is no atom, and has no place in a "
                "calculation of atoms alone."
            )
        if not words or words[0] not in (
            "lattice_vector",
            "atom",
            "atom_frac",
        ):
            continue
        try:
            numbers = [float(x) for x in words[1:4]]
            if words[0] == "lattice_vector":
                vectors.append(numbers)
                continue
            places.append((words[0], numbers))
            symbols.append(element_of_label(name, words[4]))
        except (ValueError, IndexError) as error:
            if name in str(error):
                raise
            raise ValueError(f"{name} cannot be read: {line!r}.") from None
    if not symbols or len(vectors) not in (0, 3):
        raise ValueError(
            f"{path} has {len(symbols)} atoms and {len(vectors)} lattice "
            "vectors; expected atoms, and three vectors or none."
        )
    cell = np.reshape(vectors, (-1, 3)) if vectors else np.zeros((3, 3))
    positions = [
        x @ cell if kind == "atom_frac" else x
        for kind, x in ((kind, np.array(x)) for kind, x in places)
    ]
    return ase.Atoms(symbols, positions, cell=cell, pbc=bool(vectors))


def read_basis(path, atoms):
    """Reads basis-indices.out: one line for each orbital.

    Args:
        path: path.
        atoms: `ase.Atoms`.

    Returns:
        `OrbitalBasis`, the shells in the order of the file.

    Raises:
        ValueError: if the lines are not those of whole shells, m = -l..l, atom
            by atom, or two atoms of an element differ.
    """
    rows = [line.split() for line in _lines(path)]
    rows = [row for row in rows if len(row) == 6 and row[0].isdigit()]
    kinds = [row[1] for row in rows]
    numbers = np.array([[int(x) for x in row[2:]] for row in rows])
    shells, place = [[] for _ in atoms], 0
    while place < len(rows):
        atom, n, l, _ = numbers[place].tolist()
        l = min(l, len(rows))
        expected = [[atom, n, l, m] for m in range(-l, l + 1)]
        found = slice(place, place + 2 * l + 1)
        if (
            numbers[found].tolist() != expected
            or len(set(kinds[found])) != 1
            or not 1 <= atom <= len(atoms)
            or any(shells[atom:])
        ):
            raise ValueError(
                f"{path}: orbital {place + 1} begins no shell m = -l..l of "
                f"one of the {len(atoms)} atoms, atom by atom. Received: "
                f"{' '.join(rows[place])}."
            )
        shells[atom - 1].append((kinds[place], n, l))
        place += 2 * l + 1
    known = element_shells(path, zip(atoms.symbols, shells))
    return OrbitalBasis(
        {s: [l for *_, l in parts] for s, parts in known.items()}
    )


def read_log(path):
    """Fermi level in eV and number of electrons, or `None` each.

    Args:
        path: path of the output, such as aims.out. Need not be there.
    """
    text = path.read_text(errors="replace") if path.is_file() else ""
    number = r"([-+]?\d*\.\d+(?:E[-+]?\d+)?)"
    levels = re.findall(
        rf"Chemical potential \(Fermi level\)[^:\n]*:\s*{number}", text
    )
    electrons = re.findall(rf"a total of\s+{number} electrons", text)
    return tuple(
        float(found[-1]) if found else None for found in (levels, electrons)
    )


def _lines(path):
    if not path.is_file():
        raise ValueError(
            f"{path} is missing. It belongs to an FHI-aims run with "
            "output_rs_matrices plain."
        )
    return path.read_text(errors="replace").splitlines()
