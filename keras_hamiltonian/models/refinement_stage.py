"""What all second stages share: their inputs and how they fit their scales."""

import dataclasses

import keras

from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.stage_features import Residuals


def refinement_inputs(feature_irreps, lmax, layout, dtype="float32"):
    """Symbolic inputs of a second stage: the batch of `StageFeatures`.

    Args:
        feature_irreps: list of str. Irreps of the features of each group of
            the first stage.
        lmax: int. Largest degree of its Wigner matrices.
        layout: `BlockLayout`.
        dtype: str. Float type.

    Returns:
        Dict of `keras.Input`: those of `graph_inputs` and the outputs of
        `EquivariantStage.feature_model`.
    """
    rows = layout.basis.num_rows
    block = (rows, rows) if layout.spin == "none" else (2, 2, 2, rows, rows)
    shapes = {"baseline_onsite": block, "baseline_hopping": (None, *block)}
    for k, irreps in enumerate(feature_irreps, start=1):
        # An edge and an atom have the same number of components.
        size = Irreps(irreps).dim
        shapes[f"atoms_{k}"] = (size,)
        shapes[f"edges_{k}"] = (None, size)
    size = sum((2 * l + 1) ** 2 for l in range(1, lmax + 1))
    shapes["wigner"] = (None, size)
    return {
        **graph_inputs(dtype),
        **{
            name: keras.Input(shape, dtype=dtype, name=name)
            for name, shape in shapes.items()
        },
    }


@dataclasses.dataclass
class BlockInputs:
    """What enters each block, out of Keras' sight: it would track dicts.

    Attributes:
        tensors: dict from the name of a block to a dict of the symbolic
            arguments of its call.
        envelope: `(N, M)`, symbolic. Multiplies the weights of the attention
            when values are summed.
        model: `keras.Model` of both, made when first needed: compiled
            backends compile it once.
    """

    tensors: dict
    envelope: object
    model: keras.Model | None = None


class RefinementStage(Stage):
    """A second stage: corrects the blocks of a first one.

    A subclass names its scales' layer `two_centre_baseline`, takes the
    arguments `basis`, `reaches`, `spin`, `feature_irreps` and `feature_lmax`,
    and sets `self._attended` to the `BlockInputs` of its blocks.
    """

    @classmethod
    def for_stage(cls, stage, **options):
        """A second stage that fits a first one.

        Args:
            stage: `EquivariantStage`.
            **options: further arguments of the class.
        """
        return cls(
            stage.arguments["basis"],
            stage.arguments["reaches"],
            stage.arguments["spin"],
            feature_irreps=stage.feature_irreps,
            feature_lmax=stage.feature_lmax,
            **options,
        )

    def check_elements(self, atoms, basis=None):
        """See `Stage`; a second stage alone predicts no structure."""
        self._check_features(atoms)
        super().check_elements(atoms, basis)

    def check_dataset(self, dataset):
        """See `Stage`; a second stage takes `StageFeatures`."""
        if isinstance(dataset, HamiltonianDataset):
            self._check_features(dataset)
        super().check_dataset(dataset)

    def attention_weights(self, inputs):
        """How each head of each block weighs the edges of every atom.

        Args:
            inputs: dict of arrays, the inputs of the model.

        Returns:
            Dict from the name of a block to its `(N, M, num_heads)` array,
            see `attention_weights` of the blocks; and the `(N, M)` array that
            multiplies them all in the sums over neighbours.

        Raises:
            ValueError: if the model was made without attention.
        """
        attended = self._attended
        if attended.model is None:
            attended.model = keras.Model(
                self.input,
                {"blocks": attended.tensors, "envelope": attended.envelope},
            )
        found = keras.tree.map_structure(
            keras.ops.convert_to_tensor, attended.model.predict_on_batch(inputs)
        )
        weights = {
            name: keras.ops.convert_to_numpy(
                self.get_layer(name).attention_weights(**arguments)
            )
            for name, arguments in found["blocks"].items()
        }
        return weights, keras.ops.convert_to_numpy(found["envelope"])

    def _check_features(self, received):
        if self.arguments["feature_irreps"]:
            raise ValueError(
                f"The second stage {self.name!r} works on features of the "
                f"first. Received: a {type(received).__name__}. Train it on "
                "`StageFeatures(stage, dataset)`; predict, save and load "
                "`HamiltonianCascade(stage, refinement)`."
            )

    def adapt(self, features):
        """Fits the scales of all channels to what the first stage left.

        Args:
            features: `StageFeatures`.
        """
        self.check_dataset(features)
        self.get_layer("two_centre_baseline").adapt(Residuals(features))
