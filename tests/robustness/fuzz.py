"""Damages good files at random and reads them.

    python tests/robustness/fuzz.py --number 10000 --seed 0

Every damaged file must be read, or be refused by one `ValueError` that names
it, within a time and a memory. Prints counts for each format; exit code 1 where
something else happened, with the files kept.
"""

import argparse
import collections
import dataclasses
import importlib.util
import itertools
import os
import pathlib
import pickle
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings

# Of one case.
CPU_SECONDS = 10
CLOCK_SECONDS = 120
BYTES = 2**30
HERE = pathlib.Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parent / "data_tools")]
sys.path += [str(HERE), str(HERE.parents[1])]

# SIESTA's files are read in a process that many of them end: it starts anew.
# Runs of other programs are larger than the other files.
RARE = {"siesta": 0.02, "cp2k": 0.3, "qh9": 0.3}
# Formats that a package outside the requirements writes.
NEEDS = {"siesta": "sisl"}
SPINS = ("none", "collinear", "noncollinear")
WORDS = (b"", b"0", b"-1", b"nan", b"1e999", b"99999999999", b"[" * 50, b"\xff")
NUMBERS = (0, 1, -1, 2**31 - 1, -(2**31), 2**62, 0x7FF8 << 48, 0x7FF0 << 48)


