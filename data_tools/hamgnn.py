"""HamGNN's graphs: `graph_data.npz`.

The archive holds a dict of torch_geometric's `Data`, one for each structure,
pickled; it is read without being executed and without torch
(`data_tools.torch_pickle`). Tensors of a graph:

| tensor | shape | meaning |
|---|---|---|
| `z`, `pos`, `cell` | (N,), (N, 3), (1, 3, 3) | bohr |
| `edge_index`, `cell_shift` | (2, E), (E, 3) | from i to j in cell R |
| `Son`, `Soff` | (N, n²), (E, n²) | overlap of atoms and edges |
| `Hon`, `Hoff` | (N, n²), (E, n²) | hartree; (N, 2, n²) up and down |
| with spin-orbit coupling | (N, 4n²) | up before down; `iHon`, `iHoff` too |

All are float32. Each atom has the n places of the largest basis, and its own
orbitals are those whose S is not zero: no table of bases is needed. The orders
of OpenMX, SIESTA and ABACUS are told apart by S between s and p, which points
along the edge.

HamGNN writes the complex conjugate of up-down for down-up, which is another
matrix than OpenMX's; here down-up is taken from up-down of the reverse edge.
Its `Hon0` and `Hoff0` hold the part that does not depend on the density, not
the Hamiltonian of superposed atoms that H⁰ is here, and are not read.
"""

import functools
import math
import pathlib
import zipfile

import ase
import numpy as np

from data_tools.plausibility import plausible
from data_tools.search import chosen
from data_tools.shells import element_shells
from data_tools.spin_blocks import adjoint
from data_tools.spin_blocks import join_spins
from data_tools.torch_pickle import Graph
from data_tools.torch_pickle import load_arrays
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.orders import shell_order
from keras_hamiltonian.orbitals.orders import to_package_order
from keras_hamiltonian.orbitals.whole_numbers import whole_numbers
from keras_hamiltonian.reading import check_size
from keras_hamiltonian.reading import reader
from keras_hamiltonian.reading import reading

# Places of an atom, and how many shells of each degree they are.
LAYOUTS = {
    13: (2, 2, 1),
    14: (3, 2, 1),
    15: (4, 2, 1),
    19: (3, 2, 2),
    26: (3, 2, 2, 1),
    27: (4, 2, 2, 1),
    40: (4, 4, 2, 2),
}
PROGRAMS = ("openmx", "siesta", "abacus")
# Share of S between s and p that does not point along the edge.
ACROSS = 0.01
# Edges that tell the order.
MOST_EDGES = 500
_MEMBER = "graph.npy"


def is_hamgnn(path):
    """Whether a file is an archive of HamGNN's graphs."""
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with reading(path), zipfile.ZipFile(path) as archive:
        return _MEMBER in archive.namelist()


def hamgnn_structures(path):
    """The structures of an archive.

    Args:
        path: path.

    Returns:
        Dict from the name to a function that reads it, see `read_hamgnn`.

    Raises:
        ValueError: if it cannot be read, or calls for something else than
            tensors.
    """
    return {
        name: functools.partial(read_hamgnn, path, name)
        for name in _graphs_of(path)
    }


@reader
@plausible
def read_hamgnn(path, name=None, program=None):
    """Reads one graph of an archive.

    Args:
        path: str or path.
        name: str. The graph's number. Defaults to the only one.
        program: str. `"openmx"`, `"siesta"` or `"abacus"`: whose order the
            orbitals have. Defaults to the one that S shows.

    Returns:
        `Calculation`, without the Fermi level. Where no SCF was run (H is
        equal to HamGNN's own H0) it has the overlap alone.

    Raises:
        ValueError: if there is no such graph, tensors do not fit, or S points
            along the edges in no order.
    """
    path = pathlib.Path(path)
    name, tensors = chosen(path, list(_graphs_of(path).items()), name)
    with reading(path, f"graph {name}"):
        return _calculation(path, name, tensors, program)


