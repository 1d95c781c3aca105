"""A first stage, one group of updates at a time."""

import keras

from keras_hamiltonian.models.stage import BLOCKS
from keras_hamiltonian.ops import backend

# Of the geometry, what only groups look at: of the atoms, and computed anew.
OF_GROUPS = ("species", "neighbors")
WEIGHTED = "weighted_wigner"


class FirstPass(keras.Model):
    """Geometry and first features of some atoms and their edges.

    Between two updates an atom needs of its neighbours nothing but their
    features, so that the rows of some atoms, with their edges, are computed
    without those of the others. The atoms whose rows these are come first;
    others follow that are their neighbours.

    Args:
        backbone: `EquivariantBackbone` that `is_divisible`.

    Call arguments:
        inputs: dict, see `graph_inputs`: `species` of all N atoms, everything
            else of the first n.

    Output: a dict of `"geometry"` and `"edges"`, what `GroupPass` takes; and
        `"atoms"` `(n, dim)`: without H⁰, where first features need no
        neighbours, after the first group.
    """

    def __init__(self, backbone):
        super().__init__(dtype=backbone.dtype_policy)
        self.backbone = backbone

    def call(self, inputs):
        backbone, neighbors = self.backbone, inputs["neighbors"]
        species = inputs["species"][: backend.shape(neighbors)[0]]
        computed = backbone.geometry(inputs)
        geometry = {**computed, "species": species, "neighbors": neighbors}
        # A quarter of all that would wait is made anew.
        del geometry[WEIGHTED]
        state = backbone.first_state(inputs, computed)
        if backbone.initial is None:
            state["atoms"] = _first_update(backbone, state, geometry)
        return {"geometry": geometry, **state}


class GroupPass(keras.Model):
    """The edges of one group, then the atoms of the next one.

    Args:
        backbone: `EquivariantBackbone` that `is_divisible`.
        number: int. Which group, from 1; 0 is before the first one.

    Call arguments:
        inputs: dict of `"geometry"` and `"edges"` of the pass before, and
            `"atoms"` `(N, dim)` of all atoms after it.

    Output: a dict of `"edges"` after the group and, but for the last one,
        `"atoms"` `(n, dim)` after the next one.
    """

    def __init__(self, backbone, number):
        super().__init__(dtype=backbone.dtype_policy)
        self.backbone, self.number = backbone, number

    def call(self, inputs):
        geometry, edges = inputs["geometry"], inputs["edges"]
        if self.number == 0:
            atoms = _first_update(self.backbone, inputs, geometry)
            return {"edges": edges, "atoms": atoms}
        backbone = self.backbone
        group, *others = backbone.groups[self.number - 1 :]
        atoms = inputs["atoms"]
        normed = group.atom_norm.call(atoms)

        def update(rows):
            geometry, edges = rows["geometry"], rows["edges"]
            ends = _ends(group.edge_ends, rows["normed"], normed, geometry)
            known = {"edges": edges, "normed": group.normed(edges, geometry)}
            edges = group.new_edges({**ends, **known}, geometry)["edges"]
            if not others:
                return {"edges": edges}
            state = {"atoms": rows["atoms"], "edges": edges}
            new = _new_atoms(backbone, others[0], state, ends, geometry)
            return {"edges": edges, "atoms": new}

        number = backend.shape(geometry["species"])[0]
        own = {"atoms": atoms[:number], "normed": normed[:number]}
        rows = {"geometry": geometry, "edges": edges, **own}
        return backend.in_rows(update, rows)


class RestOfStage:
    """What a model makes of the features of its first stage.

    Args:
        model: `FirstStage`, or `HamiltonianCascade` of one.

    Attributes:
        groups: list of int. The groups whose features it takes, from 1.
    """

    def __init__(self, model):
        stage, *self.refinement = model.stages()
        features = stage.hidden_features
        count = len(features["atoms"])
        self.groups = list(range(1 if self.refinement else count, count + 1))
        taken = keras.tree.map_structure(
            lambda x: keras.Input(x.shape[1:], dtype=x.dtype),
            self._taken(features),
        )
        self.model = stage.readout_model(taken, bool(self.refinement))

    def __call__(self, inputs, features):
        """Blocks.

        Args:
            inputs: dict of arrays, inputs of the model.
            features: dict as the backbone returns it, of arrays; of groups
                that are not taken anything.

        Returns:
            Dict of `"onsite"` and `"hopping"`, eV.
        """
        leaves = keras.tree.flatten(self._taken(features))
        found = self.model.predict_on_batch(
            {"inputs": inputs, "features": leaves}
        )
        for stage in self.refinement:
            known = {k: inputs[k] for k in stage.input.keys() & inputs.keys()}
            found = stage.predict_on_batch({**known, **found})
        return {name: found[name] for name in BLOCKS}

    def _taken(self, features):
        return {
            "atoms": [features["atoms"][k - 1] for k in self.groups],
            "edges": [features["edges"][k - 1] for k in self.groups],
            "geometry": {
                name: x
                for name, x in features["geometry"].items()
                if name != WEIGHTED
            },
        }


def _first_update(backbone, state, geometry):
    """Atoms after the first group."""
    atoms = state["atoms"]

    def update(rows):
        geometry = rows["geometry"]
        ends = _ends(backbone.edge_ends, rows["atoms"], atoms, geometry)
        return _new_atoms(backbone, backbone.groups[0], rows, ends, geometry)

    rows = {"geometry": geometry, "edges": state["edges"]}
    rows["atoms"] = atoms[: backend.shape(geometry["species"])[0]]
    return backend.in_rows(update, rows)


def _ends(layer, own, atoms, geometry):
    return layer.of_rows(own, atoms, geometry["wigner"], geometry["neighbors"])


def _new_atoms(backbone, group, state, ends, geometry):
    weighted = backbone.geometry.envelope.weighted
    geometry = {
        **geometry,
        WEIGHTED: weighted(geometry["envelope"], geometry["wigner"]),
    }
    known = {
        "atoms": state["atoms"],
        "neighbor": ends["neighbor"],
        "normed": group.normed(state["edges"], geometry),
    }
    return group.new_atoms(known, geometry)["atoms"]
