"""The command line of the data doctor.

Exit code: 0 clean (warnings do not count), 1 errors found, 2 unusable input.
"""

import argparse
import json
import math
import sys

import numpy as np

from data_tools.check import CHECKS
from data_tools.check import Finding
from data_tools.check import examine
from data_tools.check.bases import check_bases
from data_tools.check.bases import radial_overlaps
from data_tools.check.duplicates import check_duplicates
from data_tools.check.initial import check_initial_of_sets
from data_tools.check.species import NUM_CHECKS
from data_tools.check.split_parts import parts_of_splits
from data_tools.formats import find_sources
from data_tools.formats import read_source
from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.data.correction import Correction
from keras_hamiltonian.data.correction import describe_corrections
from keras_hamiltonian.data.correction import measure_correction
from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.files import write_text
from keras_hamiltonian.messages import Phase
from keras_hamiltonian.messages import counted
from keras_hamiltonian.structures.separation import separations


def main(arguments=None, species=None):
    """Runs the checks; returns the exit code.

    Args:
        arguments: list of str. Defaults to those of the command line.
        species: see `run`.
    """
    options = _parse(arguments)
    try:
        report = run(options.paths, options.split, options.strict, species)
    except ValueError as error:
        print(f"Unusable input: {error}", file=sys.stderr)
        return 2
    _print_words(report)
    if options.json:
        write_text(options.json, json.dumps(report, indent=1) + "\n")
    if report["num_readable"] == 0:
        return 2
    return 1 if report["num_errors"] else 0


def run(paths, split=None, strict=False, species=None):
    """Examines everything below the paths.

    Args:
        paths: list of str. See `find_sources`.
        split: str or path. A split file for all paths; without it each path's
            own is used, if it has one.
        strict: bool. See `find_sources`.
        species: `SpeciesCheck`, whose S and H⁰ all are compared with.

    Returns:
        JSON-ready dict: `structures` (each with `file`, `name`, `set`,
        `is_readable`, `has_overlap`, `has_initial`, `correction`, `species`,
        `findings`), `num_readable`, `num_errors`, `num_warnings`, and `cells`,
        of each crystal `Separation.to_dict` and its `words`. A set is a
        container or a folder; `correction` holds `mean` and `shift` in eV (see
        `keras_hamiltonian.data.correction`), `species` what `SpeciesCheck`
        measured; or they are `None`.

    Raises:
        ValueError: if a path holds nothing to check, or a split is damaged.
    """
    common = None if split is None else Split.read(split)
    places = []
    for path in paths:
        sources = find_sources(path, strict=strict)
        places.append((sources, parts_of_splits(sources, path, common)))
    structures, atoms, bases, reach = [], [], [], 0.0
    part_of = {
        name: part for _, parts in places for name, part in parts.items()
    }
    for source in counted(
        [s for sources, _ in places for s in sources], "check"
    ):
        report, calculation = _examine(source, species)
        structures.append(report)
        if calculation is not None:
            place = source.file, source.name
            atoms.append((*place, calculation.atoms))
            reach = max(reach, _reach(calculation))
            bases.append((*place, radial_overlaps(calculation)))
    with Phase("compare the structures", None):
        return _compared(structures, atoms, bases, part_of, reach)


def _compared(structures, atoms, bases, part_of, reach):
    """The report, with what all structures tell together."""
    by_place = {(s["file"], s["name"]): s for s in structures}
    for finding in [
        *check_duplicates(atoms, part_of),
        *check_bases(bases),
        *check_initial_of_sets(structures),
    ]:
        report = by_place[finding.file, finding.structure]
        report["findings"].append(finding.to_dict())
    cells = ((name, x) for _, name, x in atoms)
    crystals = separations(cells, reach) if reach else []
    severities = [f["severity"] for s in structures for f in s["findings"]]
    return {
        "structures": structures,
        "cells": [{**c.to_dict(), "words": c.describe()} for c in crystals],
        "num_readable": sum(s["is_readable"] for s in structures),
        "num_errors": severities.count("error"),
        "num_warnings": severities.count("warning"),
    }


def _examine(source, species):
    """The report of one structure, and its `Calculation` or `None`."""
    calculation = measured = None
    try:
        calculation = read_source(source)
    except ValueError as error:
        findings = [
            Finding(
                "readable",
                "error",
                str(error),
                "Until it can be read, leave the structure out.",
            )
        ]
    else:
        findings = examine(calculation, source.file)
        if species is not None:
            findings += species(calculation)
            measured = species.measured
    findings = [f.located(source.file, source.name) for f in findings]
    report = {
        "file": str(source.file),
        "name": source.name,
        "set": str(_set_of(source)),
        "is_readable": calculation is not None,
        "has_overlap": _has(calculation, "overlap"),
        "has_initial": _has(calculation, "initial_hamiltonian"),
        "correction": _correction(calculation),
        "species": measured,
        "findings": [f.to_dict() for f in findings],
    }
    return report, calculation


