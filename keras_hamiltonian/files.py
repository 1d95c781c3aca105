"""Files and folders that appear when they are complete."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LONGEST_NAME = 200
# A scratch folder is locked within far less.
UNBORN_SECONDS = 60.0
_LOCK = "keras_hamiltonian.lock"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)


@contextlib.contextmanager
def replacing(path, replaces_folder=False):
    """Yields a place to write to; what is written there takes the name `path`.

    At any moment `path` is the old file or the complete new one, on the disk
    and not only in the system's memory. If writing fails the old one stays and
    nothing else remains; a process that is killed while it writes leaves a
    hidden folder `.<name>.<random>` behind, which the next call removes.

    A new file has the permissions of a plain `open`, a replaced one keeps its
    own. An empty folder is replaced.

    Args:
        path: str or path. Of a file or a folder; missing folders above it are
            made.
        replaces_folder: bool. Replaces a folder with files in it too: all of
            them go. A process that is killed between the two steps leaves the
            old folder as `.<name>.replaced`, and the next call puts it back.

    Yields:
        `pathlib.Path` with the same last name, for one file or folder.

    Raises:
        OSError: if `path` is a folder with files in it, nothing was written,
            you may not write there, or the disk is full; then the message
            names the disk.

    Example:

    >>> with replacing("numbers.txt") as place:    # doctest: +SKIP
    ...     place.write_text("1 2 3")
    """
    path = pathlib.Path(path).absolute()
    with _naming_the_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        with _scratch(path) as scratch:
            place = scratch / path.name
            yield place
            if path.is_file():
                shutil.copymode(path, place)
            _sync(place)
            if replaces_folder and path.is_dir():
                _exchange(place, path)
            else:
                os.replace(place, path)


def write_text(path, text):
    """Writes a text file in UTF-8 by `replacing`.

    Args:
        path: str or path.
        text: str.
    """
    with replacing(path) as place:
        place.write_text(text, encoding="utf-8")


def check_name(name):
    """Refuses a name that is more than the name of a file.

    Names of structures come from files, and give names to files.

    Args:
        name: str.

    Returns:
        The name.

    Raises:
        ValueError: if it is empty, hidden, has a slash or a control character,
            or more than 200 bytes.
    """
    if (
        not name
        or pathlib.PurePath(name).name != name
        or name.startswith(".")
        or not name.isprintable()
        or len(name.encode(errors="replace")) > LONGEST_NAME
    ):
        raise ValueError(
            f"The name {name[:LONGEST_NAME]!r} cannot be that of a structure, "
            "because files are called after structures: expected 1 to "
            f"{LONGEST_NAME} bytes without slashes and control characters, "
            "and no dot in front."
        )
    return name


def place_in(folder, name):
    """Path of a name in a folder, which does not lead out of it.

    Args:
        folder: str or path.
        name: str. See `check_name`.

    Raises:
        ValueError: if the name is none, or a symbolic link that leads out of
            the folder.
    """
    place = pathlib.Path(folder) / check_name(name)
    if place.resolve().parent != pathlib.Path(folder).resolve():
        raise ValueError(
            f"{place} is a symbolic link to {place.resolve()}, outside of the "
            "folder. Remove it, or choose another folder."
        )
    return place


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes out of a folder that one alone may write to.

    The lock ends with the process, however it ends. On disks without locks
    there is none.

    Args:
        folder: path. Made if it does not exist; removed if it stays empty.

    Raises:
        ValueError: if another process has locked it.
    """
    folder = pathlib.Path(folder)
    make_folder(folder)
    path = folder / f".{_LOCK}"
    if not os.access(folder, os.W_OK):
        yield  # nobody writes here
        return
    with open(path, "a") as file:
        if _lock(file) is False:
            raise ValueError(
                f"Another process works in {folder}. Wait until it is done, "
                "or choose another folder."
            )
        try:
            yield
        finally:
            if list(folder.iterdir()) == [path]:
                path.unlink()
                folder.rmdir()


def make_folder(path):
    """Makes a folder, and those above it, where there is none.

    Args:
        path: str or path.

    Raises:
        OSError: saying why it cannot be made.
    """
    path = pathlib.Path(path).absolute()
    with _naming_the_disk(path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _naming_the_disk(path):
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            reason = (
                f"the disk of {path.parent} has no room for it (or your quota "
                "is used up)"
            )
        elif not _is_about(error, path):
            raise
        elif error.errno in _NOT_ALLOWED:
            reason = f"you may not write there ({error.strerror})"
        elif error.errno in _NO_FOLDER:
            reason = "a folder of this path is a file"
        else:
            raise
        raise OSError(
            error.errno,
            f"{path} was not written, because {reason}. What was there before "
            "is untouched",
        ) from error


def _is_about(error, path):
    """Whether an error is of this path: inputs may lie anywhere."""
    if error.filename is None:
        return True
    name = pathlib.Path(os.fsdecode(error.filename))
    is_scratch = name.name.startswith(f".{path.name}.")
    return name in (path, *path.parents) or (
        is_scratch and name.parent == path.parent
    )


@contextlib.contextmanager
def _scratch(path):
    """A hidden folder beside a path, marked as in use while it is."""
    folder = tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
    folder = pathlib.Path(folder)
    try:
        # Locked before it has its name: nobody finds it unlocked.
        with open(folder / f".{_LOCK}", "w") as file:
            _lock(file)
            os.rename(file.name, folder / _LOCK)
            yield folder
    finally:
        _remove(folder)


def _remove(scratch):
    """Removes a scratch folder, the lock last: half of one is still known."""
    with contextlib.suppress(OSError):
        for path in scratch.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink()
    shutil.rmtree(scratch, ignore_errors=True)


def _clear(path):
    """Removes what killed processes left, and puts a folder back."""
    old = _replaced(path)
    if old.is_dir():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(path)
    with os.scandir(path.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(f".{path.name}.")]
    for name in names:
        scratch = path.parent / name
        try:
            # Not made here: without a lock it is of somebody else.
            with open(scratch / _LOCK, "r+") as file:
                if _lock(file):
                    _remove(scratch)
        except OSError:
            _remove_unborn(scratch)


def _remove_unborn(scratch):
    """Removes a scratch folder whose process died before it was locked."""
    with contextlib.suppress(OSError):
        if time.time() - scratch.stat().st_mtime > UNBORN_SECONDS:
            (scratch / f".{_LOCK}").unlink(missing_ok=True)
            scratch.rmdir()  # not if there is anything else in it


def _replaced(path):
    return path.with_name(f".{path.name}.replaced")


def _exchange(place, path):
    """The new folder takes the place of the old one, which is removed."""
    old = _replaced(path)
    path.rename(old)
    try:
        place.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _lock(file):
    """Whether a file could be locked; `None` on a disk without locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sync(place):
    """Writes a file, or all files of a folder, to the disk."""
    files = place.rglob("*") if place.is_dir() else [place]
    for file in files:
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
