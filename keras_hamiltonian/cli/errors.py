"""Errors and warnings as messages for users."""

import contextlib
import sys
import warnings

import typer
from typer.core import TyperGroup

from keras_hamiltonian.messages import Phase

LONGEST_MESSAGE = 4000
# Wrong options, which typer explains itself.
USAGE = typer.BadParameter.__mro__[2]


class ClearErrors(TyperGroup):
    """Prints errors of the library as one message, and ends with code 1."""

    def parse_args(self, ctx, args):
        """Takes `--debug` at any place; installs the completion."""
        is_debug = "--debug" in args
        if is_debug:
            args = ["--debug", *(word for word in args if word != "--debug")]
        with _one_message(is_debug):
            return super().parse_args(ctx, args)

    def invoke(self, ctx):
        """Runs a subcommand."""
        with warnings.catch_warnings(), _one_message(ctx.params["debug"]):
            warnings.showwarning = _show_warning
            with _heartbeat():
                return super().invoke(ctx)


def _heartbeat():
    """Says in a log that a command is at work, where it says nothing else; on
    a terminal its line would be in the way."""
    if sys.stderr.isatty():
        return contextlib.nullcontext()
    return Phase("at work", None)


@contextlib.contextmanager
def _one_message(is_debug):
    try:
        yield
    except (USAGE, typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if is_debug:
            raise
        typer.echo(f"Error: {_in_words(error)}", err=True)
        raise typer.Exit(1) from None


def _in_words(error):
    """One message, not without end."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        text = f"{place}{error.strerror}."  # without the system's number
    if not isinstance(error, ValueError | OSError):
        text = (
            f"{type(error).__name__} {text}. The program does not expect this; "
            "please report it with what --debug prints."
        )
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]} ... ({len(text)} characters)"
    return text


def _show_warning(message, *_, **__):
    typer.echo(f"Warning: {message}", err=True)
