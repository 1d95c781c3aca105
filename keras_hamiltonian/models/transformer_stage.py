"""Second stage of the cascade: a graph Transformer without symmetry."""

import keras

from keras_hamiltonian.models.refinement_stage import RefinementStage
from keras_hamiltonian.models.refinement_stage import correction_readout
from keras_hamiltonian.models.stage import HiddenTensors
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.models.transformer.transformer_backbone import (
    TransformerBackbone,
)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TransformerStage(RefinementStage):
    """A correction that is free to break symmetry, and learns to keep it.

    It sees the features of the first stage as plain vectors in the axes of
    the crystal. While training it rotates every crystal at random, inside:
    features in, correction out, so that labels stay as they are. Untrained it
    returns the blocks of the first stage. What is left of the asymmetry
    averages out over rotations: `predict(..., num_rotations=8)`.

    With `alpha`, `beta` and `gamma` zero it does not see what the first stage
    found (the paper's ablation B).

    Args:
        basis: dict. Shells of each element, `{"C": "2s 2p 1d"}`.
        reaches: dict. Reach of each element's orbitals in Å.
        spin: str. `"none"` or `"noncollinear"`.
        feature_irreps: list of str. Irreps of the features of each group of
            the first stage; `for_stage` fills them in.
        feature_lmax: int. Largest degree of its Wigner matrices.
        width: int. Numbers per atom and per edge.
        num_heads: int. Heads of the attention.
        num_blocks: int. Blocks for each group of the first stage.
        alpha, beta, gamma: float. Weights of the features of atoms, those of
            edges, and the invariant ones.
        attention: bool or factory in place of `NeighborAttention`. `False`:
            neighbours are mixed by stationary weights (`NeighborMean`,
            ablation C).
        rotation: str. `"random"` or `"none"`, while training.
        seed: int. Seed of the rotations.
        radial, embedding: parts in place of `RadialFeatures` and
            `SpeciesEmbedding`.
        baseline, readout: parts in place of those of `BlockReadout`.
        spin_free: bool. Whether corrections are the same for both spins.
        dtype: str. Policy of the dense layers: `"float32"`, `"float64"` or
            `"mixed_bfloat16"`; geometry and blocks have its variable type.
        name: str.

    Parts are explained at `make_part`.

    Inputs: see `refinement_inputs`.
    Outputs: `"onsite"` `(N, rows, rows)` and `"hopping"` `(N, M, rows, rows)`
        in eV, with spin `(…, 2, 2, 2, rows, rows)`.
    Raises: `ValueError` if the Wigner matrices of the first stage do not
        reach the degree of the blocks.

    Reference: Yin et al., arXiv 2401.00744, stage two.
    """

    breaks_symmetry = True

    def __init__(
        self,
        basis,
        reaches,
        spin="none",
        feature_irreps=(),
        feature_lmax=4,
        width=64,
        num_heads=4,
        num_blocks=2,
        alpha=0.5,
        beta=0.5,
        gamma=0.5,
        attention=True,
        rotation="random",
        seed=0,
        radial=None,
        embedding=None,
        baseline=None,
        readout=None,
        spin_free=False,
        dtype="float32",
        name="transformer_stage",
    ):
        arguments = _arguments(locals())
        if not feature_irreps:
            raise ValueError(
                "A second stage takes the features of a first one. Received: "
                "no `feature_irreps`. Make it with `for_stage(stage)`; a "
                "Transformer without a first stage is "
                "`StandaloneTransformerStage`."
            )
        super().__init__(*transformer_parts(**arguments), name)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class StandaloneTransformerStage(Stage):
    """The graph Transformer without a first stage: the paper's ablation A.

    It takes the inputs of `graph_inputs` and predicts the whole Hamiltonian,
    but for what two atoms alone explain (see `TwoCentreBaseline`; the paper's
    has no such part).

    Args: those of `TransformerStage` but the features and their weights.

    Outputs: `"onsite"` and `"hopping"` blocks, eV.

    Reference: Yin et al., arXiv 2401.00744, ablation A.
    """

    breaks_symmetry = True

    def __init__(
        self,
        basis,
        reaches,
        spin="none",
        width=64,
        num_heads=4,
        num_blocks=2,
        gamma=0.5,
        attention=True,
        rotation="random",
        seed=0,
        radial=None,
        embedding=None,
        baseline=None,
        readout=None,
        dtype="float32",
        name="standalone_transformer_stage",
    ):
        no_features = {"feature_irreps": [], "feature_lmax": 0}
        backbone, readout = transformer_parts(
            **_arguments(locals()), **no_features, alpha=0.0, beta=0.0
        )
        inputs = graph_inputs(backbone.variable_dtype)
        features = backbone(inputs)
        outputs = readout(inputs, features)
        super().__init__(inputs, outputs, name=name)
        self.backbone = backbone
        self.readout = readout
        self._atom_features = HiddenTensors(features["atoms"])


def transformer_parts(dtype, readout, baseline, spin_free=False, **arguments):
    """Backbone and readout for the arguments of `TransformerStage`."""
    if spin_free:
        arguments["spin"] = "none"
    own = {"dtype": keras.DTypePolicy(dtype).variable_dtype}
    backbone = TransformerBackbone(
        **arguments, dense_dtype=dtype, name="backbone", **own
    )
    known = {key: arguments[key] for key in ("basis", "reaches", "spin")}
    readout = correction_readout(
        readout, backbone, baseline=baseline, **known, **own
    )
    return backbone, readout


def _arguments(local):
    """Arguments of a constructor but its name, from its `locals()`."""
    others = ("self", "name", "no_features", "__class__")
    return {key: x for key, x in local.items() if key not in others}
