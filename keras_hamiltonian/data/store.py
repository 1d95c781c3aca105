"""Many calculations in one HDF5 file."""

import contextlib
import difflib
import json
import os
import pathlib
import threading

import h5py
import numpy as np

from keras_hamiltonian.data.correction import Correction
from keras_hamiltonian.data.correction import describe_corrections
from keras_hamiltonian.data.structure_group import DIFFERENCE
from keras_hamiltonian.data.structure_group import MATRICES
from keras_hamiltonian.data.structure_group import pair_union as pair_union
from keras_hamiltonian.data.structure_group import read_atoms
from keras_hamiltonian.data.structure_group import read_structure
from keras_hamiltonian.data.structure_group import write_structure
from keras_hamiltonian.files import check_name
from keras_hamiltonian.hdf5_files import new_hdf5
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.hdf5_files import read_dataset
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.reading import reading

FORMAT = "keras_hamiltonian"
FORMAT_VERSION = 1
# From 1.10 on HDF5 indexes a single chunk without a tree (8 kB).
HDF5_VERSION = ("v110", "v110")


class HamiltonianStore:
    """Calculations in one HDF5 file, read one at a time.

    Opening a file reads only names, basis and spin layout, so a set may be
    larger than memory. A store may be pickled and used by several threads and
    processes; each process opens the file.

    Layout of the file::

        /                        attributes: format, format_version, units,
                                 orbital_order, spin_layout, spin, basis (JSON),
                                 attributes (JSON)
        /names                   names in order
        /structures/<name>       attributes: spin, basis, source (JSON),
                                 fermi_level, num_electrons, num_pairs_*,
                                 correction, initial_shift (eV; see
                                 `keras_hamiltonian.data.correction`)
          atoms/                 numbers, positions, cell, pbc
          hamiltonian/           see `keras_hamiltonian.data.matrix_group`
          overlap/
          initial_hamiltonian/   or, if rounded, initial_difference/: H - H⁰

    Args:
        path: str or path. The file.

    Raises:
        ValueError: if the file does not exist, is no container, or has a newer
            format.

    Example:

    >>> store = HamiltonianStore("graphene.h5")          # doctest: +SKIP
    >>> len(store), store.names[0], store.basis           # doctest: +SKIP
    (32, '000', OrbitalBasis({'C': '2s 2p 1d'}))
    >>> store["000"].hamiltonian                          # doctest: +SKIP
    BlockMatrix(828 pairs, 139932 numbers, float64)
    """

    # `ZerothStepStore` has one.
    zeroth_step = None

    def __init__(self, path):
        self.path = pathlib.Path(path).absolute()
        self._open_state()
        with self._lock, reading(self.path):
            root = self._open()
            _check_format(self.path, root)
            self.names = _read_names(root)
            self.spin = str(root.attrs["spin"])
            self.basis = OrbitalBasis(json.loads(root.attrs["basis"]))
            self.attributes = json.loads(root.attrs["attributes"])
            self.close()
        self._positions = {name: k for k, name in enumerate(self.names)}

    @classmethod
    def write(
        cls,
        path,
        calculations,
        attributes=None,
        precision=None,
        compression=0,
    ):
        """Writes calculations into a new file, which appears when complete.

        If two Hermitian partners are equal (or, in a rounded matrix, agree to
        1e-6 eV), one is stored; other matrices are stored whole. There is no
        float32: it has the size of a rounded number, errors that grow with the
        entry (5e-7 eV at 10 eV), and compresses less.

        Args:
            path: str or path. An existing file is replaced at the end.
            calculations: iterable of `Calculation`, of which one at a time is
                in memory. Its number is the name of one without.
            attributes: dict of JSON values: origin, settings, licence.
            precision: float, or dict from matrix name (`"hamiltonian"`,
                `"overlap"`, `"initial_hamiltonian"`) to float. Numbers are
                rounded to multiples of the largest power of two that does not
                exceed it; eV, for the overlap no unit. `None` does not round.
            compression: int. Level of gzip with byte shuffle, 0 for none.

        Returns:
            The opened `HamiltonianStore`.

        Raises:
            ValueError: for no calculations, a repeated name, mixed spin
                layouts, or one element with two bases.
        """
        precision = _precisions(precision)
        with new_hdf5(path, libver=HDF5_VERSION) as root:
            _write_all(root, calculations, precision, compression)
            root.attrs["attributes"] = json.dumps(attributes or {})
        return cls(path)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, key):
        name = self._name(key)
        with self._reading(name) as group:
            return read_structure(group, name)

    def __iter__(self):
        return (self[name] for name in self.names)

    def __contains__(self, name):
        return name in self._positions

    def atoms(self, key):
        """The `ase.Atoms` of a structure alone, without its matrices."""
        with self._reading(self._name(key)) as group:
            return read_atoms(group["atoms"])

    def pair_counts(self, key):
        """Numbers of pairs of a structure in H, in S and in both.

        Returns:
            Dict with `hamiltonian`, `overlap` and `both`. No matrix is read.
        """
        with self._reading(self._name(key)) as group:
            return {
                which: int(group.attrs[f"num_pairs_{which}"])
                for which in ("hamiltonian", "overlap", "both")
            }

    def has_initial(self, key):
        """Whether a structure has H⁰. No matrix is read."""
        with self._reading(self._name(key)) as group:
            return "initial_hamiltonian" in group or DIFFERENCE in group

    def correction(self, key):
        """How far H is from H⁰, as it was when the file was written.

        Returns:
            `keras_hamiltonian.data.correction.Correction`, or `None` without
            H⁰ or in files of version 0.1.0. No matrix is read.
        """
        with self._reading(self._name(key)) as group:
            if "correction" not in group.attrs:
                return None
            return Correction(
                float(group.attrs["correction"]),
                float(group.attrs["initial_shift"])
                if "initial_shift" in group.attrs
                else None,
            )

    def describe(self):
        """The content of the file as text: H⁰, and pairs of H and S."""
        num_initial = sum(map(self.has_initial, self.names))
        sizes = describe_corrections(map(self.correction, self.names))
        lines = [
            f"{self.path.name}: {len(self)} structures, spin {self.spin}, "
            f"basis {self.basis.to_dict()}",
            f"  H⁰ in {num_initial} structures{': ' if sizes else ''}{sizes}",
        ]
        for name in self.names:
            counts = self.pair_counts(name)
            both = counts["both"]
            lines.append(
                f"  {name}: {self.atoms(name).get_chemical_formula()}, "
                f"{both} pairs in H and S, "
                f"{counts['hamiltonian'] - both} in H only, "
                f"{counts['overlap'] - both} in S only"
            )
        return "\n".join(lines)

    def close(self):
        """Closes the file; reading opens it again."""
        with self._lock:
            if self._file is not None and self._process == os.getpid():
                self._file.close()
            self._file = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __getstate__(self):
        state = dict(self.__dict__)
        for name in ("_file", "_process", "_lock"):
            del state[name]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open_state()

    def __repr__(self):
        return (
            f"HamiltonianStore({self.path.name}: {len(self)} structures, "
            f"{', '.join(self.basis.symbols)}, spin {self.spin})"
        )

    def _open_state(self):
        self._file = None
        self._process = None
        self._lock = threading.RLock()

    def _open(self):
        """The open file of this process; forks do not share it."""
        if self._file is None or self._process != os.getpid():
            self._file = open_hdf5(self.path)
            self._process = os.getpid()
        return self._file

    @contextlib.contextmanager
    def _reading(self, name):
        """The group of a structure; errors name it."""
        with self._lock, reading(self.path, f"structure {name!r}"):
            yield self._open()["structures"][name]

    def _name(self, key):
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(
                    f"{self.path} has {len(self)} structures. "
                    f"Received: index {key}."
                )
            return self.names[key]
        if key not in self._positions:
            near = difflib.get_close_matches(str(key), self.names, n=3)
            raise ValueError(
                f"{self.path} has no structure {key!r}. It has {len(self)}, "
                f"for example {', '.join(near or self.names[:3])}."
            )
        return key


