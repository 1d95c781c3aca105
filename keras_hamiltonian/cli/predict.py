"""`keras-hamiltonian predict`: Hamiltonians of new structures."""

import contextlib
import dataclasses
import json
import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.cluster import on_cluster_with_model
from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import first_steps
from keras_hamiltonian.cli.files import formats
from keras_hamiltonian.cli.spectrum import Device
from keras_hamiltonian.cli.spectrum import Dtype
from keras_hamiltonian.cli.spectrum import Electrons
from keras_hamiltonian.cli.spectrum import Initial
from keras_hamiltonian.cli.spectrum import known_size
from keras_hamiltonian.cli.spectrum import warning_line
from keras_hamiltonian.cli.spectrum import with_species
from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.files import place_in
from keras_hamiltonian.files import write_text
from keras_hamiltonian.messages import Phase
from keras_hamiltonian.parallel import has_cluster
from keras_hamiltonian.parallel import ordered_map

PREDICTION = "deeph"


def _known_format(format):
    """The value of --format, or a usage error."""
    if format == PREDICTION:
        return format
    from data_tools.formats import known_format

    if format == "wannier90":
        raise typer.BadParameter(
            "A wannier90 file needs a grid: keras-hamiltonian export STRUCTURE "
            "TARGET_hr.dat --model MODEL --grid N N N."
        )
    try:
        known_format(format, "write")
    except ValueError:
        raise typer.BadParameter(
            f"The format {format!r} is unknown or cannot be written. Formats "
            f"of predictions: {PREDICTION}, {formats('write', ['wannier90'])}."
        ) from None
    return format


@on_cluster_with_model
@with_species
def predict(
    model: Annotated[
        pathlib.Path,
        typer.Argument(help="A .keras file of `train`, or a preset's name."),
    ],
    structures: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="STRUCTURE",
            help="Files that ASE reads (cif, POSCAR, xyz, ...), or "
            "calculations and folders of them.",
        ),
    ],
    output: Annotated[
        pathlib.Path,
        typer.Option(
            "--output", "-o", help="Folder; each structure gets its place."
        ),
    ] = pathlib.Path("predictions"),
    format: Annotated[
        str,
        typer.Option(
            callback=_known_format,
            help="deeph: folders with hamiltonians_pred.h5 and overlaps.h5. "
            "Or container, deeph-legacy, deeph-dock, siesta, abacus, "
            "abacus-legacy, npz.",
        ),
    ] = PREDICTION,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Take the structure of this name alone; may be repeated. "
            "Default: all.",
        ),
    ] = None,
    electrons: Electrons = None,
    rotations: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Mean over this many random rotations, with its spread; for "
            "models that are not exactly symmetric. Default: none.",
        ),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Errors that are expected of the structure and its atoms, "
            "also in <name>.uncertainty.json.",
        ),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            callback=known_size,
            help="Limit of memory, such as 4GB: the structure is predicted in "
            "slabs, with the same result. With --format container they are "
            "written one by one. Default: no limit.",
        ),
    ] = None,
    initial: Initial = None,
    species=None,
    device: Device = None,
    dtype: Dtype = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace files and predictions that exist."
        ),
    ] = False,
):
    """Predict Hamiltonian and overlap of structures.

    \b
      keras-hamiltonian predict model.keras new.cif
      keras-hamiltonian predict model.keras my_set.h5 --name 050
      keras-hamiltonian predict model.keras new.cif --format siesta -o hsx
      keras-hamiltonian predict model.keras new.cif --initial first_step
      keras-hamiltonian predict model.keras large.cif --format container \\
          --memory 4GB

    Where a structure comes with a Hamiltonian the prediction is compared with
    it; errors are printed (meV) and written beside it as <name>.errors.json.
    Warnings say what is unlike the training set, with atoms and numbers; they
    too stand in <name>.uncertainty.json.
    """
    from data_tools.structures import find_structures
    from keras_hamiltonian.models.placement import check_placement
    from keras_hamiltonian.models.placement import on_device
    from keras_hamiltonian.prediction import check_prediction_folder
    from keras_hamiltonian.prediction import ready_model

    found = find_structures(structures, name)
    targets = [place_in(output, f"{s.name}{_ending(format)}") for s in found]
    for target in targets:
        if overwrite and format == PREDICTION:
            check_prediction_folder(target)
        else:
            check_new(target, overwrite)
    check_placement(device, dtype)
    with on_device(device):
        model = ready_model(model, device, dtype)
    step = species.zeroth_step(model.basis, model.spin)
    load = first_steps(initial, found, step)
    wanted = _Wanted(
        output,
        format,
        uncertainty,
        not has_cluster(),
        {
            "num_electrons": electrons,
            "num_rotations": rotations,
            "max_memory": memory,
            "device": device,
            "dtype": dtype,
        },
    )
    tasks = list(zip(found, targets))
    for lines in ordered_map(_predicted, tasks, model, load, wanted):
        typer.echo("\n".join(lines))


