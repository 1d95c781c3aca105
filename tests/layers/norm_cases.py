"""Arguments and inputs of the layers that normalise."""

from layer_inputs import MIXED
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph


def atom_graph_norm(random):
    return {"irreps": MIXED, "epsilon": 1e-4}, {
        "features": atoms_of(random, MIXED),
        **graph(random, "structure"),
    }


def edge_graph_norm(random):
    return {"epsilon": 1e-4}, {
        "edges": edges_of(random, MIXED),
        **graph(random, "structure", "edge_mask"),
    }


def edge_norm(random):
    return {"epsilon": 1e-4}, {"edges": edges_of(random, MIXED)}


def equivariant_norm(random):
    arguments = {"irreps": MIXED, "epsilon": 1e-4}
    return arguments, {"features": atoms_of(random, MIXED)}


CASES = {
    "AtomGraphNorm": [atom_graph_norm],
    "EdgeGraphNorm": [edge_graph_norm],
    "EdgeNorm": [edge_norm],
    "EquivariantNorm": [equivariant_norm],
}
