"""Arguments and inputs of the parts that all stages are made of."""

from layer_inputs import BASIS
from layer_inputs import MIXED
from layer_inputs import REACHES
from layer_inputs import SMALL
from layer_inputs import M
from layer_inputs import N
from layer_inputs import atoms_of
from layer_inputs import edges_of
from layer_inputs import graph
from layer_inputs import packed_of
from layer_inputs import readout_irreps
from layer_inputs import wigner_of

from keras_hamiltonian.models import graph_inputs
from keras_hamiltonian.orbitals.block_layout import BlockLayout

REACHES_BY_NAME = dict(zip(BASIS, REACHES))


def stage_inputs(random):
    """The inputs of a stage."""
    return graph(random, *graph_inputs())


def refinement_inputs(random, *feature_irreps, lmax=2):
    """Those of a second stage, but for blocks, which backbones do not see."""
    inputs = stage_inputs(random)
    for k, irreps in enumerate(feature_irreps, start=1):
        inputs[f"atoms_{k}"] = atoms_of(random, irreps)
        inputs[f"edges_{k}"] = packed_of(random, irreps)
    if feature_irreps:
        size = sum((2 * l + 1) ** 2 for l in range(1, lmax + 1))
        inputs["wigner"] = random.normal(size=(N, M, size))
    return inputs


def block_readout(random, spin="none", **options):
    irreps, lmax = readout_irreps(spin), BlockLayout(BASIS, spin).lmax
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "spin": spin,
        "irreps": irreps,
        "radial_size": 5,
        **options,
    }
    return arguments, {
        "inputs": stage_inputs(random),
        "features": {
            "atoms": [atoms_of(random, irreps)],
            "edges": [edges_of(random, irreps)],
            "geometry": {
                "wigner": wigner_of(random, lmax),
                "radial": random.normal(size=(N, M, 5)),
                **graph(random, "relative"),
            },
        },
    }


def equivariant_backbone(random, norm="local", tracegrad=None):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "spin": "none",
        "irreps": SMALL,
        "num_groups": 2,
        "num_gaussians": 8,
        "radial_units": [6, 5],
        "norm": norm,
        "tracegrad": tracegrad,
    }
    return arguments, {"inputs": stage_inputs(random)}


def graph_geometry(random, frames_given=False):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "lmax": 2,
        "num_gaussians": 8,
        "radial_units": [6, 5],
        "frames_given": frames_given,
    }
    features = [MIXED] if frames_given else []
    return arguments, {"inputs": refinement_inputs(random, *features)}


def feature_backbone(random, **options):
    arguments = {
        "basis": BASIS,
        "reaches": REACHES_BY_NAME,
        "feature_irreps": ["4x0e + 1x1o", SMALL],
        "feature_lmax": 2,
        **options,
    }
    inputs = refinement_inputs(random, *arguments["feature_irreps"])
    return arguments, {"inputs": inputs}


CASES = {
    "FeatureBackbone": [
        feature_backbone,
        lambda r: feature_backbone(r, num_groups=2),
    ],
    "BlockReadout": [
        lambda r: block_readout(r, norm=None, gain=0.0),
        lambda r: block_readout(r, projectors="1s 1p"),
        lambda r: block_readout(
            r,
            "noncollinear",
            norm="graph",
            hermitian=False,
            two_centre=False,
        ),
    ],
    "EquivariantBackbone": [
        equivariant_backbone,
        lambda r: equivariant_backbone(r, norm="graph"),
        lambda r: equivariant_backbone(r, tracegrad="both"),
    ],
    "GraphGeometry": [
        graph_geometry,
        lambda r: graph_geometry(r, frames_given=True),
    ],
}
