"""Indices of elements and of ordered pairs of elements."""

from keras_hamiltonian.ops import backend


def pair_index(species, neighbors, num_species):
    """Index of the pair of elements of each edge.

    Args:
        species: `(N,)` int tensor; negative for padding, taken as 0. Further
            atoms may follow that are neighbours alone, without edges.
        neighbors: `(N, M)` int tensor of rows.
        num_species: int.

    Returns:
        `(N, M)` int tensor: `species_i * num_species + species_j`.
    """
    species = backend.maximum(species, 0)
    own = species[: backend.shape(neighbors)[0], None]
    return own * num_species + backend.take(species, neighbors, axis=0)


def select_by_index(values, index, number):
    """Picks one of several alternatives for each item.

    Args:
        values: `(..., number, size)` tensor.
        index: `(...)` int tensor.
        number: int.

    Returns:
        `(..., size)` tensor.
    """
    if number == 1:
        return values[..., 0, :]
    chosen = backend.one_hot(index, number, dtype=values.dtype)
    return backend.sum(values * chosen[..., None], axis=-2)