def _graphs_of(path):
    status = pathlib.Path(path).stat()
    return _load(pathlib.Path(path), status.st_mtime_ns, status.st_size)


# The last file stays: its structures are read one after the other.
@functools.lru_cache(maxsize=1)
def _load(path, _time, _size):
    """Dict from name to the tensors of each graph."""
    with reading(path), zipfile.ZipFile(path) as archive:
        member = archive.getinfo(_MEMBER)
        check_size(path, member.file_size)
        with archive.open(member) as file:
            major, _ = np.lib.format.read_magic(file)
            read_header = getattr(np.lib.format, f"read_array_header_{major}_0")
            read_header(file)
            content = load_arrays(file).items
        graphs = content[0] if len(content) == 1 else content
        if not isinstance(graphs, dict):
            graphs = dict(enumerate(graphs))
        return {str(int(key)): _tensors(g) for key, g in graphs.items()}


def _tensors(graph):
    if not isinstance(graph, Graph):
        raise ValueError(f"a graph is a {type(graph).__name__}, not a Data")
    tensors = graph.attributes
    # Data of torch_geometric 1 has no `_store`.
    if "_store" in tensors:
        tensors = tensors["_store"].attributes["_mapping"]
    return {k: v for k, v in tensors.items() if isinstance(v, np.ndarray)}


def _calculation(path, name, tensors, program):
    cell = np.array(tensors["cell"], float).reshape(3, 3) * BOHR_IN_ANGSTROM
    positions = np.array(tensors["pos"], float) * BOHR_IN_ANGSTROM
    numbers = whole_numbers(tensors["z"], "atomic numbers", 1, 118)
    atoms = ase.Atoms(numbers, positions, cell=cell, pbc=True)
    count = len(atoms)
    edges = whole_numbers(tensors["edge_index"], "edges", 0, count - 1)
    shifts = whole_numbers(tensors["cell_shift"], "cell shifts")
    home = np.zeros((count, 3), int), np.arange(count)
    pairs = np.concatenate(
        [
            np.column_stack([home[0], home[1], home[1]]),
            np.column_stack([shifts, edges.T]),
        ]
    )
    places = math.isqrt(tensors["Son"][0].size)
    overlap = _rows(tensors, "S", pairs, count, (places, places))
    basis, own = _basis(path, atoms, overlap[:count], places)

    def blocks(rows):
        """Without the places that an atom does not use."""
        i, j = numbers[pairs[:, 3]], numbers[pairs[:, 4]]
        parts = [
            row[np.ix_(own[a], own[b])]
            for row, a, b in zip(rows, i.tolist(), j.tolist())
        ]
        return BlockMatrix.from_blocks(pairs, parts)

    matrices = {"overlap": blocks(overlap)}
    spin, hamiltonian = _hamiltonian(tensors, pairs, count, places, blocks)
    if hamiltonian is not None:
        matrices["hamiltonian"] = hamiltonian
    program = program or _program(atoms, basis, matrices["overlap"])
    return Calculation(
        atoms,
        basis,
        spin=spin,
        name=name,
        source={"code": f"HamGNN ({program})", "file": path.name},
        **{
            field: to_package_order(matrix, program, basis, numbers)
            for field, matrix in matrices.items()
        },
    )


def _rows(tensors, key, pairs, count, shape):
    """Matrices of atoms and edges, one after the other, float64."""
    parts = [tensors[f"{key}on"], tensors[f"{key}off"]]
    lengths = (count, len(pairs) - count)
    size = math.prod(shape)
    for part, length, place in zip(parts, lengths, ("on", "off")):
        if part.size != length * size:
            raise ValueError(
                f"{key}{place} has the shape {part.shape}; expected "
                f"{length} times {shape} numbers"
            )
    parts = [part.reshape(-1, *shape) for part in parts]
    rows = np.concatenate(parts).astype(float)
    if not np.isfinite(rows).all():
        raise ValueError(f"{key}on or {key}off has numbers that are not finite")
    return rows


