"""`kh.evaluate`: how good a model is, measured and written.

The report of a folder holds, beside what `write_report` says,

- `sets`, of a `JoinedStore`: for each of its files `errors` and
  `first_stage_errors` with `mae_all`, `mae_cha`, `worst_structure`,
  `gauge_free_mae`;
- `cells`, where cells have several shapes, at most twelve: the same for each;
- `overlap_threshold` of the model: its bands and levels leave combinations of
  orbitals below it out; or `None`;
- `levels`, `first_stage_levels`: `SpectrumErrors.result`, or `None`;
  `levels_skipped`: dict from structure to reason;
- `second_stage`: `StageComparison.result`, or `None`;
- `expectation`: `ExpectationErrors.result`, or `None` for a model without an
  error estimate; also without a folder;
- `equivariance`: `structure`, `num_rotations`, the fields of
  `equivariance_error` in meV, and `averaged`, those of
  `averaged_equivariance_error` by number of rotations, `None` for an exactly
  symmetric model; or `None`;
- `prediction_costs`: list, of `prediction_costs`, or `None`.
"""

import contextlib
import os

import keras
import numpy as np

from keras_hamiltonian.electronic_structure import ElectronicStructure
from keras_hamiltonian.evaluation.cost import growing_cells
from keras_hamiltonian.evaluation.cost import prediction_costs
from keras_hamiltonian.evaluation.equivariance import (
    averaged_equivariance_error,
)
from keras_hamiltonian.evaluation.equivariance import equivariance_error
from keras_hamiltonian.evaluation.expectation import ExpectationErrors
from keras_hamiltonian.evaluation.report import WINDOW
from keras_hamiltonian.evaluation.report import evaluate_bands
from keras_hamiltonian.evaluation.report import known_pairs
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.evaluation.report import write_report
from keras_hamiltonian.evaluation.spectrum import SpectrumErrors
from keras_hamiltonian.initial import with_own_initial
from keras_hamiltonian.messages import Phase
from keras_hamiltonian.messages import counted
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.matrix import means_over
from keras_hamiltonian.metrics.stage_comparison import StageComparison
from keras_hamiltonian.models.loading import load_model
from keras_hamiltonian.orbitals.matrix_elements import matrix_difference
from keras_hamiltonian.parallel import ordered_map
from keras_hamiltonian.prediction import predict_with_features

# A larger relative equivariance error is more than rounding in float32.
ROUNDING = 1e-4
NUMBERS_OF_ROTATIONS = (1, 2, 4, 8)
# More shapes of cells are not told apart: each has few structures.
LARGEST_NUMBER_OF_CELLS = 12
# Keys of a report, and what `_Comparison` calls the stages.
STAGE_ERRORS = {"errors": "model", "first_stage_errors": "first"}


