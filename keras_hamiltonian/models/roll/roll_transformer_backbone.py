"""Features of the exactly symmetric Transformer."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.feature_frames import FeatureFrames
from keras_hamiltonian.layers.parts import check_factory
from keras_hamiltonian.models.attention_backbone import AttentionBackbone
from keras_hamiltonian.models.equivariant_backbone import make_trace_head
from keras_hamiltonian.models.equivariant_backbone import traces
from keras_hamiltonian.models.graph_geometry import GraphGeometry
from keras_hamiltonian.models.roll.roll_transformer_block import (
    RollTransformerBlock,
)
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RollTransformerBackbone(AttentionBackbone):
    """The last features of a first stage, and blocks that take them in.

    Args: those of `EquivariantTransformerStage`.

    Call arguments:
        inputs: dict, see `refinement_inputs`.

    Output: a dict as of `EquivariantBackbone`, of one group: all that the
        readout is to see, joined and normalised.

    Attributes:
        irreps_out: list of one `Irreps`, of the atoms.
        irreps_edges: `EdgeIrreps`.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin,
        feature_irreps,
        feature_lmax,
        channels,
        hidden,
        irreps,
        num_blocks,
        num_heads,
        num_gaussians,
        groups,
        radial=None,
        attention=None,
        tracegrad=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        check_factory(attention, "attention")
        mmax = _check(basis, spin, irreps, feature_irreps, feature_lmax, groups)
        self.first = len(feature_irreps) - groups + 1
        taken = [str(Irreps(i)) for i in feature_irreps[-groups:]]
        self.geometry = GraphGeometry(
            basis,
            reaches,
            feature_lmax,
            num_gaussians,
            radial=radial,
            frames_given=True,
            weighted=False,
            name="geometry",
            **own,
        )
        self.frames = [
            FeatureFrames(i, name=f"frames_{k}", **own)
            for k, i in enumerate(taken, self.first)
        ]
        self.blocks = [
            RollTransformerBlock(
                [EdgeIrreps(i) for i in taken for _ in range(3)],  # with ends
                channels,
                irreps,
                mmax,
                len(OrbitalBasis(basis).symbols),
                hidden,
                num_heads,
                is_first=k == 1,
                radial_size=self.geometry.radial_size,
                attention=attention,
                tracegrad=tracegrad,
                name=f"block_{k}",
                **own,
            )
            for k in range(1, num_blocks + 1)
        ]
        self.trace_head = make_trace_head(tracegrad, self.blocks, basis, **own)
        self.irreps_out, self.irreps_edges = _irreps(taken, self.blocks[-1])

    @property
    def num_messages(self):
        """How often atoms hear of their neighbours, see `receptive_steps`."""
        return len(self.blocks)

    def call(self, inputs, visit=None):
        # `visit(block, arguments)` sees what enters each block.
        reverse_edge = inputs["reverse_edge"]
        geometry = self.geometry(inputs)
        frames = [
            layer(
                inputs[f"atoms_{k}"],
                inputs[f"edges_{k}"],
                geometry["wigner"],
                reverse_edge,
            )
            for k, layer in enumerate(self.frames, start=self.first)
        ]
        entering = ("edges", "center", "neighbor")
        arguments = {
            "features": [found[name] for found in frames for name in entering],
            "geometry": {
                "wigner": geometry["wigner"],
                "envelope": geometry["envelope"],
                "radial": geometry["radial"],
                "species": inputs["species"],
                "reverse_edge": reverse_edge,
            },
        }
        states = []
        for block in self.blocks:
            if visit is not None:
                visit(block, arguments)
            state = block(**arguments)
            arguments["state"] = state
            states.append(state)
        edges = [found["edges"] for found in frames]
        edges += [state[name] for name in ("normed_edges", *entering[1:])]
        atoms = [found["atoms"] for found in frames] + [state["normed_atoms"]]
        found = {
            "atoms": [keras.ops.concatenate(atoms, axis=-1)],
            "edges": [self._joined(edges)],
            "geometry": geometry,
        }
        if self.trace_head is not None:
            found["traces"] = traces(self.trace_head, states)
        return found

    def attention_factor(self, inputs, features):
        """What multiplies all weights, `(N, M)`: they contain the envelope."""
        return inputs["edge_mask"]

    def _joined(self, edges):
        return {
            kind: keras.ops.concatenate(
                [x[kind] for x in edges if kind in x], axis=-1
            )
            for kind in self.irreps_edges
        }


def _irreps(taken, block):
    """Irreps of atoms and edges: those of the first stage and the state's."""
    atoms = str(block.irreps_out)
    edges = [*taken, block.irreps_edges, atoms, atoms]
    joined = [Irreps("+".join([*taken, atoms]))]
    return joined, sum(map(EdgeIrreps, edges), EdgeIrreps())


def _check(basis, spin, irreps, feature_irreps, feature_lmax, groups):
    """Largest degree of the blocks and of the state."""
    if not 1 <= groups <= len(feature_irreps):
        raise ValueError(
            "`groups` of the first stage are at least one and at most what it "
            f"has. Received: groups={groups}, {len(feature_irreps)} "
            "`feature_irreps`. `for_stage` fills these in."
        )
    mmax = max(Irreps(irreps).lmax, BlockLayout(basis, spin).lmax)
    if mmax > feature_lmax:
        raise ValueError(
            f"`irreps` and blocks go to degree {mmax}, the Wigner matrices of "
            f"the first stage to {feature_lmax}. Take lower `irreps`, or a "
            "first stage with higher ones."
        )
    return mmax
