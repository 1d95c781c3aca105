"""`keras-hamiltonian propose`: which structures to compute next."""

import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import first_steps
from keras_hamiltonian.cli.spectrum import Initial
from keras_hamiltonian.cli.spectrum import with_species


@with_species
def propose(
    model: Annotated[
        pathlib.Path,
        typer.Argument(help="A .keras file of `train`, or a preset's name."),
    ],
    candidates: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="CANDIDATES...",
            help="Structures to choose from: files that ASE reads (extxyz, "
            "cif, ...), or calculations and folders of them.",
        ),
    ],
    known: Annotated[
        list[pathlib.Path],
        typer.Option(
            metavar="DATA",
            help="What the model was trained on: containers or folders of "
            "calculations. May be repeated.",
        ),
    ],
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, help="How many to choose.")
    ] = 10,
    template: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Input of an earlier run, for the new ones: of OpenMX, of "
            "SIESTA (.fdf), or a folder with ABACUS' INPUT, STRU and KPT. "
            "Default: structures only, <output>.extxyz."
        ),
    ] = None,
    output: Annotated[
        pathlib.Path,
        typer.Option("--output", "-o", help="New folder of the inputs."),
    ] = pathlib.Path("next"),
    initial: Initial = None,
    species=None,
):
    """Choose the structures from which a model would learn most.

    \b
      keras-hamiltonian propose model.keras candidates.extxyz -n 10 \\
          --known my_set.h5 --template runs/000/openmx.dat
      (run the inputs in next/)
      keras-hamiltonian train my_set.h5 next --start-from model.keras

    First comes the structure whose calculation makes predictions for all
    candidates more certain than any other would, then the best one beside it,
    and so on. Printed are the variance of each one's prediction before, and
    the mean of all candidates after it is computed: 1 nothing known, 0 all.
    <output>.split.json puts the new calculations into training.
    """
    import keras_hamiltonian as kh
    from data_tools.structures import find_structures

    split = output.with_suffix(".split.json")
    for target in (output, split, output.with_suffix(".extxyz")):
        check_new(target)
    model = kh.load_model(model)
    step = species.zeroth_step(model.basis, model.spin)
    found = find_structures(candidates)
    trained = _trained_structures(model, known)
    load_candidate = first_steps(initial, found, step)
    chosen = kh.selection.propose(
        model,
        (_input(model, load_candidate, s) for s in found),
        (_input(model, first_steps(None, trained, step), s) for s in trained),
        number,
    )
    typer.echo(f"{len(found)} candidates, {len(trained)} structures known")
    if len(chosen) < number:
        typer.echo(
            f"{len(chosen)} of {number}: the other candidates are copies of "
            "these or of known structures, or there are no more.",
            err=True,
        )
    structures = _print_choices(chosen, found)
    _write(structures, template, output)
    kh.data.Split(list(structures), [], []).write(split)


def _print_choices(chosen, found):
    """Prints a line for each, and returns their atoms by name."""
    width = max(len(s.name) for s in found)
    structures = {}
    for choice in chosen:
        structure = found[choice.index]
        atoms = structures[structure.name] = structure.atoms()
        formula = atoms.get_chemical_formula()
        typer.echo(
            f"{structure.name:{width}}  {formula:10}  variance "
            f"{choice.variance:.2e}, all then {choice.left:.2e}"
        )
    return structures


def _input(model, load, structure):
    """What a model needs of a structure: `Calculation` without H."""
    import dataclasses

    import keras_hamiltonian as kh
    from keras_hamiltonian.initial import given_initial

    if not model.takes_initial:
        return structure.atoms()
    atoms, known, run = load(structure)
    if known is None:
        known = kh.Calculation(
            atoms, model.basis, spin=model.spin, name=structure.name
        )
    known = dataclasses.replace(known, hamiltonian=None)
    return given_initial(known, run)


def _trained_structures(model, paths):
    """Structures of some sets that a model was trained on."""
    from data_tools.structures import find_structures

    names = set(model.provenance["structures"])
    found = []
    for path in paths:
        stem = path.stem if path.is_file() else path.resolve().name
        found += [
            s
            for s in find_structures([path])
            if not names.isdisjoint({s.name, f"{stem}-{s.name}"})
        ]
    if not found:
        raise ValueError(
            f"The model was not trained on any structure of "
            f"{', '.join(map(str, paths))}. Give --known the data of its "
            "training."
        )
    return found


def _write(structures, template, output):
    """Inputs, or without a template one file of the structures."""
    if template is not None:
        from data_tools.inputs import write_inputs

        write_inputs(template, structures, output)
        typer.echo(f"written: {output}/<name>, {len(structures)} inputs")
        return
    import ase.io

    from keras_hamiltonian.files import replacing

    file = output.with_suffix(".extxyz")
    with replacing(file) as place:
        ase.io.write(place, list(structures.values()), format="extxyz")
    typer.echo(f"written: {file}")