def evaluate(
    model,
    calculations,
    folder=None,
    names=None,
    path=None,
    window=WINDOW[1],
    num_spectra=None,
    num_rotations=2,
    largest_cell=200,
    num_k_points=120,
    **report,
):
    """Compares a model with calculations that it was not trained on.

    Without `folder` errors of the matrices alone: 0.1 CPU s for a structure of
    18 atoms with 13 orbitals each, on one thread. With `folder` also 0.5 for
    its levels and wave functions, which grows with the third power of the
    size, and once 5 for bands, 0.3 for the symmetry and 3 for the cost.

    Args:
        model: `Stage`, or the path of its `.keras` file. Of a cascade both
            stages are compared.
        calculations: `HamiltonianStore`, path of calculations of any format,
            or iterable of `Calculation`, with a Hamiltonian. Where the overlap
            is missing the model's own is taken; where the Fermi level is, the
            electrons of the model's training set.
        folder: str or path. For `report.json`, `report.html` and pictures;
            made if it does not exist.
        names: sequence of str. Structures of a store or path. Defaults to all.
        path: str or list. Band path of the picture, see `k_path`.
        window: float. Bands are compared this far about the Fermi level, eV.
        num_spectra: int. Levels and wave functions of the first structures
            alone. Defaults to all.
        num_rotations: int. Random rotations of the first structure for the
            equivariance error; 0 for none. A model that is not exactly
            symmetric is also averaged over 1 to 8 rotations.
        largest_cell: int. Time and memory are measured for one structure of
            each size and for repetitions of the first one up to this number
            of atoms; 0 for none.
        num_k_points: int. Wave vectors of the picture of the bands, of the
            worst structure; 0 for none.
        **report: `title`, `history` and JSON values, see `write_report`.

    Returns:
        Dict: `errors` and `first_stage_errors` (`None` without a second
        stage), of `MatrixErrors.result`; `expectation`; of a `JoinedStore`
        also `sets`, the errors of each file; `cells`, those of each shape of
        the cell, where there are several; with `folder` the whole report.

    Raises:
        ValueError: if there is no calculation, or one does not fit the model.

    Example:

    >>> found = kh.evaluate(                          # doctest: +SKIP
    ...     "mine.keras", "my_set.h5", names=split.test
    ... )
    >>> print(kh.evaluation.summary(found))           # doctest: +SKIP
    """
    if not isinstance(model, keras.Model):
        model = load_model(model)
    most = num_spectra if folder else 0
    found = _Comparison(model, window)
    # Closed after an error too, which a notebook keeps with all its frames.
    with contextlib.closing(_read(calculations, names)) as read:
        numbered = (
            (calculation, most is None or number < most)
            for number, calculation in enumerate(read)
        )
        for compared in ordered_map(_compared, numbered, model, window):
            found.merge(compared)
    if found.first is None:
        raise ValueError(
            "There is no calculation to compare with. Give those the model "
            "was not trained on, for example `names=split.test` of a store."
        )
    groups = found.errors_of_groups(getattr(calculations, "set_of", None))
    if folder is None:
        expected = {"expectation": found.expectation}
        return {**found.errors(), **groups, **expected}
    with Phase("report", 4, "parts") as phase:
        results = found.results(model, path, num_k_points)
        phase.step()
        equivariance = _equivariance(model, found.first, num_rotations)
        phase.step()
        costs = _costs(model, found.first, found.sizes, largest_cell)
        phase.step()
        return write_report(
            folder,
            **groups,
            **results,
            expectation=found.expectation,
            equivariance=equivariance,
            prediction_costs=costs,
            **report,
        )


def _compared(item, model, window):
    """The `_Comparison` of one structure."""
    calculation, has_spectra = item
    found = _Comparison(model, window)
    found.update(model, calculation, has_spectra)
    return found


