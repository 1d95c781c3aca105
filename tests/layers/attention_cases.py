"""Arguments and inputs of attention, and of the network of roll angles."""

from layer_inputs import MIXED
from layer_inputs import SMALL
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import wigner_of


def attention_group(random, before=SMALL, **options):
    arguments = {
        "irreps_atoms": before,
        "irreps_edges": before,
        "irreps_out": "4x0e + 2x1e + 4x1o + 2x2e",
        "num_species": 2,
        "radial_size": 6,
        "num_heads": 2,
        **options,
    }
    return arguments, {
        "state": {
            "atoms": atoms_of(random, before),
            "edges": edges_of(random, before),
        },
        "geometry": {
            "wigner": wigner_of(random),
            "radial": random.normal(size=(N, M, 6)),
            **graph(random, "envelope", "species", "reverse_edge"),
        },
    }


def edge_attention(random, **options):
    irreps = "4x0+ + 4x1 + 4x2"
    arguments = {
        "irreps_in": irreps,
        "irreps_out": "4x0e + 2x1o",
        "num_heads": 2,
        **options,
    }
    return arguments, {
        "edges": edges_of(random, irreps),
        "wigner": wigner_of(random),
        **graph(random, "envelope"),
    }


def over_neighbors(random, **arguments):
    return arguments, {
        "atoms": random.normal(size=(N, 8)),
        "edges": random.normal(size=(N, M, 8)),
        **graph(random, "neighbors", "envelope", "edge_mask"),
    }


def roll_network(random):
    arguments = {
        "irreps_in": [MIXED, "3x1"],
        "channels": 4,
        "hidden": 6,
        "mmax": 3,
        "radial_size": 5,
    }
    return arguments, {
        "inputs": [edges_of(random, i) for i in arguments["irreps_in"]],
        "radial": random.normal(size=(N, M, 5)),
    }


CASES = {
    "AttentionGroup": [
        attention_group,
        lambda r: attention_group(r, tracegrad="both"),
        lambda r: attention_group(
            r, "4x0e", irreps_out="4x0e + 2x1o", edge_dropout=0.1
        ),
    ],
    "EdgeAttention": [
        edge_attention,
        lambda r: edge_attention(r, edge_dropout=0.1),
    ],
    "NeighborAttention": [lambda r: over_neighbors(r, num_heads=2)],
    "NeighborMean": [over_neighbors],
    "RollNetwork": [roll_network],
}