def is_store(path):
    """Whether a file is a container that `HamiltonianStore` wrote."""
    try:
        with open_hdf5(path) as root:
            return root.attrs.get("format") == FORMAT
    except Exception:
        return False  # damaged, or of another kind


def _write_all(root, calculations, precision, compression):
    names = {}
    spin = basis = None
    structures = root.create_group("structures")
    for number, calculation in enumerate(calculations):
        name = calculation.name or f"{number:06d}"
        if name in names:
            raise ValueError(
                f"Two structures are called {name!r}. Give each its own name."
            )
        names[check_name(name)] = None
        if spin not in (None, calculation.spin):
            raise ValueError(
                f"Structure {name!r} has the spin layout {calculation.spin!r}, "
                f"those before it {spin!r}. Write one file for each layout."
            )
        spin = calculation.spin
        own = calculation.basis
        basis = own if basis is None else basis.union(own)
        write_structure(
            structures.create_group(name), calculation, precision, compression
        )
        root.check_disk()
    if not names:
        raise ValueError(
            "A container needs at least one calculation. Received: none."
        )
    write_content(root, names, spin, basis)


def write_content(root, names, spin, basis):
    """Writes what a container says of itself.

    Args:
        root: `h5py.File`.
        names: iterable of str.
        spin: str.
        basis: `OrbitalBasis`.
    """
    root.create_dataset("names", data=list(names), dtype=h5py.string_dtype())
    root.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "units": "energies eV, lengths Å",
            "orbital_order": "shells outer, m = -l..l inner: p (y, z, x)",
            "spin_layout": "per atom pair [[uu, ud], [du, dd]]",
            "spin": spin,
            "basis": json.dumps(basis.to_dict()),
        }
    )


def _check_format(path, root):
    if root.attrs.get("format") != FORMAT or "names" not in root:
        raise ValueError(
            f"{path} is HDF5 but no container of {FORMAT}: it holds "
            f"{', '.join(sorted(root)[:5]) or 'nothing'}. A DeepH folder is "
            "read by `data_tools.deeph`; write the result with "
            "`HamiltonianStore.write`."
        )
    version = int(root.attrs["format_version"])
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}; this program reads up to "
            f"version {FORMAT_VERSION}. Install a newer {FORMAT}."
        )


def _read_names(root):
    names = tuple(name.decode() for name in read_dataset(root["names"]))
    for name in names:
        check_name(name)
    if len(set(names)) < len(names):
        raise ValueError(
            "The file lists a structure twice. It is damaged; write it again."
        )
    return names


def _precisions(precision):
    if precision is None or isinstance(precision, dict):
        precision = precision or {}
    else:
        precision = dict.fromkeys(MATRICES, precision)
    unknown = set(precision) - set(MATRICES)
    if unknown:
        raise ValueError(
            f"`precision` names {sorted(unknown)}; the matrices are {MATRICES}."
        )
    return precision
