"""The last features of a first stage, updated once more."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.feature_frames import FeatureFrames
from keras_hamiltonian.models.composite_layer import CompositeLayer
from keras_hamiltonian.models.equivariant_backbone import GRAPH_KEYS
from keras_hamiltonian.models.equivariant_backbone import make_groups
from keras_hamiltonian.models.equivariant_backbone import messages_of
from keras_hamiltonian.models.graph_geometry import GraphGeometry
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FeatureBackbone(CompositeLayer):
    """Groups of updates on the last features of a first stage.

    The simplest backbone of a second stage: exactly equivariant, as the first
    one is.

    Args:
        basis: dict. Shells of each element.
        reaches: dict. Reach of each element's orbitals in Å.
        feature_irreps: list of str. Irreps of the features of each group of
            the first stage.
        feature_lmax: int. Largest degree of its Wigner matrices.
        num_groups: int. Groups of one atom and one edge update.
        radial: layer or factory in place of `RadialFeatures`.
        interaction: factory in place of `InteractionGroup`, see
            `EquivariantBackbone`.

    Call arguments:
        inputs: dict, see `refinement_inputs`.

    Output: a dict as of `EquivariantBackbone`.
    """

    def __init__(
        self,
        basis,
        reaches,
        feature_irreps,
        feature_lmax,
        num_groups=1,
        radial=None,
        interaction=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        irreps = Irreps(feature_irreps[-1])
        self.group = len(feature_irreps)
        self.lmax = feature_lmax
        self.irreps_out = [irreps] * num_groups
        self.geometry = GraphGeometry(
            basis,
            reaches,
            feature_lmax,
            radial=radial,
            frames_given=True,
            name="geometry",
            **own,
        )
        self.frames = FeatureFrames(str(irreps), name="frames", **own)
        self.groups = make_groups(
            interaction,
            [irreps, *self.irreps_out],
            num_species=len(OrbitalBasis(basis).symbols),
            radial_size=self.geometry.radial_size,
            norm="local",
            **own,
        )

    @property
    def num_messages(self):
        """How often atoms hear of their neighbours, see `receptive_steps`."""
        return messages_of(self.groups)

    def call(self, inputs):
        computed = self.geometry(inputs)
        state = self.frames(
            inputs[f"atoms_{self.group}"],
            inputs[f"edges_{self.group}"],
            computed["wigner"],
            inputs["reverse_edge"],
        )
        geometry = {**{name: inputs[name] for name in GRAPH_KEYS}, **computed}
        found = {"atoms": [], "edges": []}
        for group in self.groups:
            state = group(state, geometry)
            found["atoms"].append(state["atoms"])
            found["edges"].append(state["edges"])
        return {**found, "geometry": computed}
