"""Whether a run has been done with the same inputs."""

import hashlib
import json
import pathlib

from keras_hamiltonian.evaluation.report import REPORT

PACKAGE = pathlib.Path(__file__).parents[1]
# Of larger files size and time of the last change count, not the content.
LARGEST_READ = 2**30


def fingerprint(files, **options):
    """A checksum of all that a run depends on.

    Args:
        files: iterable of paths. Data and so on; of a folder every file
            counts.
        **options: JSON values. Settings, split and so on.

    Returns:
        str. Changes with the content of the files, the options, and the
        sources of this package.
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    members = sorted(PACKAGE.rglob("*.py"))
    for path in map(pathlib.Path, files):
        members += sorted(path.rglob("*")) if path.is_dir() else [path]
    for path in members:
        if path.is_file():
            digest.update(path.name.encode())
            digest.update(_content(path))
    return digest.hexdigest()


def content_checksum(path):
    """A checksum of what a file or a folder holds, wherever it lies.

    Args:
        path: path.

    Returns:
        str.
    """
    digest = hashlib.sha256()
    if not path.is_dir():
        digest.update(_content(path))
        return digest.hexdigest()
    for member in sorted(path.rglob("*")):
        if member.is_file():
            digest.update(str(member.relative_to(path)).encode())
            digest.update(_content(member))
    return digest.hexdigest()


def finished_report(folder, expected):
    """The report of a finished run, if its inputs were the same.

    Args:
        folder: str or path. Of the run.
        expected: str. Its `fingerprint`.

    Returns:
        The dict of `report.json`, or `None` if there is none, if it has
        another fingerprint, or if a file it names is missing.
    """
    folder = pathlib.Path(folder)
    try:
        report = json.loads((folder / REPORT).read_text())
    except (OSError, ValueError):
        return None
    files = report.get("files", {}).values()
    if report.get("fingerprint") != expected:
        return None
    return report if all((folder / name).exists() for name in files) else None


def _content(path):
    status = path.stat()
    if status.st_size > LARGEST_READ:
        return f"{status.st_size} {status.st_mtime_ns}".encode()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
