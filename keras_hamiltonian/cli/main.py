"""All subcommands under one name."""

import os
import sys
from typing import Annotated

import typer

import keras_hamiltonian
from keras_hamiltonian.cli.bands import bands
from keras_hamiltonian.cli.check import check
from keras_hamiltonian.cli.convert import convert
from keras_hamiltonian.cli.dos import dos
from keras_hamiltonian.cli.errors import ClearErrors
from keras_hamiltonian.cli.evaluate import evaluate
from keras_hamiltonian.cli.explain import explain
from keras_hamiltonian.cli.export import export
from keras_hamiltonian.cli.optics import optics
from keras_hamiltonian.cli.predict import predict
from keras_hamiltonian.cli.propose import propose
from keras_hamiltonian.cli.split import split
from keras_hamiltonian.cli.train import train
from keras_hamiltonian.cli.twist import twist
from keras_hamiltonian.cli.zeroth import zeroth

app = typer.Typer(
    name="keras-hamiltonian",
    cls=ClearErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain text: the same on every terminal, and without rich.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    convert,
    check,
    split,
    train,
    evaluate,
    predict,
    bands,
    dos,
    optics,
    export,
    explain,
    zeroth,
    propose,
    twist,
):
    app.command()(command)


def _print_version(is_wanted):
    if is_wanted:
        typer.echo(f"keras-hamiltonian {keras_hamiltonian.__version__}")
        raise typer.Exit()


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Errors with their traceback.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, help="Print the version."
        ),
    ] = False,
):
    """Kohn-Sham Hamiltonians of crystals from equivariant networks.

    From calculations to bands of new structures:

    \b
      keras-hamiltonian convert runs my_set.h5
      keras-hamiltonian check my_set.h5
      keras-hamiltonian train my_set.h5 --output runs/my_set
      keras-hamiltonian bands new.cif --model runs/my_set/my_set.keras

    Energies are in eV, lengths in Å, errors printed in meV. Exit codes: 0
    done, 1 an error (one message on stderr), 2 a wrong option.
    """


def main():
    """Runs the command; modules of the current folder are found."""
    sys.path.append(os.getcwd())
    app()
