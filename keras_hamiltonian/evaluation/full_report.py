"""Everything that can be said about a model, measured and written."""

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.cost import growing_cells
from keras_hamiltonian.evaluation.cost import prediction_costs
from keras_hamiltonian.evaluation.equivariance import (
    averaged_equivariance_error,
)
from keras_hamiltonian.evaluation.equivariance import equivariance_error
from keras_hamiltonian.evaluation.report import WINDOW
from keras_hamiltonian.evaluation.report import evaluate_bands
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.evaluation.report import write_report
from keras_hamiltonian.evaluation.spectrum import SpectrumErrors
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.matrix import mean_absolute_error
from keras_hamiltonian.metrics.stage_comparison import StageComparison

# A larger relative equivariance error is more than rounding in float32.
ROUNDING = 1e-4
NUMBERS_OF_ROTATIONS = (1, 2, 4, 8)


def full_report(
    model,
    calculations,
    output,
    window=WINDOW[1],
    num_spectra=None,
    num_rotations=2,
    largest_cell=200,
    num_k_points=120,
    history=None,
    title="",
    **details,
):
    """Measures a model on structures it was not trained on.

    Writes `report.json`, `report.html` and the pictures of `write_report`.
    Of a `HamiltonianCascade` everything is told of both stages, and what the
    second one changed.

    On one thread, of 18 atoms with 13 orbitals each: 0.1 CPU s a structure
    for the matrices, 0.5 for levels and wave functions on a coarse grid, which
    grows with the third power of the size (`num_spectra`); then once 5 for
    the bands (`num_k_points`), 0.3 for the symmetry (`num_rotations`) and 3
    for the cost (`largest_cell`).

    Args:
        model: `Stage`.
        calculations: iterable of `Calculation` with a Hamiltonian. Where the
            overlap is missing the model's own is taken; where the Fermi level
            is, the electrons of the model's training set.
        output: str or path. The folder, made if it does not exist.
        window: float. Bands are compared up to this far from the Fermi level,
            in eV. Defaults to 3.
        num_spectra: int. Levels and wave functions are solved for the first
            structures alone. Defaults to all; see `SpectrumErrors`.
        num_rotations: int. Random rotations of the first structure for the
            equivariance error; 0 for none. A model that is not exactly
            symmetric is also averaged over 1 to 8 rotations.
        largest_cell: int. Time and memory are measured for one structure of
            each size and for repetitions of the first one up to this many
            atoms; 0 for none.
        num_k_points: int. Wave vectors of the picture of the bands, of the
            worst structure; 0 for none.
        history: dict, of `LearningCurve` with a loss in meV, or `None`.
        title: str.
        **details: JSON values for the report, see `write_report`.

    Returns:
        The report, the dict of `report.json`: what `write_report` says, and

        - `overlap_threshold` of the model: its bands and levels leave
          combinations of orbitals below it out; or `None`;
        - `levels`, `first_stage_levels`: `SpectrumErrors.result`, or `None`;
          `levels_skipped`: dict from structure to reason.
        - `second_stage`: `StageComparison.result`, or `None`.
        - `equivariance`: `structure`, `num_rotations`, the fields of
          `equivariance_error` in meV, and `averaged`, those of
          `averaged_equivariance_error` by number of rotations, `None` for an
          exactly symmetric model; or `None`.
        - `prediction_costs`: list, of `prediction_costs`, or `None`.

    Raises:
        ValueError: if there is no calculation, or one does not fit the model.

    Example:

    >>> held_out = (store[name] for name in split.test)   # doctest: +SKIP
    >>> report = kh.evaluation.full_report(                 # doctest: +SKIP
    ...     model, held_out, "runs/mine"
    ... )
    >>> print(kh.evaluation.summary(report))                # doctest: +SKIP
    """
    stages = {"model": model}
    first, *second = model.stages()
    if second:
        stages["first"] = first
    errors = {name: MatrixErrors(model.basis) for name in stages}
    spectra = SpectrumErrors(
        tuple(stages), window, overlap_threshold=model.overlap_threshold
    )
    comparison = StageComparison(model.basis)
    first = worst = None
    sizes = {}
    for number, calculation in enumerate(calculations):
        calculation = ElectronicStructure(calculation, model).calculation
        found = {
            name: predicted_blocks(stage, calculation)
            for name, stage in stages.items()
        }
        for name, blocks in found.items():
            errors[name].update(blocks, calculation)
        if "first" in stages:
            comparison.update(found["first"], found["model"], calculation)
        if num_spectra is None or number < num_spectra:
            spectra.update(found, calculation)
        error = mean_absolute_error(found["model"], calculation.hamiltonian)
        if worst is None or error > worst[0]:
            worst = error, calculation
        first = first or calculation
        sizes.setdefault(len(calculation.atoms), calculation.atoms)
    if first is None:
        raise ValueError(
            "There is no calculation to report on. Give those the model was "
            "not trained on, for example (store[name] for name in split.test)."
        )
    bands = {}
    if num_k_points:
        for name, stage in stages.items():
            bands[name] = evaluate_bands(
                stage, worst[1], None, num_k_points, (-window, window)
            )
    return write_report(
        output,
        errors["model"],
        history,
        bands.get("model"),
        title,
        errors.get("first"),
        bands.get("first"),
        overlap_threshold=model.overlap_threshold,
        levels=spectra.result("model"),
        first_stage_levels=(
            spectra.result("first") if "first" in stages else None
        ),
        levels_skipped=spectra.skipped,
        second_stage=comparison.result() if "first" in stages else None,
        equivariance=_equivariance(model, first, num_rotations),
        prediction_costs=_costs(model, first.atoms, sizes, largest_cell),
        **details,
    )


def _equivariance(model, calculation, num_rotations):
    if not num_rotations:
        return None
    atoms = calculation.atoms
    error = equivariance_error(model, atoms, num_rotations)
    averaged = None
    if error["relative"] > ROUNDING:
        found = averaged_equivariance_error(model, atoms, NUMBERS_OF_ROTATIONS)
        averaged = {str(n): values for n, values in found.items()}
    return {
        "structure": calculation.name,
        "num_rotations": num_rotations,
        **error,
        "averaged": averaged,
    }


def _costs(model, atoms, sizes, largest_cell):
    if not largest_cell:
        return None
    cells = {len(cell): cell for cell in growing_cells(atoms, largest_cell)}
    return prediction_costs(model, {**sizes, **cells}.values())
