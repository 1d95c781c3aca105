"""How good a model is: numbers as JSON, and pictures."""

import dataclasses
import datetime
import json
import os
import pathlib

import numpy as np

from keras_hamiltonian.evaluation.machine import machine_kind
from keras_hamiltonian.evaluation.page import write_page
from keras_hamiltonian.evaluation.plots import MEV_PER_EV
from keras_hamiltonian.evaluation.plots import plot_bands
from keras_hamiltonian.evaluation.plots import plot_block_errors
from keras_hamiltonian.evaluation.plots import plot_learning_curve
from keras_hamiltonian.models.provenance import count_electrons
from keras_hamiltonian.models.provenance import installed_versions
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.prediction import predict_hamiltonian

# Energies about the Fermi level in which bands are compared, in eV.
WINDOW = (-3.0, 3.0)
REPORT = "report.json"
PAGE = "report.html"


def predicted_blocks(model, calculation):
    """What a model says about the pairs of a calculation.

    Args:
        model: `Stage`.
        calculation: `Calculation` with a Hamiltonian.

    Returns:
        `BlockMatrix` in eV, Hermitian as that of `kh.predict`.
    """
    pairs = calculation.hamiltonian.atom_pairs
    blocks = predict_hamiltonian(model, calculation.atoms, pairs)
    return blocks if model.is_hermitian else blocks.symmetrized()


def completed(model, calculation):
    """A calculation that fits a model, with its overlap where it has none.

    Args:
        model: `Stage`.
        calculation: `Calculation` with a Hamiltonian.

    Returns:
        `Calculation`.

    Raises:
        ValueError: if it does not fit the model, or has no Hamiltonian.
    """
    model.check_elements(calculation.atoms, calculation.basis)
    if calculation.hamiltonian is None:
        raise ValueError(
            f"The calculation {calculation.name!r} has no Hamiltonian to "
            "compare with. Read it with its Hamiltonian, or predict alone "
            "with `kh.predict`."
        )
    if calculation.overlap is None and model.overlap is not None:
        overlap = model.overlap(calculation.atoms)
        calculation = dataclasses.replace(calculation, overlap=overlap)
    return calculation


def with_electrons(model, calculation):
    """A calculation that has a Fermi level or a number of electrons.

    Args:
        model: `Stage`, whose training set tells the number.
        calculation: `Calculation`.

    Returns:
        `Calculation`; without either where nothing tells.
    """
    if calculation.fermi_level is not None:
        return calculation
    if calculation.num_electrons is not None:
        return calculation
    count = count_electrons(model.provenance, calculation.atoms)
    return dataclasses.replace(calculation, num_electrons=count)


def compare_bands(
    prediction, calculation, path=None, num_points=120, window=WINDOW
):
    """Predicted bands beside those of the calculation's own matrices.

    Args:
        prediction: `Prediction`.
        calculation: `Calculation` of the same structure, with Hamiltonian.
            Without an overlap that of the prediction is taken.
        path: str or list, see `k_path`.
        num_points: int. Number of wave vectors, about.
        window: two floats. Energies about the Fermi level, in eV.

    Returns:
        Predicted and reference `BandStructure` on one path, both with the
        calculation's Fermi level where it has one, and the error: a dict with
        `structure`, `band_mae` in eV of the reference's bands in the window
        (`None` without a level), and `window`.

    Raises:
        ValueError: if there is no Hamiltonian, or no overlap at all.
    """
    if calculation.overlap is None:
        calculation = dataclasses.replace(
            calculation, overlap=prediction.overlap
        )
    path = k_path(calculation.atoms, path, num_points)
    matrices = BlochMatrices.from_calculation(calculation)
    level = calculation.fermi_level
    level = prediction.fermi_level if level is None else level
    reference = band_structure(matrices, path, level)
    predicted = band_structure(prediction.matrices, path, level)
    error = None
    if level is not None:
        energies = reference.energies - level
        near = (energies > window[0]) & (energies < window[1])
        differences = np.abs(predicted.energies - reference.energies)
        error = float(differences[near].mean())
    return (
        predicted,
        reference,
        {
            "structure": calculation.name,
            "band_mae": error,
            "window": list(window),
        },
    )