class _Comparison:
    """Both stages of a model against calculations."""

    def __init__(self, model, window):
        self.names = ("model", "first")[: len(model.stages())]
        self.matrices = {name: MatrixErrors(model.basis) for name in self.names}
        self.spectra = SpectrumErrors(
            self.names, window, overlap_threshold=model.overlap_threshold
        )
        self.changes = StageComparison(model.basis)
        self.expected = None
        if model.error_estimate is not None:
            self.expected = ExpectationErrors()
        self.first = self.worst = self.elements = None
        self.largest_error = -1.0
        self.sizes = {}

    def update(self, model, calculation, has_spectra):
        """Adds a structure, with its levels or without."""
        calculation = with_own_initial(model, calculation)
        calculation = ElectronicStructure(calculation, model).calculation
        found = {}
        if self.expected is None:
            found["model"] = predicted_blocks(model, calculation)
        else:
            pairs = known_pairs(calculation)
            found["model"], features = predict_with_features(
                model, calculation, pairs
            )
            self.expected.update(model, found["model"], calculation, features)
        if "first" in self.names:
            found["first"] = predicted_blocks(model.stages()[0], calculation)
            self.changes.update(found["first"], found["model"], calculation)
        for name, blocks in found.items():
            self.matrices[name].update(blocks, calculation)
        if has_spectra:
            self.spectra.update(found, calculation)
        known = calculation.hamiltonian
        differences = matrix_difference(found["model"], known)
        self.largest_error = float(np.abs(differences).mean())
        self.elements = known.entries + differences, known.entries
        self.first = self.worst = calculation
        self.sizes = {len(calculation.atoms): calculation}

    def merge(self, other):
        """Adds other structures, in their order."""
        for name, errors in self.matrices.items():
            errors.merge(other.matrices[name])
        self.spectra.merge(other.spectra)
        self.changes.merge(other.changes)
        if self.expected is not None:
            self.expected.merge(other.expected)
        if other.largest_error > self.largest_error:
            self.largest_error, self.worst = other.largest_error, other.worst
            self.elements = other.elements
        self.first = self.first or other.first
        for size, calculation in other.sizes.items():
            self.sizes.setdefault(size, calculation)

    @property
    def expectation(self):
        """Of expected errors, a dict or `None`."""
        return self.expected and self.expected.result()

    def errors(self):
        """Of the matrices, a dict."""
        results = {name: m.result() for name, m in self.matrices.items()}
        return {key: results.get(name) for key, name in STAGE_ERRORS.items()}

    def errors_of_groups(self, set_of):
        """Of the shapes of the cells, `cells`, and of sets, `sets`.

        Args:
            set_of: function from a name to its set, or `None`.
        """
        found = {}
        if set_of is not None:
            found["sets"] = self._errors_by(lambda entry: set_of(entry["name"]))
        cells = self._errors_by(lambda entry: entry["cell"])
        if 1 < len(cells) <= LARGEST_NUMBER_OF_CELLS:
            found["cells"] = cells
        return found

    def _errors_by(self, group_of):
        """Errors of each group of structures, by its name."""
        found = {}
        for key, name in STAGE_ERRORS.items():
            if name not in self.matrices:
                continue
            groups = {}
            for entry in self.matrices[name].structures:
                groups.setdefault(group_of(entry), []).append(entry)
            for group, entries in groups.items():
                found.setdefault(group, {})[key] = means_over(entries)
        return found

    def results(self, model, path, num_k_points):
        """Arguments of `write_report`."""
        bands, has_first = {}, "first" in self.names
        window = (-self.spectra.window, self.spectra.window)
        if num_k_points:
            stages = {"model": model, "first": model.stages()[0]}
            for name in self.names:
                stage = stages[name]
                bands[name] = evaluate_bands(
                    stage, self.worst, path, num_k_points, window
                )
        return {
            "errors": self.matrices["model"],
            "elements": self.elements,
            "first_stage": self.matrices.get("first"),
            "bands": bands.get("model"),
            "first_bands": bands.get("first"),
            "overlap_threshold": model.overlap_threshold,
            "levels": self.spectra.result("model"),
            "first_stage_levels": (
                self.spectra.result("first") if has_first else None
            ),
            "levels_skipped": self.spectra.skipped,
            "second_stage": self.changes.result() if has_first else None,
        }


def _read(calculations, names):
    """Calculations, one at a time."""
    if isinstance(calculations, str | os.PathLike):
        from data_tools.structures import find_structures

        structures = find_structures([calculations], names)
        found = (structure.calculation() for structure in structures)
        return counted(found, "evaluate", total=len(structures))
    if names is None:
        return counted(calculations, "evaluate")
    return (calculations[name] for name in counted(names, "evaluate"))


def _equivariance(model, calculation, num_rotations):
    if not num_rotations:
        return None
    error = equivariance_error(model, calculation, num_rotations)
    averaged = None
    if error["relative"] > ROUNDING:
        found = averaged_equivariance_error(
            model, calculation, NUMBERS_OF_ROTATIONS
        )
        averaged = {str(n): values for n, values in found.items()}
    return {
        "structure": calculation.name,
        "num_rotations": num_rotations,
        **error,
        "averaged": averaged,
    }


def _costs(model, calculation, sizes, largest_cell):
    if not largest_cell:
        return None
    cells = {}
    # H⁰ of a supercell is not known.
    if not model.takes_initial:
        cells = growing_cells(calculation.atoms, largest_cell)
        cells = {len(cell): cell for cell in cells}
    return prediction_costs(model, {**sizes, **cells}.values())
