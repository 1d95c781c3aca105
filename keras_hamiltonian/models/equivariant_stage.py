"""First stage of the cascade: a strictly equivariant Hamiltonian."""

import dataclasses

import keras

from keras_hamiltonian.irreps.edge import edge_channels
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.block_sum import BlockSum
from keras_hamiltonian.layers.edge_embedding import EdgeEmbedding
from keras_hamiltonian.layers.edge_ends import EdgeEnds
from keras_hamiltonian.layers.edge_envelope import EdgeEnvelope
from keras_hamiltonian.layers.edge_geometry import EdgeGeometry
from keras_hamiltonian.layers.hermitian_average import HermitianAverage
from keras_hamiltonian.layers.hopping_readout import HoppingReadout
from keras_hamiltonian.layers.interaction_group import ATOM_NORMS
from keras_hamiltonian.layers.interaction_group import EDGE_NORMS
from keras_hamiltonian.layers.interaction_group import InteractionGroup
from keras_hamiltonian.layers.onsite_readout import OnsiteReadout
from keras_hamiltonian.layers.pack_edges import PackEdges
from keras_hamiltonian.layers.pack_wigner import PackWigner
from keras_hamiltonian.layers.projector_sum import ProjectorSum
from keras_hamiltonian.layers.radial_features import RadialFeatures
from keras_hamiltonian.layers.species_embedding import SpeciesEmbedding
from keras_hamiltonian.layers.two_centre_baseline import TwoCentreBaseline
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.models.stage import graph_inputs
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# DeepH-E3's default.
HIDDEN_IRREPS = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantStage(Stage):
    """A Hamiltonian that rotates exactly with the atoms.

    What it has beyond DeepH-E3, each for a better error at equal cost, can be
    switched off one by one, to see what it brings: `two_centre`,
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
            the whole structure, so every block feels every atom.
        dtype: str. `"float32"` or `"float64"`.

    Inputs: see `graph_inputs`.
    Outputs: `"onsite"` `(N, rows, rows)` and `"hopping"` `(N, M, rows, rows)`
        in eV, with spin `(…, 2, 2, 2, rows, rows)`.
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
        dtype="float32",
        name="equivariant_stage",
    ):
        # === Sizes ===
        table = OrbitalBasis(basis)
        reach = [float(reaches[symbol]) for symbol in table.symbols]
        layout = BlockLayout(table, spin)
        hidden = Irreps(irreps).regrouped()
        last = last_irreps(hidden, layout)
        num_species = len(table.symbols)
        own = {"dtype": dtype}

        # === Geometry ===
        inputs = graph_inputs(dtype)
        species, neighbors = inputs["species"], inputs["neighbors"]
        geometry = EdgeGeometry(max(layout.lmax, last.lmax), **own)(
            inputs["edge_vectors"]
        )
        lengths, wigner = geometry["lengths"], geometry["wigner"]
        envelope = EdgeEnvelope(reach, **own)(
            lengths, species, neighbors, inputs["edge_mask"], wigner
        )
        radial = RadialFeatures(
            num_gaussians, 2 * max(reach), num_species, radial_units, **own
        )(lengths, species, neighbors)
        shared = {
            "wigner": wigner,
            "weighted_wigner": envelope["weighted_wigner"],
            "radial": radial,
            "species": species,
            "reverse_edge": inputs["reverse_edge"],
        }
        whole = ()
        if norm == "graph":
            whole = (inputs["structure"], inputs["edge_mask"])
            shared |= {"structure": whole[0], "edge_mask": whole[1]}

        # === Atoms and edges ===
        num_scalars = hidden.count("0e")
        atoms = SpeciesEmbedding(num_species, num_scalars, **own)(species)
        edges = EdgeEmbedding(radial_units[-1], num_scalars, **own)(radial)
        neighbor = EdgeEnds(f"{num_scalars}x0e", name="edge_ends", **own)(
            atoms, wigner, inputs["reverse_edge"]
        )["neighbor"]
        before = f"{num_scalars}x0e"
        features = []
        for k in range(1, num_groups + 1):
            after = str(last if k == num_groups else hidden)
            updated = InteractionGroup(
                before,
                before,
                after,
                num_species,
                radial_units[-1],
                norm,
                name=f"group_{k}",
                **own,
            )(atoms, edges, neighbor, shared)
            atoms, edges = updated["atoms"], updated["edges"]
            neighbor, before = updated["neighbor"], after
            features.append((after, atoms, edges))

        # === Blocks ===
        baseline = TwoCentreBaseline(
            table.to_dict(),
            reach,
            spin,
            two_centre=two_centre,
            channel_scales=channel_scales,
            name="two_centre_baseline",
            **own,
        )
        known = baseline(
            envelope["relative"],
            species,
            neighbors,
            inputs["edge_mask"],
            wigner,
        )
        normed = EDGE_NORMS[norm](name="edge_norm", **own)(edges, *whole)
        hopping = HoppingReadout(
            table.to_dict(), before, spin, name="hopping_readout", **own
        )(normed, known["hopping_mean"], known["hopping_scale"], wigner)
        onsite = OnsiteReadout(
            table.to_dict(), before, spin, name="onsite_readout", **own
        )(
            ATOM_NORMS[norm](before, name="atom_norm", **own)(
                atoms, *whole[:1]
            ),
            species,
            known["onsite_mean"],
            known["onsite_scale"],
        )
        outputs = {"onsite": onsite, "hopping": hopping}
        if projectors:
            sums = ProjectorSum(
                table.to_dict(),
                edge_channels(Irreps(before)),
                projectors,
                spin=spin,
                radial_size=radial_units[-1],
                name="projector_sum",
                **own,
            )(
                normed,
                radial,
                envelope["relative"],
                inputs["edge_mask"],
                wigner,
                species,
                inputs["common_neighbors"],
            )
            outputs = BlockSum(name="block_sum", **own)(onsite, hopping, sums)
        if hermitian:
            outputs = HermitianAverage(spin, name="hermitian_average", **own)(
                outputs["onsite"], outputs["hopping"], inputs["reverse_edge"]
            )
        super().__init__(inputs, outputs, name=name)

        # === Features ===
        self._features = _Features(features, wigner)

        # === Config ===
        self.arguments = {
            "basis": table.to_dict(),
            "reaches": {s: float(reaches[s]) for s in table.symbols},
            "spin": spin,
            "irreps": str(hidden),
            "num_groups": num_groups,
            "num_gaussians": num_gaussians,
            "radial_units": list(radial_units),
            "projectors": projectors,
            "two_centre": two_centre,
            "channel_scales": channel_scales,
            "hermitian": hermitian,
            "norm": norm,
            "dtype": dtype,
        }

    @property
    def is_hermitian(self):
        """Whether blocks are Hermitian by construction."""
        return self.arguments["hermitian"]

    def adapt(self, dataset):
        """Fits the two-centre baseline and the scales of all channels.

        Args:
            dataset: `HamiltonianDataset` or iterable of its batches.
        """
        self.check_dataset(dataset)
        baseline = self.get_layer("two_centre_baseline")
        baseline.adapt(dataset)
        if self.arguments["projectors"]:
            sums = self.get_layer("projector_sum")
            sums.set_sizes(baseline.shell_sizes())

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # Files of the time before projectors do not name them.
        config = {"projectors": "", **config}
        return super().from_config(config, custom_objects)

    def feature_model(self):
        """A model of all that a second stage takes from this one.

        Returns:
            `keras.Model` with the inputs of the stage, sharing its weights.
            Outputs: `atoms_k` `(N, dim)`, `ir_mul` layout, and `edges_k`
            `(N, M, size)` (see `PackEdges`), for the groups k = 1, 2, ...;
            `wigner` `(N, M, size)` (see `PackWigner`), whose frames those of
            the edges are; `baseline_onsite` and `baseline_hopping`, eV.
        """
        own = {"dtype": self.arguments["dtype"]}
        outputs = {f"baseline_{k}": x for k, x in self.output.items()}
        for k, (irreps, atoms, edges) in enumerate(self._features.groups, 1):
            outputs[f"atoms_{k}"] = atoms
            outputs[f"edges_{k}"] = PackEdges(irreps, **own)(edges)
        outputs["wigner"] = PackWigner(**own)(self._features.wigner)
        return keras.Model(self.input, outputs, name=f"{self.name}_features")

    @property
    def feature_lmax(self):
        """Largest degree of the Wigner matrices among the features."""
        return len(self._features.wigner)

    @property
    def feature_irreps(self):
        """Irreps of the features of each group: list of str."""
        return [irreps for irreps, _, _ in self._features.groups]


@dataclasses.dataclass
class _Features:
    """Symbolic tensors, out of Keras' sight: it would track dicts and lists."""

    groups: list
    wigner: list


def last_irreps(hidden, layout):
    """Hidden irreps with what the blocks need beyond them.

    Blocks hold irreps of unnatural parity, and of higher degree than a small
    network carries; the last group of updates gets as many of them as the
    blocks hold, at most as many as the hidden irreps have of that degree.
    Multiplicities are multiples of 4 and add up to a multiple of 16: matrix
    products of other sizes run at half the speed.

    Args:
        hidden: `Irreps`.
        layout: `BlockLayout`.

    Returns:
        `Irreps`.
    """
    extra = {}
    for coupling in layout.onsite.values():
        for mul, irrep in coupling.irreps:
            if hidden.count(irrep):
                continue
            room = hidden.count(Irrep(irrep.l, -irrep.p)) or 4
            wanted = extra.get(irrep, 0) + mul
            extra[irrep] = min(wanted, room, 16)
    extra = {irrep: -(-mul // 4) * 4 for irrep, mul in extra.items()}
    if extra:
        extra[min(extra)] += -sum(extra.values()) % 16
    return (hidden + Irreps([(m, i) for i, m in extra.items()])).regrouped()
