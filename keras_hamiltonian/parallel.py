"""Many tasks, in processes of this machine or on a Dask cluster.

Structures, wave vectors and energies are independent of each other. Loky runs
them in processes here, or, inside `cluster`, Dask on its machines.
"""

import collections
import contextlib
import contextvars
import functools
import importlib
import os
import pathlib
import pickle
import re
import tempfile

# Set before NumPy starts, so that no worker starts threads it must not use.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# Seconds until the first worker of a cluster must be there.
PATIENCE = 60.0
# Of connections on machines that are busy.
TIMEOUTS = {"CONNECT": "60s", "TCP": "300s"}
# Dask's settings of the processes of a local cluster. Its profile, a look at
# every thread a hundred times a second, takes a thirtieth of their time; its
# eager return of memory to the system, page by page, an eighth. These are
# the largest thresholds that glibc's malloc takes by itself.
LOCAL = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": str(
        {
            **dict.fromkeys(ONE_THREAD, 1),
            "MALLOC_MMAP_THRESHOLD_": 2**25,
            "MALLOC_TRIM_THRESHOLD_": 2**26,
        }
    ),
    **{f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{k}": TIMEOUTS[k] for k in TIMEOUTS},
}
# A local cluster ends by itself after this time without work.
IDLE = "1h"
# Tasks that are ready or under way, for each process.
AHEAD = 2
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
        items: iterable. Two for each process are read ahead of what is yielded.
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
    if workers > 1:
        yield from _in_processes((function, *shared), items, workers)
    elif client is not None:
        yield from _on_cluster((function, *shared), items, client)
    else:
        for item in items:
            yield function(item, *shared)


def _in_processes(shared, items, workers):
    import loky
    from loky.process_executor import TerminatedWorkerError

    executor = loky.get_reusable_executor(workers, env=ONE_THREAD)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "shared")
        path.write_bytes(pickle.dumps(shared, protocol=5))
        submit = functools.partial(executor.submit, _call, path=path)
        deaths = (TerminatedWorkerError,)
        yield from _in_order(submit, items, lambda: workers, deaths)


def _on_cluster(shared, items, client):
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    sent = client.scatter(_Shared(shared), broadcast=True, hash=False)

    def submit(item):
        return client.submit(_call_shared, item, sent, pure=False)

    def num_processes():
        return sum(client.ncores().values())

    deaths = (KilledWorker, CancelledError)
    yield from _in_order(submit, items, num_processes, deaths)


def _in_order(submit, items, num_processes, deaths):
    waiting = collections.deque()
    try:
        for item in items:
            waiting.append(submit(item))
            while len(waiting) >= AHEAD * max(1, num_processes()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except deaths as error:
        raise ValueError(
            "A worker died, of a cluster several. Most often the memory is "
            "too small: take fewer workers."
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _call(item, path):
    function, *values = _read(path)
    return function(item, *values)


@functools.lru_cache(1)
def _read(path):
    return pickle.loads(path.read_bytes())


class _Shared:
    """Values that a worker unpickles once, when it needs them.

    Dask would take torch's modules apart, and unpickle in the thread in which a
    worker answers its scheduler.
    """

    def __init__(self, values):
        self.values = values

    def __getstate__(self):
        return pickle.dumps(self.values, protocol=5)

    def __setstate__(self, state):
        self._bytes = state

    @functools.cached_property
    def values(self):
        """The values, a tuple."""
        return pickle.loads(self._bytes)


def _call_shared(item, shared):
    function, *values = shared.values
    return function(item, *values)


def _imported(module):
    importlib.import_module(module)


@contextlib.contextmanager
def cluster(address, module=None):
    """What is done in many processes is done on a Dask cluster meanwhile.

    Workers need this package, and read and write files where this process
    does. One that dies costs time, not results: Dask gives its tasks to others.
    Workers may come and go; if all die at once, the work ends with an error.

    Args:
        address: str. Of a scheduler, `"tcp://HOST:PORT"`; or `"local:4"`, four
            processes of this machine that share its memory equally; or the path
            of a scheduler file, `.json`.
        module: str. Name of a module that workers import at once, while this
            process goes on, and not at their first task: seconds, where it
            needs a framework. Defaults to `None`.

    Yields:
        `distributed.Client`.

    Raises:
        ValueError: if Dask is not installed, or no scheduler answers.

    Example:

    >>> with kh.parallel.cluster("local:4"):          # doctest: +SKIP
    ...     kh.evaluate("model.keras", "my_set.h5")
    """
    try:
        import distributed
    except ImportError as error:
        raise ValueError(
            "A cluster needs Dask: pip install 'keras-hamiltonian[cluster]'."
        ) from error
    address = str(address)
    local = re.fullmatch(r"local:([1-9]\d{0,3})", address)
    num_workers = int(local[1]) if local else 1
    with contextlib.ExitStack() as stack:
        try:
            if local:
                scheduler = {
                    "address": stack.enter_context(_local(num_workers))
                }
            elif address.endswith(".json"):
                scheduler = {"scheduler_file": address}
            else:
                scheduler = {"address": address}
            client = stack.enter_context(
                distributed.Client(**scheduler, timeout=PATIENCE)
            )
            client.wait_for_workers(num_workers, timeout=PATIENCE)
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"No Dask scheduler with workers answers at {address}. Give "
                "tcp://HOST:PORT of one, the path of its scheduler file "
                "(.json), or local:N for N processes of this machine."
            ) from error
        token = _client.set(client)
        imports = []  # kept, or Dask would give them up
        if module is not None:
            imports = [
                client.submit(_imported, module, workers=[worker], pure=False)
                for worker in client.ncores()
            ]
        try:
            yield client
        finally:
            _client.reset(token)
            client.cancel(imports)


@contextlib.contextmanager
def _local(num_workers):
    """A cluster of processes that do not import the main script."""
    from distributed.deploy.subprocess import SubprocessCluster

    before = {name: os.environ.get(name) for name in LOCAL}
    os.environ.update(LOCAL)
    try:
        place = SubprocessCluster(
            n_workers=num_workers,
            threads_per_worker=1,
            dashboard_address=None,
            scheduler_kwargs={"idle_timeout": IDLE},
        )
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    with place:
        yield place
