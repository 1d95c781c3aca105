"""A first stage, one group of updates at a time."""

import keras

from keras_hamiltonian.models.stage import BLOCKS

# Of the geometry, what only groups look at.
OF_GROUPS = ("weighted_wigner", "species", "neighbors")


class FirstPass(keras.Model):
    """Geometry, first features, and the first update of some atoms.

    Between two updates an atom needs of its neighbours nothing but their
    features, so that the rows of some atoms, with their edges, are computed
    without those of the others. The atoms whose rows these are come first;
    others follow that are their neighbours.

    Args:
        backbone: `EquivariantBackbone` that `is_divisible`.

    Call arguments:
        inputs: dict, see `graph_inputs`: `species` and `initial_onsite` of all
            N atoms, everything else of the edges of the first n.

    Output: a dict of `"geometry"`, what `GroupPass` takes; `"edges"`, features
        of the edges; `"atoms"` `(n, dim)` after the first group.
    """

    def __init__(self, backbone):
        super().__init__(dtype=backbone.dtype_policy)
        self.backbone = backbone

    def call(self, inputs):
        backbone, neighbors = self.backbone, inputs["neighbors"]
        species = inputs["species"][: neighbors.shape[0]]
        computed = backbone.geometry(inputs)
        geometry = {**computed, "species": species, "neighbors": neighbors}
        state = backbone.first_state(inputs, computed)
        ends = backbone.edge_ends.call(
            state["atoms"], computed["wigner"], neighbors=neighbors
        )
        return {
            "geometry": geometry,
            "edges": state["edges"],
            **_new_atoms(backbone.groups[0], state, ends, geometry),
        }


class GroupPass(keras.Model):
    """The edges of one group, then the atoms of the next one.

    Args:
        backbone: `EquivariantBackbone` that `is_divisible`.
        number: int. Which group, from 1.

    Call arguments:
        inputs: dict of `"geometry"` and `"edges"` of the pass before, and
            `"atoms"` `(N, dim)` of all atoms after it.

    Output: a dict of `"edges"` after the group and, but for the last one,
        `"atoms"` `(n, dim)` after the next one.
    """

    def __init__(self, backbone, number):
        super().__init__(dtype=backbone.dtype_policy)
        self.group = backbone.groups[number - 1]
        self.following = None
        if number < len(backbone.groups):
            self.following = backbone.groups[number]

    def call(self, inputs):
        geometry, edges = inputs["geometry"], inputs["edges"]
        ends = self.group.ends(inputs["atoms"], geometry)
        normed = self.group.normed(edges, geometry)
        known = {**ends, "edges": edges, "normed": normed}
        edges = self.group.new_edges(known, geometry)["edges"]
        if self.following is None:
            return {"edges": edges}
        state = {"atoms": inputs["atoms"], "edges": edges}
        found = _new_atoms(self.following, state, ends, geometry)
        return {"edges": edges, **found}


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
                if name not in OF_GROUPS
            },
        }


def _new_atoms(group, state, ends, geometry):
    rows = geometry["species"].shape[0]
    known = {
        "atoms": state["atoms"][:rows],
        "neighbor": ends["neighbor"],
        "normed": group.normed(state["edges"], geometry),
    }
    return {"atoms": group.new_atoms(known, geometry)["atoms"]}
