"""What other packages add: models, tasks, pretexts, corpora and metrics under the entry point group ``mien.plugins``.

A package names in its ``pyproject.toml`` the modules that register something, ::

    [project.entry-points."mien.plugins"]
    mine = "my_package.models"

and mien imports them when a name is asked for that it does not know, or when names are listed. Every verb of the
command thus knows them. A program can also just import its module.
"""

from __future__ import annotations

import threading
import warnings
from importlib.metadata import entry_points
from typing import Any

from mien.errors import UsageError

GROUP = "mien.plugins"

_lock = threading.RLock()
_loaded = False


def load_plugins() -> None:
    """Import the modules of other packages, once in a process. One that fails is warned of, and left out."""
    global _loaded
    with _lock:
        if _loaded:
            return
        _loaded = True  # before the imports, which may ask for names themselves
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            try:
                entry.load()
            except Exception as error:  # whatever it is, what mien has of its own goes on working
                reason = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"the plugin {entry.name} ({entry.value}) cannot be loaded, {reason}; mend or uninstall it",
                    RuntimeWarning,
                    stacklevel=2,
                )


def enter(registry: dict[str, Any], name: str, thing: Any, what: str, origin: Any = None) -> None:
    """Put something into a registry.

    The same definition may come again (a notebook's cell, a module that is loaded anew) and replaces itself.

    Args:
        registry: name → thing.
        name: what users call it.
        thing: what is registered.
        what: kind of thing, for the message.
        origin: class or function by which a definition is known again; by default ``thing`` itself.

    Raises:
        UsageError: something else has the name.
    """
    origin = thing if origin is None else origin
    before = _origins.get((what, name))
    if name in registry and before != _place(origin):
        raise UsageError(f"{what} {name!r} is registered already; choose another name")
    registry[name] = thing
    _origins[what, name] = _place(origin)


_origins: dict[tuple[str, str], tuple[str, str]] = {}


def _place(origin: Any) -> tuple[str, str]:
    return origin.__module__, getattr(origin, "__qualname__", type(origin).__qualname__)
