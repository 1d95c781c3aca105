"""Second stage of the cascade, non-linear and exactly symmetric."""

import keras

from keras_hamiltonian.models.refinement_stage import RefinementStage
from keras_hamiltonian.models.refinement_stage import correction_readout
from keras_hamiltonian.models.roll.roll_transformer_backbone import (
    RollTransformerBackbone,
)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantTransformerStage(RefinementStage):
    """Corrects a first stage with attention and non-linear maps that rotate.

    In the frame of an edge only the roll about it is arbitrary, and functions
    of the roll angle may be multiplied (`RollNetwork`). Atoms attend to their
    edges by invariant scores. No random rotations are needed: the corrected
    Hamiltonian is as equivariant as that of the first stage.

    Args:
        basis: dict. Shells of each element.
        reaches: dict. Reach of each element's orbitals in Å.
        spin: str. Spin layout of the blocks.
        feature_irreps: list of str. Irreps of the first stage's features of
            each group; `for_stage` fills them in.
        feature_lmax: int. Largest degree of its Wigner matrices.
        channels: int. Channels of each kind of the edges' own state.
        hidden: int. Products in each roll network.
        irreps: str. Irreps of the atoms' own state.
        num_blocks: int. Blocks of edges, attention, atoms.
        num_heads: int. Heads of the attention.
        num_gaussians: int. Radial functions.
        groups: int. From how many of the first stage's last groups features
            are taken.
        radial: layer or factory in place of `RadialFeatures`.
        attention: factory in place of `EdgeAttention`.
        baseline, readout: parts in place of those of `BlockReadout`.
        spin_free: bool. Whether corrections are the same for both spins.
        tracegrad: str. As in `EquivariantStage`, of the state after each
            block.
        dtype: str. `"float32"` or `"float64"`.
        name: str.

    Parts are explained at `make_part`.

    Inputs: see `refinement_inputs`.
    Outputs: refined `"onsite"` and `"hopping"` blocks, eV; with trace
        supervision those of `TraceHead`, too.
    Raises: `ValueError` if the first stage has fewer groups, or Wigner
        matrices of lower degree, than are asked for.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin="none",
        feature_irreps=(),
        feature_lmax=4,
        channels=48,
        hidden=64,
        irreps="32x0e + 16x1o + 16x2e + 8x3o + 8x4e",
        num_blocks=2,
        num_heads=4,
        num_gaussians=64,
        groups=1,
        radial=None,
        attention=None,
        baseline=None,
        readout=None,
        spin_free=False,
        tracegrad=None,
        dtype="float32",
        name="equivariant_transformer_stage",
    ):
        own_spin = "none" if spin_free else spin
        backbone = RollTransformerBackbone(
            basis,
            reaches,
            own_spin,
            feature_irreps,
            feature_lmax,
            channels,
            hidden,
            irreps,
            num_blocks,
            num_heads,
            num_gaussians,
            groups,
            radial,
            attention,
            tracegrad,
            dtype=dtype,
            name="backbone",
        )
        readout = correction_readout(
            readout,
            backbone,
            basis=basis,
            reaches=reaches,
            spin=own_spin,
            baseline=baseline,
            dtype=dtype,
        )
        super().__init__(backbone, readout, name)
