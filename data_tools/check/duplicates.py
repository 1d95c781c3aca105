"""Structures that occur twice, above all in two parts of a split."""

import numpy as np

from data_tools.check.finding import Finding
from data_tools.check.geometry import neighbors

# Å. Same crystal if all sorted distances agree to this.
SAME_DISTANCE = 1e-3
REACH = 6.0
DISTANCES_PER_ATOM = 24


def fingerprint(atoms):
    """Sorted distances: unchanged by rotation, shift, order of the atoms.

    Mirror images have the same fingerprint.

    Returns:
        `(key, distances)`: composition and volume per atom as a tuple, and a
        float array of the shortest distances in Å for each pair of elements.
    """
    first, second, lengths = neighbors(atoms, REACH)
    kinds = np.sort(atoms.numbers[np.stack([first, second], axis=1)], axis=1)
    parts = []
    for kind in np.unique(kinds, axis=0):
        same = np.sort(lengths[(kinds == kind).all(axis=1)])
        parts.append(same[: DISTANCES_PER_ATOM * len(atoms)])
    distances = np.concatenate(parts) if parts else np.zeros(0)
    return atoms.get_chemical_formula(), distances


def check_duplicates(structures, part_of=None):
    """Structures that agree, and whether a split separates them.

    Args:
        structures: list of `(file, name, atoms)`.
        part_of: dict. From `(file, name)` to the part of a split, where one
            is known.

    Returns:
        List of `Finding`: an error where a split has them in two parts, a
        warning elsewhere.
    """
    groups = {}
    for file, name, atoms in structures:
        formula, distances = fingerprint(atoms)
        group = groups.setdefault((formula, len(distances)), [])
        group.append((distances, str(file), name))
    findings = []
    for group in groups.values():
        findings.extend(_compare(group, part_of or {}))
    return findings


def _compare(group, part_of):
    # Sorted by the mean distance only near neighbours need comparing.
    group = sorted(group, key=lambda item: _mean(item[0]))
    means = [_mean(item[0]) for item in group]
    findings = []
    for k, (distances, file, name) in enumerate(group):
        for n in range(k + 1, len(group)):
            if means[n] - means[k] > SAME_DISTANCE:
                break
            other, other_file, other_name = group[n]
            if np.abs(distances - other).max(initial=0.0) < SAME_DISTANCE:
                findings.append(
                    _finding((file, name), (other_file, other_name), part_of)
                )
    return findings


def _mean(distances):
    return float(distances.sum()) / max(len(distances), 1)


def _finding(first, second, part_of):
    (file, name), (other_file, other_name) = sorted([first, second])
    where = "" if file == other_file else f" of {other_file}"
    parts = part_of.get((file, name)), part_of.get((other_file, other_name))
    same = f"It is the same crystal as {other_name}{where}"
    if None not in parts and parts[0] != parts[1]:
        return Finding(
            "duplicates",
            "error",
            f"{same}, and the split has them in {parts[0]} and {parts[1]}.",
            "Errors on the second part are too small. Remove one, or draw the "
            "split with `groups`.",
            structure=name,
            file=file,
        )
    return Finding(
        "duplicates",
        "warning",
        f"{same} (all distances within {SAME_DISTANCE} Å).",
        "Keep one, or make sure that no split has them in two parts.",
        structure=name,
        file=file,
    )
