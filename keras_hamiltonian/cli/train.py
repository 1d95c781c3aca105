"""`keras-hamiltonian train`: both stages on your data."""

import pathlib
import time
from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli.data import open_data
from keras_hamiltonian.cli.data import open_split


def train(
    data: Annotated[
        pathlib.Path | None,
        typer.Argument(
            metavar="DATA",
            help="A container (.h5), or a folder of calculations of any "
            "format.",
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
    second_stage: Annotated[
        Literal["equivariant", "transformer", "none"] | None,
        typer.Option(help="Second stage. Default: equivariant."),
    ] = None,
    first_share: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the budget for the first stage. Default: 0.75."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Structures per optimizer step. Default: 1."),
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
      keras-hamiltonian train --print-settings > settings.yaml
      keras-hamiltonian train my_set.h5 --settings settings.yaml --seed 1

    Options win over the file. A training that was stopped goes on when the
    command is given again; one that is done is not repeated. In the folder
    are model, report.json, pictures and predictions of the test structures.
    """
    from keras_hamiltonian.cli.settings import read_settings
    from keras_hamiltonian.cli.settings import template

    chosen = read_settings(
        settings,
        {
            "seconds": seconds,
            "steps": steps,
            "second_stage": second_stage,
            "first_share": first_share,
            "batch_size": batch_size,
            "seed": seed,
        },
        change or (),
    )
    if print_settings:
        typer.echo(template(chosen), nl=False)
        return
    if data is None:
        raise typer.BadParameter(
            "give a container or a folder of calculations.", param_hint="DATA"
        )
    _train(data, chosen, split, output, again)


def _train(data, settings, split_file, output, again):
    start = time.process_time()
    if not data.exists():
        raise ValueError(f"{data} does not exist.")
    name = data.stem if data.is_file() else data.resolve().name
    output = output or pathlib.Path("runs") / name
    if data.is_dir() and output.resolve().is_relative_to(data.resolve()):
        raise ValueError(
            f"The output {output} lies in the data folder {data}, where its "
            "predictions would be taken for calculations. Choose another "
            "--output."
        )
    if split_file is None:
        split_file = data.with_suffix(".split.json")
    elif not split_file.is_file():
        raise ValueError(f"There is no split file {split_file}.")

    import keras

    import keras_hamiltonian as kh

    inputs = kh.evaluation.fingerprint(
        [data, split_file],
        settings=settings.model_dump(mode="json"),
        backend=keras.config.backend(),
    )
    report = kh.evaluation.finished_report(output, inputs)
    if report is not None and not again:
        typer.echo("Nothing has changed since this run (--again repeats it).")
    else:
        if (output / "report.json").is_file() and not again:
            raise ValueError(
                f"{output} holds a run with other data, settings or version. "
                "Choose another --output, or replace it with --again."
            )
        store = open_data(data, output / "data.h5")
        split = open_split(
            store, split_file, settings.seed, output / "split.json"
        )
        trained = kh.training.train_cascade(
            store,
            split,
            settings,
            output,
            name=name,
            start=start,
            fingerprint=inputs,
            again=again,
        )
        report = kh.training.report_training(
            trained,
            store,
            split,
            title=name,
            seed=settings.seed,
            fingerprint=inputs,
        )
    typer.echo(kh.evaluation.summary(report))
    for title, file in report["files"].items():
        typer.echo(f"{title:>15}: {output / file}")
