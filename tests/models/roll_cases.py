"""Arguments and inputs of the layers of `EquivariantTransformerStage`."""

from layer_inputs import BASIS
from layer_inputs import MIXED
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import wigner_of
from part_cases import REACHES_BY_NAME
from part_cases import refinement_inputs

STATE = "4x0e + 2x1o"


def roll_transformer_backbone(random, groups=2, tracegrad=None):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "spin": "none",
        "feature_irreps": ["4x0e + 1x1e", MIXED],
        "feature_lmax": 2,
        "channels": 4,
        "hidden": 6,
        "irreps": STATE,
        "num_blocks": 2,
        "num_heads": 2,
        "num_gaussians": 8,
        "groups": groups,
        "tracegrad": tracegrad,
    }
    inputs = refinement_inputs(random, *arguments["feature_irreps"])
    return arguments, {"inputs": inputs}


def roll_transformer_block(random, is_first=False, tracegrad=None):
    arguments = {
        "irreps_in": [MIXED],
        "channels": 4,
        "irreps": STATE,
        "mmax": 2,
        "num_species": 2,
        "hidden": 6,
        "num_heads": 2,
        "is_first": is_first,
        "radial_size": 5,
        "tracegrad": tracegrad,
    }
    names = "species", "envelope", "reverse_edge"
    inputs = {
        "features": [edges_of(random, MIXED)],
        "geometry": {
            "wigner": wigner_of(random),
            "radial": random.normal(size=(N, M, 5)),
            **graph(random, *names),
        },
    }
    if not is_first:
        own = "4x0+ + 4x1 + 4x2"
        inputs["state"] = {
            "atoms": atoms_of(random, STATE),
            "edges": edges_of(random, own),
            "normed_atoms": atoms_of(random, STATE),
            "normed_edges": edges_of(random, own),
            "center": edges_of(random, STATE),
            "neighbor": edges_of(random, STATE),
        }
    return arguments, inputs


CASES = {
    "RollTransformerBackbone": [
        roll_transformer_backbone,
        lambda r: roll_transformer_backbone(r, groups=1),
        lambda r: roll_transformer_backbone(r, tracegrad="both"),
    ],
    "RollTransformerBlock": [
        roll_transformer_block,
        lambda r: roll_transformer_block(r, is_first=True),
        lambda r: roll_transformer_block(r, tracegrad="both"),
    ],
}
