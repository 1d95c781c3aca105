"""Many wave vectors, in several processes."""

import os
import pathlib
import pickle
import subprocess
import sys
import tempfile

import threadpoolctl

# Set before NumPy starts, so that no worker starts threads it must not use.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PROGRAM = f"""
import sys
from {__name__} import _work
_work(*sys.argv[1:])
"""


def solve_k_points(solve, matrices, k_points, workers=1, **options):
    """What a function finds at each of many wave vectors.

    Workers are fresh Python processes with one thread each, which read the
    matrices once. They neither fork this process nor import its main script,
    so a script needs no `if __name__ == "__main__"` and a loaded framework
    does no harm. The result does not depend on their number.

    Args:
        solve: function of a module: `lowest_states`, `nearest_states`,
            `states_in_window`, or another one that is called as
            `solve(matrices, k_point, **options)`. Coefficients of many wave
            vectors would fill the memory.
        matrices: `BlochMatrices`.
        k_points: `(num_k, 3)` array, fractional.
        workers: int. Processes. With 1 everything happens in this one, with
            as many BLAS threads as it has.
        **options: of the function.

    Returns:
        List of what the function returned, in the order of `k_points`.

    Raises:
        ValueError: like the function, or if a worker dies.
    """
    k_points = list(k_points)
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(
            f"`workers` is a positive number of processes. Received: {workers}."
        )
    workers = min(workers, len(k_points))
    if workers <= 1:
        return [solve(matrices, k_point, **options) for k_point in k_points]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with open(folder / "task", "wb") as file:
            pickle.dump((solve, matrices, k_points, options), file, protocol=5)
        results = [folder / f"result_{n}" for n in range(workers)]
        _run(folder / "task", results)
        found = [None] * len(k_points)
        for n, path in enumerate(results):
            with open(path, "rb") as file:
                result = pickle.load(file)
            if isinstance(result, Exception):
                raise result
            found[n::workers] = result
    return found


def _run(task, results):
    """One process for each result."""
    package = pathlib.Path(__file__).parents[2]
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **ONE_THREAD,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    processes = []
    try:
        for n, path in enumerate(results):
            arguments = [str(task), str(path), str(n), str(len(results))]
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM, *arguments],
                    env=environment,
                )
            )
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    if any(codes):
        raise ValueError(
            f"A worker ended with code {max(codes, key=abs)}. Most often the "
            "memory is too small (-9): take fewer workers."
        )


def _work(task, result, number, workers):
    """What a worker does: every n-th wave vector."""
    with open(task, "rb") as file:
        solve, matrices, k_points, options = pickle.load(file)
    try:
        with threadpoolctl.threadpool_limits(1):
            chosen = k_points[int(number) :: int(workers)]
            found = [solve(matrices, k_point, **options) for k_point in chosen]
    except (TypeError, ValueError) as error:
        found = type(error)(str(error))
    with open(result, "wb") as file:
        pickle.dump(found, file, protocol=5)
