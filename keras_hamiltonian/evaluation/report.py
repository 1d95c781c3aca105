"""Reports of the errors of a model: JSON, a page and pictures."""

import dataclasses
import datetime
import json
import pathlib

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.machine import machine_kind
from keras_hamiltonian.evaluation.page import write_page
from keras_hamiltonian.files import write_text
from keras_hamiltonian.models.provenance import installed_versions
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.plots.bands import plot_bands
from keras_hamiltonian.plots.blocks import plot_block_errors
from keras_hamiltonian.plots.elements import plot_elements
from keras_hamiltonian.plots.learning_curve import plot_learning_curve
from keras_hamiltonian.prediction import predict
from keras_hamiltonian.prediction import predict_hamiltonian

# Energies about the Fermi level in which bands are compared, in eV.
WINDOW = (-3.0, 3.0)
REPORT = "report.json"
PAGE = "report.html"


def predicted_blocks(model, calculation):
    """Predicted blocks for the pairs of a calculation.

    Args:
        model: `Stage`.
        calculation: `Calculation`.

    Returns:
        `BlockMatrix` in eV.

    Raises:
        ValueError: if there is no Hamiltonian to compare with.
    """
    return predict_hamiltonian(model, calculation, known_pairs(calculation))


def known_pairs(calculation):
    """Atom pairs of a Hamiltonian that a prediction is compared with.

    Args:
        calculation: `Calculation`.

    Returns:
        `(num_pairs, 5)` int array.

    Raises:
        ValueError: if there is no Hamiltonian.
    """
    if calculation.hamiltonian is None:
        raise ValueError(
            f"The calculation {calculation.name!r} has no Hamiltonian to "
            "compare with. Read it with its Hamiltonian, or only predict, "
            "with `kh.predict`."
        )
    return calculation.hamiltonian.atom_pairs


def evaluate_bands(
    model, calculation, path=None, num_points=120, window=WINDOW
):
    """Bands that a model predicts from the atoms, and those of a calculation.

    Args:
        model: `Stage`, whose overlap is used if it has one.
        calculation: `Calculation` with a Hamiltonian.
        path, num_points, window: see `compare_bands`.

    Returns:
        What `compare_bands` returns; `None` without an overlap, a Fermi level
        or a lattice.
    """
    reference = ElectronicStructure(calculation, model)
    calculation = reference.calculation
    is_crystal = periodic_directions(calculation.atoms).any()
    has_bands = calculation.overlap is not None and is_crystal
    if not (has_bands and reference.has_fermi_level):
        return None
    prediction = predict(
        model,
        dataclasses.replace(calculation, hamiltonian=None, overlap=None),
        overlap=None if model.overlap is not None else calculation.overlap,
        num_electrons=calculation.num_electrons,
    )
    return compare_bands(prediction, calculation, path, num_points, window)


def compare_bands(
    prediction, calculation, path=None, num_points=120, window=WINDOW
):
    """Predicted bands, and those of the matrices of a calculation.

    Args:
        prediction: `Prediction`.
        calculation: `Calculation` of the same structure, with Hamiltonian.
            A missing overlap or Fermi level is that of the prediction.
        path: str or list, see `k_path`.
        num_points: int. Approximate number of wave vectors.
        window: two floats. Energies about the Fermi level, in eV.

    Returns:
        Predicted and reference `BandStructure` on one path, both with the
        same Fermi level, and a dict with `structure`, `window`, and `band_mae`,
        the mean absolute error in eV of the reference's bands in the window
        (`None` without a Fermi level).

    Raises:
        ValueError: if there is no Hamiltonian, or no overlap at all.
    """
    if calculation.overlap is None:
        calculation = dataclasses.replace(
            calculation, overlap=prediction.overlap
        )
    reference = ElectronicStructure(calculation)
    leading = reference if reference.has_fermi_level else prediction
    level = leading.fermi_level
    path = k_path(calculation.atoms, path, num_points)
    predicted, exact = (
        band_structure(crystal.matrices, path, level)
        for crystal in (prediction, reference)
    )
    error = None if level is None else band_error(predicted, exact, window)
    return (
        predicted,
        exact,
        {
            "structure": calculation.name,
            "band_mae": error,
            "window": list(window),
        },
    )


