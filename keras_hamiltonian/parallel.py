"""Many tasks, in processes of this machine or on a Dask cluster.

Structures, wave vectors and energies are independent of each other. Joblib
runs them, here or, inside `cluster`, on the machines of Dask.
"""

import contextlib
import contextvars
import pathlib
import pickle
import re

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

# Seconds until the first worker of a cluster must be there.
PATIENCE = 60.0
# Of a connection, on machines that are busy.
TIMEOUTS = {
    "distributed.comm.timeouts.connect": PATIENCE,
    "distributed.comm.timeouts.tcp": 5 * PATIENCE,
}

# The Dask client of `cluster`, or `None`.
_client = contextvars.ContextVar("client", default=None)


def has_cluster():
    """Whether `ordered_map` runs on a `cluster` here."""
    return _client.get() is not None


def ordered_map(function, items, *shared, workers=1):
    """What a function returns for each item, in the order of the items.

    Workers are fresh Python processes with one thread each. They neither fork
    this process nor import its main script, so a script needs no
    `if __name__ == "__main__"` and a loaded framework does no harm. What they
    return does not depend on their number.

    Args:
        function: function of a module, called as `function(item, *shared)`.
        items: iterable. Read a few ahead of what is yielded.
        *shared: what all items need; workers get it once.
        workers: int. Processes of this machine. With 1 everything happens in
            this one, one item after the other, or on the `cluster`, if there
            is one.

    Yields:
        What the function returned.

    Raises:
        ValueError: if `workers` is not positive, or a worker dies.
        Exception: what the function raised.
    """
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(
            f"`workers` is a positive number of processes. Received: {workers}."
        )
    client = _client.get()
    deaths = (TerminatedWorkerError,)
    if workers > 1:
        place = joblib.parallel_config(
            "loky", n_jobs=workers, inner_max_num_threads=1
        )
    elif client is not None:
        from distributed.scheduler import KilledWorker

        deaths += (KilledWorker,)
        function, shared = _call, (_Shared((function, *shared)),)
        place = joblib.parallel_config(
            "dask", n_jobs=-1, client=client, scatter=list(shared)
        )
    else:
        place = joblib.parallel_config(n_jobs=1)
    tasks = (joblib.delayed(function)(item, *shared) for item in items)
    try:
        with place:
            results = joblib.Parallel(return_as="generator")(tasks)
        yield from results
    except deaths as error:
        raise ValueError(
            "A worker died, of a cluster several. Most often the memory is "
            "too small: take fewer workers."
        ) from error


class _Shared:
    """Values that a worker unpickles once, when it needs them.

    Dask would take torch's modules apart, and unpickle in the thread in which a
    worker answers its scheduler.
    """

    def __init__(self, values):
        self._values = values
        self._bytes = None

    def __getstate__(self):
        if self._bytes is None:
            self._bytes = pickle.dumps(self._values, protocol=5)
        return {"_values": None, "_bytes": self._bytes}

    @property
    def values(self):
        """The values, a tuple."""
        if self._values is None:
            self._values, self._bytes = pickle.loads(self._bytes), None
        return self._values


def _call(item, shared):
    function, *values = shared.values
    return function(item, *values)


@contextlib.contextmanager
def cluster(address):
    """What is done in many processes is done on a Dask cluster meanwhile.

    Workers need this package, and read and write files where this process
    does. One that dies costs time, not results: Dask gives its tasks to others.

    Args:
        address: str. Of a scheduler, `"tcp://HOST:PORT"`; or `"local:4"`, four
            processes of this machine that share its memory equally; or the path
            of a scheduler file.

    Yields:
        `distributed.Client`.

    Raises:
        ValueError: if Dask is not installed, or no scheduler answers.

    Example:

    >>> with kh.parallel.cluster("local:4"):          # doctest: +SKIP
    ...     kh.evaluate("model.keras", "my_set.h5")
    """
    try:
        import dask
        import distributed
        from distributed.deploy.subprocess import SubprocessCluster
    except ImportError as error:
        raise ValueError(
            "A cluster needs Dask: pip install 'keras-hamiltonian[cluster]'."
        ) from error
    local = re.fullmatch(r"local:([1-9]\d{0,3})", str(address))
    num_workers = int(local[1]) if local else 1
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(TIMEOUTS))
        if local:
            # Its workers do not import the main script.
            place = SubprocessCluster(
                n_workers=num_workers,
                threads_per_worker=1,
                dashboard_address=None,
            )
            scheduler = {"address": stack.enter_context(place)}
        elif pathlib.Path(address).is_file():
            scheduler = {"scheduler_file": str(address)}
        else:
            scheduler = {"address": str(address)}
        try:
            client = stack.enter_context(
                distributed.Client(**scheduler, timeout=PATIENCE)
            )
            client.wait_for_workers(num_workers, timeout=PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"No Dask scheduler with workers answers at {address}. Give "
                "tcp://HOST:PORT of one, the path of its scheduler file, or "
                "local:N for N processes of this machine."
            ) from error
        token = _client.set(client)
        try:
            yield client
        finally:
            _client.reset(token)
