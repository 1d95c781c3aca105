"""Features of atoms and edges that rotate with the crystal."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.edge_ends import EdgeEnds
from keras_hamiltonian.layers.convolution.interaction_group import (
    InteractionGroup,
)
from keras_hamiltonian.layers.geometry.edge_embedding import EdgeEmbedding
from keras_hamiltonian.layers.geometry.initial_features import InitialFeatures
from keras_hamiltonian.layers.geometry.radial_features import RadialFeatures
from keras_hamiltonian.layers.geometry.species_embedding import SpeciesEmbedding
from keras_hamiltonian.layers.parts import check_factory
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.layers.readout.trace_head import TraceHead
from keras_hamiltonian.models.composite_layer import CompositeLayer
from keras_hamiltonian.models.graph_geometry import GraphGeometry
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# DeepH-E3's default.
HIDDEN_IRREPS = "64x0e + 32x1o + 16x2e + 8x3o + 8x4e"
# What groups and readouts find in `geometry` besides computed tensors.
GRAPH_KEYS = ("species", "neighbors", "reverse_edge", "edge_mask", "structure")


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantBackbone(CompositeLayer):
    """Embedding of elements and lengths, then groups of updates.

    Args:
        basis: dict. Shells of each element.
        reaches: dict. Reach of each element's orbitals in Å.
        spin: str. Spin layout of the blocks that are to be read out.
        irreps: str. Hidden irreps of atoms and edges.
        num_groups: int. Groups of one atom and one edge update.
        num_gaussians: int. Radial functions.
        radial_units: sequence of int. Hidden layers of radial weights.
        norm, tracegrad, dropout, edge_dropout: see `InteractionGroup`.
        takes_initial: bool. Whether the first features are also made of the
            blocks of H⁰ among the inputs (see `InitialFeatures`).
        radial: layer or factory in place of `RadialFeatures`.
        embedding: layer or factory in place of `SpeciesEmbedding`.
        interaction: factory in place of `InteractionGroup`, called for every
            group. A group takes `(state, geometry)`, dicts as
            `InteractionGroup` explains them, and returns a state with
            `"atoms"` and `"edges"`. With `"neighbor"` in it the group also
            has a method `ends`.

        final_irreps: str. Irreps after the last group. Defaults to the hidden
            ones and what the blocks need beyond them (`last_irreps`).

    Factories and their names are explained at `make_part`.

    Call arguments:
        inputs: dict, see `graph_inputs`.

    Output: a dict of `"atoms"`, list of `(N, dim)` for each group; `"edges"`,
        list of edge features; and `"geometry"`, see `GraphGeometry`. With
        trace supervision also `"traces"`, see `TraceHead`.

    Attributes:
        irreps_out: list of `Irreps` of each group.
        lmax: int. Largest degree of the Wigner matrices.
        geometry: `GraphGeometry`.
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
        norm="local",
        radial=None,
        embedding=None,
        interaction=None,
        takes_initial=False,
        tracegrad=None,
        dropout=0.0,
        edge_dropout=0.0,
        final_irreps=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        table = OrbitalBasis(basis)
        sizes = {"num_species": len(table.symbols)}
        layout = BlockLayout(table, spin)
        hidden = Irreps(irreps).regrouped()
        final = Irreps(final_irreps or last_irreps(hidden, layout))
        self.irreps_out = [hidden] * (num_groups - 1) + [final]
        first = first_irreps(hidden, table, takes_initial)
        self.initial = make_initial(takes_initial, first, table, reaches, **own)
        self.lmax = max(layout.lmax, self.irreps_out[-1].lmax)
        self.geometry = GraphGeometry(
            table.to_dict(),
            reaches,
            self.lmax,
            num_gaussians,
            radial_units,
            radial,
            name="geometry",
            **own,
        )
        self.embedding = make_part(
            embedding,
            SpeciesEmbedding,
            channels=hidden.count("0e"),
            name="embedding",
            **sizes,
            **own,
        )
        size = sizes["radial_size"] = self.geometry.radial_size
        self.edge_embedding = EdgeEmbedding(
            size, EdgeIrreps(first)["0+"], name="edge_embedding", **own
        )
        self.edge_ends = EdgeEnds(str(first), name="edge_ends", **own)
        options = {"norm": norm, "tracegrad": tracegrad, **sizes, **own}
        options |= {"dropout": dropout, "edge_dropout": edge_dropout}
        self.groups = make_groups(
            interaction, [first, *self.irreps_out], **options
        )
        self.trace_head = make_trace_head(tracegrad, self.groups, basis, **own)

    def call(self, inputs, change=None):
        # `change(name, x)` may replace what the embedding and each group give:
        # `kh.explain` looks at what follows.
        graph = {name: inputs[name] for name in GRAPH_KEYS}
        computed = self.geometry(inputs)
        geometry = {**graph, **computed}
        state = self.first_state(inputs, computed, change)
        state["neighbor"] = self.edge_ends(
            state["atoms"], computed["wigner"], inputs["reverse_edge"]
        )["neighbor"]
        found = {"atoms": [], "edges": []}
        states = []
        for k, group in enumerate(self.groups, start=1):
            state = group(state, geometry)
            if change is not None:
                state = self._changed(change, k, state, geometry)
            found["atoms"].append(state["atoms"])
            found["edges"].append(state["edges"])
            if self.trace_head is not None:
                states.append(state)
        if self.trace_head is not None:
            found["traces"] = traces(self.trace_head, states)
        return {**found, "geometry": computed}

    def first_state(self, inputs, geometry, change=None):
        """Features before the first group.

        Args:
            inputs: dict, see `graph_inputs`.
            geometry: dict of `GraphGeometry`.
            change: function that may replace features, see `kh.explain`.

        Returns:
            Dict of `"atoms"` and `"edges"`.
        """
        atoms = self.embedding(inputs["species"])
        if change is not None:
            atoms = change("elements", atoms)
        edges = self.edge_embedding(geometry["radial"])
        if self.initial is None:
            return {"atoms": atoms, "edges": edges}
        return self.initial(
            atoms,
            edges,
            inputs["initial_onsite"],
            inputs["initial_hopping"],
            geometry["relative"],
            inputs["species"],
            inputs["neighbors"],
            inputs["edge_mask"],
            geometry["wigner"],
        )

    @property
    def is_divisible(self):
        """Whether the rows of some atoms may be computed without those of
        their neighbours, see `GroupPass`: known of the package's own parts."""
        return (
            type(self) is EquivariantBackbone
            and type(self.geometry.radial) is RadialFeatures
            and all(
                type(group) is InteractionGroup and group.norm == "local"
                for group in self.groups
            )
        )

    @property
    def num_messages(self):
        """How often atoms hear of their neighbours, see `receptive_steps`.
        What two atoms alone explain of H⁰ is one message more."""
        return messages_of(self.groups) + (self.initial is not None)

    def adapt(self, dataset):
        """Fits what the features of H⁰ are scaled by.

        Args:
            dataset: `HamiltonianDataset` or iterable of its batches.
        """
        if self.initial is not None:
            self.initial.adapt(dataset)

    def _changed(self, change, k, state, geometry):
        atoms = change(f"atoms_{k}", state["atoms"])
        edges = change(f"edges_{k}", state["edges"])
        changed = {"atoms": atoms, "edges": edges}
        if "neighbor" in state:
            group = self.groups[k - 1]
            if not hasattr(group, "ends"):
                raise ValueError(
                    f"The group {group.name!r} returns a `neighbor`, which "
                    "depends on atoms that are to change, and has no method "
                    "`ends` to compute it anew. See `InteractionGroup.ends`."
                )
            changed["neighbor"] = group.ends(atoms, geometry)["neighbor"]
        return changed


