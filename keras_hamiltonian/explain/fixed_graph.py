"""Predicted blocks as a function of positions and features alone."""

import inspect

import keras
import numpy as np

from keras_hamiltonian.data.batch import batch_inputs
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.models.first_stage import FirstStage
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.packing import pack_edges
from keras_hamiltonian.ops.packing import pack_wigner
from keras_hamiltonian.ops.packing import unpack_edges
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within


class FixedGraph:
    """One structure seen by one model, its neighbours and elements fixed.

    What may vary are real numbers, each an input of the function, `(B, …)`
    for B copies of the structure:

    - `positions` `(N, 3)` Å.
    - `edges` `(N, M, 3)` Å, added to the edge vectors; here each edge moves on
      its own, as no displacement of atoms could do it.
    - `elements` `(N, channels)`, added to the embedding of each atom's element.
    - `atoms_k` `(N, dim)` and `edges_k` `(N, M, dim)`, added to the features
      after the k-th group of the first stage.

    The last two are those of a first stage whose backbone takes `change`, as
    `EquivariantBackbone` does; other models have the first two alone.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`.

    Attributes:
        pairs: `(P, 5)` int array, see `pairs_within`.
        table: `NeighborTable`.
        species: `(N,)` int array.
        zeros: dict from input to its array for the structure as it is.

    Raises:
        ValueError: for an element the model was not made for, a model that
            takes H⁰, or if no two atoms are within reach of each other.
    """

    def __init__(self, model, atoms):
        model.check_elements(atoms)
        if model.takes_initial:
            raise ValueError(
                f"The model {model.name!r} takes H⁰, which changes with the "
                "atoms too: what acts on a block through it is not covered. "
                "Explain a model of H itself."
            )
        self.model = model
        self.atoms = atoms
        self.pairs = pairs_within(atoms, model.reaches)
        self.table = neighbor_table(atoms, self.pairs)
        if not self.table.edge_mask.any():
            raise ValueError(
                f"No two atoms of {atoms.get_chemical_formula()} are within "
                "reach of each other: nothing acts on their blocks. Give a "
                "structure with edges."
            )
        self.dtype = keras.backend.standardize_dtype(
            model.input["edge_vectors"].dtype
        )
        self._inputs = {}
        self.species = self._batch(1)["species"]
        rows = model.basis.num_rows
        spin = 1 if model.spin == "none" else 8
        self.block_size = spin * rows * rows
        self.stage, *self.second = model.stages()
        num_atoms, width = self.table.neighbors.shape
        shapes = {"positions": (num_atoms, 3), "edges": (num_atoms, width, 3)}
        self.irreps = []
        if _takes_changes(self.stage):
            self.irreps = [Irreps(i) for i in self.stage.feature_irreps]
            found = {}
            self._features(self._tensors(1), {}, (), found)
            shapes |= {name: tuple(x.shape) for name, x in found.items()}
        self.zeros = {k: np.zeros(s, self.dtype) for k, s in shapes.items()}
        # Where all atoms stand does not matter, and rounding less near zero;
        # the extent must not vanish: noise is measured by it.
        shift = atoms.positions.min(axis=0) - [0.0, 0.0, 1.0]
        self.zeros["positions"] += (atoms.positions - shift).astype(self.dtype)

    def edges(self):
        """Each edge once.

        Returns:
            Three `(P,)` int arrays: positions in `pairs`, and in the flat
            list of neighbours those of the edge and of its reverse.
        """
        reverse = self.table.reverse_edge.ravel()
        forth = np.flatnonzero(self.table.edge_mask.ravel())
        forth = forth[forth < reverse[forth]]
        pairs = self.table.pair_positions.ravel()[forth]
        return pairs, forth, reverse[forth]

    def evaluate(self, copies=1, replaced=(), **changes):
        """Blocks and what they were made from.

        Args:
            copies: int. The B of the shapes.
            replaced: names among `atoms_k` whose tensor is taken instead of
                the computed features, not added to them.
            **changes: tensors by the names of `zeros`, `(B, …)`.

        Returns:
            Dict of tensors: `onsite`, `hopping` `(B, -1)`, `elements`,
            `atoms_k`, `edges_k`; of a cascade also what the first stage found,
            `baseline_onsite` and `baseline_hopping`.
        """
        inputs = self._tensors(copies)
        inputs["edge_vectors"] = self._edge_vectors(inputs, changes)
        found = {}
        if self.irreps:
            features = self._features(inputs, changes, replaced, found)
            blocks = self.stage.readout(inputs, features)
        elif not self.second:
            blocks = self.model(inputs, training=False)
        if self.second:
            if self.irreps:
                wigner = pack_wigner(features["geometry"]["wigner"])
                known = {**found, "wigner": wigner}
                known |= {f"baseline_{name}": x for name, x in blocks.items()}
            else:
                known = self.model.feature_model(inputs, training=False)
            found |= {k: x for k, x in known.items() if "baseline" in k}
            # The embedding of the elements is no input of the second stage.
            known.pop("elements", None)
            blocks = self.second[0]({**inputs, **known}, training=False)
        found |= blocks
        return {
            name: backend.reshape(
                x,
                (copies, *self.zeros[name].shape)
                if name in self.zeros
                else (copies, -1),
            )
            for name, x in found.items()
        }

    def check(self, target):
        """Raises what `entries` would, computing nothing."""
        target.entries(self)
        if target.correction and not self.second:
            raise ValueError(
                "A correction is what a second stage adds. Received: "
                f"{target.label} of the model {self.model.name!r}, which has "
                "one stage. Leave out `correction`, or train a second stage."
            )

    def entries(self, target, evaluated, where=None):
        """The numbers of a target, `(B, E)` eV.

        Args:
            target: `BlockTarget` or `KindTarget`.
            evaluated: dict, as `evaluate` returns it.
            where: what `target.entries(self)` returned, if known.
        """
        what, positions = where or target.entries(self)
        blocks = evaluated[what]
        if target.correction:
            blocks = blocks - evaluated[f"baseline_{what}"]
        found = backend.take(blocks, positions, axis=1)
        if self.model.is_hermitian:
            return found
        # As `predict` does: half of it from the conjugate transpose.
        partners, signs = self._conjugate_transpose(what, positions)
        return (found + signs * backend.take(blocks, partners, axis=1)) / 2

    def functional(self, names, target, copies=1):
        """A Keras model from a list of inputs to the numbers of a target.

        Args:
            names: list of str. Inputs that may vary, see the class.
            target: `BlockTarget` or `KindTarget`.
            copies: int. Batch size it is called with.

        Returns:
            `keras.Model` with output `(B, E)`, eV.
        """
        where = target.entries(self)

        def compute(values):
            changes = dict(zip(names, values))
            found = self.evaluate(copies, **changes)
            return self.entries(target, found, where)

        inputs = [self._input(name) for name in names]
        layer = FrozenFunction(compute, (len(where[1]),), dtype=self.dtype)
        return keras.Model(inputs, layer(inputs))

    def functional_through(self, name, target):
        """As `functional`, of the positions, by way of the features `name`.

        The features are the output of a layer of this name.
        """
        where = target.entries(self)

        def before(values):
            return self.evaluate(positions=values[0])[name]

        def after(values):
            changes = {"positions": values[0], name: values[1]}
            found = self.evaluate(replaced=[name], **changes)
            return self.entries(target, found, where)

        own = {"dtype": self.dtype}
        positions = self._input("positions")
        shape = self.zeros[name].shape
        features = FrozenFunction(before, shape, name=name, **own)([positions])
        found = FrozenFunction(after, (len(where[1]),), **own)(
            [positions, features]
        )
        return keras.Model([positions], found)

    def _conjugate_transpose(self, what, positions):
        """Where the same numbers of the adjoint stand, and their signs."""
        rows = self.model.basis.num_rows
        shape = (1, 1, 1, rows, rows)
        if self.model.spin != "none":
            shape = (2, 2, 2, rows, rows)
        place, inner = np.divmod(positions, self.block_size)
        if what == "hopping":
            place = self.table.reverse_edge.ravel()[place]
        part, *spins, row, column = np.unravel_index(inner, shape)
        inner = np.ravel_multi_index((part, *spins[::-1], column, row), shape)
        signs = np.where(part == 1, -1, 1).astype(self.dtype)
        return place * self.block_size + inner, signs

    def _input(self, name):
        return keras.Input(self.zeros[name].shape, dtype=self.dtype, name=name)

    def _batch(self, copies):
        if copies not in self._inputs:
            found = batch_inputs(
                [self.atoms] * copies, [self.table] * copies, self.model.basis
            )
            # Not rounded to the default float type in between.
            vectors = np.tile(self.table.edge_vectors, (copies, 1, 1))
            found["edge_vectors"] = vectors.astype(self.dtype)
            found["edge_mask"] = found["edge_mask"].astype(self.dtype)
            self._inputs = {copies: found}
        return self._inputs[copies]

    def _tensors(self, copies):
        return {
            name: keras.ops.convert_to_tensor(x)
            for name, x in self._batch(copies).items()
        }

    def _edge_vectors(self, inputs, changes):
        """Edge vectors; exactly those of the structure where nothing changed,
        and of an edge and its reverse the negative."""
        vectors = inputs["edge_vectors"]
        if "positions" in changes:
            moved = changes["positions"] - self.zeros["positions"]
            moved = backend.reshape(moved, (-1, 3))
            ends = backend.take(moved, inputs["neighbors"], axis=0)
            mask = inputs["edge_mask"][..., None]
            vectors = vectors + (ends - moved[:, None]) * mask
        if "edges" in changes:
            width = vectors.shape[1]
            vectors = vectors + backend.reshape(
                changes["edges"], (-1, width, 3)
            )
        return vectors

    def _features(self, inputs, changes, replaced, found):
        """Features of the first stage; fills `found` with what may change."""

        def changed(name, x):
            irreps = None
            if name.startswith("edges"):
                irreps = EdgeIrreps(self.irreps[int(name.split("_")[1]) - 1])
                x = pack_edges(x, irreps)
            if name in changes:
                change = backend.reshape(changes[name], x.shape)
                x = change if name in replaced else x + change
            found[name] = x
            return x if irreps is None else unpack_edges(x, irreps)

        return self.stage.backbone.call(inputs, change=changed)


