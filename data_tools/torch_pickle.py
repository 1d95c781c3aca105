"""Arrays from pickles of torch and torch_geometric, which are not executed.

A pickle is a program. Here it can call a few methods of this module alone,
which make arrays; classes of torch_geometric become empty ones, and anything
else is refused. Neither torch nor torch_geometric is needed.
"""

import io
import math
import pickle
import struct

import numpy as np

from keras_hamiltonian.orbitals.whole_numbers import whole_numbers

MOST_AXES = 8
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# The first number of what `torch.save` wrote before its zip files.
_MAGIC = 0x1950A86A20F9469CFC6C


class Graph:
    """What a class of torch_geometric held: `attributes`, a dict."""

    def __setstate__(self, state):
        self.attributes = state


class ObjectArray:
    """An array of objects: `items`, a list."""

    def __setstate__(self, state):
        self.items = state[4]


def load_arrays(file):
    """What a pickle holds, its tensors as NumPy arrays.

    Args:
        file: binary file at the start of the pickle.

    Returns:
        Numbers, strings, lists, dicts, arrays, `Graph` and `ObjectArray`.

    Raises:
        ValueError: if the pickle calls for anything else.
        Other errors of the pickle module: if it is damaged.
    """
    return _Arrays(file).load()


# The unpickler in C allocates whatever size a damaged pickle asks for.
class _Arrays(pickle._Unpickler):
    def __init__(self, file):
        super().__init__(file)
        # Classes of this pickle alone: it can set their attributes.
        self.graph = type("Graph", (Graph,), {})
        self.array = type("ObjectArray", (ObjectArray,), {})

    def find_class(self, module, name):
        if module.split(".")[0] == "torch_geometric":
            return self.graph
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "numpy"
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch.storage", "_load_from_bytes"): self.storage,
            ("collections", "OrderedDict"): self.nothing,
            ("numpy", "_reconstruct"): self.object_array,
            ("numpy", "ndarray"): self.nothing,
            ("numpy", "dtype"): self.dtype,
            ("numpy", "scalar"): self.nothing,
        }
        if (module, name) in known:
            return known[module, name]
        raise ValueError(
            f"the pickle calls {module}.{name}, which is no tensor. It is not "
            "executed. If you trust the file, load it with the program that "
            "wrote it, and save tensors alone"
        )

    def nothing(self, *_):
        return None

    def dtype(self, *_):
        return self.graph()

    def object_array(self, *_):
        return self.array()

    def storage(self, data):
        """The numbers that `torch.save` wrote."""
        file = io.BytesIO(data)
        magic, _, system = (_Storage(file).load() for _ in range(3))
        if magic != _MAGIC or not system["little_endian"]:
            raise ValueError("a storage is not as torch writes it here")
        kind, size = _Storage(file).load()
        _Storage(file).load()  # its key
        (stored,) = struct.unpack("<q", file.read(8))
        dtype = np.dtype(_STORAGES[kind])
        numbers = data[file.tell() :]
        if stored != size or len(numbers) != size * dtype.itemsize:
            raise ValueError(
                f"a storage announces {size} numbers and has {len(numbers)} "
                "bytes"
            )
        return np.frombuffer(numbers, dtype)

    def tensor(self, storage, offset, shape, strides, *_):
        size = len(storage)
        if len(shape) != len(strides) or len(shape) > MOST_AXES:
            raise ValueError(f"a tensor has {len(shape)} axes")
        whole_numbers([offset, *shape, *strides], "sizes of a tensor", 0, size)
        count = math.prod(shape)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides))
        if count > size or (count and last >= size):
            raise ValueError(
                f"a tensor of the shape {tuple(shape)} is larger than its "
                f"storage of {size} numbers"
            )
        if not count:
            return np.zeros(shape, storage.dtype)
        return np.lib.stride_tricks.as_strided(
            storage[offset:],
            shape,
            [storage.itemsize * s for s in strides],
            writeable=False,
        )


class _Storage(pickle._Unpickler):
    """Of one storage; its numbers follow the pickle."""

    def find_class(self, module, name):
        if module == "torch" and name in _STORAGES:
            return name
        raise ValueError(f"a storage of the kind {module}.{name} is unknown")

    def persistent_load(self, reference):
        return reference[1], reference[4]
