"""Structures as the arrays of a batch, and their matrices back again."""

import keras
import numpy as np

from keras_hamiltonian.orbitals.table_blocks import from_table
from keras_hamiltonian.orbitals.table_blocks import table_mask
from keras_hamiltonian.orbitals.table_blocks import to_table
from keras_hamiltonian.structures.triangles import common_neighbors


def batch_inputs(
    atoms_list,
    tables,
    basis,
    atom_bucket=1,
    neighbor_bucket=1,
    other_shape=None,
    initial=None,
    is_spinful=False,
    dtype=None,
    near=None,
):
    """Joins structures into the inputs of a model.

    Args:
        atoms_list: list of `ase.Atoms`.
        tables: list of `NeighborTable`, one for each.
        basis: `OrbitalBasis`.
        atom_bucket, neighbor_bucket: int. Pad to multiples of these.
        other_shape: two ints. Numbers of atoms and of neighbours that the
            batch must not have: it is padded to others.
        initial: list of `BlockMatrix`, H⁰ with the pairs of the tables, for
            models that take it.
        is_spinful: bool. Whether H⁰ has spin.
        dtype: str. Of vectors, masks and blocks. Defaults to
            `keras.config.floatx()`.
        near: list of float, one for each element of the basis, in Å. Common
            neighbours are those within the sum of two of them. Defaults to no
            limit.

    Returns:
        Dict of arrays, as `HamiltonianDataset` describes them.

    Raises:
        ValueError: if an element is not in the basis.
    """
    dtype = dtype or keras.config.floatx()
    size = _round_up(sum(len(a) for a in atoms_list), atom_bucket)
    width = _round_up(
        max(t.neighbors.shape[1] for t in tables), neighbor_bucket
    )
    if other_shape is not None:
        size += atom_bucket * (size == other_shape[0])
        width += neighbor_bucket * (width == other_shape[1])
    inputs = {
        "species": np.full(size, -1, "int32"),
        "edge_vectors": np.tile(
            np.array([0.0, 0.0, 1.0], dtype), (size, width, 1)
        ),
        "neighbors": np.repeat(np.arange(size, dtype="int32"), width).reshape(
            size, width
        ),
        "reverse_edge": np.arange(size * width, dtype="int32").reshape(
            size, width
        ),
        "edge_mask": np.zeros((size, width), dtype),
        "structure": np.full(size, len(atoms_list), "int32"),
    }
    start = 0
    for number, (atoms, table) in enumerate(zip(atoms_list, tables)):
        stop = start + len(atoms)
        m = table.neighbors.shape[1]
        where = (slice(start, stop), slice(0, m))
        inputs["species"][start:stop] = _species(atoms, basis)
        inputs["structure"][start:stop] = number
        inputs["edge_vectors"][where] = table.edge_vectors
        inputs["edge_mask"][where] = table.edge_mask
        inputs["neighbors"][where] = np.where(
            table.edge_mask, table.neighbors + start, inputs["neighbors"][where]
        )
        row, column = np.divmod(table.reverse_edge, m)
        inputs["reverse_edge"][where] = (row + start) * width + column
        start = stop
    inputs["common_neighbors"] = common_neighbors(
        *(inputs[k] for k in ("edge_vectors", "neighbors", "edge_mask")),
        None if near is None else _is_near(inputs, np.asarray(near)),
    )
    if initial is not None:
        blocks = batch_blocks(
            initial, atoms_list, tables, basis, (size, width), is_spinful, dtype
        )
        inputs.update({f"initial_{name}": x for name, x in blocks.items()})
    return inputs


