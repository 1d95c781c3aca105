"""Writes `graph_data.npz` as HamGNN does, from a `Calculation`.

With torch_geometric where it is installed (so `tests/data/hamgnn.npz` was
made), else with classes of the same names and states.
"""

import contextlib
import importlib.util
import sys
import types

import numpy as np

from data_tools.spin_blocks import spin_part
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.conventions import HARTREE_IN_EV
from keras_hamiltonian.orbitals.orders import from_package_order

# Places of the shells of each degree, as HamGNN numbers them.
PLACES = {
    13: [[0, 1], [2, 5], [8]],
    14: [[0, 1, 2], [3, 6], [9]],
    19: [[0, 1, 2], [3, 6], [9, 14]],
    26: [[0, 1, 2], [3, 6], [9, 14], [19]],
}


def graph_tensors(calculation, size, program="openmx"):
    """Dict of the arrays of a graph with `size` places for each atom."""
    atoms, pairs = calculation.atoms, calculation.overlap.atom_pairs
    onsite = calculation.overlap.is_onsite
    order = np.concatenate([np.flatnonzero(onsite), np.flatnonzero(~onsite)])
    count, edges = len(atoms), pairs[~onsite]
    cell = np.asarray(atoms.cell) / BOHR_IN_ANGSTROM
    arrays = {
        "z": atoms.numbers,
        "cell": cell[None],
        "total_energy": 0.0,
        "pos": atoms.positions / BOHR_IN_ANGSTROM,
        "node_counts": np.array([count]),
        "edge_index": edges[:, 3:].T,
        "nbr_shift": edges[:, :3] @ cell,
        "cell_shift": edges[:, :3],
    }

    def padded(matrix):
        matrix = from_package_order(
            matrix, program, calculation.basis, atoms.numbers
        )
        blocks = np.zeros((len(pairs), size, size), matrix.entries.dtype)
        for position, (pair, block) in enumerate(zip(pairs, matrix.blocks())):
            rows, columns = (
                places_of(calculation.basis.shells[atoms.symbols[a]], size)
                for a in pair[3:]
            )
            blocks[position][np.ix_(rows, columns)] = block
        return blocks[order]

    def put(name, blocks):
        blocks = blocks.reshape(len(blocks), -1)
        arrays[f"{name}on"], arrays[f"{name}off"] = np.split(blocks, [count])

    put("S", padded(calculation.overlap))
    energies = calculation.hamiltonian
    energies = energies.with_entries(energies.entries / HARTREE_IN_EV)
    if calculation.spin == "none":
        put("H", padded(energies))
        return arrays
    up, mixed, down = (
        padded(spin_part(energies, *spins))
        for spins in ((0, 0), (0, 1), (1, 1))
    )
    if calculation.spin == "collinear":
        put("H", np.stack([up, down], axis=1))
        return arrays
    whole = np.block([[up, mixed], [mixed.conj(), down]])
    put("H", whole.real)
    put("iH", whole.imag)
    return arrays


def places_of(degrees, size):
    """Places of the orbitals of an atom."""
    seen, places = {}, []
    for l in degrees:
        start = PLACES[size][l][seen.setdefault(l, 0)]
        places += range(start, start + 2 * l + 1)
        seen[l] += 1
    return places


def write_graphs(path, graphs):
    """Writes a list of such dicts; needs torch."""
    import torch

    def tensor(value):
        if not isinstance(value, np.ndarray):
            return value
        is_whole = value.dtype.kind in "iu"
        return torch.tensor(
            value, dtype=torch.int64 if is_whole else torch.float
        )

    with data_class() as make:
        content = {
            number: make(**{k: tensor(v) for k, v in graph.items()})
            for number, graph in enumerate(graphs)
        }
        np.savez(path, graph=content)


@contextlib.contextmanager
def data_class():
    if importlib.util.find_spec("torch_geometric"):
        from torch_geometric.data import Data

        yield Data
        return
    names = ("torch_geometric", "torch_geometric.data.data")
    modules = {name: types.ModuleType(name) for name in names}
    modules["torch_geometric.data"] = types.ModuleType("torch_geometric.data")
    module = modules["torch_geometric.data.data"]
    for name in ("Data", "GlobalStorage"):
        made = type(name, (), {"__module__": module.__name__})
        setattr(module, name, made)

    def make(**tensors):
        data, store = module.Data(), module.GlobalStorage()
        store.__dict__.update(_mapping=tensors, _parent=data)
        data.__dict__.update(_edge_attr_cls=module.Data, _store=store)
        return data

    sys.modules.update(modules)
    try:
        yield make
    finally:
        for name in modules:
            del sys.modules[name]
