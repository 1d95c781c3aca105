"""Classes and functions by name: `"package.module:Name"`."""

import difflib
import importlib


def named_object(name):
    """The class or function that a name stands for.

    Args:
        name: str, `"package.module:Name"`. The module is imported from the
            Python path.

    Returns:
        What the module calls so.

    Raises:
        ValueError: if the text has another form, or there is no such module
            or name in it.

    Example:

    >>> named_object("math:sqrt")(4.0)
    2.0
    """
    module_name, colon, attribute = str(name).partition(":")
    if not (module_name and colon and attribute):
        raise ValueError(
            'Expected a name such as "my_module:MyClass": the module, a '
            f"colon, the class. Received: {name!r}."
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ValueError(
            f"There is no module {error.name!r}, which {name!r} asks for. "
            "Install it, or run Python in the folder of the module's file."
        ) from error
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, dir(module), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"The module {module_name!r} has no {attribute!r}.{hint}"
        )
    return getattr(module, attribute)


def object_name(value):
    """The name by which `named_object` finds a class or function."""
    return f"{value.__module__}:{value.__qualname__}"
