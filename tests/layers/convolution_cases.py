"""Arguments and inputs of convolutions and of what they are made of."""

from layer_inputs import MIXED
from layer_inputs import SMALL
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import packed_of
from layer_inputs import wigner_of

from keras_hamiltonian.layers import ChannelwiseConvolution
from keras_hamiltonian.layers import TensorProduct


def atom_gradient_mixing(random, irreps=MIXED, **options):
    arguments = {"irreps": irreps, "hidden": 6, "num_invariants": 3, **options}
    return arguments, {"atoms": atoms_of(random, irreps)}


def edge_gradient_mixing(random, irreps=MIXED, **options):
    arguments, _ = atom_gradient_mixing(random, irreps, **options)
    return arguments, {"edges": edges_of(random, irreps)}


def atom_update(random, before="4x0e", after=MIXED):
    arguments = {
        "irreps_in": before,
        "irreps_messages": after,
        "irreps_out": after,
        "num_species": 2,
    }
    return arguments, {
        "atoms": atoms_of(random, before),
        "messages": atoms_of(random, after),
        **graph(random, "species"),
    }


def channelwise_convolution(random):
    arguments = {
        "irreps_in": MIXED,
        "irreps_harmonics": "0e + 1o",
        "irreps_out": "3x0e + 2x1o + 1x1e",
        "num_neighbors": 7.0,
    }
    num_weights = ChannelwiseConvolution(**arguments).num_weights
    return arguments, {
        "features": atoms_of(random, MIXED),
        "harmonics": random.normal(size=(N, M, 4)),
        "weights": random.normal(size=(N, M, num_weights)),
        **graph(random, "neighbors", "reverse_edge"),
    }


def edge_ends(random):
    return {"irreps": MIXED}, {
        "atoms": atoms_of(random, MIXED),
        "wigner": wigner_of(random),
        **graph(random, "reverse_edge"),
    }


def edge_update(random, before="4x0+"):
    return {"irreps_in": before, "irreps_out": MIXED}, {
        "edges": edges_of(random, before),
        "messages": edges_of(random, MIXED),
    }


def equivariant_convolution(random, out=MIXED, **options):
    arguments = {
        "irreps_in": [SMALL, "4x0+"],
        "irreps_out": out,
        "radial_size": 6,
        **options,
    }
    return arguments, {
        "inputs": [edges_of(random, i) for i in arguments["irreps_in"]],
        "radial": random.normal(size=(N, M, 6)),
    }


def interaction_group(random, norm="local", **options):
    arguments = {
        "irreps_atoms": SMALL,
        "irreps_edges": SMALL,
        # No 0o: one step does not make it from natural parity alone.
        "irreps_out": "4x0e + 2x1e + 3x1o + 2x2e",
        "num_species": 2,
        "radial_size": 6,
        "norm": norm,
        **options,
    }
    names = "species", "reverse_edge"
    if norm == "graph":
        names = (*names, "structure", "edge_mask")
    wigner = wigner_of(random)
    return arguments, {
        "state": {
            "atoms": atoms_of(random, SMALL),
            "edges": edges_of(random, SMALL),
            "neighbor": edges_of(random, SMALL),
        },
        "geometry": {
            "wigner": wigner,
            "weighted_wigner": wigner,
            "radial": random.normal(size=(N, M, 6)),
            **graph(random, *names),
        },
    }


def message_sum(random):
    return {"irreps": MIXED}, {
        "messages": edges_of(random, MIXED),
        "weighted_wigner": wigner_of(random),
    }


def self_tensor_product(random, num_species=None, correlation=2):
    arguments = {
        "irreps_in": "3x0e + 3x1o + 3x1e",
        "irreps_out": "3x1o + 3x0e",
        "correlation": correlation,
        "num_species": num_species,
    }
    inputs = {"features": random.normal(size=(N, 21))}
    if num_species:
        inputs.update(graph(random, "species"))
    return arguments, inputs


def so2_convolution(random):
    arguments = {
        "irreps_in": MIXED,
        "irreps_out": "3x0e + 2x1e + 1x2e",
        "num_neighbors": 7.0,
    }
    return arguments, {
        "features": atoms_of(random, MIXED),
        "wigner": wigner_of(random),
        "weights": random.normal(size=(N, M, 6)),
        **graph(random, "neighbors", "reverse_edge"),
    }


def tensor_product(random):
    arguments = {
        "irreps_in1": MIXED,
        "irreps_in2": "3x1o + 1x0e",
        "irreps_out": "3x1e + 2x0e + 1x3o",
    }
    paths = TensorProduct(**arguments).paths
    return arguments, {
        "x1": random.normal(size=(N, paths.irreps_in1.dim)),
        "x2": random.normal(size=(N, paths.irreps_in2.dim)),
    }


def feature_frames(random):
    return {"irreps": MIXED}, {
        "atoms": atoms_of(random, MIXED),
        "edges": packed_of(random, MIXED),
        "wigner": wigner_of(random),
        **graph(random, "reverse_edge"),
    }


CASES = {
    "AtomGradientMixing": [
        atom_gradient_mixing,
        lambda r: atom_gradient_mixing(r, step=0.0),
        lambda r: atom_gradient_mixing(r, "2x1o + 1x0o"),  # no scalars
    ],
    "AtomUpdate": [atom_update, lambda r: atom_update(r, MIXED)],
    "ChannelwiseConvolution": [channelwise_convolution],
    "EdgeEnds": [edge_ends],
    "EdgeGradientMixing": [
        edge_gradient_mixing,
        lambda r: edge_gradient_mixing(r, step=0.0),
        lambda r: edge_gradient_mixing(r, "4x0e"),  # scalars alone
    ],
    "FeatureFrames": [feature_frames],
    "EdgeUpdate": [edge_update, lambda r: edge_update(r, MIXED)],
    "EquivariantConvolution": [
        equivariant_convolution,
        lambda r: equivariant_convolution(r, "4x0e", dropout=0.1),  # no gates
        lambda r: equivariant_convolution(r, "2x1o"),  # no scalars
    ],
    "InteractionGroup": [
        interaction_group,
        lambda r: interaction_group(r, "graph"),
        lambda r: interaction_group(r, tracegrad="both", edge_dropout=0.1),
    ],
    "MessageSum": [message_sum],
    "SelfTensorProduct": [
        lambda r: self_tensor_product(r, num_species=2),
        lambda r: self_tensor_product(r, correlation=3),
    ],
    "SO2Convolution": [so2_convolution],
    "TensorProduct": [tensor_product],
}