def first_irreps(hidden, basis, takes_initial):
    """Irreps of the first features.

    The hidden scalars. Blocks of H⁰ give at most 16 of each further irrep of
    natural parity that they hold: the first group would cost as much as the
    others with all of them.

    Args:
        hidden: `Irreps`.
        basis: `OrbitalBasis`.
        takes_initial: bool. Whether blocks of H⁰ are among the inputs.

    Returns:
        `Irreps`.
    """
    if not takes_initial:
        return Irreps([(hidden.count("0e"), Irrep(0, 1))])
    held = BlockLayout(basis).onsite["scalar"].irreps
    return Irreps(
        [
            (mul if irrep.l == 0 else min(mul, 16), irrep)
            for mul, irrep in hidden
            if irrep.is_natural and held.count(irrep)
        ]
    )


def make_initial(takes_initial, irreps, table, reaches, **own):
    """`InitialFeatures` of some irreps, if they are asked for, else `None`."""
    if not takes_initial:
        return None
    reach = [float(reaches[symbol]) for symbol in table.symbols]
    return InitialFeatures(
        table.to_dict(), reach, str(irreps), name="initial", **own
    )


def make_groups(interaction, irreps, **arguments):
    """Groups of updates, one for each step from irreps to irreps.

    Args:
        interaction: `None` or factory, see `make_part`.
        irreps: list of `Irreps`: before the first group, and after each.
        **arguments: of `InteractionGroup`.

    Returns:
        List of layers.

    Raises:
        ValueError: if a group does not know of a dropout or norm that is asked
            for.
    """
    check_factory(interaction, "interaction")
    groups = [
        make_part(
            interaction,
            InteractionGroup,
            irreps_atoms=str(before),
            irreps_edges=str(EdgeIrreps(before)),
            irreps_out=str(after),
            name=f"group_{k}",
            **arguments,
        )
        for k, (before, after) in enumerate(zip(irreps, irreps[1:]), start=1)
    ]
    names = ["dropout", "edge_dropout"]
    if arguments.get("norm", "local") != "local":
        names.append("norm")
    for name in names:
        check_option(groups, name, arguments.get(name))
    return groups


def messages_of(groups):
    """How often atoms hear of their neighbours in some groups.

    A group of your own that hears of them more than once says so in its
    attribute `num_messages`.
    """
    return sum(getattr(group, "num_messages", 1) for group in groups)


def check_option(groups, name, wanted):
    """Raises if a group does not have an option that all are to have."""
    for group in groups:
        found = getattr(group, name, None)
        if (found or None) != (wanted or None):
            raise ValueError(
                f"The group {group.name!r} has {name}={found!r} instead of "
                f"{wanted!r}. A class of your own takes the argument "
                f"`{name}` and keeps it, as `InteractionGroup` does."
            )


def make_trace_head(tracegrad, groups, basis, **own):
    """A `TraceHead` if the option asks for traces, else `None`.

    Raises:
        ValueError: if a group does not know the option.
    """
    check_option(groups, "tracegrad", tracegrad)
    if tracegrad not in ("trace", "both"):
        return None
    return TraceHead(basis, name="trace_head", **own)


def traces(head, states):
    """What a `TraceHead` makes of the states after all groups."""
    return head(
        [state["atom_invariants"] for state in states],
        [state["edge_invariants"] for state in states],
    )


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
