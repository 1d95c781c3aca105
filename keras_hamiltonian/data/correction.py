"""How far the converged Hamiltonian is from that of the superposed atoms."""

import typing

import numpy as np

from keras_hamiltonian.orbitals.matrix_elements import least_squares_shift
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements


class Correction(typing.NamedTuple):
    """Size of `H - H⁰ - μS`.

    Attributes:
        mean: float. Mean modulus of all elements, in eV.
        shift: float. μ in eV; `None` without an overlap.
    """

    mean: float
    shift: float | None


def measure_correction(calculation):
    """Size of the part of H that the superposed atoms do not give.

    The zero of energy of H and H⁰ may differ by `μ = Σ S·(H - H⁰) / Σ S·S`,
    which is taken out (Yin et al., arXiv 2509.19877). Pairs that both
    matrices list count.

    Args:
        calculation: `Calculation`.

    Returns:
        `Correction`, or `None` if H, H⁰ or a common pair is missing.
    """
    if None in (calculation.hamiltonian, calculation.initial_hamiltonian):
        return None
    hamiltonian, initial = _on_common_pairs(
        calculation.hamiltonian, calculation.initial_hamiltonian
    )
    difference = hamiltonian.entries - initial.entries
    if not difference.size:
        return None
    shift = None
    if calculation.overlap is not None:
        overlap = overlap_of_elements(hamiltonian, calculation.overlap)
        shift = least_squares_shift(difference, overlap)
        difference = difference - shift * overlap
    return Correction(float(np.abs(difference).mean()), shift)


def describe_corrections(corrections):
    """Mean and zero of energy of the structures of a set, in words.

    Args:
        corrections: iterable of `Correction` or `None`. Of those with a shift
            the mean is given; without any, that of all.

    Returns:
        str, such as `"mean |H - H⁰ - μS| 8.3 meV, μ -1.490 ± 0.009 eV (12
        structures with S)"`; empty if all are `None`.
    """
    known = [c for c in corrections if c is not None]
    shifts = [c.shift for c in known if c.shift is not None]
    if not shifts:
        means = [c.mean for c in known]
        return f"mean |H - H⁰| {1e3 * np.mean(means):.1f} meV" if known else ""
    mean = np.mean([c.mean for c in known if c.shift is not None])
    return (
        f"mean |H - H⁰ - μS| {1e3 * mean:.1f} meV, μ {np.mean(shifts):.3f} ± "
        f"{np.std(shifts):.3f} eV ({len(shifts)} structures with S)"
    )


def _on_common_pairs(first, second):
    if np.array_equal(first.atom_pairs, second.atom_pairs):
        return first, second
    common = [pair for pair in first.index if pair in second.index]
    return tuple(
        matrix.select([matrix.index[pair] for pair in common])
        for matrix in (first, second)
    )