def batch_blocks(
    matrices, atoms_list, tables, basis, shape, is_spinful, dtype=None
):
    """Joins matrices into blocks of a table: targets, or H⁰ as an input.

    Args:
        matrices: list of `BlockMatrix` of one spin layout.
        atoms_list: list of `ase.Atoms`.
        tables: list of `NeighborTable` of the matrices' pairs.
        basis: `OrbitalBasis`, whose table the blocks are written to.
        shape: two ints. Atoms N and neighbours M of the batch.
        is_spinful: bool. Whether the blocks have spin.
        dtype: str. Defaults to `keras.config.floatx()`.

    Returns:
        Dict with `onsite` `(N, rows, rows)` and `hopping` `(N, M, rows, rows)`
        in eV, zero at padding; with spin `(…, 2, 2, 2, rows, rows)`.
    """
    rows = basis.num_rows
    inner = (2, 2, 2, rows, rows) if is_spinful else (rows, rows)
    dtype = dtype or keras.config.floatx()
    onsite = np.zeros((shape[0], *inner), dtype)
    hopping = np.zeros((*shape, *inner), dtype)
    start = 0
    for matrix, atoms, table in zip(matrices, atoms_list, tables):
        arguments = (matrix, atoms.numbers, basis, is_spinful)
        own = slice(start, start + len(atoms))
        onsite[own] = to_table(*arguments, table.onsite_positions)
        width = table.neighbors.shape[1]
        hopping[own, :width] = to_table(*arguments, table.pair_positions)
        start = own.stop
    return {"onsite": onsite, "hopping": hopping}


def batch_matrices(blocks, atoms_list, tables, basis):
    """The inverse of `batch_blocks`: one matrix for each structure.

    Args:
        blocks: dict of `onsite` and `hopping` arrays, targets or outputs of a
            model.
        atoms_list: list of `ase.Atoms`.
        tables: list of `NeighborTable`, one for each.
        basis: `OrbitalBasis`, whose table the blocks are in.

    Returns:
        List of `BlockMatrix` with the pairs of the tables.
    """
    is_spinful = blocks["onsite"].ndim > 3
    matrices, start = [], 0
    for atoms, table in zip(atoms_list, tables):
        own = slice(start, start + len(atoms))
        onsite = blocks["onsite"][own]
        hopping = blocks["hopping"][own, : table.neighbors.shape[1]]
        values = np.zeros(
            (len(table.atom_pairs), *onsite.shape[1:]), onsite.dtype
        )
        for positions, found in (
            (table.onsite_positions, onsite),
            (table.pair_positions, hopping),
        ):
            is_listed = positions >= 0
            values[positions[is_listed]] = found[is_listed]
        matrices.append(
            from_table(
                values, table.atom_pairs, atoms.numbers, basis, is_spinful
            )
        )
        start = own.stop
    return matrices


def batch_weights(inputs, basis, spin, total=1.0):
    """Weights of matrix elements: zero at padding.

    Args:
        inputs: dict, as `batch_inputs` returns it.
        basis: `OrbitalBasis`.
        spin: str. Spin layout of the blocks.
        total: float. Their sum.

    Returns:
        Dict with `onsite` and `hopping`, shaped as the targets.
    """
    species = inputs["species"]
    neighbor_species = np.where(
        inputs["edge_mask"] > 0, species[inputs["neighbors"]], -1
    )
    onsite = table_mask(species, species, basis)
    own = np.broadcast_to(species[:, None], neighbor_species.shape)
    hopping = table_mask(own, neighbor_species, basis)
    factor = 1 if spin == "none" else 8
    structure = inputs["structure"]
    counts = onsite.sum((1, 2)) + hopping.sum((1, 2, 3))
    num_structures = int(structure[species >= 0].max()) + 1
    totals = np.bincount(structure, counts, minlength=num_structures + 1)
    share = total / (factor * num_structures * np.maximum(totals, 1))
    share = share[structure]
    weights = {
        "onsite": onsite * share[:, None, None],
        "hopping": hopping * share[:, None, None, None],
    }
    rows = basis.num_rows
    for name, weight in weights.items():
        weight = weight.astype(keras.config.floatx())
        if spin != "none":
            shape = weight.shape[:-2]
            weight = np.broadcast_to(
                weight[..., None, None, None, :, :],
                (*shape, 2, 2, 2, rows, rows),
            )
        weights[name] = weight
    return weights


def _is_near(inputs, near):
    reach = near[np.maximum(inputs["species"], 0)]
    length = np.linalg.norm(inputs["edge_vectors"], axis=-1)
    return length < reach[:, None] + reach[inputs["neighbors"]]


def _species(atoms, basis):
    known = basis.species
    missing = sorted(set(atoms.numbers.tolist()) - set(known))
    if missing:
        # Raises an error that names the element and the basis.
        basis.num_orbitals(missing[0])
    return np.array([known[z] for z in atoms.numbers], "int32")


def _round_up(number, bucket):
    return -(-number // bucket) * bucket
