"""`keras-hamiltonian check`: the data doctor."""

import functools
import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.species import FILES
from keras_hamiltonian.cli.species import species_options


@species_options(
    f"Compare S, H⁰ and H with those computed from {FILES}. Default: no such "
    "comparison."
)
def check(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="PATH",
            help="Containers, calculations, or folders of them.",
        ),
    ],
    split: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Split (JSON) of all paths, to find structures in two of its "
            "parts. Default: <set>.split.json beside each set.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop where something looks like a calculation and cannot "
            "be read. Default: a warning.",
        ),
    ] = False,
    species=None,
    workers: Annotated[
        int, typer.Option(min=1, help="With --species, threads.")
    ] = 1,
    json: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="FILE", help="Write the findings here. Default: nowhere."
        ),
    ] = None,
):
    """Find what is wrong with data: units, orbital order, spin, H⁰, copies.

    \b
      keras-hamiltonian check my_set.h5
      keras-hamiltonian check runs --json findings.json
      keras-hamiltonian check my_set.h5 --species DFT_DATA19 --input set.dat

    Each finding says what to do about it. Exit codes: 0 clean (warnings do
    not count), 1 errors found, 2 nothing that can be read.
    """
    from data_tools.check.__main__ import main
    from data_tools.check.species import SpeciesCheck

    if json is not None:
        check_new(json, overwrite=True)
        if json.is_dir():
            raise ValueError(
                f"--json names a file. Received: the folder {json}."
            )
    words = [str(path) for path in paths]
    for option, value in (("--split", split), ("--json", json)):
        if value is not None:
            words += [option, str(value)]
    if strict:
        words.append("--strict")
    if not species:
        raise typer.Exit(main(words))
    compare = SpeciesCheck(
        functools.partial(species.zeroth_step, workers=workers)
    )
    raise typer.Exit(main(words, compare))
