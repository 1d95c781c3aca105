"""Second stage of the cascade: a graph Transformer without symmetry."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.angle_features import AngleFeatures
from keras_hamiltonian.layers.block_correction import BlockCorrection
from keras_hamiltonian.layers.block_sum import BlockSum
from keras_hamiltonian.layers.crystal_features import CrystalFeatures
from keras_hamiltonian.layers.directed_edges import DirectedEdges
from keras_hamiltonian.layers.edge_envelope import EdgeEnvelope
from keras_hamiltonian.layers.edge_geometry import EdgeGeometry
from keras_hamiltonian.layers.edge_lengths import EdgeLengths
from keras_hamiltonian.layers.frame_vectors import FrameVectors
from keras_hamiltonian.layers.radial_features import RadialFeatures
from keras_hamiltonian.layers.random_rotation import RandomRotation
from keras_hamiltonian.layers.rotated_frames import RotatedFrames
from keras_hamiltonian.layers.species_embedding import SpeciesEmbedding
from keras_hamiltonian.layers.transformer_block import TransformerBlock
from keras_hamiltonian.layers.two_centre_baseline import TwoCentreBaseline
from keras_hamiltonian.layers.unpack_wigner import UnpackWigner
from keras_hamiltonian.layers.vector_head import VectorHead
from keras_hamiltonian.models.refinement_stage import BlockInputs
from keras_hamiltonian.models.refinement_stage import RefinementStage
from keras_hamiltonian.models.refinement_stage import refinement_inputs
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# Groups of blocks where there is no first stage to match.
NUM_GROUPS_ALONE = 3


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TransformerStage(RefinementStage):
    """A correction that is free to break symmetry, and learns to keep it.

    It sees the features of the first stage as plain vectors in the axes of
    the crystal. While training it rotates every crystal by a random rotation,
    inside: features in, correction out, so that labels stay as they are.
    Untrained it returns the blocks of the first stage. What is left of the
    asymmetry averages out over rotations: `predict(..., num_rotations=8)`.

    Without `feature_irreps` it is a model of its own, which takes the inputs
    of `graph_inputs` and predicts the whole Hamiltonian, but for what
    two atoms alone explain (see `TwoCentreBaseline`; the paper's ablation A
    has no such part). With `alpha`, `beta` and `gamma` zero it does not see
    what the first stage found (ablation B).

    Args:
        basis: dict. Shells of each element, `{"C": "2s 2p 1d"}`.
        reaches: dict. Reach of each element's orbitals in Å.
        spin: str. `"none"` or `"noncollinear"`.
        feature_irreps: list of str. Irreps of the features of each group of
            the first stage; empty for a model without one.
        feature_lmax: int. Largest degree of its Wigner matrices.
        width: int. Numbers per atom and per edge.
        num_heads: int. Heads of the attention.
        num_blocks: int. Blocks for each group of the first stage.
        alpha, beta, gamma: float. Weights of the features of atoms, those of
            edges, and the invariant ones.
        attention: bool. If false, neighbours are mixed by stationary weights
            (ablation C).
        rotation: str. `"random"` or `"none"`, while training.
        seed: int. Seed of the rotations.
        dtype: str. Policy of the dense layers: `"float32"`, `"float64"` or
            `"mixed_bfloat16"`; geometry and blocks have its variable type.

    Inputs: see `refinement_inputs`.
    Outputs: `"onsite"` `(N, rows, rows)` and `"hopping"` `(N, M, rows, rows)`
        in eV, with spin `(…, 2, 2, 2, rows, rows)`.
    Raises: `ValueError` if the Wigner matrices of the first stage do not
        reach the degree of the blocks.

    Reference: Yin et al., arXiv 2401.00744, stage two.
    """

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
        dtype="float32",
        name="transformer_stage",
    ):
        # === Sizes ===
        table = OrbitalBasis(basis)
        reach = [float(reaches[symbol]) for symbol in table.symbols]
        layout = BlockLayout(table, spin)
        feature_irreps = [str(Irreps(irreps)) for irreps in feature_irreps]
        _check(feature_irreps, feature_lmax, layout, rotation)
        num_species, cutoff = len(table.symbols), 2 * max(reach)
        mixed = {"dtype": dtype}
        own = {"dtype": keras.DTypePolicy(dtype).variable_dtype}

        # === Geometry ===
        if feature_irreps:
            inputs = refinement_inputs(
                feature_irreps, feature_lmax, layout, own["dtype"]
            )
            lengths = EdgeLengths(**own)(inputs["edge_vectors"])
            wigner = UnpackWigner(feature_lmax, **own)(inputs["wigner"])
        else:
            inputs = graph_inputs(own["dtype"])
            geometry = EdgeGeometry(max(1, layout.lmax), **own)(
                inputs["edge_vectors"]
            )
            lengths, wigner = geometry["lengths"], geometry["wigner"]
        species, neighbors = inputs["species"], inputs["neighbors"]
        reached = EdgeEnvelope(reach, num_neighbors=1.0, **own)(
            lengths, species, neighbors, inputs["edge_mask"]
        )
        envelope = reached["weighted_wigner"][0][:, :, 0, 0]
        frames = {"wigner": wigner, "rotation": []}
        if rotation == "random":
            rotations = RandomRotation(
                seed=seed, name="random_rotation", **own
            )(inputs["structure"])
            frames = RotatedFrames(**own)(wigner, rotations)

        # === Atoms and edges ===
        radial = RadialFeatures(64, cutoff, num_species, (width,), **own)(
            lengths, species, neighbors
        )
        atoms = SpeciesEmbedding(num_species, width, **own)(species)
        edges = DirectedEdges(width, name="directed_edges", **own)(
            radial, frames["wigner"]
        )
        invariant = {}
        if gamma:
            invariant["angles"] = AngleFeatures(
                width, num_species, cutoff, name="angle_features", **own
            )(inputs["edge_vectors"], lengths, envelope, species, neighbors)
        graph = {
            "neighbors": neighbors,
            "envelope": envelope,
            "edge_mask": inputs["edge_mask"],
        }
        groups = feature_irreps or [None] * NUM_GROUPS_ALONE
        blocks = {}
        for k, irreps in enumerate(groups, start=1):
            known = dict(invariant)
            if irreps and (alpha or beta):
                known |= CrystalFeatures(irreps, name=f"features_{k}", **own)(
                    inputs[f"atoms_{k}"], inputs[f"edges_{k}"], frames
                )
                for name, weight in (("atoms", alpha), ("edges", beta)):
                    if not weight:
                        del known[name]
            for b in range(1, num_blocks + 1):
                block = TransformerBlock(
                    alpha,
                    beta,
                    gamma,
                    num_heads,
                    attention,
                    name=f"block_{k}_{b}",
                    **mixed,
                )
                blocks[block.name] = {
                    "atoms": atoms,
                    "edges": edges,
                    "known": known,
                    "graph": graph,
                }
                updated = block(**blocks[block.name])
                atoms, edges = updated["atoms"], updated["edges"]

        # === Blocks ===
        vectors = sum((layout.onsite[p].irreps for p in layout.parts), Irreps())
        vectors = vectors.regrouped()
        heads = {}
        for what, x in (("atoms", atoms), ("edges", edges)):
            taken_in = [known[what]] if what in known else []
            heads[what] = VectorHead(
                str(vectors),
                feature_irreps[-1] if taken_in else "",
                name=f"head_of_{what}",
                **mixed,
            )(x, *taken_in)
        back = FrameVectors(str(vectors), **own)(
            heads["atoms"], heads["edges"], frames
        )
        scales = TwoCentreBaseline(
            table.to_dict(), reach, spin, name="two_centre_baseline", **own
        )(
            reached["relative"],
            species,
            neighbors,
            inputs["edge_mask"],
            wigner,
        )
        outputs = BlockCorrection(
            table.to_dict(),
            [str(vectors)],
            [str(vectors)],
            spin,
            name="block_correction",
            **own,
        )(
            [back["atoms"]],
            [back["edges"]],
            scales,
            wigner,
            species,
            inputs["reverse_edge"],
        )
        if feature_irreps:
            outputs = BlockSum(name="block_sum", **own)(
                inputs["baseline_onsite"], inputs["baseline_hopping"], outputs
            )
        super().__init__(inputs, outputs, name=name)
        self._attended = BlockInputs(blocks, envelope)

        # === Config ===
        self.arguments = {
            "basis": table.to_dict(),
            "reaches": {s: float(reaches[s]) for s in table.symbols},
            "spin": spin,
            "feature_irreps": feature_irreps,
            "feature_lmax": feature_lmax,
            "width": width,
            "num_heads": num_heads,
            "num_blocks": num_blocks,
            "alpha": alpha,
            "beta": beta,
            "gamma": gamma,
            "attention": attention,
            "rotation": rotation,
            "seed": seed,
            "dtype": dtype,
        }

    def adapt(self, features):
        """Fits the scales of all channels to what is left to learn.

        Args:
            features: `StageFeatures`; for a model without a first stage a
                `HamiltonianDataset`.
        """
        if self.arguments["feature_irreps"]:
            super().adapt(features)
        else:
            self.check_dataset(features)
            self.get_layer("two_centre_baseline").adapt(features)


def _check(feature_irreps, feature_lmax, layout, rotation):
    needed = max(
        [layout.lmax, *(Irreps(irreps).lmax for irreps in feature_irreps)]
    )
    if feature_irreps and feature_lmax < needed:
        raise ValueError(
            f"Blocks and features reach the degree {needed}. Received: "
            f"feature_lmax={feature_lmax}. Make the stage with "
            "`TransformerStage.for_stage(stage)`."
        )
    if rotation not in ("random", "none"):
        raise ValueError(
            '`rotation` is "random" or "none". Received: '
            f"rotation={rotation!r}."
        )
