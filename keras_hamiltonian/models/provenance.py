"""What a model was trained on, and what follows for new structures."""

import datetime
import importlib.metadata
import platform
import warnings

import keras
import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure

VERSIONS_OF = ("keras-hamiltonian", "keras", "torch", "jax", "tensorflow-cpu")
# A composition is a combination of known ones up to rounding.
COMPOSITION_TOLERANCE = 1e-6


def training_provenance(calculations, known=None, **details):
    """Where a model comes from, for `stage.provenance`.

    Args:
        calculations: iterable of `Calculation`, those that trained. Where
            only the Fermi level is known, bands of the first one of a
            composition are filled to count its electrons.
        known: dict. Provenance of the model that the training began with.
        **details: JSON values that only the caller knows: names of the data
            set, the seed, the budget, the loss reached.

    Returns:
        Dict of JSON values: units, programs and settings of the calculations,
        `structures` (names), `electron_counts` (see
        `electrons_of_composition`), `valence_electrons` of each element where
        they follow, versions, date, `started_from` (what is known of the
        model that it began with), and the details.
    """
    names, sources, tried = [], [], []
    counts = list((known or {}).get("electron_counts") or [])
    for calculation in calculations:
        names.append(calculation.name)
        source = {k: v for k, v in calculation.source.items() if k != "file"}
        if source not in sources:
            sources.append(source)
        _add_count(counts, tried, calculation)
    symbols = sorted({s for entry in counts for s in entry["composition"]})
    totals = {"electron_counts": counts}
    return {
        "units": "energies eV, lengths Å",
        "structures": names,
        "sources": sources,
        "electron_counts": counts,
        "valence_electrons": {
            symbol: electrons
            for symbol in symbols
            if (electrons := _combine(totals, {symbol: 1})) is not None
        },
        "backend": keras.config.backend(),
        "versions": installed_versions(),
        "date": datetime.date.today().isoformat(),
        **({"started_from": known} if known else {}),
        **details,
    }


def electrons_of_composition(provenance, atoms):
    """Valence electrons of a structure, from those of the training set.

    Known are the totals of whole structures. They settle every structure
    whose composition is a combination of theirs: with MoS2 any MoS2, but not
    MoS3.

    Args:
        provenance: dict of `training_provenance`, or `None`.
        atoms: `ase.Atoms`.

    Returns:
        float, or `None` where the composition does not follow.
    """
    return _combine(provenance or {}, _composition(atoms))


def installed_versions():
    """Versions of Python, this package and the installed backends."""
    versions = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _composition(atoms):
    symbols = atoms.get_chemical_symbols()
    return {symbol: symbols.count(symbol) for symbol in sorted(set(symbols))}


def _add_count(counts, tried, calculation):
    """Adds a total that does not follow from those before it."""
    total = calculation.num_electrons
    composition = _composition(calculation.atoms)
    followed = _combine({"electron_counts": counts}, composition)
    if followed is None and total is None and composition not in tried:
        # Diagonalises; where it fails the next structure would fail, too.
        tried.append(composition)
        total = ElectronicStructure(calculation).num_electrons
    if total is None:
        return
    if followed is None:
        total = float(total)
        counts.append({"composition": composition, "num_electrons": total})
    elif abs(followed - total) > 1e-3:
        warnings.warn(
            f"{calculation.name!r} has {total} valence electrons where the "
            f"other structures ask for {followed:.3f}; is it charged? The "
            "first structures count.",
            stacklevel=3,
        )


def _combine(provenance, composition):
    counts = provenance.get("electron_counts") or []
    symbols = sorted(
        {*composition}.union(*(entry["composition"] for entry in counts))
    )
    if not counts:
        return None
    known = np.array(
        [[e["composition"].get(s, 0) for s in symbols] for e in counts], float
    )
    wanted = np.array([composition.get(s, 0) for s in symbols], float)
    weights = np.linalg.lstsq(known.T, wanted, rcond=None)[0]
    error = np.abs(weights @ known - wanted).max()
    if error > COMPOSITION_TOLERANCE * max(1.0, wanted.max()):
        return None
    return round(float(weights @ [e["num_electrons"] for e in counts]), 6)
