"""Features of the graph Transformer without symmetry."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.attention.neighbor_mean import NeighborMean
from keras_hamiltonian.layers.geometry.random_rotation import RandomRotation
from keras_hamiltonian.layers.geometry.species_embedding import SpeciesEmbedding
from keras_hamiltonian.layers.parts import check_factory
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.models.attention_backbone import AttentionBackbone
from keras_hamiltonian.models.graph_geometry import GraphGeometry
from keras_hamiltonian.models.transformer.angle_features import AngleFeatures
from keras_hamiltonian.models.transformer.crystal_features import (
    CrystalFeatures,
)
from keras_hamiltonian.models.transformer.directed_edges import DirectedEdges
from keras_hamiltonian.models.transformer.frame_vectors import FrameVectors
from keras_hamiltonian.models.transformer.rotated_frames import RotatedFrames
from keras_hamiltonian.models.transformer.transformer_block import (
    TransformerBlock,
)
from keras_hamiltonian.models.transformer.vector_head import VectorHead
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# Groups of blocks where there is no first stage to match.
NUM_GROUPS_ALONE = 3


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TransformerBackbone(AttentionBackbone):
    """Blocks of plain vectors, at the end read as vectors of irreps.

    Args: those of `TransformerStage`. Without `feature_irreps` it takes the
        inputs of `graph_inputs`. `dense_dtype` is the policy of the dense
        layers; geometry has `dtype`.

    Call arguments:
        inputs: dict, see `refinement_inputs`.

    Output: a dict as of `EquivariantBackbone`, of one group.

    Attributes:
        irreps_out: list of one `Irreps`: those of the blocks.
        irreps_edges: `EdgeIrreps` into which they split.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin,
        feature_irreps,
        feature_lmax,
        width,
        num_heads,
        num_blocks,
        alpha,
        beta,
        gamma,
        attention,
        rotation,
        seed,
        radial,
        embedding,
        dense_dtype,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        symbols = OrbitalBasis(basis).symbols
        layout = BlockLayout(basis, spin)
        check_factory(attention, "attention")
        _check(feature_irreps, feature_lmax, layout, rotation)
        vectors = sum((layout.onsite[p].irreps for p in layout.parts), Irreps())
        self.irreps_out = [vectors.regrouped()]
        self.irreps_edges = EdgeIrreps(self.irreps_out[0])
        self.shares = {"atoms": alpha, "edges": beta}
        self.num_blocks = num_blocks
        self.geometry = GraphGeometry(
            basis,
            reaches,
            feature_lmax if feature_irreps else max(1, layout.lmax),
            radial_units=(width,),
            radial=radial,
            frames_given=bool(feature_irreps),
            weighted=False,
            name="geometry",
            **own,
        )
        self.rotation = None
        if rotation == "random":
            self.rotation = RandomRotation(seed=seed, name="rotation", **own)
            self.rotated_frames = RotatedFrames(name="rotated_frames", **own)
        known = {"num_species": len(symbols), "channels": width}
        self.embedding = make_part(
            embedding, SpeciesEmbedding, name="embedding", **known, **own
        )
        self.edge_embedding = DirectedEdges(width, name="edge_embedding", **own)
        self.angles = None
        if gamma:
            reach = 2 * max(reaches[symbol] for symbol in symbols)
            self.angles = AngleFeatures(
                width, len(symbols), reach, name="angles", **own
            )
        options = (alpha, beta, gamma, num_heads, _attention(attention))
        self._make_blocks(feature_irreps, options, dense_dtype)

    def _make_blocks(self, feature_irreps, options, dense_dtype):
        own, mixed = {"dtype": self.dtype_policy}, {"dtype": dense_dtype}
        feature_irreps = [str(Irreps(irreps)) for irreps in feature_irreps]
        self.num_groups = len(feature_irreps) or NUM_GROUPS_ALONE
        self.features = [
            CrystalFeatures(irreps, name=f"features_{k}", **own)
            for k, irreps in enumerate(feature_irreps, start=1)
            if any(self.shares.values())
        ]
        self.blocks = [
            TransformerBlock(*options, name=f"block_{k}_{b}", **mixed)
            for k in range(1, self.num_groups + 1)
            for b in range(1, self.num_blocks + 1)
        ]
        last = feature_irreps[-1] if feature_irreps else ""
        self.atom_head, self.edge_head = (
            VectorHead(
                str(self.irreps_out[0]),
                last if share else "",
                name=f"head_of_{what}",
                **mixed,
            )
            for what, share in self.shares.items()
        )
        self.frame_vectors = FrameVectors(
            str(self.irreps_out[0]), name="frame_vectors", **own
        )

    @property
    def num_messages(self):
        """How often atoms hear of their neighbours after the first stage, see
        `receptive_steps`. Blocks begin beside its first group, with features
        and angles that are one message each."""
        return self.num_own_messages - len(self.features)

    @property
    def num_own_messages(self):
        """The same where the features of the first stage are given."""
        return len(self.blocks) + bool(self.features or self.angles)

    def call(self, inputs, visit=None):
        # `visit(block, arguments)` sees what enters each block.
        geometry = self.geometry(inputs)
        frames = {"wigner": geometry["wigner"], "rotation": []}
        if self.rotation is not None:
            rotations = self.rotation(inputs["structure"])
            frames = self.rotated_frames(geometry["wigner"], rotations)
        state = {
            "atoms": self.embedding(inputs["species"]),
            "edges": self.edge_embedding(geometry["radial"], frames["wigner"]),
        }
        graph = {
            "neighbors": inputs["neighbors"],
            "envelope": geometry["envelope"],
            "edge_mask": inputs["edge_mask"],
        }
        invariant = self._invariant(inputs, geometry)
        for n, block in enumerate(self.blocks):
            if n % self.num_blocks == 0:
                group = n // self.num_blocks + 1
                known = {**invariant, **self._known(inputs, group, frames)}
            arguments = {**state, "known": known, "graph": graph}
            if visit is not None:
                visit(block, arguments)
            state = block(**arguments)
        atoms, edges = (
            head(state[what], *([known[what]] if what in known else []))
            for what, head in (
                ("atoms", self.atom_head),
                ("edges", self.edge_head),
            )
        )
        found = self.frame_vectors(atoms, edges, frames)
        return {
            "atoms": [found["atoms"]],
            "edges": [found["edges"]],
            "geometry": geometry,
        }

    def attention_factor(self, inputs, features):
        """What multiplies all weights, `(N, M)`: values carry the envelope."""
        return features["geometry"]["envelope"]

    def _invariant(self, inputs, geometry):
        if self.angles is None:
            return {}
        angles = self.angles(
            inputs["edge_vectors"],
            geometry["lengths"],
            geometry["envelope"],
            inputs["species"],
            inputs["neighbors"],
        )
        return {"angles": angles}

    def _known(self, inputs, group, frames):
        """Features of a group of the first stage that have a share."""
        if not self.features:
            return {}
        found = self.features[group - 1](
            inputs[f"atoms_{group}"], inputs[f"edges_{group}"], frames
        )
        return {what: found[what] for what, w in self.shares.items() if w}


def _attention(attention):
    """`True` and `False` are the settings of the paper's ablation C."""
    if isinstance(attention, bool):
        return None if attention else NeighborMean
    return attention


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
