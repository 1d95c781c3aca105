"""Species of SIESTA: its `.ion.xml` files, which every run writes.

Energies in them are rydberg, lengths bohr. Radial functions of degree l are
f / r^l on linear meshes, through which SIESTA puts cubic splines.
"""

import pathlib
import xml.etree.ElementTree

import numpy as np
from ase.data import chemical_symbols

from data_tools.radial_data import check_spin_orbit
from data_tools.radial_data import numbers
from data_tools.radial_data import projectors_by_j
from data_tools.radial_data import splined
from keras_hamiltonian.superposition.radial import RadialFunction
from keras_hamiltonian.superposition.species import Species

RYDBERG = 0.5
# bohr; mesh of the density.
STEP = 0.005
# Electrons by which populations may miss the valence.
TOLERANCE = 1e-3
ENDING = ".ion.xml"


def read_siesta_species(folder, labels=None, spin_orbit=False):
    """Reads the species of a run.

    Orbitals stand in the order of the file, which is that of H: multiple
    zetas, semicore and polarization shells alike. The density is that of the
    populations, `Σ q |φ|² / 4π`.

    Args:
        folder: str or path. A folder with `.ion.xml` files.
        labels: list of str: species labels, one of each element. Defaults to
            all files.
        spin_orbit: bool. Whether projectors must have their j. Without it they
            may.

    Returns:
        Dict from element symbols to `Species`.

    Raises:
        ValueError: if a file is missing, incomplete, of a ghost atom or of a
            mixture of elements, if two are of one element, if the populations
            are not those of a neutral atom, or if projectors have no j.
    """
    folder = pathlib.Path(folder)
    if labels is None:
        paths = sorted(folder.rglob(f"*{ENDING}"))
    else:
        names = [f"{label}{ENDING}" for label in labels]
        paths = [next(folder.rglob(name), folder / name) for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise ValueError(
            f"{folder} has no {', '.join(missing) or f'*{ENDING}'}; SIESTA "
            "writes one for each species beside its output."
        )
    found = {}
    for path in paths:
        species = _read(path, spin_orbit)
        if species.symbol in found:
            raise ValueError(
                f"{path} is the second species of {species.symbol}. Give the "
                "labels of one for each element."
            )
        found[species.symbol] = species
    return found


def _read(path, spin_orbit):
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (xml.etree.ElementTree.ParseError, OSError) as error:
        raise ValueError(
            f"{path} is no complete .ion.xml file of SIESTA ({error})."
        ) from None
    symbol, electrons = _element(path, root)
    orbitals, populations = [], []
    for n, node in enumerate(_listed(path, root, "paos", "orbital", "norbs")):
        place = f"{path}: orbital {n + 1}"
        degree = int(_attribute(place, node, "l"))
        orbitals.append(_function(place, node, degree))
        populations.append(_attribute(place, node, "population"))
    terms = []
    for n, node in enumerate(_listed(path, root, "kbs", "projector", "nprojs")):
        place = f"{path}: projector {n + 1}"
        j = None if node.get("j") is None else _attribute(place, node, "j")
        function = _function(place, node, int(_attribute(place, node, "l")))
        energy = RYDBERG * _attribute(place, node, "ref_energy")
        terms.append((j, function, energy))
    projectors = projectors_by_j(path, terms)
    if spin_orbit:
        check_spin_orbit(
            path,
            projectors,
            "SIESTA's on-site approximation keeps its coupling elsewhere; run "
            "with `Spin spin-orbit` and relativistic pseudopotentials.",
        )
    potential = _function(f"{path}: vna", root.find("vna"), 0, RYDBERG)
    core = root.find("core")
    if core is not None:
        core = _function(f"{path}: core", core, 0)
    valence = _density(path, orbitals, populations, electrons)
    fields = [f.end for f in (valence, potential, core) if f is not None]
    return Species(
        symbol,
        max(f.end for f in orbitals),
        tuple(orbitals),
        projectors,
        potential,
        valence,
        core,
        electrons,
        field_reach=max(fields),
    )


def _element(path, root):
    """Symbol and number of valence electrons."""
    place = f"{path}: z, valence"
    text = " ".join(root.findtext(key, "") for key in ("z", "valence"))
    number, electrons = numbers(place, text, 2)
    if not 0 < number < len(chemical_symbols):
        raise ValueError(
            f"{path} is of a ghost atom or a mixture of elements (z = "
            f"{number:g}); structures here have elements alone. Take it out, "
            "or give the labels of the others."
        )
    return chemical_symbols[int(number)], float(electrons)


def _listed(path, root, group, name, count):
    """The nodes of a group, as many as the file announces."""
    parent = root.find(group)
    nodes = [] if parent is None else parent.findall(name)
    announced = numbers(f"{path}: {count}_nl", root.findtext(f"{count}_nl"), 1)[
        0
    ]
    if len(nodes) != announced or (group == "paos" and not nodes):
        raise ValueError(
            f"{path} has {len(nodes)} nodes <{name}> and announces "
            f"{announced:g}: it is incomplete."
        )
    return nodes


def _attribute(place, node, name):
    return float(numbers(f"{place}: {name}", node.get(name), 1)[0])


def _function(place, node, degree, unit=1.0):
    """r^l times what stands in the file, in units of hartree and bohr."""
    text, count = (
        None if node is None else node.findtext(f"radfunc/{name}")
        for name in ("data", "npts")
    )
    size = int(numbers(f"{place}: npts", count, 1)[0])
    mesh, values = numbers(place, text, 2 * size).reshape(-1, 2).T
    try:
        return splined(degree, mesh, unit * values, power=degree)
    except ValueError as error:
        raise ValueError(f"{place} has no ascending mesh: {error}") from None


def _density(path, orbitals, populations, electrons):
    """`Σ q |φ|² / 4π` of the populated orbitals."""
    taken = [(f, q) for f, q in zip(orbitals, populations) if q]
    total = sum(q for _, q in taken)
    if abs(total - electrons) > TOLERANCE:
        raise ValueError(
            f"{path}: the populations of the orbitals are {total:g} "
            f"electrons, the neutral atom has {electrons:g}."
        )
    end = max(f.end for f, _ in taken)
    mesh = np.linspace(0.0, end, int(np.ceil(end / STEP)) + 1)
    values = sum(q * f(mesh) ** 2 for f, q in taken) / (4 * np.pi)
    return RadialFunction.through(0, mesh, values)