def band_error(predicted, reference, window=WINDOW):
    """Mean absolute error of the levels of a band structure.

    Args:
        predicted, reference: `BandStructure` of all bands on one path.
        window: two floats. Levels of the reference this far about its Fermi
            level count, in eV.

    Returns:
        float in eV; NaN if there are none.
    """
    energies = reference.energies - reference.fermi_level
    near = (energies > window[0]) & (energies < window[1])
    differences = np.abs(predicted.energies - reference.energies)[near]
    return float(differences.mean()) if near.any() else np.nan


def write_report(
    folder,
    errors,
    history=None,
    bands=None,
    title="",
    first_stage=None,
    first_bands=None,
    elements=None,
    **details,
):
    """Writes `report.json`, `report.html` and the pictures.

    `kh.evaluate` measures all that the page can show; here it is given.

    Args:
        folder: str or path. Made if it does not exist.
        errors: `MatrixErrors`.
        history: dict, of `LearningCurve` with `mae` or a loss in meV, or
            `None`.
        bands: what `compare_bands` returned, or `None`.
        title: str. Of the page and the pictures.
        first_stage: `MatrixErrors` of the first stage of a cascade.
        first_bands: what `compare_bands` returned for it, or `None`.
        elements: predicted and reference matrix elements, two arrays in eV,
            or `None`.
        **details: JSON values for the report. A dict `files` of further files
            of the run, relative to the folder, is joined with the pictures.

    Returns:
        The report, a dict: `title`, `errors`, `first_stage_errors` (`None` if
        there is one stage), `bands`, `first_stage_bands`, `machine`,
        `versions`, `date`, `files` (name to file in the folder) and the
        details.
    """
    folder = pathlib.Path(folder)
    files = {**details.pop("files", {}), "block_errors": "block_errors.png"}
    values, names = errors.block_errors()
    plot_block_errors(values, names, folder / files["block_errors"], title)
    if elements:
        files["elements"] = "elements.png"
        plot_elements(*elements, folder / files["elements"], title)
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
    write_page(folder / PAGE, report, bands, first_bands, curve, elements)
    # Last: where there is a report, the other files exist.
    write_text(folder / REPORT, json.dumps(report, indent=1) + "\n")
    return report


def summary(report, folder=None):
    """The main errors of a report as text, in meV.

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
        ending = f", within {levels[0]['window'][1]:g} eV of E_F"
        for name, key in (
            ("levels", "window_mae"),
            ("levels without energy zero", "gauge_free_window_mae"),
        ):
            # Reports of older versions lack one.
            if levels[0].get(key) is not None:
                lines.append(line(name, key, ending, levels))
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
    expectation = report.get("expectation")
    if expectation and expectation["ratio"] is not None:
        lines.append(
            f"observed over expected errors {expectation['ratio']:.2f}"
        )
    groups = [report.get(k) or {} for k in ("sets", "cells", "test_sets")]
    for name, other in (item for group in groups for item in group.items()):
        pair = other["errors"], other.get("first_stage_errors")
        lines.append(line(f"{name}: MAE_all", "mae_all", pair=pair))
    if folder is not None:
        lines += [
            f"{name:>15}: {pathlib.Path(folder) / file}"
            for name, file in report["files"].items()
        ]
    return "\n".join(lines)


def _mev(value):
    return "?" if value is None else f"{MEV_PER_EV * value:.3f}"


def _in_ev(history):
    """History for `plot_learning_curve`; `mae`, or else the loss, is in meV."""

    def converted(values):
        return [None if v is None else v / MEV_PER_EV for v in values]

    curve = {
        name: history[name]
        for name in ("cpu_seconds", "stage")
        if name in history
    }
    for name, other in (("mae", "loss"), ("val_mae", "val_loss")):
        values = history.get(name, history.get(other))
        if values:
            curve[name] = converted(values)
    return curve