def write_report(
    folder,
    errors,
    history=None,
    bands=None,
    title="",
    first_stage=None,
    first_bands=None,
    **details,
):
    """Writes `report.json`, `report.html` and the pictures.

    `kh.evaluate` measures all that the page can show; here it is given.

    Args:
        folder: str or path. Made if it does not exist.
        errors: `MatrixErrors`.
        history: dict, of `LearningCurve` with a loss in meV, or `None`.
        bands: what `compare_bands` returned, or `None`.
        title: str. For the pictures.
        first_stage: `MatrixErrors` of the first stage alone, for a cascade.
        first_bands: what `compare_bands` returned for it, or `None`.
        **details: JSON values for the report. A dict `files` of further files
            of the run, relative to the folder, is joined with the pictures.

    Returns:
        The report, a dict: `title`, `errors`, `first_stage_errors` (`None` if
        there is one stage), `bands`, `first_stage_bands`, `machine`,
        `versions`, `date`, `files` (name to file in the folder) and the
        details.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {**details.pop("files", {}), "block_errors": "block_errors.png"}
    values, names = errors.block_errors()
    plot_block_errors(values, names, folder / files["block_errors"], title)
    curve = _in_ev(history) if history else None
    if curve:
        files["learning_curve"] = "learning_curve.png"
        plot_learning_curve(curve, folder / files["learning_curve"], title)
    if bands and bands[1].fermi_level is not None:
        files["bands"] = "bands.png"
        shown = f"{title}, structure {bands[2]['structure']}".lstrip(", ")
        window = bands[2]["window"]
        plot_bands(*bands[:2], folder / files["bands"], window, shown)
    files["page"] = PAGE
    report = {
        "title": title,
        **details,
        "errors": errors.result(),
        "first_stage_errors": first_stage and first_stage.result(),
        "bands": bands[2] if bands else None,
        "first_stage_bands": first_bands[2] if first_bands else None,
        "machine": machine_kind(),
        "versions": installed_versions(),
        "date": datetime.date.today().isoformat(),
        "files": files,
    }
    write_page(folder / PAGE, report, bands, first_bands, curve)
    # Last: where there is a report, everything is written.
    temporary = folder / f".{REPORT}.partial"
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, folder / REPORT)
    return report


def summary(report, folder=None):
    """The main errors of a report, in words and meV.

    Args:
        report: dict, of `kh.evaluate` or `kh.train`.
        folder: str or path, of the report: its files are listed too.

    Returns:
        str of several lines.
    """
    errors, first = report["errors"], report.get("first_stage_errors")

    def line(text, key, ending="", pair=None):
        found, before = pair or (errors, first)
        value = f"{text} {_mev(found[key])} meV"
        if before:
            value += f" (first stage {_mev(before[key])})"
        return value + ending

    lines = [
        line(
            "MAE_all",
            "mae_all",
            f" over {len(errors['structures'])} structures",
        ),
        line("MAE_cha", "mae_cha", f", structure {errors['worst_structure']}"),
        line("onsite", "onsite_mae"),
        line("hopping", "hopping_mae"),
        line("without energy zero", "gauge_free_mae"),
    ]
    levels = report.get("levels"), report.get("first_stage_levels")
    if levels[0] and levels[0]["occupied_mae"] is not None:
        lines.append(line("occupied levels", "occupied_mae", pair=levels))
        lines.append(
            f"similarity of their wave functions {levels[0]['similarity']:.5f}"
        )
    bands = report.get("bands")
    if bands and bands["band_mae"] is not None:
        lines.append(
            f"bands of structure {bands['structure']} within "
            f"{bands['window'][1]:g} eV: {_mev(bands['band_mae'])} meV"
        )
    threshold = report.get("overlap_threshold")
    if threshold is not None:
        lines.append(
            "predicted bands leave out combinations of orbitals of norms "
            f"below {threshold:g}"
        )
    for name, other in (report.get("test_sets") or {}).items():
        errors, first = other["errors"], other.get("first_stage_errors")
        lines.append(line(f"{name}: MAE_all", "mae_all"))
    if folder is not None:
        lines += [
            f"{name:>15}: {pathlib.Path(folder) / file}"
            for name, file in report["files"].items()
        ]
    return "\n".join(lines)


def _mev(value):
    return "?" if value is None else f"{MEV_PER_EV * value:.3f}"


def _in_ev(history):
    """History for `plot_learning_curve`; the loss is in meV."""

    def converted(values):
        return [None if v is None else v / MEV_PER_EV for v in values]

    curve = {
        name: history[name]
        for name in ("cpu_seconds", "stage")
        if name in history
    }
    for name, target in (("loss", "mae"), ("val_loss", "val_mae")):
        if name in history:
            curve[target] = converted(history[name])
    return curve
