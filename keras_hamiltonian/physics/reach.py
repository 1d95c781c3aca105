"""How far the orbitals of each element reach, read off a data set."""

import numpy as np

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.structures.neighbors import pairs_within

# Strictly localized orbitals of OpenMX end at multiples of half a bohr
# (C6.0, Mo7.0); a reach read off finite data is rounded up to the next one.
REACH_STEP = 0.5 * BOHR_IN_ANGSTROM


def estimate_reaches(calculations):
    """Reach of each element's orbitals, from the pairs that files list.

    OpenMX lists a pair, for H and S alike, if its distance is smaller than the
    sum of the two reaches; `pairs_within` lists the same pairs. Taken are the
    smallest multiples of half a bohr that account for every listed pair.
    In small cells with few distances a reach can come out too small; give it
    yourself where the name of the basis has it (OpenMX's C6.0: 6 bohr).

    Args:
        calculations: iterable of `Calculation`. The pairs are those of the
            overlap, or of the Hamiltonian where there is no overlap.

    Returns:
        dict from element symbol to float, in Å.

    Raises:
        ValueError: if a structure leaves out a pair inside these reaches, so
            that the files follow another rule.
    """
    calculations = list(calculations)
    farthest = {}
    for calculation in calculations:
        for pair, distance in _farthest_pairs(calculation).items():
            farthest[pair] = max(distance, farthest.get(pair, 0.0))
    reaches = {
        symbol: _round_up(farthest.get((symbol, symbol), 0.0) / 2)
        for symbol in sorted({symbol for pair in farthest for symbol in pair})
    }
    for first, second in sorted(farthest, key=farthest.get):
        # The data show the smaller of the two reaches less completely.
        while reaches[first] + reaches[second] <= farthest[first, second]:
            smaller = min(first, second, key=reaches.get)
            reaches[smaller] += REACH_STEP
    _check_rule(calculations, reaches)
    return reaches


def _listed(calculation):
    """The matrix whose pairs count."""
    if calculation.overlap is not None:
        return calculation.overlap
    return calculation.hamiltonian


def _farthest_pairs(calculation):
    pairs = _listed(calculation).atom_pairs
    distances = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    farthest = {}
    for first in set(symbols):
        for second in set(symbols):
            chosen = (symbols[pairs[:, 3]] == first) & (
                symbols[pairs[:, 4]] == second
            )
            if first <= second and chosen.any():
                farthest[str(first), str(second)] = float(
                    distances[chosen].max()
                )
    return farthest


def _round_up(reach):
    """The next multiple of the step; tiny excess is rounding, not range."""
    steps = np.ceil(reach / REACH_STEP - 1e-4)
    return REACH_STEP * max(1, int(steps))


def _check_rule(calculations, reaches):
    for calculation in calculations:
        listed = _listed(calculation).index
        inside = pairs_within(calculation.atoms, reaches).tolist()
        absent = [pair for pair in map(tuple, inside) if pair not in listed]
        if absent:
            distance = np.linalg.norm(calculation.edge_vectors([absent[0]]))
            raise ValueError(
                f"Structure {calculation.name!r} leaves out {len(absent)} "
                f"pairs inside the estimated reaches {reaches} (Å), first "
                f"{absent[0]} at {distance:.4f} Å. Give `reaches` as the "
                "basis has them."
            )