def seeds(folder):
    """Good files of every format: list of `(format, path, reader)`."""
    import aims_writer
    import scfout_writer
    from cp2k_runs import unpack
    from small_crystals import crystal

    from data_tools.formats import FORMATS
    from data_tools.formats import read_calculation
    from data_tools.formats import write_calculation
    from data_tools.structures import find_structures
    from keras_hamiltonian.data.splits import Split

    found = []
    for format, spin in itertools.product(FORMATS.values(), SPINS):
        if format.write is None or format.read is None:
            continue
        if not has_package(format.name) or format.name == "wannier90":
            continue
        path = folder / f"{format.name}_{spin}{(format.endings or ('',))[0]}"
        write_calculation(path, with_spin(crystal(), spin), format.name)
        found.append((format.name, path, read_calculation))
    path = folder / "rounded.h5"
    options = {"precision": 1e-6, "compression": 4}
    write_calculation(path, crystal(), "container", **options)
    found.append(("container", path, read_calculation))
    for spin in (0, 1, 3):
        path = folder / f"openmx{spin}.scfout"
        path.write_bytes(scfout_writer.scfout_bytes(spin))
        found.append(("openmx", path, read_calculation))
    for spin in SPINS:
        # A folder: the .win lies beside the file.
        path = folder / f"wannier90_{spin}"
        known = with_spin(crystal(), spin)
        options = {"grid": (5, 1, 1)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the grid is coarse
            write_calculation(path / "x_hr.dat", known, "wannier90", **options)
        found.append(("wannier90", path, read_calculation))
    for name, is_hdf5 in (("plain", False), ("hdf5", True)):
        path = folder / f"aims_{name}"
        written = aims_writer.geometry(), aims_writer.matrices()
        aims_writer.write_aims(path, *written, is_hdf5)
        found.append(("fhi-aims", path, read_calculation))
    found.append(("cp2k", unpack("water", folder), read_calculation))
    for format, name in (("hamgnn", "hamgnn.npz"), ("qh9", "qh9.db")):
        path = pathlib.Path(shutil.copy(HERE.parent / "data" / name, folder))
        found.append((format, path, read_all))

    def first(path):
        return find_structures([path])[0].load()

    path = folder / "set.split.json"
    Split(["a", "b"], ["c"], ["d"], seed=1).write(path)
    found.append(("split", path, Split.read))
    for ending in ("cif", "vasp", "extxyz", "json", "traj"):
        path = folder / f"structure.{ending}"
        crystal().atoms.write(path)
        found.append((ending, path, first))
    return found


def has_package(format):
    needed = NEEDS.get(format)
    return needed is None or importlib.util.find_spec(needed) is not None


def with_spin(calculation, spin):
    """The same crystal with two components of spin."""
    from data_tools.spin_blocks import join_spins

    if spin == "none":
        return calculation
    matrix = join_spins(calculation.hamiltonian, calculation.hamiltonian)
    if spin == "noncollinear":
        matrix = matrix.with_entries(matrix.entries.astype(complex))
    return dataclasses.replace(calculation, spin=spin, hamiltonian=matrix)


def read_all(path):
    """All structures of a file."""
    from data_tools.formats import find_sources
    from data_tools.formats import read_source

    for source in find_sources(path):
        read_source(source)


def damaged(dice, data):
    """The bytes with one to three faults."""
    data = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        place = dice.randrange(len(data) + 1)
        fault = dice.randrange(7)
        if fault == 0 and data:
            data[place - 1] ^= 1 << dice.randrange(8)
        elif fault == 1:
            del data[place:]
        elif fault == 2:
            del data[place : place + dice.randrange(1, 64)]
        elif fault == 3:
            data[place:place] = data[place : place + dice.randrange(1, 64)]
        elif fault == 4:
            data[place : place + dice.randrange(8)] = dice.choice(WORDS)
        elif fault == 5:
            size = dice.choice((4, 8))
            number = dice.choice(NUMBERS) % 2 ** (8 * size)
            place -= place % 4
            data[place : place + size] = number.to_bytes(size, "little")
        else:
            data[place : place + 8] = dice.randbytes(8)
    return bytes(data)


def damage(dice, path, target):
    """A copy of a file or folder with one damaged file; its place."""
    place = target / path.name
    if path.is_dir():
        shutil.copytree(path, place)
        file = dice.choice(sorted(p for p in place.rglob("*") if p.is_file()))
    else:
        file = place
        shutil.copyfile(path, place)
    file.write_bytes(damaged(dice, file.read_bytes()))
    return place


def verdict(read, place):
    """`"read"`, `"refused"`, or what is wrong."""
    try:
        read(place)
    except (ValueError, OSError) as error:
        return "refused" if place.name in str(error) else f"unnamed: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def work(cases, seed, numbers, folder, answers):
    """Reads the cases of these numbers; a verdict of each into a pipe."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, hard))
    warnings.simplefilter("ignore")
    for number in numbers:
        format, place = prepare(cases, seed, number, folder)
        used = int(time.process_time()) + 1
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, hard))
        read = next(r for f, _, r in cases if f == format)  # one a format
        answer = pickle.dumps((number, format, verdict(read, place)))
        os.write(answers, len(answer).to_bytes(4, "little") + answer)
        shutil.rmtree(place.parent)


def prepare(cases, seed, number, folder):
    """Format and place of a case, which its number alone decides."""
    dice = random.Random(f"{seed} {number}")
    weights = [RARE.get(format, 1.0) for format, _, _ in cases]
    format, path, _ = dice.choices(cases, weights)[0]
    target = folder / str(number)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return format, damage(dice, path, target)


def run(cases, seed, number, folder):
    """Verdicts of all cases: list of `(number, format, verdict)`."""
    found = []
    while len(found) < number:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            numbers = range(len(found), number)
            work(cases, seed, numbers, folder, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answers:
            while select.select([answers], [], [], CLOCK_SECONDS)[0]:
                size = answers.read(4)
                if not size:
                    break
                found.append(
                    pickle.loads(answers.read(int.from_bytes(size, "little")))
                )
            else:
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status and len(found) < number:
            format, _ = prepare(cases, seed, len(found), folder)
            code = os.waitstatus_to_exitcode(status)
            found.append((len(found), format, f"ended with code {code}"))
    return found


def main():
    """Runs the cases and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz_"))
    (folder / "seeds").mkdir()
    (folder / "cases").mkdir()
    cases = seeds(folder / "seeds")
    found = run(cases, options.seed, options.number, folder / "cases")
    counts = collections.defaultdict(collections.Counter)
    wrong = []
    for number, format, what in found:
        is_right = what in ("read", "refused")
        counts[format][what if is_right else "wrong"] += 1
        if not is_right:
            _, place = prepare(cases, options.seed, number, folder / "cases")
            wrong.append(f"{place}: {what[:300]}")
    print(f"{'format':14}{'read':>8}{'refused':>9}{'wrong':>7}")
    for format, count in sorted(counts.items()):
        numbers = (count["read"], count["refused"], count["wrong"])
        print(f"{format:14}{numbers[0]:8}{numbers[1]:9}{numbers[2]:7}")
    for format, package in NEEDS.items():
        if not has_package(format):
            print(f"{format}: not tried, needs {package}")
    print(f"{len(found)} files in {time.monotonic() - start:.0f} s")
    print(*wrong[:40], sep="\n")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
