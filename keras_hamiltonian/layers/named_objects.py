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
        raise ValueError(
            f"The module {module_name!r} has no {attribute!r}."
            f"{did_you_mean([attribute], dir(module))}"
        )
    return getattr(module, attribute)


def did_you_mean(names, allowed):
    """The question after an unknown name, `""` where nothing is near.

    Example:

    >>> did_you_mean(["epocs"], ["epochs", "batch"])
    " Did you mean 'epochs'?"
    """
    near = [difflib.get_close_matches(n, list(allowed), n=1) for n in names]
    return "".join(f" Did you mean {n[0]!r}?" for n in near if n)


def object_name(value):
    """The name by which `named_object` finds a class or function."""
    return f"{value.__module__}:{value.__qualname__}"
