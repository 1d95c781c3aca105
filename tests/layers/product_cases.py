"""Arguments and inputs of the layers of tensor products."""

import numpy as np

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.layers import ChannelwiseConvolution
from keras_hamiltonian.layers import Gate
from keras_hamiltonian.layers import TensorProduct

MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
N, M = 5, 4


def graph():
    """Indices of edges; the reverse of each edge is the edge itself."""
    edges = np.arange(N * M, dtype="int32").reshape(N, M)
    return {"neighbors": edges // M, "reverse_edge": edges}


def channelwise_convolution(random):
    arguments = {
        "irreps_in": MIXED,
        "irreps_harmonics": "0e + 1o",
        "irreps_out": "3x0e + 2x1o + 1x1e",
        "num_neighbors": 7.0,
    }
    num_weights = ChannelwiseConvolution(**arguments).num_weights
    return arguments, {
        "features": random.normal(size=(N, Irreps(MIXED).dim)),
        "harmonics": random.normal(size=(N, M, 4)),
        "weights": random.normal(size=(N, M, num_weights)),
        **graph(),
    }


def gate(random, irreps=MIXED):
    size = Gate(irreps).irreps_in.dim
    return {"irreps_out": irreps}, {"features": random.normal(size=(N, size))}


def self_tensor_product(random, num_species=None, correlation=2):
    arguments = {
        "irreps_in": "3x0e + 3x1o + 3x1e",
        "irreps_out": "3x1o + 3x0e",
        "correlation": correlation,
        "num_species": num_species,
    }
    inputs = {"features": random.normal(size=(N, 21))}
    if num_species:
        inputs["species"] = np.array([0, 1, 0, 1, 0], "int32")
    return arguments, inputs


def so2_convolution(random):
    arguments = {
        "irreps_in": MIXED,
        "irreps_out": "3x0e + 2x1e + 1x2e",
        "num_neighbors": 7.0,
    }
    return arguments, {
        "features": random.normal(size=(N, Irreps(MIXED).dim)),
        "wigner": [
            random.normal(size=(N, M, 2 * l + 1, 2 * l + 1)) for l in (1, 2)
        ],
        "weights": random.normal(size=(N, M, 6)),
        **graph(),
    }


def spherical_harmonics(random, normalize=True):
    arguments = {"lmax": 3, "normalize": normalize}
    return arguments, {"vectors": random.normal(size=(N, M, 3))}


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


CASES = {
    "ChannelwiseConvolution": [channelwise_convolution],
    "Gate": [
        gate,
        lambda r: gate(r, "4x0e"),  # no gates
        lambda r: gate(r, "2x1o + 1x0o"),  # no scalars
    ],
    "SelfTensorProduct": [
        lambda r: self_tensor_product(r, num_species=2),
        lambda r: self_tensor_product(r, correlation=3),
    ],
    "SO2Convolution": [so2_convolution],
    "SphericalHarmonics": [
        spherical_harmonics,
        lambda r: spherical_harmonics(r, normalize=False),
    ],
    "TensorProduct": [tensor_product],
}
