"""Kills programs at random moments, and starts them again.

    python tests/robustness/kills.py --number 100 --seed 0

Of `convert`, `predict`, `train` and `explain` that many lives each end by a
kill signal, after a random part of the CPU time that the whole work takes.
Each life begins where the one before was killed, until the work is done. Then
the result must be that of a work that nobody killed, bit for bit, and no
scratch may be left; at every moment a result of before must be there. Prints a
table; exit code 1 where something was lost, is different, or was left.
"""

import argparse
import collections
import contextlib
import hashlib
import importlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile

JOBS = ("convert", "train", "predict", "explain")
TICK = os.sysconf("SC_CLK_TCK")
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
# Files with times, dates and memory.
DIFFERENT = (
    "report.json",
    "report.html",
    "learning_curve.json",
    "learning_curve.png",
)
LOCK = ".keras_hamiltonian.lock"


def prepare(job, folder):
    """What a life does, from the place of its result.

    Modules are imported and models are read once, before the processes fork.
    """
    import keras
    from small_training import TINY
    from small_training import small_set

    import keras_hamiltonian as kh
    from data_tools.convert import convert
    from data_tools.formats import write_calculation

    data, model = folder / "set.h5", folder / "model.keras"
    if job == "convert":
        for calculation in small_set(data, 6):
            place = folder / "calculations" / calculation.name
            write_calculation(place, calculation, "deeph-legacy")
        return lambda place: convert(folder / "calculations", place / "set.h5")
    if job == "train":
        small_set(data, 6)
        settings = kh.training.TrainingSettings(**TINY)
        options = {"num_spectra": 0, "num_rotations": 0, "largest_cell": 0}
        return lambda place: kh.train(
            data, settings=settings, folder=place, **options
        )
    atoms = kh.HamiltonianStore(data)["000"].atoms
    if job == "predict":
        stage = kh.load_model(model)
        return lambda place: kh.predict(stage, atoms).write(place / "000")

    def explain(place):
        stage = kh.load_model(model)
        target = kh.explain.BlockTarget(0, 1)
        kh.explain.explain_block(stage, atoms, target, place, 8.0)

    keras.layers.Layer  # TensorFlow is imported, and not used before the fork
    return explain


def contents(place):
    """Dict from each file of a result to its checksum; without scratch."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.is_file() and not name.startswith("."):
            found[name] = checksum(path)
    return found


def checksum(path):
    """Of a file, without what differs from run to run."""
    if path.name in DIFFERENT:
        return None
    if path.suffix == ".h5":
        return numbers(path)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            with archive.open("model.weights.h5") as file:
                return numbers(file)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(file):
    """Checksum of all that an HDF5 file holds; its bytes have times.

    A stage that was restored after its training has no optimizer any more.
    """
    import h5py
    import numpy as np

    digest = hashlib.sha256()

    def add(name, node):
        if "optimizer" in name.split("/"):
            return
        digest.update(f"{name} {dict(node.attrs)}".encode())
        if isinstance(node, h5py.Dataset):
            values = np.asarray(node)
            is_text = values.dtype == object
            digest.update(str(values).encode() if is_text else values.tobytes())

    with h5py.File(file, "r") as root:
        add("", root)
        root.visititems(add)
    return digest.hexdigest()


def scratch(place):
    """Hidden names in and beside a result."""
    beside = [p for p in place.parent.iterdir() if p.name.startswith(".")]
    inside = place.rglob(".*") if place.is_dir() else ()
    return [p for p in (*beside, *inside) if p.name != LOCK]


def start(work, place):
    """Process id of a life."""
    child = os.fork()
    if child:
        return child
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        work(place)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def used(child):
    """CPU seconds of a process."""
    fields = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2]
    return sum(int(x) for x in fields.split()[11:13]) / TICK


def live(work, place, seconds=None):
    """Exit code of a life, which is killed after so many CPU seconds."""
    child = start(work, place)
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is (
        None
    ):
        if seconds is not None and used(child) >= seconds:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.002)
    spent = used(child)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), spent


def import_what_it_needs(work, place):
    """Imports what a whole life imports, so that the next ones are short."""
    names = place.with_name("modules.txt")

    def first(place):
        work(place)
        names.write_text("\n".join(sys.modules))

    live(first, place)
    for name in names.read_text().split("\n"):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def killed(job, number, seed, folder):
    """Counts of kills, of works that were done, and of what went wrong."""
    work, dice = prepare(job, folder), random.Random(f"{seed} {job}")
    whole, place = folder / f"{job}_whole", folder / job / "result"
    import_what_it_needs(work, folder / f"{job}_first")
    code, seconds = live(work, whole)
    if code:
        raise SystemExit(f"{job} does not work at all")
    expected, found = contents(whole), collections.Counter()
    if job == "train":
        shutil.copyfile(whole / "set.keras", folder / "model.keras")
    place.parent.mkdir()
    while found["kills"] < number and not found["errors"]:
        code, _ = live(work, place, dice.uniform(0, 1.05 * seconds))
        found["kills"] += code == -signal.SIGKILL
        found["errors"] += code not in (0, -signal.SIGKILL)
        if found["done"] and job in ("convert", "predict"):
            # What was there before is there, or set aside for a moment.
            aside = list(place.glob(".*.replaced"))
            found["lost"] += not aside and contents(place) != expected
        if code == 0:
            check(found, place, expected)
            if job in ("train", "explain"):
                shutil.rmtree(place)
        print(f"{job}: {dict(found)}", file=sys.stderr, flush=True)
    found["errors"] += live(work, place)[0] != 0
    check(found, place, expected)
    return found, seconds


def check(found, place, expected):
    """Counts a work that is done, and what is wrong with it."""
    found["done"] += 1
    found["left"] += len(scratch(place))
    found["different"] += contents(place) != expected


def main():
    """Each job in a process of its own, because of its backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=JOBS, choices=JOBS)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    columns = ("kills", "done", "lost", "different", "left", "errors")
    if options.folder is not None:
        (job,) = options.jobs
        arguments = options.number, options.seed, options.folder
        found, seconds = killed(job, *arguments)
        numbers = "".join(f"{found[name]:11}" for name in columns)
        print(f"{job:10}{seconds:8.1f} s{numbers}", flush=True)
        return any(found[name] for name in columns[2:])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kills_"))
    print(f"{'':10}{'CPU time':>10}", *(f"{c:>10}" for c in columns))
    wrong = False
    for job in options.jobs:
        command = [sys.executable, __file__, "--jobs", job]
        command += ["--number", str(options.number)]
        command += ["--seed", str(options.seed), "--folder", str(folder)]
        backend = "tensorflow" if job == "explain" else "torch"
        settings = {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **settings, "TF_CPP_MIN_LOG_LEVEL": "3"}
        wrong |= bool(subprocess.run(command, env=environment).returncode)
    if not wrong:
        shutil.rmtree(folder)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
