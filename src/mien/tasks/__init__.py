"""What is predicted and how it is judged."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from mien.errors import UsageError
from mien.models.contract import Encoder, Recogniser
from mien.models.registry import create_encoder
from mien.models.specification import TaskConfig
from mien.plugins import enter, load_plugins
from mien.tasks.binned import Binned
from mien.tasks.classification import Classification
from mien.tasks.contract import Task
from mien.tasks.dimensions import Dimensions
from mien.tasks.intensities import Intensities
from mien.tasks.traits import Traits

TASKS: dict[str, type[Task]] = {task.kind: task for task in (Binned, Classification, Dimensions, Intensities, Traits)}

__all__ = [
    "TASKS",
    "Binned",
    "Classification",
    "Dimensions",
    "Intensities",
    "Task",
    "Traits",
    "create_model",
    "create_task",
    "register_task",
]


T = TypeVar("T", bound=type[Task])


def register_task(task: T) -> T:
    """Register a class of tasks under its ``kind``, for ``create_task``, recipes and bundles; a decorator.

    ``mien.plugins`` says how tasks of other packages are found.

    Raises:
        UsageError: another task has the kind.
    """
    enter(TASKS, task.kind, task, "task")
    return task


def create_task(config: TaskConfig) -> Task:
    """The working task for its data.

    Raises:
        UsageError: the kind or an option is unknown, or outputs repeat a name.
    """
    if config.kind not in TASKS:
        load_plugins()
    if config.kind not in TASKS:
        raise UsageError(f"task {config.kind!r} is not known; there are {', '.join(sorted(TASKS))}")
    repeated = sorted({name for name in config.outputs if config.outputs.count(name) > 1})
    if repeated:
        raise UsageError(f"outputs name {', '.join(repeated)} more than once; every output needs its own name")
    return TASKS[config.kind](config)


@overload
def create_model(name: str, task: Task | TaskConfig, **arguments: Any) -> Recogniser: ...
@overload
def create_model(name: str, task: None = None, **arguments: Any) -> Encoder: ...
def create_model(name: str, task: Task | TaskConfig | None = None, **arguments: Any) -> Recogniser | Encoder:
    """Build a registered model with freshly initialised weights.

    Args:
        name: registered name (``mien.list_models``).
        task: what it predicts; None gives the bare encoder.
        arguments: for the encoder's builder (frames, size, drop_path, ...).

    Raises:
        UsageError: no such model (the nearest names are told), arguments that its builder does not take, or something
            else than a task.

    Example:
        >>> task = TaskConfig(kind="classification", outputs=("calm", "angry"))   # mien.models.specification
        >>> model = mien.create_model("svfap_base", task, frames=16, size=160)
        >>> model({"video": torch.zeros(1, 3, 16, 160, 160)}).shape
        torch.Size([1, 2])
    """
    if task is None:
        return create_encoder(name, **arguments)
    task = create_task(task) if isinstance(task, TaskConfig) else task
    if not isinstance(task, Task):
        raise UsageError(f"task={task!r}: give a TaskConfig(kind=..., outputs=...) of mien.models.specification")
    return task.make_model(create_encoder(name, **arguments))
