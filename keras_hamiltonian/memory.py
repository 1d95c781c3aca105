"""Limits of memory, as users give them."""

import os
import re
import subprocess

UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


class MemoryLimit(ValueError):
    """A limit of memory cannot be kept."""


def check_room(limit, needed, purpose):
    """The room that a limit leaves.

    Args:
        limit: see `bytes_of`.
        needed: number of bytes, beside what the process takes.
        purpose: str. What they are needed for.

    Returns:
        Number of bytes that are left beside those needed.

    Raises:
        MemoryLimit: if there are not so many, with a limit that would do.
    """
    taken, limit = resident_bytes(), bytes_of(limit)
    if taken + needed > limit:
        raise MemoryLimit(
            f"A limit of {in_words(limit)} cannot be kept: the "
            f"process takes {in_words(taken)} and needs {in_words(needed)} "
            f"{purpose}. Give {in_words(1.05 * (taken + needed))}."
        )
    return limit - taken - needed


def bytes_of(limit):
    """Bytes of a limit.

    Args:
        limit: number of bytes; or str such as `"4GB"` (10⁹ bytes each),
            `"512 MiB"`.

    Returns:
        float.

    Raises:
        ValueError: if it is no positive size.

    Example:

    >>> bytes_of("4GB")
    4000000000.0
    """
    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*", str(limit))
    try:
        size = float(found[1]) * UNITS[found[2].upper()]
    except (TypeError, KeyError, ValueError):
        size = 0.0
    if not size > 0:
        raise ValueError(
            "A limit of memory is a size such as 4GB, 500MB or 1.5GiB. "
            f"Received: {limit!r}."
        )
    return size


def in_words(size):
    """Bytes in words: `"1.2 GB"`, `"340 MB"`."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def resident_bytes():
    """Memory that the process takes now; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as status:
            line = next(x for x in status if x.startswith("VmRSS"))
        return 1024 * int(line.split()[1])
    except OSError:  # macOS has `ps`, Windows neither
        words = ["ps", "-o", "rss=", "-p", str(os.getpid())]
        try:
            said = subprocess.run(words, capture_output=True, check=True)
            return 1024 * int(said.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return 0.0
