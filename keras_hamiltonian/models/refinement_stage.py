"""What all second stages share: their inputs and how they fit their scales."""

import keras

from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.layers.readout.block_sum import BlockSum
from keras_hamiltonian.models.block_readout import BlockReadout
from keras_hamiltonian.models.first_stage import default_readout
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.stage_features import Residuals
from keras_hamiltonian.orbitals.basis import OrbitalBasis


def refinement_inputs(
    basis, spin, feature_irreps, feature_lmax, dtype="float32"
):
    """Symbolic inputs of a second stage: the batch of `StageFeatures`.

    Args:
        basis: dict. Shells of each element.
        spin: str. Spin layout of the blocks.
        feature_irreps: list of str. Irreps of the features of each group of
            the first stage.
        feature_lmax: int. Largest degree of its Wigner matrices.
        dtype: str. Float type.

    Returns:
        Dict of `keras.Input`: those of `graph_inputs` and the outputs of
        `FirstStage.feature_model`.
    """
    block = OrbitalBasis(basis).block_shape(spin)
    shapes = {"baseline_onsite": block, "baseline_hopping": (None, *block)}
    for k, irreps in enumerate(feature_irreps, start=1):
        # An edge and an atom have the same number of components.
        size = Irreps(irreps).dim
        shapes[f"atoms_{k}"] = (size,)
        shapes[f"edges_{k}"] = (None, size)
    size = sum((2 * l + 1) ** 2 for l in range(1, feature_lmax + 1))
    shapes["wigner"] = (None, size)
    return {
        **graph_inputs(dtype),
        **{
            name: keras.Input(shape, dtype=dtype, name=name)
            for name, shape in shapes.items()
        },
    }


class RefinementStage(Stage):
    """A second stage: corrects the blocks of a first one.

    A subclass takes the arguments `basis`, `reaches`, `spin`,
    `feature_irreps`, `feature_lmax` and `dtype`, makes a backbone and a
    readout, layers as `FirstStage` explains them, and calls
    `super().__init__(backbone, readout, name)`. The backbone takes the inputs
    of `refinement_inputs`; what the readout returns is added to the baseline
    blocks among them. An argument `spin_free`, if there is one, says that this
    is the same for both spins: then the readout returns blocks without spin.

    Args:
        backbone: layer.
        readout: layer. Defaults to a `BlockReadout` of the backbone's last
            features that returns zero until it is trained.
        name: str.
    """

    def __init__(self, backbone, readout=None, name=None):
        arguments = self.arguments
        if readout is None:
            readout = default_readout(self, backbone, gain=0.0)
        dtype = backbone.variable_dtype
        inputs = refinement_inputs(
            arguments["basis"],
            self.spin,
            arguments["feature_irreps"],
            arguments["feature_lmax"],
            dtype,
        )
        features = backbone(inputs)
        corrections = readout(inputs, features)
        outputs = BlockSum(name="sum", dtype=dtype)(
            inputs["baseline_onsite"], inputs["baseline_hopping"], corrections
        )
        outputs = {**outputs, **features.get("traces", {})}
        super().__init__(inputs, outputs, name=name)
        self.backbone = backbone
        self.readout = readout

    @classmethod
    def for_stage(cls, stage, **options):
        """A second stage that fits a first one.

        Args:
            stage: `FirstStage`.
            **options: further arguments of the class.
        """
        if stage.spin_free:
            options = {"spin_free": True, **options}
        return cls(
            stage.arguments["basis"],
            stage.arguments["reaches"],
            stage.spin,
            feature_irreps=stage.feature_irreps,
            feature_lmax=stage.feature_lmax,
            **options,
        )

    def check_elements(self, atoms, basis=None):
        """See `Stage`; a second stage alone predicts no structure."""
        self._refuse(atoms)

    def check_dataset(self, dataset):
        """See `Stage`; a second stage takes `StageFeatures`."""
        if isinstance(dataset, HamiltonianDataset):
            self._refuse(dataset)
        super().check_dataset(dataset)

    def adapt(self, features):
        """Fits the scales of all channels to what the first stage left.

        Args:
            features: `StageFeatures`.
        """
        self.check_dataset(features)
        self.readout.adapt(Residuals(features, "baseline", self.spin_free))

    def _refuse(self, received):
        raise ValueError(
            f"The second stage {self.name!r} works on features of the "
            f"first. Received: a {type(received).__name__}. Train it on "
            "`StageFeatures(stage, dataset)`; predict, save and load "
            "`HamiltonianCascade(stage, refinement)`."
        )


def correction_readout(readout, backbone, **arguments):
    """The readout of a second stage: zero until it is trained.

    Args:
        readout: `None`, a layer or a factory, see `make_part`.
        backbone: layer with `irreps_out` and `irreps_edges`, whose features
            are normalised.
        **arguments: of `BlockReadout`.
    """
    return make_part(
        readout,
        BlockReadout,
        irreps=str(backbone.irreps_out[-1]),
        irreps_edges=str(backbone.irreps_edges),
        norm=None,
        radial_size=backbone.geometry.radial_size,
        gain=0.0,
        name="readout",
        **arguments,
    )
