"""Arguments and inputs of linear maps and gates."""

from layer_inputs import MIXED
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph

from keras_hamiltonian.layers import Gate


def equivariant_linear(random, num_species=None, use_bias=True):
    arguments = {
        "irreps_in": "2x1o + 1x0e + 2x1o",  # unsorted, repeated
        "irreps_out": "3x1o + 2x0e",
        "num_species": num_species,
        "use_bias": use_bias,
    }
    inputs = {"features": random.normal(size=(N, 13))}
    if num_species:
        inputs.update(graph(random, "species"))
    return arguments, inputs


def feed_forward(random):
    return {"irreps": MIXED, "expansion": 3}, {
        "features": atoms_of(random, MIXED)
    }


def gate(random, irreps=MIXED):
    size = Gate(irreps).irreps_in.dim
    return {"irreps_out": irreps}, {"features": random.normal(size=(N, size))}


def normed_dense(random, activation=None):
    arguments = {"units": 3, "activation": activation}
    return arguments, {"x": random.normal(size=(N, M, 6))}


def so2_linear(random, use_bias=True):
    arguments = {
        "irreps_in": ["3x0+ + 2x1", "2x0+ + 1x0-"],
        "irreps_out": "4x0+ + 2x0- + 3x1 + 5x2",  # nothing reaches kind 2
        "use_bias": use_bias,
        "gain": 0.5,
    }
    inputs = [edges_of(random, irreps) for irreps in arguments["irreps_in"]]
    return arguments, {"inputs": inputs}


CASES = {
    "EquivariantLinear": [
        equivariant_linear,
        lambda r: equivariant_linear(r, use_bias=False),
        lambda r: equivariant_linear(r, num_species=2),
    ],
    "FeedForward": [feed_forward],
    "Gate": [
        gate,
        lambda r: gate(r, "4x0e"),  # no gates
        lambda r: gate(r, "2x1o + 1x0o"),  # no scalars
    ],
    "NormedDense": [normed_dense, lambda r: normed_dense(r, "silu")],
    "SO2Linear": [so2_linear, lambda r: so2_linear(r, use_bias=False)],
}
