"""Options of tasks: checked when the task is built, with errors that name the known ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import UsageError, nearest

O = TypeVar("O", bound="HeadOptions")  # noqa: E741


class HeadOptions(BaseModel):
    """Options that every task has.

    Attributes:
        init_scale: factor on the head's initial weights (see ``mien.tasks.heads.ClipHead``).
        dropout: share of features that the head drops in training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    init_scale: float = Field(default=1.0, gt=0.0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


def check_targets(targets: Sequence[str] | None, outputs: Sequence[str]) -> None:
    """Refuse an option ``targets`` that does not name one column for each output; None names none."""
    if targets is not None and len(targets) != len(outputs):
        raise UsageError(f"targets {list(targets)}: give one column for each of {', '.join(outputs)}")


def read_options(schema: type[O], given: dict[str, Any], kind: str) -> O:
    """Options of a task as an object; raises ``UsageError`` for what is unknown or out of range."""
    for name in given:
        if name not in schema.model_fields:
            raise UsageError(f"task {kind!r} has no option {name!r}; {nearest(name, schema.model_fields)}")
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"task {kind!r}: option {name} = {first['input']!r}: {first['msg'].lower()}") from error
