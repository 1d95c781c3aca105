"""How far the orbitals of each element reach, read off a data set."""

import numpy as np
import scipy.optimize

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.structures.neighbors import pairs_within

# Strictly localized orbitals of OpenMX end at multiples of half a bohr
# (C6.0, Mo7.0); a reach read off finite data is rounded up to the next one.
REACH_STEP = 0.5 * BOHR_IN_ANGSTROM
# Å. Reaches end so far from the pairs that are listed and from those that are
# not, or halfway; distances of files are rounded to less than the smallest.
MARGIN = 1e-3
SMALLEST_MARGIN = 1e-6
# Å. Listed pairs may be so much farther than known reaches allow: rounding.
TOLERANCE = 1e-3


def estimate_reaches(calculations, known=None):
    """Reach of each element's orbitals, from the pairs that files list.

    Programs list a pair, for H and S alike, if its distance is smaller than
    the sum of the two reaches; `pairs_within` lists the same pairs. Taken are
    the smallest multiples of half a bohr that account for every listed pair.
    Where these would list pairs that the files leave out (SIESTA's orbitals
    end anywhere), reaches are those between the farthest pairs that are listed
    and the nearest that are not, the largest of them as small as it can be.
    In small cells with few distances a reach can come out too small; give it
    where the name of the basis has it (OpenMX's C6.0: 6 bohr).

    Args:
        calculations: iterable of `Calculation`. The pairs are those of the
            overlap, or of the Hamiltonian where there is no overlap.
        known: dict from element symbol to float, in Å. Reaches that are not to
            be estimated; between their elements files may leave pairs out.

    Returns:
        dict from the symbols of the elements to float, in Å.

    Raises:
        ValueError: if no reaches tell which pairs are listed, so that the
            files follow another rule, or a listed pair is farther than known
            reaches allow.
    """
    calculations, known = list(calculations), known or {}
    farthest = _farthest_pairs(calculations)
    reaches = {
        symbol: known.get(symbol)
        or _round_up(farthest.get((symbol, symbol), 0.0) / 2)
        for symbol in sorted({symbol for kind in farthest for symbol in kind})
    }
    for kind in sorted(farthest, key=farthest.get):
        # The data show the smaller of the two reaches less completely.
        free = [symbol for symbol in kind if symbol not in known]
        if not free:
            _check_known(kind, farthest[kind], reaches)
        while free and sum(map(reaches.get, kind)) <= farthest[kind]:
            reaches[min(free, key=reaches.get)] += REACH_STEP
    nearest = {}
    while absent := _nearest_absent(calculations, reaches, known):
        for kind, found in absent.items():
            nearest[kind] = min(found, nearest.get(kind, found))
        reaches = _between(farthest, nearest, reaches, known)
    return reaches


def _listed(calculation):
    """The matrix whose pairs count."""
    if calculation.overlap is not None:
        return calculation.overlap
    return calculation.hamiltonian


def _kinds(calculation, pairs):
    """Positions of the pairs of each kind, sorted symbols, and distances."""
    distances = np.linalg.norm(calculation.edge_vectors(pairs), axis=1)
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    symbols = np.sort(symbols[pairs[:, 3:]], axis=1)
    for first, second in np.unique(symbols, axis=0):
        chosen = np.flatnonzero((symbols == (first, second)).all(axis=1))
        yield (str(first), str(second)), chosen, distances[chosen]


def _farthest_pairs(calculations):
    """Largest distance of each kind of pairs that are listed, in Å."""
    farthest = {}
    for calculation in calculations:
        pairs = _listed(calculation).atom_pairs
        for kind, _, distances in _kinds(calculation, pairs):
            largest = float(distances.max())
            farthest[kind] = max(largest, farthest.get(kind, 0.0))
    return farthest


def _nearest_absent(calculations, reaches, known):
    """The nearest pair of each kind that is inside the reaches and in no
    list: tuples of its distance in Å, structure and pair. Between two elements
    whose reaches are known pairs may be left out."""
    nearest = {}
    for calculation in calculations:
        listed = _listed(calculation).index
        inside = pairs_within(calculation.atoms, reaches)
        absent = [tuple(pair) not in listed for pair in inside.tolist()]
        pairs = inside[absent]
        for kind, chosen, distances in _kinds(calculation, pairs):
            if not set(kind) <= known.keys():
                first = int(distances.argmin())
                pair = tuple(pairs[chosen[first]].tolist())
                found = float(distances[first]), calculation.name, pair
                nearest[kind] = min(found, nearest.get(kind, found))
    return nearest


def _round_up(reach):
    """The next multiple of the step; tiny excess is rounding, not range."""
    steps = np.ceil(reach / REACH_STEP - 1e-4)
    return REACH_STEP * max(1, int(steps))


def _check_known(kind, distance, reaches):
    total = sum(map(reaches.get, kind))
    if distance > total + TOLERANCE:
        raise ValueError(
            f"The data list {kind[0]} and {kind[1]} up to {distance:.3f} Å, "
            f"but orbitals that end at "
            f"{ {s: round(reaches[s], 3) for s in kind} } Å overlap up to "
            f"{total:.3f} Å. Give `reaches` as the basis of the data has them; "
            "a model to start from takes data in its own basis alone."
        )


def _between(farthest, nearest, reaches, known):
    """Reaches that list the farthest pairs and leave out the nearest others.

    A linear program: for both, sums of two reaches are to be off by a margin,
    which is made large first; then the largest reach small, then all.
    """
    symbols = list(reaches)
    size, rows, bounds = len(symbols), [], []
    for limits, sign in ((farthest, -1), (nearest, 1)):
        for kind, limit in limits.items():
            if not set(kind) <= known.keys():
                row = np.zeros(size + 2)
                for symbol in kind:
                    row[symbols.index(symbol)] += sign
                row[-1] = 1
                rows.append(row)
                distance = limit if sign < 0 else limit[0]
                bounds.append(sign * distance)
    free = [k for k, symbol in enumerate(symbols) if symbol not in known]
    for k in free:
        row = np.zeros(size + 2)
        row[k], row[-2] = 1, -1
        rows.append(row)
        bounds.append(0.0)
    found = scipy.optimize.linprog(
        [*(1e-3 if k in free else 0 for k in range(size)), 1, -1e3],
        np.array(rows),
        bounds,
        bounds=[
            *((known.get(s, 0), known.get(s)) for s in symbols),
            (0, None),
            (0, MARGIN),
        ],
    )
    if not found.success or found.x[-1] < SMALLEST_MARGIN:
        raise ValueError(_no_rule(farthest, nearest))
    return dict(zip(symbols, found.x[:size].tolist()))


def _no_rule(farthest, nearest):
    kinds = [
        f"{'-'.join(kind)} up to {farthest[kind]:.4f} Å"
        if kind in farthest
        else f"no {'-'.join(kind)}"
        for kind in nearest
    ]
    distance, name, pair = min(nearest.values())
    return (
        "Pairs of atoms are listed where orbitals overlap, but no reaches of "
        f"orbitals tell which pairs these data list: {', '.join(kinds)}, while "
        f"structure {name!r} leaves out {pair} at {distance:.4f} Å. Give "
        "`reaches` as the basis has them, such as {'C': 3.175} (Å); of "
        "`kh.train` it is a setting."
    )
