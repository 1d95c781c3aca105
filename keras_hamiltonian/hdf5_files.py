"""HDF5 files: written whole, and read with suspicion."""

import contextlib
import io
import mmap
import os
import pathlib
import struct

import h5py

from keras_hamiltonian.files import replacing
from keras_hamiltonian.reading import check_size

# Above it a look at every heap takes too long.
LARGEST_LOOK = 2**26
_HEAP = b"GCOL\x01\0\0\0"
_OBJECT = struct.Struct("<HHIQ")


def open_hdf5(path):
    """An HDF5 file open for reading.

    Reading needs no lock, which network disks often do not support.

    Args:
        path: str or path.

    Returns:
        `h5py.File`.

    Raises:
        ValueError: if there is no such file, HDF5 cannot open it, or it leads
            to other files.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist, or is no file.")
    _check_heaps(path)
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened as HDF5 ({error}); it may be cut short "
            "or of another format."
        ) from None
    try:
        _check_links(path, file)
    except BaseException:
        file.close()
        raise
    return file


def read_dataset(dataset):
    """All numbers of a data set, which the size of its file makes plausible.

    Args:
        dataset: `h5py.Dataset`.

    Returns:
        NumPy array.

    Raises:
        ValueError: if it is far larger than the file, or lies in another one.
    """
    path = pathlib.Path(dataset.file.filename)
    if path.is_file():  # else it is being written
        check_size(path, dataset.nbytes)
    if dataset.is_virtual or dataset.external:
        raise ValueError(
            f"{path}: the numbers of {dataset.name} lie in another file. Copy "
            "them into one."
        )
    return dataset[()]


@contextlib.contextmanager
def new_hdf5(path, **options):
    """An HDF5 file to write, which takes the name `path` when it is complete.

    HDF5 cannot close a file on a full disk, and then ends the process. Here
    it does not learn of the disk's errors, which are raised once it is done,
    or by `check_disk` of the file.

    Args:
        path: str or path. See `keras_hamiltonian.files.replacing`.
        **options: of `h5py.File`.

    Yields:
        `NewFile`.

    Raises:
        OSError: if the file cannot be written.
    """
    with replacing(path) as place, _PatientFile(place, "w+b") as raw:
        try:
            with NewFile(raw, "w", **options) as file:
                yield file
        finally:
            raw.check()


class NewFile(h5py.File):
    """An `h5py.File` of `new_hdf5`."""

    def __init__(self, raw, mode, **options):
        super().__init__(raw, mode, **options)
        self._raw = raw

    def check_disk(self):
        """Ends the work on a file that its disk does not take.

        To be called now and then: all that is written to such a file stays in
        memory.

        Raises:
            OSError: the disk's first error.
        """
        self._raw.check()


class _PatientFile(io.FileIO):
    """A file that keeps its first error, and works in memory from then on.

    HDF5 reads again what it wrote, and does not survive other bytes.
    """

    def __init__(self, path, mode):
        super().__init__(path, mode)
        self._error = None
        self._kept = []  # places, and bytes that are not on the disk

    def check(self):
        if self._error is not None:
            raise self._error

    def write(self, data):
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self._error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = error
        if len(rest):
            self._kept.append((self.tell(), bytes(rest)))
            self.seek(len(rest), os.SEEK_CUR)
        return size

    def readinto(self, buffer):
        start, view = self.tell(), memoryview(buffer).cast("B")
        size = super().readinto(view)
        if self._error is None:
            return size
        view[size:] = bytes(len(view) - size)
        for place, data in self._kept:
            first = max(place, start)
            end = min(place + len(data), start + len(view))
            if first < end:
                view[first - start : end - start] = data[
                    first - place : end - place
                ]
        self.seek(start + len(view))
        return len(view)

    def truncate(self, size=None):
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size


def _check_heaps(path):
    """Walks through the heaps of strings: HDF5 hangs in a damaged one."""
    if not 0 < path.stat().st_size <= LARGEST_LOOK:
        return
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        start = data.find(_HEAP)
        while start >= 0:
            size = int.from_bytes(data[start + 8 : start + 16], "little")
            place, end = start + 16, min(start + size, len(data))
            while place + _OBJECT.size <= end:
                number, _, _, length = _OBJECT.unpack_from(data, place)
                if number == 0 and length < _OBJECT.size:
                    raise ValueError(
                        f"{path}: the strings at byte {start} are damaged. "
                        "Copy the file again, or write it again."
                    )
                place += length if number == 0 else 16 + (length + 7) // 8 * 8
            start = data.find(_HEAP, start + 1)


def _check_links(path, file):
    def check(name, info):
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            return name
        return None

    found = file.id.links.visit(check, info=True)
    if found is not None:
        raise ValueError(
            f"{path}: {found.decode(errors='replace')!r} is a link to another "
            "file. Copy what it leads to into this one."
        )
