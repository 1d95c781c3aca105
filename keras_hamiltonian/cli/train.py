"""`keras-hamiltonian train`: both stages on your data."""

import os
import pathlib
from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli.species import FILES
from keras_hamiltonian.cli.species import species_options


@species_options(
    f"Compute H⁰ from {FILES}; the model keeps them. Default: H⁰ of the data, "
    "if `initial` asks for it."
)
def train(
    data: Annotated[
        list[pathlib.Path] | None,
        typer.Argument(
            metavar="DATA...",
            help="A container (.h5), or a folder of calculations of any "
            "format; several train one model on all.",
        ),
    ] = None,
    settings: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Settings, .yaml or .toml; see --print-settings. Default: "
            "each setting's default."
        ),
    ] = None,
    split: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Which structures train, validate, test (JSON). Default: "
            "<data>.split.json; else one is drawn, 60 / 20 / 20 %."
        ),
    ] = None,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the run. Default: runs/<data>."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Budget of all stages in CPU seconds. Default: 600."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Budget in optimizer steps, instead of seconds."),
    ] = None,
    first_stage: Annotated[
        str | None,
        typer.Option(
            help="First stage, also your own, my_module:MyStage. Default: "
            "equivariant."
        ),
    ] = None,
    second_stage: Annotated[
        str | None,
        typer.Option(
            help="Second stage: equivariant, transformer or none, also your "
            "own, my_module:MyStage. Default: equivariant."
        ),
    ] = None,
    first_share: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the budget for the first stage. Default: 0.75."
        ),
    ] = None,
    start_from: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Model (.keras), or a preset, whose weights are the start; "
            "new elements are allowed. Its stages are kept. Default: new "
            "weights."
        ),
    ] = None,
    species=None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Structures of a step, of each process. Default: 1."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of weights, order and drawn split. Default: 42."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other setting, such as clipnorm=500; may be repeated.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Threads that compute H⁰.")
    ] = 1,
    strategy: Annotated[
        Literal["auto", "ddp", "data_parallel"],
        typer.Option(
            help="Several processes (ddp, by torchrun) or devices "
            "(data_parallel, on JAX). Default: ddp under torchrun."
        ),
    ] = "auto",
    again: Annotated[
        bool,
        typer.Option("--again", help="Repeat a run, from the beginning."),
    ] = False,
    print_settings: Annotated[
        bool,
        typer.Option(
            "--print-settings",
            help="Print all settings with units and values, for a file.",
        ),
    ] = False,
):
    """Train both stages and test them.

    \b
      keras-hamiltonian train my_set.h5 --seconds 600
      keras-hamiltonian train bi2te3.h5 bi2se3.h5 --seconds 900
      keras-hamiltonian train --print-settings > settings.yaml
      keras-hamiltonian train few.h5 --start-from runs/large/large.keras
      keras-hamiltonian train my_set.h5 --settings settings.yaml --seed 1
      keras-hamiltonian train my_set.h5 --species DFT_DATA19 --input set.dat
      torchrun --nproc-per-node 4 -m keras_hamiltonian train my_set.h5

    Options win over the file. A training that was stopped resumes when the
    command is given again; one that is done is not repeated. In the folder
    are model, report.json, pictures and predictions of the test structures.
    Modules of your own are found in the current folder.
    """
    from keras_hamiltonian.cli.settings import read_settings
    from keras_hamiltonian.cli.settings import template

    chosen = read_settings(
        settings,
        {
            "seconds": seconds,
            "steps": steps,
            "first_stage": first_stage,
            "second_stage": second_stage,
            "first_share": first_share,
            "start_from": start_from and str(start_from),
            **species.settings(),
            "batch_size": batch_size,
            "seed": seed,
        },
        change or (),
    )
    if print_settings:
        typer.echo(template(chosen), nl=False)
        return
    if not data:
        raise typer.BadParameter(
            "give a container or a folder of calculations.", param_hint="DATA"
        )
    import keras_hamiltonian as kh

    names = [d.resolve().name if d.is_dir() else d.stem for d in data]
    output = output or pathlib.Path("runs", "+".join(names))
    report = kh.train(
        data,
        split,
        chosen,
        output,
        again=again,
        workers=workers,
        strategy=strategy,
    )
    if os.environ.get("RANK", "0") == "0":
        typer.echo(kh.evaluation.summary(report, output))
