"""Arguments and inputs of the layers of the symmetric Transformer."""

import numpy as np

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps.edge import edge_channels
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.orbitals.block_layout import BlockLayout

MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
STATE = "4x0e + 2x1o"
KINDS = {"0+": 4, "1": 4, "2": 4}
N, M = 5, 4


def edges_of(random, channels):
    return {
        kind: random.normal(size=(N, M, edge_dim(kind), size))
        for kind, size in channels.items()
    }


def wigner_of(random):
    return [
        random.normal(size=(N, M, 2 * l + 1, 2 * l + 1)) for l in range(1, 3)
    ]


def block_correction(random):
    irreps = [MIXED, STATE]
    arguments = {
        "basis": {"C": "1s 1p", "N": "2s 1p"},
        "irreps": irreps,
        "irreps_edges": irreps,
    }
    layout = BlockLayout(arguments["basis"], "none")
    channels = layout.hopping["scalar"].channels
    onsite = (N, layout.onsite["scalar"].irreps.dim)
    known = {
        "onsite_mean": random.normal(size=onsite),
        "onsite_scale": random.normal(size=onsite),
        "hopping_mean": random.normal(size=(N, M, channels["0+"])),
        "hopping_scale": random.normal(size=(N, M, sum(channels.values()))),
    }
    return arguments, {
        "atoms": [random.normal(size=(N, Irreps(i).dim)) for i in irreps],
        "edges": [edges_of(random, edge_channels(i)) for i in irreps],
        "known": {k: {"scalar": x} for k, x in known.items()},
        "wigner": wigner_of(random),
        "species": np.array([0, 1, 0, 1, 0], "int32"),
        "reverse_edge": np.arange(N * M, dtype="int32").reshape(N, M),
    }


def block_sum(random):
    onsite = random.normal(size=(N, 3, 3))
    hopping = random.normal(size=(N, M, 3, 3))
    return {}, {
        "onsite": onsite,
        "hopping": hopping,
        "corrections": {"onsite": onsite, "hopping": hopping},
    }


def edge_attention(random):
    arguments = {"channels": KINDS, "irreps_out": STATE, "num_heads": 2}
    return arguments, {
        "edges": edges_of(random, KINDS),
        "envelope": random.uniform(0, 1, (N, M)),
        "wigner": wigner_of(random),
    }


def edge_lengths(random):
    return {}, {"edge_vectors": random.normal(size=(N, M, 3))}


def feature_frames(random):
    dim = Irreps(MIXED).dim
    return {"irreps": MIXED, "lmax": 2}, {
        "atoms": random.normal(size=(N, dim)),
        "edges": random.normal(size=(N, M, dim)),
        "wigner": random.normal(size=(N, M, 34)),
        "reverse_edge": np.arange(N * M, dtype="int32").reshape(N, M),
    }


def pack_edges(random):
    return {"irreps": MIXED}, {"edges": edges_of(random, edge_channels(MIXED))}


def pack_wigner(random):
    return {}, {"wigner": wigner_of(random)}


def roll_network(random):
    channels = [edge_channels(MIXED), {"1": 3}]
    arguments = {
        "channels_in": channels,
        "channels": 4,
        "hidden": 6,
        "mmax": 3,
        "radial_size": 5,
    }
    return arguments, {
        "inputs": [edges_of(random, c) for c in channels],
        "radial": random.normal(size=(N, M, 5)),
    }


def roll_transformer_block(random, is_first=False):
    arguments = {
        "channels_in": [edge_channels(MIXED)],
        "channels": 4,
        "irreps": STATE,
        "mmax": 2,
        "num_species": 2,
        "hidden": 6,
        "num_heads": 2,
        "is_first": is_first,
        "radial_size": 5,
    }
    inputs = {
        "features": [edges_of(random, edge_channels(MIXED))],
        "geometry": {
            "wigner": wigner_of(random),
            "envelope": random.uniform(0, 1, (N, M, 1, 1)),
            "radial": random.normal(size=(N, M, 5)),
            "species": np.array([0, 1, 0, 1, 0], "int32"),
            "reverse_edge": np.arange(N * M, dtype="int32").reshape(N, M),
        },
    }
    if not is_first:
        atoms = random.normal(size=(N, Irreps(STATE).dim))
        ends = edge_channels(STATE)
        inputs["state"] = {
            "atoms": atoms,
            "edges": edges_of(random, KINDS),
            "normed_atoms": atoms,
            "normed_edges": edges_of(random, KINDS),
            "center": edges_of(random, ends),
            "neighbor": edges_of(random, ends),
        }
    return arguments, inputs


CASES = {
    "BlockCorrection": [block_correction],
    "BlockSum": [block_sum],
    "EdgeAttention": [edge_attention],
    "EdgeLengths": [edge_lengths],
    "FeatureFrames": [feature_frames],
    "PackEdges": [pack_edges],
    "PackWigner": [pack_wigner],
    "RollNetwork": [roll_network],
    "RollTransformerBlock": [
        roll_transformer_block,
        lambda r: roll_transformer_block(r, is_first=True),
    ],
}
