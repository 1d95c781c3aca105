"""`keras-hamiltonian convert`: files of other programs."""

import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.cluster import on_cluster
from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.messages import Phase

CONTAINER_ENDINGS = (".h5", ".hdf5")
# Written for one structure at a time, with options of their own.
EXPORTS = ("npz", "wannier90")


@on_cluster
def convert(
    inputs: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="INPUT",
            help="Calculations, containers, or folders of them at any depth.",
        ),
    ],
    target: Annotated[
        pathlib.Path,
        typer.Argument(
            help="File of a container (.h5), or a new folder.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="Written: container, deeph-legacy, deeph-dock, siesta, "
            "abacus, abacus-legacy. Default: container for *.h5.",
        ),
    ] = None,
    source_format: Annotated[
        str | None,
        typer.Option(
            help="Read this format only: container, deeph-legacy, deeph-dock, "
            "openmx, siesta, abacus, abacus-legacy, npz. Default: that of "
            "the files.",
        ),
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions",
            help="Read hamiltonians_pred.h5 of legacy DeepH folders.",
        ),
    ] = False,
    initial: Annotated[
        list[pathlib.Path] | None,
        typer.Option(
            metavar="PATH",
            help="Runs that stopped at the first SCF step, of any format: H "
            "of the one with the same name becomes H⁰. May be repeated. "
            "Default: the folder `initial` beside each calculation.",
        ),
    ] = None,
    fill_missing: Annotated[
        bool,
        typer.Option(
            "--fill-missing",
            help="deeph-dock: zero blocks where H and S list different "
            "pairs, as in predictions.",
        ),
    ] = False,
    precision: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Container: round numbers to this step (eV; S without unit). "
            "Default: keep every bit.",
        ),
    ] = None,
    compression: Annotated[
        int, typer.Option(min=0, max=9, help="Container: level of gzip.")
    ] = 0,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop where something looks like a calculation and cannot "
            "be read. Default: a warning names and counts what is passed over.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a file that exists."),
    ] = False,
):
    """Convert calculations to a container or to files of another program.

    \b
      keras-hamiltonian convert runs my_set.h5
      keras-hamiltonian convert my_set.h5 folders --format deeph-legacy
      keras-hamiltonian convert predictions all.h5 --predictions
      keras-hamiltonian convert runs my_set.h5 --initial first_steps

    Formats are recognised by their files. Numbers only move: eV, Å. The
    target appears when it is complete. For npz and wannier90 see `export`.
    """
    import data_tools.convert

    if format is None and target.suffix in CONTAINER_ENDINGS:
        format = "container"
    if format is None:
        raise ValueError(
            f"The name {target} does not say which format to write. Give "
            "--format, or a name that ends in .h5 for a container."
        )
    if format in EXPORTS:
        raise ValueError(
            f"{format} files are written one by one: keras-hamiltonian export "
            f"INPUT TARGET --format {format}."
        )
    check_new(target, overwrite)
    read_options, write_options = {}, {}
    if predictions:
        from data_tools.deeph import LEGACY_FILES

        source_format = source_format or "deeph-legacy"
        read_options["files"] = {"hamiltonian": LEGACY_FILES["prediction"]}
    if format == "container":
        write_options = {"precision": precision, "compression": compression}
    elif precision is not None or compression:
        raise ValueError(
            "--precision and --compression belong to containers; the format "
            f"{format} has none."
        )
    if fill_missing:
        if format != "deeph-dock":
            raise ValueError(
                f"--fill-missing belongs to deeph-dock. Received: {format}."
            )
        write_options["fill_missing"] = True
    with Phase("convert", None, "structures") as phase:

        def progress(done, total, name):
            phase.done, phase.total, phase.note = done, total, name

        names = data_tools.convert.convert(
            inputs,
            target,
            format,
            source_format,
            read_options,
            write_options,
            progress,
            initial or None,
            strict,
        )
    typer.echo(f"{len(names)} structures: {target} ({format})")
