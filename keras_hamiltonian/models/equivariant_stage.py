"""First stage of the cascade: a strictly equivariant Hamiltonian."""

import keras

from keras_hamiltonian.conventions import CORRECTIONS
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.models.block_readout import BlockReadout
from keras_hamiltonian.models.equivariant_backbone import HIDDEN_IRREPS
from keras_hamiltonian.models.equivariant_backbone import EquivariantBackbone
from keras_hamiltonian.models.first_stage import FirstStage


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantStage(FirstStage):
    """A Hamiltonian that rotates exactly with the atoms.

    What it has beyond DeepH-E3, each for a better error at equal cost, can be
    switched off one by one, to see what it brings: `projectors`, `two_centre`,
    `channel_scales`, `hermitian`, `norm`. DeepH-E3's loss is
    `BlockMeanSquaredError`.

    Args:
        basis: dict. Shells of each element, `{"C": "2s 2p 1d"}`.
        reaches: dict. Reach of each element's orbitals in Å; the block of a
            pair vanishes smoothly at the sum of both.
        spin: str. `"none"` or `"noncollinear"` (spin-orbit coupling without
            magnetism; time reversal holds by construction).
        irreps: str. Hidden irreps of atoms and edges. Defaults to
            DeepH-E3's.
        num_groups: int. Groups of one atom and one edge update.
        num_gaussians: int. Radial functions.
        radial_units: sequence of int. Hidden layers of radial weights.
        projectors: str. Shells of the projectors on each atom that three-centre
            blocks are sums over (see `ProjectorSum`); `""` for none.
        two_centre: bool. If false, nothing is fitted in closed form: the
            network learns the whole Hamiltonian.
        channel_scales: bool. If false, all channels of two elements are
            scaled alike, and all onsite ones of an element.
        hermitian: bool. If false, the blocks of (i, j, R) and (j, i, -R) are
            left as the network writes each of them. Bands are then those of
            the Hermitian part.
        norm: str. `"local"`: features are normalised atom by atom and edge by
            edge, so prediction is local and sizes transfer; `"graph"`: over
            the whole structure, so every block depends on every atom.
        initial: str or `None`. What is made of H⁰, the zeroth-step Hamiltonian
            of the superposed atoms: `"correct"`, it is added at the output, so
            that the network predicts H - H⁰, without spin; `"input"`, its
            blocks are first features; `"both"`; `None`, it is not needed.
            Blocks then have the energy zero of H⁰, see `energy_shift`.
        radial, embedding, interaction: parts of the backbone in place of the
            default ones, see `EquivariantBackbone` and `make_part`.
        baseline, readout: the same of the readout, see `BlockReadout`.
        tracegrad: str. Parts of TraceGrad: `"trace"` predicts also how large
            blocks are, for `TraceLoss`; `"gradient"` mixes the features of
            each group by a non-linear function of their invariants, see
            `EdgeGradientMixing`; `"both"` does both; `None` neither.
        dropout: float. Fraction of the channels of each message that are left
            out in training, whole irreps, which keeps the symmetry.
        edge_dropout: float. Fraction of the edges that an atom does not hear
            in training.
        final_irreps: str. Irreps of the last features, see
            `EquivariantBackbone`.
        dtype: str. `"float32"` or `"float64"`.
        name: str.

    Inputs: see `graph_inputs`; with `initial` also H⁰.
    Outputs: `"onsite"` `(N, rows, rows)` and `"hopping"` `(N, M, rows, rows)`
        in eV, with spin `(…, 2, 2, 2, rows, rows)`; with trace supervision
        those of `TraceHead`, too.

    Reference: Yin et al., arXiv 2509.19877, for H⁰.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin="none",
        irreps=HIDDEN_IRREPS,
        num_groups=3,
        num_gaussians=64,
        radial_units=(64, 64),
        projectors="2s 2p 1d",
        two_centre=True,
        channel_scales=True,
        hermitian=True,
        norm="local",
        initial=None,
        radial=None,
        embedding=None,
        interaction=None,
        baseline=None,
        readout=None,
        tracegrad=None,
        dropout=0.0,
        edge_dropout=0.0,
        final_irreps=None,
        dtype="float32",
        name="equivariant_stage",
    ):
        own_spin = "none" if initial in CORRECTIONS else spin
        shared = {"basis": basis, "reaches": reaches, "spin": own_spin}
        shared |= {"norm": norm, "dtype": dtype}
        backbone = EquivariantBackbone(
            irreps=irreps,
            num_groups=num_groups,
            num_gaussians=num_gaussians,
            radial_units=radial_units,
            radial=radial,
            embedding=embedding,
            interaction=interaction,
            takes_initial=initial in ("input", "both"),
            tracegrad=tracegrad,
            dropout=dropout,
            edge_dropout=edge_dropout,
            final_irreps=final_irreps,
            name="backbone",
            **shared,
        )
        readout = make_part(
            readout,
            BlockReadout,
            irreps=str(backbone.irreps_out[-1]),
            projectors=projectors,
            radial_size=backbone.geometry.radial_size,
            two_centre=two_centre,
            channel_scales=channel_scales,
            hermitian=hermitian,
            baseline=baseline,
            name="readout",
            **shared,
        )
        super().__init__(backbone, readout, name)
