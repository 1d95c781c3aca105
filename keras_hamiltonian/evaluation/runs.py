"""Finished runs, recognised by a checksum of their inputs."""

import hashlib
import json
import pathlib

REPORT = "report.json"


def fingerprint(files, **options):
    """A checksum of everything that a run depends on.

    Args:
        files: iterable of paths: data, split, the recipe itself; of a folder,
            all files.
        **options: JSON values: seed, budget and so on.

    Returns:
        str. Changes with the content of the files, the options, and the
        sources of this package.
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    package = pathlib.Path(__file__).parents[1]
    members = sorted(package.rglob("*.py"))
    for path in map(pathlib.Path, files):
        members += sorted(path.rglob("*")) if path.is_dir() else [path]
    for path in members:
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def finished_report(folder, expected):
    """The report of a finished run, if its inputs were the same.

    Args:
        folder: str or path. Of the run.
        expected: str. Its `fingerprint`.

    Returns:
        The dict of `report.json`, or `None` if it does not exist, has another
        fingerprint, or names a file that is missing.
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
