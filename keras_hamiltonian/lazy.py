"""Public names that are imported when first used."""

import importlib
import sys


def lazy_names(package, origins, modules=()):
    """Functions `__getattr__` and `__dir__` of a package (PEP 562).

    Importing Keras and its backend takes seconds, which reading a file or
    drawing bands should not cost.

    Args:
        package: str. `__name__` of the package.
        origins: dict. Module of the package that defines each public name.
        modules: tuple of str. Modules of the package that are public too.

    Returns:
        Two functions.
    """

    def find(name):
        if name in origins:
            module = importlib.import_module(f"{package}.{origins[name]}")
            value = getattr(module, name)
        elif name in modules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no name {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def names():
        return sorted({*origins, *modules, "__doc__", "__name__", "__file__"})

    return find, names
