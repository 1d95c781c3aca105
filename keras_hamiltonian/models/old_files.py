"""Model files of package version 0.1.0, in the present format.

Version 0.1.0 had stages without backbone and readout: their weights have other
names, and the configuration other arguments.
"""

import io
import json
import re
import zipfile

import h5py

from keras_hamiltonian.models.stage import FORMAT_VERSION

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
# Where the layers of each stage are now. Layers named `block_k`, `group_k` and
# `frames_k` keep their number.
PARTS = {
    "EquivariantStage": {
        "bond_embedding": "backbone/edge_embedding",
        "species_embedding": "backbone/embedding",
        "radial_features": "backbone/geometry/radial",
        "interaction_group": "backbone/groups/interaction_group",
        "two_centre_baseline": "readout/baseline",
        "hopping_readout": "readout/hopping",
        "onsite_readout": "readout/onsite",
        "equivariant_norm": "readout/atom_norm",
        "atom_graph_norm": "readout/atom_norm",
        "projector_sum": "readout/projector_sum",
    },
    "EquivariantTransformerStage": {
        "radial_features": "backbone/geometry/radial",
        "feature_frames": "backbone/frames/feature_frames",
        "roll_transformer_block": "backbone/blocks/roll_transformer_block",
        "two_centre_baseline": "readout/baseline",
        "block_correction": "readout",
    },
    "TransformerStage": {
        "angle_features": "backbone/angles",
        "directed_bonds": "backbone/edge_embedding",
        "species_embedding": "backbone/embedding",
        "radial_features": "backbone/geometry/radial",
        "random_rotation": "backbone/rotation",
        "transformer_block": "backbone/blocks/transformer_block",
        "head_of_atoms": "backbone/atom_head",
        "head_of_bonds": "backbone/edge_head",
        "two_centre_baseline": "readout/baseline",
        "block_correction": "readout",
    },
}
BACKBONES = {
    "EquivariantStage": "equivariant_backbone",
    "EquivariantTransformerStage": "roll_transformer_backbone",
    "TransformerStage": "transformer_backbone",
}
INNER = {
    "bond_convolution": "edge_convolution",
    "bond_update": "edge_update",
    "heard": "attention",
}


def is_old(path):
    """Whether a `.keras` file was written by version 0.1.0."""
    with zipfile.ZipFile(path) as file:
        if CONFIG not in file.namelist():
            return False
        config = json.loads(file.read(CONFIG))
    is_ours = "keras_hamiltonian>" in str(config.get("registered_name"))
    return is_ours and "format_version" not in config["config"]


def convert(path, target):
    """Writes a file of version 0.1.0 anew.

    The state of the optimizer is left out.

    Args:
        path: str or path of the old file.
        target: str or path of the new one.
    """
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        config = json.loads(old.read(CONFIG))
        with h5py.File(io.BytesIO(old.read(WEIGHTS)), "r") as weights:
            new.writestr(WEIGHTS, _renamed(weights, _stages(config)))
        for name in old.namelist():
            if name not in (CONFIG, WEIGHTS):
                new.writestr(name, old.read(name))
        new.writestr(CONFIG, json.dumps(_converted(config)))


def _stages(config):
    """Class of the stage below each prefix of the weights' names."""
    if config["class_name"] != "HamiltonianCascade":
        return {"": config["class_name"]}
    second = config["config"]["refinement"]["class_name"]
    name = re.sub("(?<!^)(?=[A-Z])", "_", second).lower()
    return {
        "layers/functional/": config["config"]["stage"]["class_name"],
        f"layers/{name}/": second,
    }


def _converted(config):
    """The configuration of a model in the present format."""
    arguments = dict(config["config"])
    for key in ("stage", "refinement"):
        if key in arguments:
            arguments[key] = _converted(arguments[key])
    kind = config["class_name"]
    if kind == "EquivariantStage":
        # Files of the time before projectors do not name them.
        arguments = {"projectors": "", **arguments}
    if kind == "TransformerStage" and not arguments["feature_irreps"]:
        kind = "StandaloneTransformerStage"
        for key in ("feature_irreps", "feature_lmax", "alpha", "beta"):
            del arguments[key]
    # A model that is read continues no training.
    return {
        **config,
        "class_name": kind,
        "registered_name": f"keras_hamiltonian>{kind}",
        "config": {**arguments, "format_version": FORMAT_VERSION},
        "compile_config": {},
    }


def _renamed(weights, stages):
    """The bytes of the HDF5 file of weights with the present names."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as new:

        def copy(name, entry):
            if isinstance(entry, h5py.Dataset):
                target = _new_name(name, weights, stages)
                if target is not None:
                    new[target] = entry[()]

        weights.visititems(copy)
    return buffer.getvalue()


def _new_name(name, weights, stages):
    for prefix, kind in stages.items():
        found = re.fullmatch(f"{prefix}layers/([^/]+)/(.*)", name)
        if found:
            break
    else:
        return None
    layer, rest = found.groups()
    # `vars` of every layer have its name.
    own = weights[f"{prefix}layers/{layer}/vars"].attrs.get("name", "")
    stem, number = re.fullmatch(r"(.*?)(_\d+)?", layer).groups()
    parts = PARTS[kind]
    place = parts.get(own) or parts.get(stem)
    if place is None:
        return None
    for part, directory in (
        ("backbone", BACKBONES[kind]),
        ("readout", "block_readout"),
    ):
        place = re.sub(f"^{part}", directory, place)
    if place.split("/")[-1] == stem:
        place += number or ""
    rest = "/".join(INNER.get(step, step) for step in rest.split("/"))
    return f"{prefix}layers/{place}/{rest}"
