"""Arguments and inputs of the layers of the Transformer, for the contract."""

import numpy as np

from keras_hamiltonian.irreps import Irreps

MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
N, M, D = 5, 4, 8


def graph(random):
    """Padding in one list, and an atom without neighbours."""
    mask = np.ones((N, M))
    mask[1, 2:] = 0
    mask[3] = 0
    return {
        "neighbors": random.integers(0, N, (N, M)).astype("int32"),
        "envelope": mask * random.uniform(0.1, 0.9, (N, M)),
        "edge_mask": mask,
    }


def wigner_of(random, *leading):
    return [
        random.normal(size=(*leading, 2 * l + 1, 2 * l + 1)) for l in (1, 2)
    ]


def frames_of(random):
    return {
        "wigner": wigner_of(random, N, M),
        "rotation": wigner_of(random, N),
    }


def angle_features(random):
    arguments = {
        "units": D,
        "num_species": 2,
        "cutoff": 4.0,
        "hidden_units": 6,
        "num_gaussians": 5,
        "num_neighbors": 7.0,
    }
    known = graph(random)
    return arguments, {
        "edge_vectors": random.normal(size=(N, M, 3)),
        "lengths": random.uniform(1, 3, (N, M)),
        "envelope": known["envelope"],
        "species": np.array([0, 1, 0, 1, 0], "int32"),
        "neighbors": known["neighbors"],
    }


def edge_transition(random):
    return {}, {
        "atoms": random.normal(size=(N, D)),
        "edges": random.normal(size=(N, M, 6)),
        "neighbors": graph(random)["neighbors"],
    }


def vectors(random):
    dim = Irreps(MIXED).dim
    return {"irreps": MIXED}, {
        "atoms": random.normal(size=(N, dim)),
        "edges": random.normal(size=(N, M, dim)),
        "frames": frames_of(random),
    }


def directed_edges(random):
    return {"units": 5}, {
        "radial": random.normal(size=(N, M, 6)),
        "wigner": wigner_of(random, N, M),
    }


def neighbor_attention(random, attention=True):
    return {"num_heads": 2, "attention": attention}, {
        "atoms": random.normal(size=(N, D)),
        "edges": random.normal(size=(N, M, D)),
        **graph(random),
    }


def normed_dense(random, activation=None):
    arguments = {"units": 3, "activation": activation}
    return arguments, {"x": random.normal(size=(N, M, 6))}


def random_rotation(random):
    arguments = {"basis": {"C": "1s 1p"}, "spin": "noncollinear", "seed": 3}
    return arguments, {"structure": np.array([0, 0, 1, 1, 2], "int32")}


def transformer_block(random, **arguments):
    return arguments, {
        "atoms": random.normal(size=(N, D)),
        "edges": random.normal(size=(N, M, D)),
        "known": {
            "atoms": random.normal(size=(N, 7)),
            "edges": random.normal(size=(N, M, 7)),
            "angles": random.normal(size=(N, D)),
        },
        "graph": graph(random),
    }


def rotated_frames(random):
    rotations, _ = np.linalg.qr(random.normal(size=(N, 3, 3)))
    return {}, {"wigner": wigner_of(random, N, M), "rotations": rotations}


def unpack_wigner(random):
    return {"lmax": 2}, {"packed": random.normal(size=(N, M, 34))}


def vector_head(random, irreps="2x1o + 4x0e + 1x0o"):
    arguments = {"irreps_out": "3x0e + 2x1o + 1x2e", "irreps_in": irreps}
    inputs = {"x": random.normal(size=(N, M, D))}
    if irreps:
        dim = Irreps(irreps).dim
        inputs["features"] = random.normal(size=(N, M, dim))
    return arguments, inputs


CASES = {
    "AngleFeatures": [angle_features],
    "EdgeTransition": [edge_transition],
    "CrystalFeatures": [vectors],
    "DirectedEdges": [directed_edges],
    "FrameVectors": [vectors],
    "NeighborAttention": [
        neighbor_attention,
        lambda r: neighbor_attention(r, attention=False),
    ],
    "NormedDense": [normed_dense, lambda r: normed_dense(r, "silu")],
    "RandomRotation": [random_rotation],
    "TransformerBlock": [
        transformer_block,
        lambda r: transformer_block(
            r, alpha=0.0, beta=0.2, gamma=0.0, num_heads=2, attention=False
        ),
    ],
    "RotatedFrames": [rotated_frames],
    "UnpackWigner": [unpack_wigner],
    "VectorHead": [vector_head, lambda r: vector_head(r, "")],
}
