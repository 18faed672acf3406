"""Reading recipes: YAML by name or path, ``key=value`` overrides, and errors of one line that name the nearest key.

A recipe may stand on others: ``base: [_parts/finetuning, _parts/dfew]`` lays them over each other in that order and
its own keys on top. Sections are joined key by key; lists and values replace. Parts whose names begin with an
underscore are no recipes of their own and are not listed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mien.data.settings import FOLDED
from mien.errors import UsageError
from mien.training.schema import Recipe

HEADER = ("Command", "Hardware", "Hours", "Expected")


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number (YAML 1.1 takes it for text) and refuses a key given twice."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@dataclass(frozen=True)
class Listed:
    """A recipe that ships with mien: its name, and the promises of its opening comment by ``HEADER``."""

    name: str
    header: Mapping[str, str]


def list_recipes(pattern: str = "*") -> list[Listed]:
    """Shipped recipes whose name (``<system>/<what>_<corpus>``) matches a shell pattern, sorted."""
    return [Listed(name, read_header(recipe_text(name))) for name in _names() if fnmatchcase(name, pattern)]


def recipe_text(name: str) -> str:
    """The YAML of a shipped recipe, or of a part that recipes stand on, as it stands in the package."""
    if name not in _names() and name not in _names(hidden=True):
        raise UsageError(f"no recipe is called {name!r}{_nearest(name, _names())} (mien recipes lists all)")
    system, what = name.split("/")
    return (files("mien.recipes") / system / f"{what}.yaml").read_text(encoding="utf-8")


def read_header(text: str) -> dict[str, str]:
    """The promises in the comment that opens a recipe, up to its first empty line."""
    header: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        content = line.removeprefix("#").strip()
        if not line.startswith("#") or not content:
            break
        word, colon, rest = content.partition(":")
        if colon and word in HEADER:
            key, header[word] = word, rest.strip()
        elif key:
            header[key] += f" {content}"
    return header


def load_recipe(source: str | Path, overrides: Sequence[str] = (), each: bool = False) -> Recipe:
    """A recipe by path or shipped name, laid over its bases, with ``key=value`` overrides, and everything checked.

    Args:
        source: file ending in ``.yaml``/``.yml``, or a name that ``list_recipes`` knows. A base that ends so is a file
            beside it, otherwise a shipped name.
        overrides: ``section.key=value``; the value is read as YAML, so numbers, lists and ``null`` work.
        each: every fold will test in turn, so that ``data.protocol.fold`` need not say which one does.

    Raises:
        UsageError: no such recipe, not YAML, an unknown key (the nearest known one is named), or a wrong value.
    """
    where = str(source)
    data = _read(source, ())
    keys = {override.partition("=")[0].strip() for override in overrides}
    if "data.manifest" in keys and "data.corpus" not in keys:
        data = _unnamed(data)
    for override in overrides:
        _apply(data, override)
    if each:
        _set_fold(data)
    return check_recipe(data, where)


def check_recipe(data: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain data; the first thing that is wrong becomes a ``UsageError`` of one line."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UsageError(f"{where}: {_explain(problems[0])}{more}") from None


def dump_recipe(recipe: Recipe, note: str) -> str:
    """YAML of a resolved recipe, every default written out, opened by ``note`` as a comment."""
    body = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in note.splitlines()) + body


def _names(hidden: bool = False) -> list[str]:
    """Shipped recipes, or the parts that they stand on."""
    systems = [entry for entry in files("mien.recipes").iterdir() if entry.is_dir()]
    return sorted(
        f"{system.name}/{entry.name.removesuffix('.yaml')}"
        for system in systems
        for entry in system.iterdir()
        if entry.name.endswith(".yaml") and hidden == any(name.startswith("_") for name in (system.name, entry.name))
    )


def _read(source: str | Path, above: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a recipe, laid over those of its bases; ``above`` are the recipes that stand on it."""
    where = str(source)
    if where in above:
        raise UsageError(f"{where}: the recipe stands on itself, by way of {', '.join(above)}; break the circle")
    own = _parse(_text(source), where)
    if not isinstance(own, dict):
        raise UsageError(f"{where}: a recipe is a mapping of keys to values, this is {type(own).__name__}")
    bases = own.pop("base", None) or []
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UsageError(f"{where}: base={bases!r} must be the name of a recipe, or a list of names")
    data: dict[str, Any] = {}
    for base in bases:
        beside = Path(source).parent / base if base.endswith((".yaml", ".yml")) else base
        data = _laid_over(data, _read(beside, (*above, where)))
    chosen = own.get("data")
    if isinstance(chosen, dict) and "manifest" in chosen and "corpus" not in chosen:
        data = _unnamed(data)
    return _laid_over(data, own)


def _unnamed(data: dict[str, Any]) -> dict[str, Any]:
    """Without the name of the corpus: another manifest is another corpus, and ledgers must not call it the first."""
    section = data.get("data")
    if not isinstance(section, dict):
        return data
    return {**data, "data": {key: value for key, value in section.items() if key != "corpus"}}


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Sections joined key by key; everything else of ``above`` replaces what is below."""
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        joined[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return joined


def _text(source: str | Path) -> str:
    path = Path(source)
    if path.suffix not in (".yaml", ".yml"):
        return recipe_text(str(source))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"recipe {source} cannot be read: {reason}; give a YAML file or a shipped name") from None


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UsageError(f"{where}:{line} not YAML: {getattr(error, 'problem', None) or error}") from None


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(f"override {override!r} is not of the form key=value (for example optimiser.lr=1e-4)")
    value = _parse(text, f"override {override!r}")
    section = data
    for part in parts[:-1]:
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise UsageError(f"override {override!r}: {part} is a value, not a section with keys")
    section[parts[-1]] = value


def _set_fold(data: dict[str, Any]) -> None:
    section = data.get("data")
    protocol = section.get("protocol") if isinstance(section, dict) else None
    if isinstance(protocol, dict) and protocol.get("by") in FOLDED and protocol.get("fold") is None:
        protocol["fold"] = "each"


def _explain(problem: Any) -> str:
    location = tuple(problem["loc"])
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        parent = location[:-1]
        known = [".".join((*map(str, parent), name)) for name in _fields(parent)]
        return f"{key} is not a key{_nearest(key, known or list(_all_keys()))}"
    if problem["type"] == "missing":
        return f"{key} is missing; a recipe needs it"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}={problem['input']!r}: {message[0].lower()}{message[1:]}"


def _nearest(name: str, known: Sequence[str]) -> str:
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near = near or [key for key in _all_keys() if key.rsplit(".", 1)[-1] == last][:1]
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {near[0]}?" if near else ""


def _fields(location: Sequence[Any]) -> list[str]:
    section: Any = Recipe
    for part in location:
        field = section.model_fields.get(str(part)) if _is_section(section) else None
        section = None if field is None else _section_of(field.annotation)
    return list(section.model_fields) if _is_section(section) else []


def _all_keys(section: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        inner = _section_of(field.annotation)
        if inner is not None:
            yield from _all_keys(inner, f"{prefix}{name}.")


def _section_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((candidate for candidate in candidates if _is_section(candidate)), None)


def _is_section(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
