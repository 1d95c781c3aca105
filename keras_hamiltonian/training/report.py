"""Errors, bands and predictions of a trained model, in its folder."""

import pathlib
import shutil

from keras_hamiltonian.data.splits import PARTS
from keras_hamiltonian.evaluation.evaluate import evaluate
from keras_hamiltonian.messages import counted
from keras_hamiltonian.prediction import predict

# Levels of this many test structures, and time and memory of predictions up
# to this many atoms, take a few CPU seconds; `kh.evaluate` takes all.
NUM_SPECTRA = 5
LARGEST_CELL = 80


def report_training(
    trained, store, split, num_predictions=None, test_sets=None, **report
):
    """Tests a trained model and writes everything into the model's folder.

    The report of `kh.evaluate` on the test structures, and DeepH folders of
    them in `predictions/`. Then the checkpoints of the training are no longer
    needed and are removed.

    Args:
        trained: `TrainedModel`.
        store: `HamiltonianStore`.
        split: `Split`, of which `test` counts.
        num_predictions: int. DeepH folders of the first test structures.
            Defaults to all.
        test_sets: dict from name to `HamiltonianStore`, see `kh.train`.
        **report: arguments of `kh.evaluate`, and JSON values for the report.

    Returns:
        The report, a dict.
    """
    model, folder = trained.model, trained.file.parent
    files = {"model": trained.file.name}
    for name in counted(split.test[:num_predictions], "predict"):
        place = pathlib.Path("predictions") / name
        known = store[name]
        predict(
            model,
            known.atoms,
            name=name,
            initial=known if model.takes_initial else None,
        ).write(folder / place)
        files[name] = str(place / "hamiltonians_pred.h5")
    settings = model.provenance["settings"]
    defaults = {"num_spectra": NUM_SPECTRA, "largest_cell": LARGEST_CELL}
    found = evaluate(
        model,
        store,
        folder,
        split.test,
        history=trained.history,
        test_sets={
            name: evaluate(model, other)
            for name, other in (test_sets or {}).items()
        },
        num_structures={p: len(getattr(split, p)) for p in PARTS},
        cpu_seconds=trained.cpu_seconds,
        steps=trained.steps,
        settings=settings,
        files=files,
        **{**defaults, **report},
    )
    shutil.rmtree(trained.checkpoints, ignore_errors=True)
    return found
