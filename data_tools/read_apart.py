"""Readers that may hang or end the process, in a process of their own."""

import atexit
import importlib
import os
import pathlib
import pickle
import select
import signal
import struct
import subprocess
import sys
import time

# Seconds of the CPU for a file, and more for each byte; and of the clock, in
# case it waits.
CPU_SECONDS = 10.0
CPU_SECONDS_PER_BYTE = 1e-6
CLOCK_FACTOR = 60.0
# Bytes of memory: those of the libraries, and some for each byte.
MEMORY = 2**32
MEMORY_PER_BYTE = 50
_LENGTH = struct.Struct("<Q")
_PROGRAM = f"from {__name__} import _work; _work()"
_processes = {}


def read_apart(function, path):
    """Calls a reader in a process of its own.

    The process is kept for the next file. It neither forks this one nor
    imports its main script.

    Args:
        function: str. `"module:name"` of a function of a path.
        path: path. The file.

    Returns:
        What the function returns.

    Raises:
        ValueError: what the function raises; or if it ends its process, or
            takes more than 10 CPU seconds and one for each megabyte.
    """
    size = path.stat().st_size
    process = _process(function)
    try:
        task = pickle.dumps((function, str(path.absolute()), size))
        process.stdin.write(_LENGTH.pack(len(task)) + task)
        process.stdin.flush()
        answer = _receive(process, CLOCK_FACTOR * _cpu_seconds(size))
    except (OSError, EOFError) as error:
        code = _end(function)
        is_slow = isinstance(error, TimeoutError) or code == -signal.SIGXCPU
        reason = (
            f"cannot be read within {_cpu_seconds(size):.0f} CPU seconds"
            if is_slow
            else f"ends the program that reads it (exit code {code})"
        )
        raise ValueError(
            f"{path} {reason}. It is damaged: copy it again, or repeat the run."
        ) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _cpu_seconds(size):
    return CPU_SECONDS + CPU_SECONDS_PER_BYTE * size


def _process(function):
    found = _processes.get((function, os.getpid()))
    if found is not None and found.poll() is None:
        return found
    package = str(pathlib.Path(__file__).parents[1])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
    )
    _processes[function, os.getpid()] = process
    return process


def _end(function):
    """Ends the process of a reader; its exit code."""
    process = _processes.pop((function, os.getpid()))
    try:
        return process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        process.stdin.close()
        process.stdout.close()


@atexit.register
def _end_all():
    for function, number in list(_processes):
        if number == os.getpid():
            _processes[function, number].kill()
            _end(function)


def _receive(process, seconds):
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    if not ready:
        raise TimeoutError
    return _take(process.stdout)


def _take(stream):
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(*_LENGTH.unpack(head)))


def _set_limits(size):
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY + MEMORY_PER_BYTE * size),
        (resource.RLIMIT_CPU, int(time.process_time() + _cpu_seconds(size))),
    ):
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(kind, (limit, hard))


def _work():
    """What the process does: one file after the other."""
    # Libraries print; what they print is no answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, path, size = _take(sys.stdin.buffer)
        except EOFError:
            return
        _set_limits(size)
        module, name = function.split(":")
        try:
            found = getattr(importlib.import_module(module), name)(
                pathlib.Path(path)
            )
        except Exception as error:
            found = ValueError(str(error) or type(error).__name__)
        answer = pickle.dumps(found, protocol=5)
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()
