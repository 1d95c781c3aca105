"""Errors, bands and predictions of a trained model, in its folder."""

import pathlib
import shutil

from keras_hamiltonian.evaluation.full_report import full_report
from keras_hamiltonian.evaluation.report import evaluate_model
from keras_hamiltonian.prediction import predict

# Levels of so many test structures, and time and memory of predictions up to
# so many atoms, take a few CPU seconds; `kh.evaluation.full_report` takes all.
NUM_SPECTRA = 5
LARGEST_CELL = 80


def report_training(
    trained,
    store,
    split,
    title="",
    num_predictions=None,
    test_sets=None,
    **details,
):
    """Tests a trained model and writes everything into the model's folder.

    Pictures and `report.json` of `kh.evaluation.full_report`, which tells
    both stages of a cascade apart; and for the test structures
    DeepH folders in `predictions/`. Then the checkpoints of the training are
    no longer needed and are removed.

    Args:
        trained: `TrainedModel`.
        store: `HamiltonianStore`.
        split: `Split`, of which `test` counts.
        title: str. For the pictures.
        num_predictions: int. DeepH folders of so many test structures.
            Defaults to all.
        test_sets: dict from name to `HamiltonianStore`: structures of another
            kind, such as twisted ones, tested by themselves.
        **details: JSON values for the report.

    Returns:
        The report, a dict.

    Raises:
        ValueError: if there is nothing to test.
    """
    if not split.test:
        raise ValueError("The split has no test structures to report on.")
    model, output = trained.model, trained.file.parent
    first, *second = model.stages()
    first = first if second else None
    files = {"model": trained.file.name}
    for name in split.test[:num_predictions]:
        calculation = store[name]
        prediction = predict(model, calculation.atoms, name=name)
        folder = pathlib.Path("predictions") / name
        prediction.write(output / folder)
        files[name] = str(folder / "hamiltonians_pred.h5")
    settings = model.provenance["settings"]
    is_in_mev = settings["loss"] == "mean_absolute"
    report = full_report(
        model,
        (store[name] for name in split.test),
        output,
        num_spectra=NUM_SPECTRA,
        largest_cell=LARGEST_CELL,
        history=trained.history if is_in_mev else None,
        title=title,
        test_sets={
            name: _errors(model, first, other)
            for name, other in (test_sets or {}).items()
        },
        cpu_seconds=trained.cpu_seconds,
        steps=trained.steps,
        settings=settings,
        files=files,
        **details,
    )
    shutil.rmtree(trained.checkpoints, ignore_errors=True)
    return report


def _errors(model, first, store):
    errors = {"errors": evaluate_model(model, store).result()}
    if first is not None:
        errors["first_stage_errors"] = evaluate_model(first, store).result()
    return errors
