"""From files of one program to a container or to files of another."""

import collections
import dataclasses
import pathlib

from data_tools.formats import find_sources
from data_tools.formats import known_format
from data_tools.formats import read_source
from data_tools.initial import with_initial
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.files import place_in
from keras_hamiltonian.files import replacing
from keras_hamiltonian.parallel import ordered_map


def convert(
    paths,
    target,
    format="container",
    source_format=None,
    read_options=None,
    write_options=None,
    progress=None,
    initial=None,
    strict=False,
):
    """Converts calculations; the target appears when all of them are done.

    One calculation is in memory at a time. Where two structures have the same
    name, the names of their folders are put in front of it.

    Args:
        paths: str, path, or list of them. See `find_sources`.
        target: str or path. `"container"`: the file, replaced at the end if it
            exists. Other formats: a new or empty folder, with one folder or
            file per structure. A single structure of a format that is one
            file goes to that file, if `target` has its ending.
        format: str. A name of `data_tools.formats.FORMATS`.
        source_format: str. Reads this format only. Defaults to all.
        read_options: dict. For the reader.
        write_options: dict. For the writer; for a container see
            `HamiltonianStore.write`.
        progress: function `(num_done, num_all, name)`, called before each
            structure and at the end, then with the name `None`.
        initial: str, path, or list of them. Runs that stopped at the first
            SCF step, of any format; see `data_tools.initial.with_initial`.
            Those with the names of the structures give their H⁰.
        strict: bool. Raises an error where something looks like a calculation
            and cannot be read. Defaults to a warning.

    Returns:
        List of the names under which the structures were written.

    Raises:
        ValueError: if something cannot be read or written. The message names
            the file; the target stays as it was.
    """
    output = known_format(format, "write")
    sources = _all_sources(paths, source_format, strict)
    names = _unique_names(sources)
    initial_runs = {} if initial is None else initial_sources(initial, names)
    target = pathlib.Path(target).absolute()
    calculations = _read_all(
        sources, names, read_options or {}, progress, initial_runs
    )
    write_options = write_options or {}
    if output.name == "container":
        HamiltonianStore.write(target, calculations, **write_options)
    elif len(sources) == 1 and _is_file_name(target, output):
        # Writers of files replace them when they are complete.
        _write_one(target, target, next(calculations), output, write_options)
    else:
        _write_folder(target, calculations, output, write_options)
    if progress is not None:
        progress(len(sources), len(sources), None)
    return names


def _all_sources(paths, format=None, strict=False):
    if isinstance(paths, str | pathlib.Path):
        paths = [paths]
    return [s for path in paths for s in find_sources(path, format, strict)]


def initial_sources(paths, names):
    """Initial runs of structures, matched by name; one and one belong together.

    Args:
        paths: str, path, or list of them.
        names: list of str. Names of the structures.

    Returns:
        Dict from name to `Source`.

    Raises:
        ValueError: if a structure has no run of its name.
    """
    sources = _all_sources(paths)
    if len(names) == len(sources) == 1:
        return {names[0]: sources[0]}
    runs = dict(zip(_unique_names(sources), sources))
    missing = [name for name in names if name not in runs]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(names)} structures have no initial run "
            f"of their name: {', '.join(missing[:5])}. The runs given are "
            f"called {', '.join(list(runs)[:5])}. Name files or folders alike."
        )
    return runs


def _read_all(sources, names, options, progress, initial_runs):
    runs = [(s, n, initial_runs.get(n)) for s, n in zip(sources, names)]
    calculations = ordered_map(_read, runs, options)
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(sources), name)
        yield next(calculations)


def _read(run, options):
    source, name, initial = run
    calculation = read_source(source, **options)
    if initial is not None:
        try:
            calculation = with_initial(calculation, read_source(initial))
        except ValueError as error:
            raise ValueError(f"Structure {name!r}: {error}") from error
    return dataclasses.replace(calculation, name=name)


def _unique_names(sources):
    """Names with as many folders in front as make them different."""
    seen = set()
    for source in sources:
        place = source.file.resolve(), source.name
        if place in seen:
            raise ValueError(
                f"{source.file}, structure {source.name!r}, would be converted "
                "twice: two of the paths hold it."
            )
        seen.add(place)
    names = [source.name for source in sources]
    folders = [_folders(source) for source in sources]
    for depth in range(max(map(len, folders))):
        counts = collections.Counter(names)
        names = [
            f"{above[depth]}_{name}"
            if counts[name] > 1 and depth < len(above)
            else name
            for name, above in zip(names, folders)
        ]
    return names


def _folders(source):
    """Names in front of that of a source, nearest first."""
    folders = [folder.name for folder in source.file.resolve().parents]
    return (
        folders
        if source.format != "container"
        else [source.file.stem, *folders]
    )


def _is_file_name(target, output):
    return bool(output.endings) and target.name.endswith(output.endings)


def _write_folder(target, calculations, output, options):
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ValueError(
            f"{target} exists; the structures go into a new folder. Choose "
            "another name, or remove it."
        )
    ending = output.endings[0] if output.endings else ""
    with replacing(target) as place:
        place.mkdir()
        for calculation in calculations:
            name = f"{calculation.name}{ending}"
            _write_one(
                place_in(place, name),
                target / name,
                calculation,
                output,
                options,
            )


def _write_one(place, target, calculation, output, options):
    try:
        output.write(place, calculation, **options)
    except ValueError as error:
        reason = str(error).replace(str(place), str(target))
        raise ValueError(
            f"The structure {calculation.name!r} cannot be written as "
            f"{output.name}: {reason}"
        ) from error
