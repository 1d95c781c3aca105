"""What a prediction rests on that the training set does not tell.

A warning is a dict of JSON values: `kind`, `message`, `atoms` (numbers from 0,
the worst first) and `values` (of each atom, or of what the kind says).
"""

import numpy as np

from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.uncertainty.lattice_images import missing_translations

# Environments are far away beyond this multiple of the largest novelty of
# known atoms.
FAR = 3.0
# Norm of a level: 1 / c†c with c†Sc = 1. Levels of graphene, MoS2 and bismuth
# compounds up to 3 eV above the Fermi level have 0.6 and more.
SMALL_NORM = 0.2
WINDOW_IN_EV = 3.0
# Named in the text; all stand in `atoms`.
NUM_NAMED = 5


def structure_warnings(model, atoms, novelty):
    """Warnings of a structure, before any level is known.

    Args:
        model: `Stage` with an `error_estimate`.
        atoms: `ase.Atoms`.
        novelty: `(num_atoms,)` array.

    Returns:
        List of dicts. `kind` is `"environment"` (`values`: novelty of each
        atom), `"cell"` (`values`: distances in Å of atoms that moved together
        in all training structures) or `"pairs"` (`values`: distances in Å at
        which the overlap was not fitted).
    """
    found = [
        _environment(model.error_estimate, atoms, novelty),
        _cell(model.error_estimate, atoms),
        _pairs(model.overlap, atoms),
    ]
    return [warning for warning in found if warning is not None]


def level_warnings(solved, fermi_level):
    """Warns of levels near the Fermi level that rest on small norms.

    Args:
        solved: list of `States` with coefficients, of one wave vector each.
        fermi_level: float, in eV.

    Returns:
        List of at most one dict, of the kind `"levels"`; `values` are pairs of
        energy (eV, from the Fermi level) and norm of the levels of all these
        wave vectors, the smallest norm first.
    """
    bad, places = [], []
    for states in solved:
        energies = states.energies - fermi_level
        norms = 1 / (np.abs(states.coefficients) ** 2).sum(axis=0)
        is_bad = (energies < WINDOW_IN_EV) & (norms < SMALL_NORM)
        bad += np.column_stack([energies, norms])[is_bad].tolist()
        places += [states.k_point] * int(is_bad.sum())
    if not bad:
        return []
    order = sorted(range(len(bad)), key=lambda n: bad[n][1])
    energy, norm = bad[order[0]]
    number = len({tuple(place) for place in places})
    place = ", ".join(f"{x:.3g}" for x in places[order[0]])
    message = (
        f"At {number} of {len(solved)} wave vectors levels below "
        f"{WINDOW_IN_EV:g} eV rest on combinations of orbitals of small norm, "
        f"the worst at k = ({place}), {energy:.2f} eV, on {norm:.1e}: errors "
        f"of H count {1 / norm:.0f} times there, and the level is likely "
        "false. Set `overlap_threshold` of the model (docs/small_norms.md)."
    )
    return [_warning("levels", message, [], [bad[n] for n in order])]


def _environment(estimate, atoms, novelty):
    symbols = atoms.get_chemical_symbols()
    limits = np.array([FAR * estimate.largest.get(s, 0.0) for s in symbols])
    far = np.flatnonzero(novelty > limits)
    if not far.size:
        return None
    far = far[np.argsort(-novelty[far], kind="stable")]
    named = ", ".join(
        f"{symbols[k]}{k} ({novelty[k]:.3g})" for k in far[:NUM_NAMED]
    )
    known = ", ".join(
        f"{s} {estimate.largest.get(s, 0.0):.3g}"
        for s in sorted(set(symbols[k] for k in far))
    )
    message = (
        f"{len(far)} of {len(atoms)} atoms are in environments unlike those of "
        f"the training set: {named}{', ...' if len(far) > NUM_NAMED else ''}. "
        "The number is the distance in units of what is usual for structures "
        f"of its kind; the farthest known atoms have {known}."
    )
    return _warning("environment", message, far.tolist(), novelty[far].tolist())


def _cell(estimate, atoms):
    missing = missing_translations(atoms, estimate.translations)
    if not missing:
        return None
    lengths = ", ".join(f"{x:.2f}" for x in missing)
    message = (
        f"Atoms {lengths} Å apart were periodic images of each other in every "
        "training structure and moved together; here they do not. What each "
        "of them does was never told apart, so errors are larger than those "
        "of the test structures; if all validation structures have the "
        "training's cell, they can be several times those expected, most of "
        "all those of levels. Train with a few structures of other cells."
    )
    return _warning("cell", message, [], missing)


def _pairs(overlap, atoms):
    if not isinstance(overlap, TwoCentreOverlap):
        return None
    found = overlap.uncovered(atoms)
    if not found:
        return None
    worst = max(found, key=lambda entry: entry["away"])
    first, second = worst["atoms"]
    message = (
        f"The overlap of {len(found)} pairs of atoms is interpolated between "
        "distances of the training set, the farthest from them that of atoms "
        f"{first} and {second}, {worst['distance']:.2f} Å apart."
    )
    ends = sorted({atom for entry in found for atom in entry["atoms"]})
    return _warning("pairs", message, ends, [e["distance"] for e in found])


def _warning(kind, message, atoms, values):
    return {
        "kind": kind,
        "message": message,
        "atoms": [int(atom) for atom in atoms],
        "values": [_finite(x) for x in values],
    }


def _finite(value):
    """JSON has no infinity."""
    if isinstance(value, list):
        return value
    return float(value) if np.isfinite(value) else None
