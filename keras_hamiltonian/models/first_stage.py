"""What a second stage needs of a first one."""

import keras

from keras_hamiltonian.conventions import CORRECTIONS
from keras_hamiltonian.layers.geometry.pack_edges import PackEdges
from keras_hamiltonian.layers.geometry.pack_wigner import PackWigner
from keras_hamiltonian.layers.readout.block_sum import BlockSum
from keras_hamiltonian.models.block_readout import BlockReadout
from keras_hamiltonian.models.stage import BLOCKS
from keras_hamiltonian.models.stage import HiddenTensors
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import check_initial
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.stage_features import Residuals


class FirstStage(Stage):
    """A stage that predicts all blocks and hands its features to a second one.

    It consists of two layers:

    - a backbone: `backbone(inputs)` with the inputs of `graph_inputs` returns
      a dict of `"atoms"`, a list of `(N, dim)` tensors in `ir_mul` layout, one
      for each group; `"edges"`, a list of edge features (dicts from kind to
      tensor, see `keras_hamiltonian.ops.edges`); and `"geometry"`, a dict with
      at least `"wigner"` and `"relative"` (see `EquivariantBackbone`). What
      it returns as `"traces"` joins the outputs (see `TraceHead`). Its
      attributes are `irreps_out`, a list of the irreps of each group (edges
      have the `EdgeIrreps` into which they split), and `lmax`, the degree of
      the last Wigner matrix;
    - a readout: `readout(inputs, features)` returns a dict of `"onsite"` and
      `"hopping"` blocks, and `readout.adapt(dataset)` fits what has a closed
      form; `readout.hermitian` is false if blocks are not Hermitian.
      `BlockReadout` is one.

    A stage that takes H⁰ has an argument `initial`: `"correct"`, H⁰ is added to
    what the readout returns; `"input"`, the backbone finds `initial_onsite` and
    `initial_hopping` among its inputs; or `"both"`. If the backbone has a
    method `adapt(dataset)`, it is called before that of the readout.

    A second stage asks for `feature_irreps`, `feature_lmax` and
    `feature_model`, nothing else.

    A subclass takes `basis`, `reaches`, `spin` and `dtype`, makes both and
    calls `super().__init__(backbone, readout, name)`.

    Args:
        backbone: layer as above.
        readout: layer as above. Defaults to a `BlockReadout` of the backbone's
            last features.
        name: str.

    Raises: `ValueError` if the backbone does not say what its features are.
    """

    def __new__(cls, *args, **kwargs):
        dtype = kwargs.get("dtype") or "float32"
        name = getattr(dtype, "name", dtype)
        if name not in ("float32", "float64"):
            raise ValueError(
                '`dtype` of a first stage is "float32" or "float64". Received: '
                f"{name!r}. Half precision keeps two or three digits of matrix "
                "elements of tens of eV, and the loss does not fall to meV: "
                "in bfloat16 the blocks of a trained model of graphene change "
                "by 4 to 12 meV on the mean, ten times its errors."
            )
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, backbone, readout=None, name=None):
        check_initial(self.arguments.get("initial"))
        for attribute in ("irreps_out", "lmax"):
            if not hasattr(backbone, attribute):
                raise ValueError(
                    f"The backbone {backbone.name!r} has no `{attribute}`, "
                    "which tells a second stage what its features are. Set "
                    "`irreps_out` (list of irreps, one for each group) and "
                    "`lmax` (degree of the last Wigner matrix)."
                )
        if readout is None:
            readout = default_readout(self, backbone)
        initial = None
        if self.takes_initial:
            initial = self.basis.block_shape(self.spin)
        inputs = graph_inputs(backbone.variable_dtype, initial)
        features = backbone(inputs)
        outputs = self._blocks(readout, inputs, features)
        outputs = {**outputs, **features.get("traces", {})}
        super().__init__(inputs, outputs, name=name)
        self.backbone = backbone
        self.readout = readout
        self._features = HiddenTensors(features)
        self._atom_features = HiddenTensors(features["atoms"])

    @property
    def _corrects(self):
        return self.arguments.get("initial") in CORRECTIONS

    @property
    def hidden_features(self):
        """What the backbone returns, symbolic tensors."""
        return self._features.tensors

    def _blocks(self, readout, inputs, features):
        blocks = readout(inputs, features)
        if not self._corrects:
            return blocks
        return BlockSum(name="sum", dtype=readout.variable_dtype)(
            inputs["initial_onsite"], inputs["initial_hopping"], blocks
        )

    @property
    def feature_lmax(self):
        """Largest degree of the Wigner matrices among the features."""
        return self.backbone.lmax

    def feature_model(self):
        """A model of all that a second stage takes from this one.

        Returns:
            `keras.Model` with the inputs of the stage, sharing its weights.
            Outputs: `atoms_k` `(N, dim)`, `ir_mul` layout, and `edges_k`
            `(N, M, size)` (see `PackEdges`), for the groups k = 1, 2, ...;
            `wigner` `(N, M, size)` (see `PackWigner`), whose frames those of
            the edges are; `baseline_onsite` and `baseline_hopping`, eV.
        """
        outputs = self._packed(self._features.tensors, self.output)
        return keras.Model(self.input, outputs, name=f"{self.name}_features")

    def readout_model(self, features, is_packed=False):
        """A model of what follows the backbone.

        Args:
            features: dict of symbolic tensors, what the readout finds of
                those of the backbone.
            is_packed: bool. Whether outputs are those of `feature_model`, in
                place of the blocks.

        Returns:
            `keras.Model` with the inputs of the stage and, as a list,
            `features` flattened: `{"inputs": ..., "features": ...}`.
        """
        found = self._blocks(self.readout, self.input, features)
        found = self._packed(features, found) if is_packed else found
        leaves = keras.tree.flatten(features)
        return keras.Model({"inputs": self.input, "features": leaves}, found)

    def _packed(self, features, blocks):
        own = {"dtype": self.input["edge_vectors"].dtype}
        outputs = {f"baseline_{name}": blocks[name] for name in BLOCKS}
        for k, irreps in enumerate(self.feature_irreps, start=1):
            outputs[f"atoms_{k}"] = features["atoms"][k - 1]
            outputs[f"edges_{k}"] = PackEdges(irreps, **own)(
                features["edges"][k - 1]
            )
        outputs["wigner"] = PackWigner(**own)(features["geometry"]["wigner"])
        return outputs

    def adapt(self, dataset):
        """See `Stage.adapt`; with H⁰ added at the output, baseline and scales
        are those of what it leaves."""
        self.check_dataset(dataset)
        if hasattr(self.backbone, "adapt"):
            self.backbone.adapt(dataset)
        if self._corrects:
            dataset = Residuals(dataset, "initial", self.spin_free)
        self.readout.adapt(dataset)


def default_readout(stage, backbone, **options):
    """A `BlockReadout` of the last features of a backbone.

    Args:
        stage: `Stage`.
        backbone: layer with `irreps_out`.
        **options: further arguments of `BlockReadout`.
    """
    arguments = stage.arguments
    spin = "none" if stage.spin_free else stage.spin
    return BlockReadout(
        arguments["basis"],
        arguments["reaches"],
        spin,
        str(backbone.irreps_out[-1]),
        dtype=backbone.variable_dtype,
        name="readout",
        **options,
    )
