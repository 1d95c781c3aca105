"""Second stage of the cascade, non-linear and exactly symmetric."""

import keras

from keras_hamiltonian.irreps.edge import edge_channels
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.block_correction import BlockCorrection
from keras_hamiltonian.layers.block_sum import BlockSum
from keras_hamiltonian.layers.edge_envelope import EdgeEnvelope
from keras_hamiltonian.layers.edge_lengths import EdgeLengths
from keras_hamiltonian.layers.feature_frames import FeatureFrames
from keras_hamiltonian.layers.radial_features import RadialFeatures
from keras_hamiltonian.layers.roll_transformer_block import RollTransformerBlock
from keras_hamiltonian.layers.two_centre_baseline import TwoCentreBaseline
from keras_hamiltonian.models.refinement_stage import BlockInputs
from keras_hamiltonian.models.refinement_stage import RefinementStage
from keras_hamiltonian.models.refinement_stage import refinement_inputs
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout


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
        dtype: str. `"float32"` or `"float64"`.

    Inputs: see `refinement_inputs`.
    Outputs: refined `"onsite"` and `"hopping"` blocks, eV.
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
        dtype="float32",
        name="equivariant_transformer_stage",
    ):
        # === Sizes ===
        table = OrbitalBasis(basis)
        reach = [float(reaches[symbol]) for symbol in table.symbols]
        layout = BlockLayout(table, spin)
        num_species = len(table.symbols)
        irreps = str(Irreps(irreps).regrouped())
        feature_irreps = [str(i) for i in feature_irreps]
        mmax = max(Irreps(irreps).lmax, layout.lmax)
        _check(feature_irreps, feature_lmax, groups, mmax)
        own = {"dtype": dtype}

        # === Geometry ===
        inputs = refinement_inputs(feature_irreps, feature_lmax, layout, dtype)
        species, neighbors = inputs["species"], inputs["neighbors"]
        reverse_edge = inputs["reverse_edge"]
        lengths = EdgeLengths(**own)(inputs["edge_vectors"])
        envelope = EdgeEnvelope(reach, num_neighbors=1.0, **own)(
            lengths, species, neighbors, inputs["edge_mask"]
        )
        radial = RadialFeatures(
            num_gaussians, 2 * max(reach), num_species, **own
        )(lengths, species, neighbors)

        # === Features of the first stage ===
        atoms, edges, features = [], [], []
        last = len(feature_irreps)
        for k in range(last - groups + 1, last + 1):
            frames = FeatureFrames(
                feature_irreps[k - 1], feature_lmax, name=f"frames_{k}", **own
            )(
                inputs[f"atoms_{k}"],
                inputs[f"edges_{k}"],
                inputs["wigner"],
                reverse_edge,
            )
            atoms.append(frames["atoms"])
            edges.append(frames["edges"])
            features += [frames[n] for n in ("edges", "center", "neighbor")]
        wigner = frames["wigner"]
        entering = [
            edge_channels(i)
            for i in feature_irreps[last - groups :]
            for _ in range(3)
        ]

        # === Transformer ===
        geometry = {
            "wigner": wigner,
            "envelope": envelope["weighted_wigner"][0],
            "radial": radial,
            "species": species,
            "reverse_edge": reverse_edge,
        }
        state, blocks = None, {}
        for k in range(1, num_blocks + 1):
            block = RollTransformerBlock(
                entering,
                channels,
                irreps,
                mmax,
                num_species,
                hidden,
                num_heads,
                is_first=k == 1,
                name=f"block_{k}",
                **own,
            )
            blocks[block.name] = {"features": features, "geometry": geometry}
            if state is not None:
                blocks[block.name]["state"] = state
            state = block(**blocks[block.name])

        # === Blocks ===
        known = TwoCentreBaseline(
            table.to_dict(), reach, spin, name="two_centre_baseline", **own
        )(envelope["relative"], species, neighbors, inputs["edge_mask"], wigner)
        # As many channels of each kind as the state has.
        state_irreps = Irreps([(channels, Irrep(mmax, (-1) ** mmax))])
        corrections = BlockCorrection(
            table.to_dict(),
            [*feature_irreps[last - groups :], irreps],
            [
                *feature_irreps[last - groups :],
                str(state_irreps),
                irreps,
                irreps,
            ],
            spin,
            name="block_correction",
            **own,
        )(
            [*atoms, state["normed_atoms"]],
            [
                *edges,
                *(state[n] for n in ("normed_edges", "center", "neighbor")),
            ],
            known,
            wigner,
            species,
            reverse_edge,
        )
        outputs = BlockSum(name="block_sum", **own)(
            inputs["baseline_onsite"], inputs["baseline_hopping"], corrections
        )
        super().__init__(inputs, outputs, name=name)
        self._attended = BlockInputs(blocks, inputs["edge_mask"])

        # === Config ===
        self.arguments = {
            "basis": table.to_dict(),
            "reaches": {s: float(reaches[s]) for s in table.symbols},
            "spin": spin,
            "feature_irreps": feature_irreps,
            "feature_lmax": feature_lmax,
            "channels": channels,
            "hidden": hidden,
            "irreps": irreps,
            "num_blocks": num_blocks,
            "num_heads": num_heads,
            "num_gaussians": num_gaussians,
            "groups": groups,
            "dtype": dtype,
        }


def _check(feature_irreps, feature_lmax, groups, mmax):
    if not 1 <= groups <= len(feature_irreps):
        raise ValueError(
            "`groups` of the first stage are at least one and at most what it "
            f"has. Received: groups={groups}, {len(feature_irreps)} "
            "`feature_irreps`. `for_stage` fills these in."
        )
    if mmax > feature_lmax:
        raise ValueError(
            f"`irreps` and blocks go to degree {mmax}, the Wigner matrices of "
            f"the first stage to {feature_lmax}. Take lower `irreps`, or a "
            "first stage with higher ones."
        )