def supercell_graph(model, atoms, target, repeat):
    """The graph of a supercell, and the target in its middle.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`.
        target: `BlockTarget` or `KindTarget` of these atoms.
        repeat: three ints, at least one. Cells along each lattice vector.

    Returns:
        `FixedGraph` and target.

    Raises:
        ValueError: if there is no such target, or `repeat` is no supercell.
    """
    if np.shape(repeat) != (3,) or any(n < 1 or n != int(n) for n in repeat):
        raise ValueError(
            "`repeat` is three numbers of cells, at least 1 each. Received: "
            f"{repeat!r}."
        )
    FixedGraph(model, atoms).check(target)
    graph = FixedGraph(model, atoms.repeat(tuple(map(int, repeat))))
    return graph, target.repeated(atoms, repeat)


class FrozenFunction(keras.layers.Layer):
    """A function of tensors as a layer, its weights out of Keras' sight.

    Args:
        function: takes a list of tensors.
        shape: tuple. Shape of what it returns, without the batch axis.
    """

    def __init__(self, function, shape, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.shape = tuple(shape)

    def call(self, values):  # noqa: D102
        return self.function(values)

    def compute_output_shape(self, values_shape):  # noqa: D102
        return (values_shape[0][0], *self.shape)


def _takes_changes(stage):
    """Whether a stage has a backbone that lets features be changed."""
    backbone = getattr(stage, "backbone", None)
    return (
        isinstance(stage, FirstStage)
        and "change" in inspect.signature(backbone.call).parameters
    )
