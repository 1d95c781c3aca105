"""Both stages as one model."""

import keras

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.layers.parts import to_config
from keras_hamiltonian.models.stage import FORMAT_VERSION
from keras_hamiltonian.models.stage import HiddenTensors
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import check_version
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.stage_features import StageFeatures


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class HamiltonianCascade(Stage):
    """A first stage and a second one that corrects it.

    The first stage is trained alone and then frozen; the second sees its
    features and predicts what it left. Trained on `features(dataset)`, the
    second stage does not pay for the first:

        cascade = HamiltonianCascade(stage, refinement)
        training = cascade.features(dataset)
        refinement.adapt(training)
        refinement.compile(...)
        refinement.fit(training)
        cascade.save("cascade.keras")

    `cascade.fit(dataset)` does the same from the atoms, first stage included.
    For a joint fine-tune make the first stage trainable before `compile`, also
    of a cascade that comes from a file, which does not remember it:

        cascade = kh.load_model("cascade.keras")
        cascade.stage.trainable = True
        cascade.compile(keras.optimizers.Adam(1e-4), ...)
        cascade.fit(dataset)
        cascade.save("tuned.keras")

    The optimizer of such a training is not restored from its file. Features
    kept in a `StageFeatures` are those of before.

    Args:
        stage: `FirstStage`.
        refinement: second stage, made for the features of the first.

    Inputs and outputs: those of the first stage.
    Raises: `ValueError` if the stages differ in basis, reaches or spin.

    Reference: Yin et al., arXiv 2401.00744.
    """

    _own_provenance = None
    # Both stages are written as they are when the cascade is saved.
    arguments = {}

    def __init__(self, stage, refinement, name="hamiltonian_cascade"):
        for key in ("basis", "reaches", "spin"):
            ours, theirs = getattr(stage, key), getattr(refinement, key)
            if ours != theirs:
                raise ValueError(
                    f"Both stages need the same {key}. Received: {ours} in "
                    f"the first, {theirs} in the second. Make the second one "
                    f"with `{type(refinement).__name__}.for_stage(stage)`."
                )
        dtype = stage.input["edge_vectors"].dtype
        initial = None
        if stage.takes_initial:
            initial = stage.basis.block_shape(stage.spin)
        inputs = graph_inputs(dtype, initial)
        features = stage.feature_model()(inputs)
        known = {k: x for k, x in inputs.items() if k not in INITIAL_BLOCKS}
        outputs = refinement({**known, **features})
        super().__init__(inputs, outputs, name=name)
        self.stage = stage
        self.refinement = refinement
        number = len(stage.feature_irreps)
        self._atom_features = HiddenTensors(
            [features[f"atoms_{k}"] for k in range(1, number + 1)]
        )
        stage.trainable = False

    def stages(self):
        """The first stage and the second one."""
        return [self.stage, self.refinement]

    @property
    def basis(self):
        """The `OrbitalBasis` of the blocks."""
        return self.stage.basis

    @property
    def reaches(self):
        """Dict from element symbol to the reach of its orbitals, in Å."""
        return self.stage.reaches

    @property
    def spin(self):
        """Spin layout of the blocks."""
        return self.stage.spin

    @property
    def takes_initial(self):
        """Whether the first stage takes H⁰."""
        return self.stage.takes_initial

    @property
    def is_hermitian(self):
        """Whether the blocks of both stages are."""
        return self.stage.is_hermitian and self.refinement.is_hermitian

    @property
    def feature_irreps(self):
        """Irreps of the features of the first stage: list of str."""
        return self.stage.feature_irreps

    @property
    def feature_model(self):
        """What the refinement sees: `FirstStage.feature_model`."""
        return self.get_layer(f"{self.stage.name}_features")

    @property
    def overlap(self):
        """That of the first stage, or `None`; see `Stage`."""
        return self.stage.overlap

    @overlap.setter
    def overlap(self, value):
        self.stage.overlap = value

    @property
    def zeroth_step(self):
        """`ZerothStep` of the first stage, or `None`; see `Stage`."""
        return self.stage.zeroth_step

    @zeroth_step.setter
    def zeroth_step(self, value):
        self.stage.zeroth_step = value

    @property
    def overlap_threshold(self):
        """float of the first stage, or `None`; see `Stage`."""
        return self.stage.overlap_threshold

    @overlap_threshold.setter
    def overlap_threshold(self, value):
        self.stage.overlap_threshold = value

    @property
    def energy_shift(self):
        """`EnergyShift` of the first stage, or `None`; see `Stage`."""
        return self.stage.energy_shift

    @energy_shift.setter
    def energy_shift(self, value):
        self.stage.energy_shift = value

    @property
    def provenance(self):
        """Where the cascade comes from; unless set, that of the first stage."""
        return self._own_provenance or self.stage.provenance

    @provenance.setter
    def provenance(self, value):
        self._own_provenance = value

    def features(self, dataset, path=None):
        """The data set with the first stage's features, computed once.

        Args:
            dataset: `HamiltonianDataset`.
            path: str or path. A file that keeps them for other trainings, see
                `StageFeatures`.

        Returns:
            `StageFeatures`.
        """
        self.check_dataset(dataset)
        return StageFeatures(self.stage, dataset, path=path)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        # Overlap and threshold stand with the first stage.
        return {
            "name": self.name,
            "format_version": FORMAT_VERSION,
            "provenance": to_config(self.provenance),
            "stage": serialize(self.stage),
            "refinement": serialize(self.refinement),
            "overlap": None,
            "overlap_threshold": None,
            "energy_shift": None,
            "error_estimate": (
                self.error_estimate and self.error_estimate.to_dict()
            ),
            "zeroth_step": None,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        # Before the stages are read, which a newer version may have changed.
        check_version(config.get("format_version", 1))
        deserialize = keras.saving.deserialize_keras_object
        for key in ("stage", "refinement"):
            config[key] = deserialize(config[key], custom_objects)
        return super().from_config(config)
