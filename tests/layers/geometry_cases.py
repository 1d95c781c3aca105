"""Arguments and inputs of the layers that prepare a graph."""

import numpy as np
from layer_inputs import BASIS
from layer_inputs import MIXED
from layer_inputs import REACHES
from layer_inputs import M
from layer_inputs import N
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import wigner_of


def edge_embedding(random):
    arguments = {"num_features": 6, "channels": 3}
    return arguments, {"radial": random.normal(size=(N, M, 6))}


def edge_envelope(random):
    names = "lengths", "species", "neighbors", "edge_mask"
    return {"reaches": REACHES, "num_neighbors": 7.0}, {
        **graph(random, *names),
        "wigner": wigner_of(random),
    }


def edge_geometry(random):
    return {"lmax": 3}, graph(random, "edge_vectors")


def edge_lengths(random):
    return {}, graph(random, "edge_vectors")


def pack_edges(random):
    return {"irreps": MIXED}, {"edges": edges_of(random, MIXED)}


def pack_wigner(random):
    return {}, {"wigner": wigner_of(random)}


def radial_features(random, num_species=2):
    arguments = {
        "num_gaussians": 8,
        "reach": 4.0,
        "num_species": num_species,
        "units": [6, 5],
        "embedding_size": 3,
    }
    inputs = graph(random, "lengths", "species", "neighbors")
    if num_species == 1:
        inputs["species"] = np.zeros(N, "int32")
    return arguments, inputs


def random_rotation(random):
    arguments = {"basis": BASIS, "spin": "noncollinear", "seed": 3}
    return arguments, graph(random, "structure")


def species_embedding(random):
    return {"num_species": 2, "channels": 3}, graph(random, "species")


def spherical_harmonics(random, normalize=True):
    arguments = {"lmax": 3, "normalize": normalize}
    return arguments, {"vectors": random.normal(size=(N, M, 3))}


def unpack_wigner(random):
    return {"lmax": 2}, {"packed": random.normal(size=(N, M, 34))}


CASES = {
    "EdgeEmbedding": [edge_embedding],
    "EdgeEnvelope": [edge_envelope],
    "EdgeGeometry": [edge_geometry],
    "EdgeLengths": [edge_lengths],
    "PackEdges": [pack_edges],
    "PackWigner": [pack_wigner],
    "RadialFeatures": [radial_features, lambda r: radial_features(r, 1)],
    "RandomRotation": [random_rotation],
    "SpeciesEmbedding": [species_embedding],
    "SphericalHarmonics": [
        spherical_harmonics,
        lambda r: spherical_harmonics(r, normalize=False),
    ],
    "UnpackWigner": [unpack_wigner],
}
