"""Arguments and inputs of the layers of `TransformerStage`."""

import numpy as np
from layer_inputs import BASIS
from layer_inputs import MIXED
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import graph
from layer_inputs import packed_of
from layer_inputs import wigner_of
from part_cases import REACHES_BY_NAME
from part_cases import refinement_inputs

D = 8


def frames_of(random):
    return {
        "wigner": wigner_of(random),
        "rotation": wigner_of(random, leading=(N,)),
    }


def angle_features(random):
    arguments = {
        "units": D,
        "num_species": 2,
        "reach": 4.0,
        "hidden_units": 6,
        "num_gaussians": 5,
        "num_neighbors": 7.0,
    }
    names = "edge_vectors", "lengths", "envelope", "species", "neighbors"
    return arguments, graph(random, *names)


def directed_edges(random):
    return {"units": 5}, {
        "radial": random.normal(size=(N, M, 6)),
        "wigner": wigner_of(random),
    }


def edge_transition(random):
    return {}, {
        "atoms": random.normal(size=(N, D)),
        "edges": random.normal(size=(N, M, 6)),
        **graph(random, "neighbors"),
    }


def rotated_frames(random):
    rotations, _ = np.linalg.qr(random.normal(size=(N, 3, 3)))
    return {}, {"wigner": wigner_of(random), "rotations": rotations}


def transformer_backbone(random, feature_irreps=(MIXED, MIXED), gamma=0.5):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "spin": "none",
        "feature_irreps": list(feature_irreps),
        "feature_lmax": 2,
        "width": D,
        "num_heads": 2,
        "num_blocks": 1,
        "alpha": 0.5,
        "beta": 0.5 if feature_irreps else 0.0,
        "gamma": gamma,
        "attention": bool(feature_irreps),
        "rotation": "random" if feature_irreps else "none",
        "seed": 3,
        "radial": None,
        "embedding": None,
        "dense_dtype": "float32",
    }
    return arguments, {"inputs": refinement_inputs(random, *feature_irreps)}


def transformer_block(random, **arguments):
    return arguments, {
        "atoms": random.normal(size=(N, D)),
        "edges": random.normal(size=(N, M, D)),
        "known": {
            "atoms": random.normal(size=(N, 7)),
            "edges": random.normal(size=(N, M, 7)),
            "angles": random.normal(size=(N, D)),
        },
        "graph": graph(random, "neighbors", "envelope", "edge_mask"),
    }


def vector_head(random, irreps="2x1o + 4x0e + 1x0o"):
    arguments = {"irreps_out": "3x0e + 2x1o + 1x2e", "irreps_in": irreps}
    inputs = {"x": random.normal(size=(N, D))}
    if irreps:
        inputs["features"] = atoms_of(random, irreps)
    return arguments, inputs


def vectors(random):
    return {"irreps": MIXED}, {
        "atoms": atoms_of(random, MIXED),
        "edges": packed_of(random, MIXED),
        "frames": frames_of(random),
    }


CASES = {
    "AngleFeatures": [angle_features],
    "CrystalFeatures": [vectors],
    "DirectedEdges": [directed_edges],
    "EdgeTransition": [edge_transition],
    "FrameVectors": [vectors],
    "RotatedFrames": [rotated_frames],
    "TransformerBackbone": [
        transformer_backbone,
        lambda r: transformer_backbone(r, feature_irreps=(), gamma=0.0),
    ],
    "TransformerBlock": [
        transformer_block,
        lambda r: transformer_block(
            r,
            alpha=0.0,
            beta=0.2,
            gamma=0.0,
            num_heads=2,
            attention="keras_hamiltonian.layers:NeighborMean",
        ),
    ],
    "VectorHead": [vector_head, lambda r: vector_head(r, "")],
}