def _reach(calculation):
    """Length of the longest pair, Å; zero without matrices."""
    matrix = calculation.overlap
    if matrix is None:
        matrix = calculation.hamiltonian
    if matrix is None:
        return 0.0
    vectors = calculation.edge_vectors(matrix.atom_pairs)
    return float(np.linalg.norm(vectors, axis=1).max())


def _set_of(source):
    """The container, or the folder that holds the structures."""
    is_container = source.format == "container"
    return source.file if is_container else source.file.parent


def _has(calculation, field):
    return getattr(calculation, field, None) is not None


def _correction(calculation):
    correction = calculation and measure_correction(calculation)
    if correction is None or not math.isfinite(correction.mean):
        return None
    return correction._asdict()


def _print_words(report):
    structures = report["structures"]
    for group in _alike(f for s in structures for f in s["findings"]):
        first = group[0]
        print(
            f"{first['severity'].upper()} {first['file']}, structure "
            f"{first['structure']}: {first['check']}\n"
            f"  {first['message']}\n  -> {first['remedy']}"
        )
        if len(group) > 1:
            print(f"  The same in {len(group) - 1} more: {_places(group[1:])}")
    clean = sum(not s["findings"] for s in structures)
    print(
        f"{len(structures)} structures, {_count(structures)} checks each: "
        f"{clean} clean, {report['num_errors']} errors, "
        f"{report['num_warnings']} warnings."
    )
    for line in [*_initial_lines(structures), *_species_lines(structures)]:
        print(line)
    for crystal in report["cells"]:
        if crystal["num_separated"] < crystal["num_influences"]:
            print(crystal["words"])
    blind = sum(s["is_readable"] and not s["has_overlap"] for s in structures)
    if blind:
        print(
            f"{blind} structures have no overlap: geometry, orbital order, "
            "energies and Fermi level could not be checked there."
        )


def _initial_lines(structures):
    """H⁰ of each set that has it, one line each."""
    sets = {}
    for structure in structures:
        sets.setdefault(structure["set"], []).append(structure)
    for name, members in sets.items():
        count = sum(s["has_initial"] for s in members)
        known = [s["correction"] for s in members if s["correction"]]
        sizes = describe_corrections(Correction(**c) for c in known)
        if count:
            yield f"{name}: H⁰ in {count} of {len(members)}; {sizes}."


def _count(structures):
    """Checks of each structure: those of sets, and of species, beside it."""
    has_species = any(s["species"] is not None for s in structures)
    return len(CHECKS) + 4 + NUM_CHECKS * has_species


def _species_lines(structures):
    """What S and H⁰ of all differ by from those of species."""
    known = [s["species"] for s in structures if s["species"] is not None]
    overlaps, initials, corrections = (
        [x[key] for x in known if x[key] is not None]
        for key in ("overlap", "initial", "correction")
    )
    if overlaps:
        yield (
            f"S of the species differs by at most {max(overlaps):.2g} "
            f"({len(overlaps)} structures)."
        )
    if initials:
        yield (
            "H⁰ of the species differs by "
            f"{MEV_PER_EV * sum(initials) / len(initials):.2g} meV on the "
            f"mean ({len(initials)} structures)."
        )
    if corrections:
        yield (
            "H differs from H⁰ of the species by "
            f"{MEV_PER_EV * sum(corrections) / len(corrections):.3g} meV on "
            f"the mean, after the best shift ({len(corrections)} structures)."
        )


def _alike(findings):
    """Findings with the same check and remedy, in one list each."""
    groups = {}
    for finding in findings:
        key = finding["severity"], finding["check"], finding["remedy"]
        groups.setdefault(key, []).append(finding)
    return groups.values()


def _places(findings):
    places = {}
    for finding in findings:
        places.setdefault(finding["file"], []).append(finding["structure"])
    return "; ".join(
        f"{file} ({', '.join(names)})" for file, names in places.items()
    )


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.check",
        description="Finds what is wrong with Hamiltonian data.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        help="file or folder of a known format, or a folder of them",
    )
    parser.add_argument("--json", metavar="FILE", help="report as JSON")
    parser.add_argument(
        "--split", metavar="FILE", help="split for all paths (JSON)"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop where something looks like a calculation and is none",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
