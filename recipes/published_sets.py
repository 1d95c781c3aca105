"""Finds the published data sets in folders as they were unpacked.

The Zenodo records hold one legacy DeepH folder per structure, in zip files of
several hundred (README.md of each record; for the twisted structures zip files
of their own). Folders of DeepH-dock and raw OpenMX calculations are found too.
"""

import collections
import dataclasses
import os
import pathlib

import keras_hamiltonian as kh

import ase
import ase.io
import numpy as np
from data_tools.deeph import read_deeph
from data_tools.openmx import read_scfout

# Wider gaps between heights of atoms divide layers (graphene: 3.35 Å).
LAYER_GAP = 2.5


@dataclasses.dataclass
class PublishedSet:
    """Structures of one material.

    Attributes:
        folders: list of paths. Structures that train, validate and test.
        twisted: list of paths. Larger cells, which test only.
        num_atoms: int. Atoms in each of `folders`.
    """

    folders: list
    twisted: list
    num_atoms: int


def find_sets(root, presets):
    """Sorts all structures under a folder by material.

    Args:
        root: path. Searched to any depth.
        presets: iterable of `Preset`.

    Returns:
        Dict from `Preset.code` to `PublishedSet`, of the materials found, and
        the list of folders of none of them.

    Raises:
        ValueError: if the folder is not there.
    """
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}.")
    found, others = collections.defaultdict(list), []
    for folder in structure_folders(root):
        atoms = read_atoms(folder)
        for preset in presets:
            if is_of(preset, atoms):
                found[preset.code].append((folder, len(atoms)))
                break
        else:
            others.append(folder)
    sizes = {preset.code: preset.num_atoms for preset in presets}
    sets = {c: _by_size(f, sizes[c]) for c, f in found.items()}
    return sets, others


def structure_folders(root):
    """Folders under `root` with one calculation each, sorted."""
    folders = []
    for folder, children, files in os.walk(root):
        children.sort()
        names = set(files)
        if (
            {"element.dat", "hamiltonians.h5"} <= names
            or {"POSCAR", "hamiltonian.h5"} <= names
            or any(name.endswith(".scfout") for name in names)
        ):
            folders.append(pathlib.Path(folder))
            children.clear()
    return sorted(folders)


def read_atoms(folder):
    """The `ase.Atoms` of a calculation; matrices are read for OpenMX alone."""
    if (folder / "element.dat").is_file():
        return ase.Atoms(
            np.loadtxt(folder / "element.dat", dtype=int, ndmin=1),
            np.loadtxt(folder / "site_positions.dat", ndmin=2).T,
            cell=np.loadtxt(folder / "lat.dat").T,
            pbc=True,
        )
    if (folder / "POSCAR").is_file():
        return ase.io.read(folder / "POSCAR", format="vasp")
    return read_calculation(folder).atoms


def read_calculation(folder):
    """The `Calculation` in a folder."""
    files = sorted(folder.glob("*.scfout"))
    return read_scfout(files[0]) if files else read_deeph(folder)


def is_of(preset, atoms):
    """Whether a structure is one of a material's."""
    if set(atoms.get_chemical_symbols()) != set(preset.elements):
        return False
    # Only graphene is there with one layer and with two.
    return preset.elements != ("C",) or count_layers(atoms) == preset.num_layers


def count_layers(atoms):
    """Number of layers along the third lattice vector, vacuum between."""
    height = 1 / np.linalg.norm(atoms.cell.reciprocal()[2])
    heights = np.sort(atoms.get_scaled_positions()[:, 2]) * height
    gaps = np.diff(heights, append=heights[0] + height)
    return max(1, int((gaps > LAYER_GAP).sum()))


def convert(folders, root, path):
    """One container of many folders; made once.

    Args:
        folders: list of paths.
        root: path. Names of structures are paths below it.
        path: path of the container.

    Returns:
        `HamiltonianStore`.
    """
    names = ["-".join(f.relative_to(root).parts) or f.name for f in folders]
    if path.is_file():
        store = kh.HamiltonianStore(path)
        if list(store.names) == names:
            return store
    print(f"{len(folders)} structures are written into {path}.", flush=True)
    return kh.HamiltonianStore.write(
        path,
        (
            dataclasses.replace(read_calculation(folder), name=name)
            for folder, name in zip(folders, names)
        ),
        attributes={"origin": "published data, CC BY 4.0"},
    )


def published_split(store, counts, seed=42):
    """A random split in the published numbers, or in their proportions."""
    fractions = np.array(counts) / sum(counts)
    return kh.data.random_split(store.names, tuple(fractions), seed)


def _by_size(found, num_atoms):
    """Structures of the published size; the most frequent one where there is
    none."""
    sizes = collections.Counter(size for _, size in found)
    if num_atoms not in sizes:
        num_atoms = sizes.most_common(1)[0][0]
    return PublishedSet(
        [folder for folder, size in found if size == num_atoms],
        [folder for folder, size in found if size != num_atoms],
        num_atoms,
    )
