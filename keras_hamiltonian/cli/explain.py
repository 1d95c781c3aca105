"""`keras-hamiltonian explain`: what a predicted block rests on."""

import pathlib
from typing import Annotated
from typing import Any

import typer

from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.messages import Phase


def parse_orbital(text):
    """A shell's name, or an orbital's number."""
    return int(text) if text.isdigit() else text


def explain(
    model: Annotated[
        pathlib.Path,
        typer.Argument(help="A .keras file of `train`, or a preset's name."),
    ],
    path: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="INPUT",
            help="A structure file (cif, POSCAR, xyz, ...), a calculation, or "
            "a container.",
        ),
    ],
    pair: Annotated[
        tuple[int, int],
        typer.Option(
            metavar="I J",
            help="Atoms of the block, from 0; twice the same: onsite.",
        ),
    ] = (0, 1),
    shift: Annotated[
        tuple[int, int, int],
        typer.Option(metavar="R R R", help="Cell of the second atom."),
    ] = (0, 0, 0),
    rows: Annotated[
        Any,
        typer.Option(
            parser=parse_orbital,
            metavar="SHELL",
            help="Only this shell of the first atom, such as p1, or the number "
            "of an orbital. Default: all.",
        ),
    ] = None,
    columns: Annotated[
        Any,
        typer.Option(
            parser=parse_orbital,
            metavar="SHELL",
            help="The same of the second atom. Default: all.",
        ),
    ] = None,
    correction: Annotated[
        bool,
        typer.Option("--correction", help="Of the second stage alone."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            help="Which structure, where INPUT holds several. Default: the "
            "first test structure of the split, else the only one."
        ),
    ] = None,
    split: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Which structures of INPUT trained the model and which test "
            "it (JSON): for corrections and environments. Default: "
            "<INPUT>.split.json, if there is one."
        ),
    ] = None,
    width: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="Å",
            help="Smallest width of the supercell; memory grows with its area, "
            "27 MB an atom.",
        ),
    ] = 18.0,
    output: Annotated[
        pathlib.Path,
        typer.Option(
            "--output", "-o", help="New folder of pictures and numbers."
        ),
    ] = pathlib.Path("explanation"),
):
    """Explain one predicted block, and what the stages of the model do.

    \b
      keras-hamiltonian explain model.keras new.cif --pair 0 1
      keras-hamiltonian explain model.keras my_set.h5 --name 050 --rows p1

    The block: influence of atoms, edges and features, and the displacement
    that changes it most. The stages: attention and corrections of the second;
    with a split, which atoms of the test structures are new to the model. It
    needs TensorFlow and tf-keras-vis, pip install
    "keras-hamiltonian[explain]"; models of every backend are explained.
    """
    import keras_hamiltonian as kh

    check_new(output)
    structure, training, held_out = _structures(path, name, split)
    atoms, _ = structure.load()
    try:
        with Phase("TensorFlow", None):
            kh.explain.use_tensorflow()  # before Keras is imported
    except ImportError as error:
        raise ValueError(str(error)) from None
    with Phase("model", None):
        loaded = kh.load_model(model)
    target = kh.explain.BlockTarget(
        *pair, shift=shift, rows=rows, columns=columns, correction=correction
    )
    with Phase("block", None):
        found = kh.explain.explain_block(loaded, atoms, target, output, width)
    typer.echo(f"{structure.name}, {found['text']}")
    with Phase("stages", None):
        stages = kh.explain.explain_stages(
            loaded,
            atoms,
            output,
            [s.calculation() for s in training],
            [s.calculation() for s in held_out],
            atom=pair[0],
        )
    typer.echo(f"\n{stages['text']}\n")
    for what, file in {**found["files"], **stages["files"]}.items():
        typer.echo(f"{what:>18}: {file}")


def _structures(path, name, split_file):
    """The structure to explain, those that trained and those that test."""
    from data_tools.structures import find_structures
    from keras_hamiltonian.data import Split

    beside = path.with_suffix(".split.json")
    if split_file is None and beside.is_file():
        split_file = beside
    if split_file is None:
        return one_structure(path, name), [], []
    known = {structure.name: structure for structure in find_structures([path])}
    split = Split.read(split_file, list(known))
    parts = ([known[n] for n in part] for part in (split.train, split.test))
    return one_structure(path, name or split.test[0]), *parts