def _basis(path, atoms, onsite, places):
    """Basis, and the places of each atomic number: dict to int array."""
    if places not in LAYOUTS:
        raise ValueError(
            f"the graph has {places} places for each atom; known are "
            f"{', '.join(map(str, LAYOUTS))}"
        )
    table = [l for l, n in enumerate(LAYOUTS[places]) for _ in range(n)]
    starts = np.cumsum([0, *(2 * l + 1 for l in table)])
    shells, own = [], {}
    for symbol, number, block in zip(atoms.symbols, atoms.numbers, onsite):
        used = np.diag(block) != 0
        is_there = [used[a:b].all() for a, b in zip(starts, starts[1:])]
        rows = np.flatnonzero(np.repeat(is_there, np.diff(starts)))
        if not len(rows) or len(rows) != used.sum():
            raise ValueError(
                f"the places {np.flatnonzero(used).tolist()} of {symbol} are "
                f"no whole shells of {places} places"
            )
        shells.append((symbol, tuple(np.array(table)[is_there].tolist())))
        own[int(number)] = rows
    return OrbitalBasis(element_shells(path, shells)), own


def _hamiltonian(tensors, pairs, count, places, blocks):
    """Layout of the spin, and H in eV or `None`."""
    if "Hon" not in tensors or all(
        np.array_equal(tensors[key], tensors.get(f"{key}0"))
        for key in ("Hon", "Hoff")
    ):
        return "none", None

    def matrix(rows):
        return blocks(rows * HARTREE_IN_EV)

    size = tensors["Hon"][0].size
    if "iHon" in tensors:
        shape = (2, places, 2, places)
        rows = _rows(tensors, "H", pairs, count, shape) + 1j * _rows(
            tensors, "iH", pairs, count, shape
        )
        uu, ud, dd = (
            matrix(rows[:, s, :, t]) for s, t in ((0, 0), (0, 1), (1, 1))
        )
        return "noncollinear", join_spins(uu, dd, ud, adjoint(ud))
    if size == 2 * places**2:
        rows = _rows(tensors, "H", pairs, count, (2, places, places))
        return "collinear", join_spins(*(matrix(rows[:, s]) for s in (0, 1)))
    rows = _rows(tensors, "H", pairs, count, (places, places))
    return "none", matrix(rows)


def _program(atoms, basis, overlap):
    """The program in whose order S between s and p points along the edge."""
    first = {}
    for number in set(atoms.numbers.tolist()):
        degrees = basis.shells[ase.data.chemical_symbols[number]]
        starts = np.cumsum([0, *(2 * l + 1 for l in degrees)])
        first[number] = [
            starts[degrees.index(l)] if l in degrees else None for l in (0, 1)
        ]
    vectors, found = [], []
    pairs = overlap.atom_pairs
    for position, (*shift, i, j) in enumerate(pairs.tolist()):
        s, p = first[int(atoms.numbers[i])][0], first[int(atoms.numbers[j])][1]
        vector = atoms.positions[j] - atoms.positions[i]
        vector = vector + shift @ np.asarray(atoms.cell)
        length = np.linalg.norm(vector)
        if s is None or p is None or length == 0:
            continue
        vectors.append(vector / length)
        found.append(overlap.block(position)[s, p : p + 3])
        if len(found) == MOST_EDGES:
            break
    if not found:
        return PROGRAMS[0]
    fitting = []
    for program in PROGRAMS:
        order, signs = shell_order(program, 1)
        # m = -1, 0, 1 is y, z, x.
        components = (np.array(found)[:, order] * signs)[:, [2, 0, 1]]
        across = np.cross(components, vectors)
        if (across**2).sum() < ACROSS * (components**2).sum():
            fitting.append(program)
    if len(fitting) == 1:
        return fitting[0]
    raise ValueError(
        "S between s and p points along the edges in the order of "
        f"{' and '.join(fitting) or 'none'} of {', '.join(PROGRAMS)}. "
        "Give the program as `program`, or check positions and cell shifts"
    )
