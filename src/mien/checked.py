"""Settings and other records whose wrong values are refused in one line, as everything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mien.errors import UsageError, nearest


class Checked(BaseModel):
    """A frozen record of named values; names that it does not know are refused.

    Raises:
        UsageError: a name is unknown or a value is out of range, when the record is made by calling its class.
            (``model_validate`` leaves pydantic's ``ValidationError``, from which readers of files make lines of
            their own.)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # type checkers shall see the fields

        def __init__(self, /, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise UsageError(f"{type(self).__name__}: {_line(error, type(self).model_fields)}") from None

        # inside of other records pydantic shall not call it: errors then keep the place where they are
        __init__.__pydantic_base_init__ = True


def _line(error: ValidationError, known: Any) -> str:
    """The first thing that is wrong."""
    problems = error.errors()
    first = problems[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        return f"{name} is not known; {nearest(name, known)}"
    if first["type"] == "missing":
        return f"{'.'.join(map(str, first['loc']))} is missing; give it"
    # a value that may be one of several things has a message for each
    same = [one for one in problems if one["loc"][:1] == first["loc"][:1] and one["input"] is first["input"]]
    message = " or ".join(dict.fromkeys(_lower(one["msg"].removeprefix("Value error, ")) for one in same))
    if not name or first["type"] == "value_error":
        return message
    place = name if len(same) > 1 else ".".join(map(str, first["loc"]))
    return f"{place}={first['input']!r}: {message}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
