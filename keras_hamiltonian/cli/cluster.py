"""`--cluster`, which several subcommands share."""

import functools
import inspect
from typing import Annotated

import typer

CLUSTER = inspect.Parameter(
    "cluster",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster: tcp://HOST:PORT of its scheduler, its "
            "scheduler file, or local:4 for four processes here. Default: in "
            "this process.",
        ),
    ],
)


def on_cluster(command, module=None):
    """Gives a command `--cluster`; all its `ordered_map`s run there then.

    Args:
        command: function.
        module: see `parallel.cluster`.
    """
    signature = inspect.signature(command)
    own = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in signature.parameters.values()
    ]

    @functools.wraps(command)
    def call(cluster=None, **given):
        if cluster is None:
            return command(**given)
        if given.get("workers", 1) > 1:
            raise typer.BadParameter(
                "is for this machine alone; a cluster has its own workers.",
                param_hint="--workers",
            )
        from keras_hamiltonian import parallel

        with parallel.cluster(cluster, module):
            return command(**given)

    call.__signature__ = signature.replace(parameters=[*own, CLUSTER])
    call.__annotations__ = {
        p.name: p.annotation for p in call.__signature__.parameters.values()
    }
    return call


# Workers import the framework while this process reads the model.
on_cluster_with_model = functools.partial(
    on_cluster, module="keras_hamiltonian.prediction"
)
