"""Why data differ from what was computed: known faults, and where it is."""

import dataclasses

import numpy as np

from data_tools.check.faults import FACTORS
from data_tools.check.faults import known_faults
from data_tools.check.faults import on_pairs_of
from data_tools.check.faults import sign_fault
from data_tools.check.faults import some_pairs
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.orbitals.matrix_elements import least_squares_shift
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements

# Mean error over mean number with which a fault explains what there is; it has
# to be so much smaller than without a fault.
EXPLAINED, SMALLER = 0.02, 0.3
# eV; mean error of parts without spin that agree.
AGREES = 1e-3
# The second makes cells denser, which takes longer.
LENGTHS = {
    1 / BOHR_IN_ANGSTROM: "lengths were converted from bohr twice",
    BOHR_IN_ANGSTROM: "lengths are bohr, not Å",
}
FITS = "It fits if"


def distance(entries, right, overlap, reference):
    """Mean |H - H⁰ - μS| in eV, and what fraction of the mean |H| it is."""
    difference = entries - on_pairs_of(right, reference).entries
    weights = overlap_of_elements(reference, overlap)
    shift = least_squares_shift(difference, weights)
    mean = float(np.abs(difference - shift * weights).mean())
    return mean, mean / max(float(np.abs(entries).mean()), 1e-300)


def energy_cause(calculation, given, right, overlap, allowed, factors=FACTORS):
    """Which known faults explain H or H⁰, in words; empty for none.

    Args:
        calculation: `Calculation`.
        given: `BlockMatrix` of the data, H or H⁰.
        right, overlap: `BlockMatrix` of the species, H⁰ and S.
        allowed: float. Fraction of the mean |H| that may be left.
        factors: dict. See `FACTORS`.
    """
    given = some_pairs(given)
    right, overlap = (_needed(m, given) for m in (right, overlap))
    found = {}
    for fault in known_faults(calculation):
        faulty, weights = fault.apply(right), overlap
        if not fault.is_of_spin:
            weights = fault.apply(overlap)
        for factor, words in factors.items():
            _, ratio = distance(factor * given.entries, faulty, weights, given)
            names = " and ".join(filter(None, (fault.words, words)))
            found[names] = ratio
    return _best(found, max(allowed, EXPLAINED))


def overlap_cause(calculation, right):
    """Which known faults explain S, in words; empty for none."""
    given = some_pairs(calculation.overlap)
    right = _needed(right, given)
    plain = dataclasses.replace(calculation, spin="none")
    faults = [
        *known_faults(plain),
        sign_fault(plain, given, on_pairs_of(right, given)),
    ]
    size = np.abs(given.entries).mean()
    found = {}
    for fault in faults:
        error = on_pairs_of(fault.apply(right), given).entries - given.entries
        found[fault.words] = float(np.abs(error).mean() / size)
    return _best(found, EXPLAINED)


def _needed(matrix, given):
    """The pairs that faults may put in the place of those that are given."""
    wanted = set(given.index)
    wanted |= {(-a, -b, -c, i, j) for a, b, c, i, j in given.index}
    return matrix.select([n for p, n in matrix.index.items() if p in wanted])


def _best(found, allowed):
    """Up to three explanations that fit equally well, in words.

    Args:
        found: dict from words to mean errors over mean numbers; that of no
            fault has no words.
        allowed: float. The largest of them.
    """
    best = min(found.values())
    if best > min(allowed, SMALLER * found[""]):
        return ""
    words = [w for w, ratio in found.items() if ratio <= 1.01 * best + 1e-9]
    return f"{FITS} {', or '.join(words[:3])}."


def length_cause(calculation, step):
    """Whether S is that of atoms in another unit of length."""
    given = calculation.overlap
    size = np.abs(given.entries).mean()
    for factor, words in LENGTHS.items():
        atoms = calculation.atoms.copy()
        atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
        try:
            scaled = on_pairs_of(step.overlap(atoms), given)
        except ValueError:
            continue
        error = np.abs(scaled.entries - given.entries).mean()
        if error < EXPLAINED * size:
            return f"{FITS} {words}."
    return ""


def spin_orbit_cause(calculation, given, right):
    """Whether the parts with spin alone differ, and why.

    Args:
        calculation: `Calculation`.
        given, right: `BlockMatrix` with the same pairs.

    Returns:
        str, empty where parts without spin differ too; and the mean difference
        of the parts with spin over their mean.
    """
    if calculation.spin != "noncollinear":
        return "", 0.0
    coupling, free = _spin_parts(given)
    expected, right_free = _spin_parts(right)
    size = max(float(np.abs(expected).mean()), 1e-12)
    difference = float(np.abs(coupling - expected).mean()) / size
    if np.abs(free - right_free).mean() > AGREES:
        return "", difference
    for fault in known_faults(calculation):
        if fault.is_of_spin:
            faulty, _ = _spin_parts(fault.apply(right))
            error = float(np.abs(coupling - faulty).mean())
            if error < SMALLER * difference * size:
                return f"{FITS} {fault.words}.", difference
    norm = max(float(np.vdot(expected, expected).real), 1e-24)
    share = float(np.vdot(expected, coupling).real) / norm
    return (
        "Parts without spin agree; the coupling of the data is "
        f"{share:.3f} times that of the species (0 is switched off)."
    ), difference


def _spin_parts(matrix):
    """Entries with spin, and those without: of both spins the mean."""
    free = []
    for block in matrix.blocks():
        parts = block.reshape(2, len(block) // 2, 2, -1)
        mean = 0.5 * (parts[0, :, 0] + parts[1, :, 1]).real
        free.append(np.kron(np.eye(2), mean).ravel())
    free = np.concatenate(free)
    return matrix.entries - free, free


def elements_apart(calculation, matrix, errors, allowed):
    """Mean error for each pair of elements, which tells the wrong one."""
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    starts = matrix.boundaries[:-1]
    sizes = np.maximum(matrix.shapes.prod(axis=1), 1)
    means = np.add.reduceat(errors, starts) / sizes
    names = np.sort(symbols[matrix.atom_pairs[:, 3:]], axis=1)
    found = {}
    for pair in np.unique(names, axis=0):
        same = (names == pair).all(axis=1)
        found["-".join(pair)] = float(means[same].mean())
    words = ", ".join(f"{pair} {x:.2g}" for pair, x in found.items())
    wrong = [p for p, x in found.items() if x > allowed]
    text = f"No known fault explains it. Mean by elements: {words}."
    same = [p.split("-")[0] for p in wrong if len(set(p.split("-"))) == 1]
    if same and len(wrong) < len(found):
        text += f" The species of {', '.join(same)} seem to be others."
    return text


def reaches(calculation, step):
    """How far orbitals of each element reach in the data and the species."""
    given = calculation.overlap
    symbols = np.array(calculation.atoms.get_chemical_symbols())
    lengths = np.linalg.norm(calculation.edge_vectors(given.atom_pairs), axis=1)
    sizes = np.array([np.abs(b).max(initial=0.0) for b in given.blocks()])
    names = symbols[given.atom_pairs[:, 3:]]
    words = ""
    for symbol in dict.fromkeys(symbols):
        same = (names == symbol).all(axis=1) & (sizes > 0)
        reach = step.species[symbol].reach
        if same.any():
            words += (
                f" Orbitals of {symbol} that meet are up to "
                f"{lengths[same].max() / BOHR_IN_ANGSTROM:.2f} bohr apart in "
                f"the data; those of the species end at {reach:g} bohr and "
                f"meet up to {2 * reach:g}."
            )
    return words
