"""Errors and warnings as messages for users."""

import warnings

import typer
from typer.core import TyperGroup


class ClearErrors(TyperGroup):
    """Prints errors of the library as one message, and ends with code 1."""

    def parse_args(self, ctx, args):
        """Takes `--debug` at any place."""
        if "--debug" in args:
            args = ["--debug", *(word for word in args if word != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx):
        """Runs a subcommand."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except BrokenPipeError:
                raise
            except (ValueError, OSError) as error:
                if ctx.params["debug"]:
                    raise
                typer.echo(f"Error: {error}", err=True)
                raise typer.Exit(1) from None


def _show_warning(message, *_, **__):
    typer.echo(f"Warning: {message}", err=True)
