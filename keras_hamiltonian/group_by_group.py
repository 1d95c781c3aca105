"""The first stage of a large structure, group by group."""

import functools

import keras
import numpy as np

from keras_hamiltonian.data.batch import batch_blocks
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.models.block_readout import BlockReadout
from keras_hamiltonian.models.first_stage import FirstStage
from keras_hamiltonian.models.group_passes import OF_GROUPS
from keras_hamiltonian.models.group_passes import FirstPass
from keras_hamiltonian.models.group_passes import GroupPass
from keras_hamiltonian.models.group_passes import RestOfStage
from keras_hamiltonian.network_outputs import input_dtype
from keras_hamiltonian.network_outputs import model_inputs
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.scratch import Scratch
from keras_hamiltonian.structures.neighbors import neighbor_table


class GroupByGroup:
    """Goes over all slabs once for each group of the first stage.

    After each group the features of all atoms are known, in memory, and those
    of the edges of each slab wait on the disk. Atoms around a slab lend it
    their features, and are computed once. What follows the first stage is
    computed with a surrounding as wide as it looks from these features.

    A context: what waits on the disk goes with it.

    Args:
        model: `Stage` that is divisible, see `divided`.
        known: `Calculation`.
        slabs: list of `Slab`.
        atom_pairs: `(P, 5)` int array of the crystal.
        shapes: `(P, 2)` int array of the blocks.
        initial: function from a slab and the positions and pairs of its region
            (see `Slab.pairs`) to H⁰ of these.

    Attributes:
        num_passes: int. How often all slabs are gone over.
        atoms: list of `(N, dim)` arrays, the features after each update.
    """

    def __init__(self, model, known, slabs, atom_pairs, shapes, initial):
        self.model, self.known, self.slabs = model, known, slabs
        self.atom_pairs, self.shapes = atom_pairs, shapes
        self.initial = initial
        self.backbone = model.stages()[0].backbone
        count = len(self.backbone.groups)
        first = 1 if self.backbone.initial is None else 0
        self.groups = range(first, count + 1)
        self.num_passes = 1 + len(self.groups)
        self.rest = RestOfStage(model)
        self.scratch = Scratch()
        self.atoms = []
        # Place of each pair in the list of its first atom, and of each atom
        # in its slab.
        self.columns = np.zeros(len(atom_pairs), dtype=np.int32)
        self.places = np.zeros((2, len(known.atoms)), dtype=np.int64)
        for number, slab in enumerate(slabs):
            own = np.flatnonzero(slab.own)
            self.places[0, own], self.places[1, own] = number, range(len(own))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.scratch.__exit__(*error)

    def passes(self):
        """Runs all groups; yields the number of a slab when it is done."""
        first = FirstPass(self.backbone)
        rows = []
        for number, slab in enumerate(self.slabs):
            found = first.predict_on_batch(self._graph(slab))
            geometry = found["geometry"]
            of_groups = {name: geometry.pop(name) for name in OF_GROUPS}
            self.scratch.put("geometry", number, geometry)
            self.scratch.put("of_groups", number, of_groups)
            kind = f"edges_{self.groups[0] - 1}"
            self.scratch.put(kind, number, found["edges"])
            rows.append(found["atoms"])
            yield number
        self._take(rows)
        for group in self.groups:
            update, rows = GroupPass(self.backbone, group), []
            for number, slab in enumerate(self.slabs):
                before = f"edges_{group - 1}", number
                found = update.predict_on_batch(
                    {
                        "geometry": {
                            **self.scratch.get("geometry", number),
                            **self.scratch.get("of_groups", number),
                        },
                        "edges": self.scratch.get(*before),
                        "atoms": self.atoms[-1][_own_first(slab)],
                    }
                )
                self.scratch.put(f"edges_{group}", number, found["edges"])
                if group - 1 not in self.rest.groups:
                    self.scratch.drop(*before)
                rows += [found["atoms"]] if "atoms" in found else []
                yield number
            if rows:
                self._take(rows)

    def initial_of(self, slab, positions, pairs):
        """H⁰ of a slab, which is not computed twice."""
        place = "initial", self.slabs.index(slab)
        if not self.scratch.has(*place):
            return self.initial(slab, positions, pairs)
        shapes = self.shapes[positions]
        return BlockMatrix(pairs, shapes, self.scratch.get(*place))

    def blocks(self, slab, part, pairs):
        """Blocks of a slab, after all passes.

        Args:
            slab: `Slab`.
            part: `Calculation` of the atoms of its region.
            pairs: `(n, 5)` int array, their pairs.

        Returns:
            As `predict_blocks`.
        """
        model, is_torch = self.model, keras.config.backend() == "torch"
        inputs, table = model_inputs(model, part, pairs, 1 if is_torch else 8)
        shape = inputs["neighbors"].shape
        positions, _ = slab.pairs(self.atom_pairs)
        columns = np.where(
            table.edge_mask, self.columns[positions[table.pair_positions]], 0
        )
        gathered = functools.partial(self._gathered, slab, columns, shape)
        # Those before the first group are not wanted any more.
        count = len(self.backbone.groups)
        atoms = [x[slab.atoms] for x in self.atoms[-count:]]
        features = {
            "atoms": [_padded(x, shape[0]) for x in atoms],
            "edges": [
                gathered(f"edges_{k}") if k in self.rest.groups else None
                for k in range(1, len(atoms) + 1)
            ],
            "geometry": gathered("geometry"),
        }
        found = self.rest(inputs, features)
        matrix = batch_matrices(found, [part.atoms], [table], model.basis)[0]
        if not model.is_hermitian:
            matrix = matrix.symmetrized()
        is_wanted = model.error_estimate is not None
        return matrix, None, atoms if is_wanted else None

    def _take(self, rows):
        whole = np.empty(
            (len(self.known.atoms), rows[0].shape[1]), rows[0].dtype
        )
        for slab, some in zip(self.slabs, rows):
            whole[slab.own] = some
        self.atoms.append(whole)

    def _graph(self, slab):
        """Inputs of `FirstPass`; and notes the places of the pairs."""
        positions, pairs = slab.pairs(self.atom_pairs)
        basis, numbers = self.model.basis, self.known.atoms.numbers
        atoms = self.known.atoms[slab.atoms]
        table = neighbor_table(atoms, pairs)
        order = _own_first(slab)
        place = np.empty(len(numbers), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        own = slab.own[slab.atoms]
        mask = table.edge_mask[own]
        width = max(1, int(mask.sum(axis=1).max()))
        row = positions[table.pair_positions[own][mask]]
        self.columns[row] = np.nonzero(mask)[1]
        dtype = input_dtype(self.model)
        inputs = {
            "species": np.array(
                [basis.species[z] for z in numbers[order]], "int32"
            ),
            "edge_vectors": table.edge_vectors[own, :width].astype(dtype),
            "neighbors": place[slab.atoms][table.neighbors[own, :width]],
            "edge_mask": mask[:, :width].astype(dtype),
        }
        if self.backbone.initial is None:
            return inputs
        initial = self.initial(slab, positions, pairs)
        self.scratch.put("initial", self.slabs.index(slab), initial.entries)
        blocks = batch_blocks(
            [initial],
            [atoms],
            [table],
            basis,
            table.neighbors.shape,
            self.model.spin != "none",
            dtype,
        )
        inputs["initial_onsite"] = blocks["onsite"][own]
        inputs["initial_hopping"] = blocks["hopping"][own, :width]
        return inputs

    def _gathered(self, slab, columns, shape, kind):
        """A nest of edges, of the lists of a region."""
        number, row = self.places[:, slab.atoms]
        width, found = columns.shape[1], None
        for some in np.unique(number):
            here = np.flatnonzero(number == some)
            nest = self.scratch.get(kind, int(some), row[here])
            if found is None:
                found = keras.tree.map_structure(
                    lambda x: np.zeros((*shape, *x.shape[2:]), x.dtype), nest
                )
            for whole, x in zip(*map(keras.tree.flatten, (found, nest))):
                lists = np.arange(len(here))[:, None]
                whole[here, :width] = x[lists, columns[here]]
        return found


def divided(model):
    """Whether a model can be computed group by group.

    Known of a first stage with an `EquivariantBackbone` of the package's own
    parts and a `BlockReadout`.

    Args:
        model: `Stage`.
    """
    stage = model.stages()[0]
    return (
        isinstance(stage, FirstStage)
        and getattr(stage.backbone, "is_divisible", False)
        and type(stage.readout) is BlockReadout
    )


def _own_first(slab):
    """Numbers of the atoms of a region, the slab's own ones first."""
    return np.concatenate(
        [np.flatnonzero(slab.own), np.flatnonzero(slab.region & ~slab.own)]
    )


def _padded(x, number):
    return np.pad(x, ((0, number - len(x)), (0, 0)))
