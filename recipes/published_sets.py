"""Finds the published data sets in folders as they were unpacked.

The Zenodo records hold one legacy DeepH folder per structure, in zip files of
several hundred (README.md of each record; for the twisted structures zip files
of their own). Calculations of all other formats are found too.
"""

import collections
import dataclasses
import os

import keras_hamiltonian as kh

import numpy as np
from data_tools.convert import convert
from data_tools.formats import find_sources
from data_tools.structures import read_atoms

# Wider gaps between heights of atoms divide layers (graphene: 3.35 Å).
LAYER_GAP = 2.5


@dataclasses.dataclass
class PublishedSet:
    """Structures of one material.

    Attributes:
        sources: list of `data_tools.search.Source`. Structures that train,
            validate and test.
        twisted: list of `Source`. Larger cells, which test only.
        num_atoms: int. Atoms in each of `sources`.
    """

    sources: list
    twisted: list
    num_atoms: int


def find_sets(root, presets):
    """Sorts all structures under a folder by material.

    Args:
        root: path. Searched to any depth.
        presets: iterable of `Preset`.

    Returns:
        Dict from `Preset.code` to `PublishedSet`, of the materials found, and
        the list of sources of none of them.

    Raises:
        ValueError: if the folder does not exist or holds no calculation.
    """
    found, others = collections.defaultdict(list), []
    for source in find_sources(root):
        atoms = read_atoms(source)
        code = next((p.code for p in presets if is_of(p, atoms)), None)
        if code is None:
            others.append(source)
        else:
            found[code].append((source, len(atoms)))
    sizes = {preset.code: preset.num_atoms for preset in presets}
    sets = {c: _by_size(f, sizes[c]) for c, f in found.items()}
    return sets, others


def describe(sets, others, presets):
    """What `find_sets` has recognised, in lines of text."""
    lines = []
    for preset in presets:
        found, title = sets.get(preset.code), f"{preset.code} {preset.material}"
        if found is None:
            records = ", ".join(map(str, preset.zenodo))
            lines.append(f"{title}: none found; Zenodo records {records}")
            continue
        files = [source.file for source in found.sources]
        folder = os.path.commonpath([file.parent for file in files])
        twisted = f", {len(found.twisted)} larger" if found.twisted else ""
        lines.append(
            f"{title}: {len(files)} structures of {found.num_atoms} atoms"
            f"{twisted} (published: {sum(preset.counts)} of "
            f"{preset.num_atoms}), in {folder}"
        )
    if others:
        names = ", ".join(str(source.file) for source in others[:5])
        more = ", ..." if len(others) > 5 else ""
        lines.append(f"of none of the materials: {len(others)}, {names}{more}")
    return "\n".join(lines)


def is_of(preset, atoms):
    """Whether a structure is one of a material's."""
    if set(atoms.get_chemical_symbols()) != set(preset.elements):
        return False
    # Only graphene comes with one layer and with two.
    return preset.elements != ("C",) or count_layers(atoms) == preset.num_layers


def count_layers(atoms):
    """Number of layers along the third lattice vector, vacuum between."""
    height = 1 / np.linalg.norm(atoms.cell.reciprocal()[2])
    heights = np.sort(atoms.get_scaled_positions()[:, 2]) * height
    gaps = np.diff(heights, append=heights[0] + height)
    return max(1, int((gaps > LAYER_GAP).sum()))


def prepare(preset, found, folder):
    """Writes a set into containers, once, and divides it.

    Args:
        preset: `Preset`.
        found: `PublishedSet`.
        folder: path. Where the containers are written.

    Returns:
        `HamiltonianStore`, `Split` in the published numbers or proportions,
        and the `HamiltonianStore` of twisted structures or `None`.
    """
    store = _packed(found.sources, folder / "data.h5")
    fractions = np.array(preset.counts) / sum(preset.counts)
    split = kh.data.random_split(store.names, tuple(fractions), seed=42)
    published = sum(preset.counts), preset.num_atoms
    if (len(store), found.num_atoms) != published:
        print(
            f"Published were {published[0]} structures of {published[1]} "
            f"atoms; found {len(store)}, divided in the same proportions "
            f"({split}), of {found.num_atoms} atoms."
        )
    twisted = None
    if found.twisted:
        twisted = _packed(found.twisted, folder / "twisted.h5")
    return store, split, twisted


def _packed(sources, path):
    """The `HamiltonianStore` of many sources."""
    if path.is_file():
        store = kh.HamiltonianStore(path)
        if len(store) == len(sources):
            return store
    print(f"{len(sources)} structures are written into {path}.", flush=True)
    attributes = {"origin": "published data, CC BY 4.0"}
    files = [source.file for source in sources]
    convert(files, path, write_options={"attributes": attributes})
    return kh.HamiltonianStore(path)


def _by_size(found, num_atoms):
    """Structures of the published size; the most frequent one where there is
    none."""
    sizes = collections.Counter(size for _, size in found)
    if num_atoms not in sizes:
        num_atoms = sizes.most_common(1)[0][0]
    return PublishedSet(
        [source for source, size in found if size == num_atoms],
        [source for source, size in found if size != num_atoms],
        num_atoms,
    )