@dataclasses.dataclass
class _Wanted:
    """What a user asked for, beside the structures.

    Attributes:
        output, format, uncertainty: see `predict`.
        has_bar: bool. Whether progress is shown.
        options: dict. Of `kh.predict`.
    """

    output: pathlib.Path
    format: str
    uncertainty: bool
    has_bar: bool
    options: dict


def _predicted(task, model, load, wanted):
    """Predicts and writes one structure; what is said about it, in lines."""
    bar = Phase(task[0].name) if wanted.has_bar else contextlib.nullcontext()
    with bar as progress:
        return _predicted_lines(*task, model, load, wanted, progress)


def _predicted_lines(structure, target, model, load, wanted, progress):
    import keras_hamiltonian as kh
    from keras_hamiltonian.structures.soundness import check_cell

    atoms, known, run = load(structure)
    if wanted.format not in ("container", "npz"):
        check_cell(atoms)
    options = {
        **wanted.options,
        "name": structure.name,
        "initial": run,
        "progress": progress,
    }
    lines = [f"{structure.name}, {atoms.get_chemical_formula()}"]
    has_labels = known is not None and known.hamiltonian is not None
    is_streamed = (
        options["max_memory"] is not None
        and wanted.format == "container"
        and not (wanted.uncertainty or has_labels)
    )
    if is_streamed:
        warnings = kh.stream_prediction(
            target, model, known or atoms, **options
        )
        doubts = _warned(warnings, lines)
    else:
        prediction = kh.predict(
            model, known or atoms, uncertainty=wanted.uncertainty, **options
        )
        if prediction.spread is not None:
            spread = MEV_PER_EV * abs(prediction.spread.entries).mean()
            lines.append(
                f"  spread over {options['num_rotations']} rotations: "
                f"{spread:.3f} meV"
            )
        doubts = _uncertainty(prediction, lines)
        prediction.write(target, wanted.format)
        if has_labels:
            file = wanted.output / f"{structure.name}.errors.json"
            lines += _compared(prediction, known, model, file)
        if prediction.has_fermi_level:
            lines.append(f"  Fermi level: {prediction.fermi_level:.3f} eV")
    if doubts is not None:
        file = wanted.output / f"{structure.name}.uncertainty.json"
        write_text(file, json.dumps(doubts, indent=1) + "\n")
    return [*lines, f"  written: {target}"]


def _compared(prediction, known, model, file):
    """Errors of a prediction, written into a file and in lines."""
    import keras_hamiltonian as kh

    measured = kh.metrics.MatrixErrors(model.basis)
    measured.update(prediction.hamiltonian, known)
    errors = {"errors": measured.result()}
    write_text(file, json.dumps(errors, indent=1) + "\n")
    return [f"  {x}" for x in kh.evaluation.summary(errors).splitlines()]


def _uncertainty(prediction, lines):
    """What is not certain, said and as JSON; `None` if nothing is known."""
    expected = prediction.expected_errors
    if expected is not None:
        of_atoms = MEV_PER_EV * expected.of_atoms
        worst = int(of_atoms.argmax())
        symbol = prediction.atoms.get_chemical_symbols()[worst]
        lines.append(
            f"  expected error: {MEV_PER_EV * expected.mae:.3g} meV, most of "
            f"the blocks of {symbol}{worst}: {of_atoms[worst]:.3g} meV"
        )
    warnings = [*prediction.warnings, *prediction.level_warnings()]
    return _warned(warnings, lines, expected and expected.to_dict())


def _warned(warnings, lines, expected=None):
    """Says the warnings; they and expected errors, or `None`."""
    lines += [f"  {warning_line(warning)}" for warning in warnings]
    if expected is None and not warnings:
        return None
    return {"warnings": warnings, "expected_errors": expected}


def _ending(format):
    from data_tools.formats import FORMATS

    if format == "container":
        return ".h5"
    endings = FORMATS[format].endings if format in FORMATS else ()
    return endings[0] if endings else ""
