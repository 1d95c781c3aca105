"""The energy zero: H and H + μS are the same physics."""

from keras_hamiltonian.orbitals.matrix_elements import entries_at
from keras_hamiltonian.orbitals.matrix_elements import least_squares_shift
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements


def gauge_shift(hamiltonian, initial, overlap):
    """The μ for which `H⁰ + μS` is closest to H, in least squares.

    `μ = Σ S·(H − H⁰) / Σ S·S` over all elements. It is nearly one constant
    for a set of similar crystals: −1.490 ± 0.009 eV in graphene.

    Args:
        hamiltonian: `BlockMatrix`, H.
        initial: `BlockMatrix`, H⁰, with the pairs of H.
        overlap: `BlockMatrix`, spinless.

    Returns:
        float, in eV.

    Reference: Yin et al., arXiv 2509.19877.
    """
    return least_squares_shift(
        -matrix_difference(initial, hamiltonian),
        overlap_of_elements(hamiltonian, overlap),
    )


def shifted(hamiltonian, shift, overlap):
    """`H + μS`: the same bands, all of them higher by μ.

    Args:
        hamiltonian: `BlockMatrix` in eV.
        shift: float, μ in eV.
        overlap: `BlockMatrix`, spinless. A pair it does not list is zero.

    Returns:
        `BlockMatrix` with the pairs of H.
    """
    weights = overlap_of_elements(hamiltonian, overlap)
    return hamiltonian.with_entries(hamiltonian.entries + shift * weights)


def aligned(matrix, reference, name):
    """A matrix with the pairs of another, in their order.

    Args:
        matrix, reference: `BlockMatrix`.
        name: str. What the first one is, for errors.

    Returns:
        `BlockMatrix`.

    Raises:
        ValueError: if the matrix lacks a pair or has other block shapes.
    """
    return reference.with_entries(entries_at(matrix, reference, name))
