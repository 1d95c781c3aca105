"""Blocks of the Hamiltonian from features of atoms and edges."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.convolution.interaction_group import ATOM_NORMS
from keras_hamiltonian.layers.convolution.interaction_group import EDGE_NORMS
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.layers.readout.block_sum import BlockSum
from keras_hamiltonian.layers.readout.hermitian_average import HermitianAverage
from keras_hamiltonian.layers.readout.hopping_readout import HoppingReadout
from keras_hamiltonian.layers.readout.onsite_readout import OnsiteReadout
from keras_hamiltonian.layers.readout.projector_sum import ProjectorSum
from keras_hamiltonian.layers.readout.two_centre_baseline import (
    TwoCentreBaseline,
)
from keras_hamiltonian.models.composite_layer import CompositeLayer
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockReadout(CompositeLayer):
    """Baseline, and linear maps of the last features scaled to what it leaves.

    Args:
        basis: dict. Shells of each element.
        reaches: dict. Reach of each element's orbitals in Å.
        spin: str. Spin layout of the blocks.
        irreps: str. Irreps of the last features of the atoms.
        irreps_edges: str. `EdgeIrreps` of those of the edges. Defaults to
            those into which `irreps` split.
        norm: str. `"local"` or `"graph"`, see `InteractionGroup`; `None` for
            features that are normalised already.
        projectors: str. Shells of the projectors on each atom that three-centre
            blocks are sums over (see `ProjectorSum`); `""` for none.
        radial_size: int. Numbers per edge in `"radial"`, for the projectors.
        two_centre, channel_scales: bool. See `TwoCentreBaseline`.
        hermitian: bool. Whether the blocks of (i, j, R) and (j, i, -R) are
            averaged.
        gain: float. Factor of the initial linear maps; with 0 the layer
            returns the baseline until it is trained.
        baseline: layer or factory in place of `TwoCentreBaseline`, with its
            call, `adapt` and `shell_sizes`; see `make_part`.

    Call arguments:
        inputs: dict, see `graph_inputs`.
        features: dict of a backbone, see `EquivariantBackbone`.

    Output: a dict of `"onsite"` and `"hopping"` blocks, eV.
    """

    def __init__(
        self,
        basis,
        reaches,
        spin,
        irreps,
        irreps_edges=None,
        norm="local",
        projectors="",
        radial_size=64,
        two_centre=True,
        channel_scales=True,
        hermitian=True,
        gain=1.0,
        baseline=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        table = OrbitalBasis(basis)
        basis, irreps = table.to_dict(), str(irreps)
        edges = str(EdgeIrreps(irreps_edges or irreps))
        self.norm = norm
        self.hermitian = hermitian
        self.baseline = make_part(
            baseline,
            TwoCentreBaseline,
            basis=basis,
            reaches=[float(reaches[symbol]) for symbol in table.symbols],
            spin=spin,
            two_centre=two_centre,
            channel_scales=channel_scales,
            name="baseline",
            **own,
        )
        if norm is not None:
            self.edge_norm = EDGE_NORMS[norm](name="edge_norm", **own)
            self.atom_norm = ATOM_NORMS[norm](irreps, name="atom_norm", **own)
        self.hopping = HoppingReadout(
            basis, edges, spin, gain, name="hopping", **own
        )
        self.onsite = OnsiteReadout(
            basis, irreps, spin, gain, name="onsite", **own
        )
        self.projector_sum = None
        if projectors:
            self.projector_sum = ProjectorSum(
                basis,
                edges,
                projectors,
                spin=spin,
                radial_size=radial_size,
                name="projector_sum",
                **own,
            )
            self.sum = BlockSum(name="sum", **own)
        self.average = HermitianAverage(spin, name="average", **own)

    @property
    def projector_reach(self):
        """Share of the reach of two atoms within which the common neighbours
        of others are asked for."""
        return 0.0 if self.projector_sum is None else self.projector_sum.reach

    def call(self, inputs, features):
        geometry, species = features["geometry"], inputs["species"]
        relative, wigner = geometry["relative"], geometry["wigner"]
        mask = inputs["edge_mask"]
        atoms, edges = self._normed(inputs, features)
        known = self.baseline(
            relative, species, inputs["neighbors"], mask, wigner
        )
        hopping = self.hopping(
            edges, known["hopping_mean"], known["hopping_scale"], wigner
        )
        onsite = self.onsite(
            atoms, species, known["onsite_mean"], known["onsite_scale"]
        )
        blocks = {"onsite": onsite, "hopping": hopping}
        if self.projector_sum is not None:
            sums = self.projector_sum(
                edges,
                geometry["radial"],
                relative,
                mask,
                wigner,
                species,
                inputs["common_neighbors"],
            )
            blocks = self.sum(onsite, hopping, sums)
        if self.hermitian:
            blocks = self.average(**blocks, reverse_edge=inputs["reverse_edge"])
        return blocks

    def adapt(self, dataset):
        """Fits the baseline and the scales of all channels.

        Args:
            dataset: iterable of `(inputs, targets, weights)` batches.
        """
        self.baseline.adapt(dataset)
        if self.projector_sum is not None:
            self.projector_sum.set_sizes(self.baseline.shell_sizes())

    def _normed(self, inputs, features):
        atoms, edges = features["atoms"][-1], features["edges"][-1]
        if self.norm is None:
            return atoms, edges
        whole = ()
        if self.norm == "graph":
            whole = (inputs["structure"], inputs["edge_mask"])
        return self.atom_norm(atoms, *whole[:1]), self.edge_norm(edges, *whole)
