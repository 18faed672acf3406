"""One writer at a time: a folder is held by a lock that the system lets go of, however its process ends."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from mien.errors import MienError, UsageError

if sys.platform != "win32":
    import fcntl

NAME = ".lock"
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # what drives without locks answer
_held: set[int] = set()


@contextmanager
def alone(folder: str | os.PathLike[str], name: str = NAME) -> Iterator[None]:
    """Hold ``folder`` as its only writer; readers are not asked. Other processes, and this one, cannot hold it twice.

    The lock is an advisory one (``flock``) on the file ``name``, which is removed at the end. Where the process is
    killed the file stays, but holds nobody off. It also works over NFS, between machines; on a drive that cannot lock,
    among one's own processes on one machine; on Windows not at all. Processes that this one starts never keep it.

    Args:
        folder: made where it is missing, and removed again if nothing was written into it.
        name: of the file that is locked.

    Raises:
        UsageError: another process holds it; the line says which.
        MienError: nothing can be written there.
    """
    folder = Path(folder)
    made = _make(folder)
    try:
        handle, file = _acquire(folder, name)
        try:
            yield
        finally:
            _release(handle, file)
    finally:
        for one in made:
            with suppress(OSError):  # not empty
                one.rmdir()


def refuse_if_held(folder: str | os.PathLike[str], name: str = NAME) -> None:
    """Raise the ``UsageError`` of ``alone`` where another process holds ``folder``; nothing is written."""
    for file in (Path(folder) / name, _on_this_machine(Path(folder), name)):
        with suppress(OSError):  # no such file, or none that can be locked: nobody holds it
            handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            try:
                _lock(handle, Path(folder))
            finally:
                os.close(handle)


def entries(folder: str | os.PathLike[str]) -> list[Path]:
    """What lies in a folder; none where it is missing. A lock, and a file that was being written when its process was
    killed, are nothing."""
    folder = Path(folder)
    if not folder.exists():
        return []
    return [path for path in folder.iterdir() if path.name != NAME and path.suffix != ".part"]


def _make(folder: Path) -> list[Path]:
    """Make a folder; returns those that were missing, the innermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return missing


def _acquire(folder: Path, name: str) -> tuple[int, Path]:
    """The open, locked file and where it lies."""
    file = folder / name
    try:
        return _hold(file, folder), file
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise _unwritable(folder, error) from None
    file.unlink(missing_ok=True)
    file = _on_this_machine(folder, name)
    try:
        return _hold(file, folder), file
    except OSError as error:
        raise _unwritable(file, error) from None


def _hold(file: Path, folder: Path) -> int:
    """Lock a file that is made if need be; raises ``OSError`` where that cannot be done."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(handle, folder)
            if _is_still(handle, file):  # else its holder removed it between the two calls
                _note(handle)
                _held.add(handle)
                return handle
        finally:
            if handle not in _held:
                os.close(handle)


def _release(handle: int, file: Path) -> None:
    """Remove the file while it is held, so that nobody loses one that is theirs."""
    with suppress(OSError):
        if _is_still(handle, file):
            file.unlink()
    _held.discard(handle)
    os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise _in_use(folder, handle) from None


def _is_still(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _note(handle: int) -> None:
    """Who holds it, for the message of those who are refused."""
    text = f"process {os.getpid()} on {socket.gethostname()} (since {time.strftime('%Y-%m-%d %H:%M:%S')})\n"
    with suppress(OSError):  # a full disk; the lock itself holds
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())


def _in_use(folder: Path, handle: int) -> UsageError:
    try:
        holder = os.read(handle, 200).decode(errors="replace").strip()
    except OSError:
        holder = ""
    return UsageError(
        f"{folder} is being written by {holder or 'another process'}; wait until that ends or stop it, "
        "or choose another folder"
    )


def _on_this_machine(folder: Path, name: str) -> Path:
    """Where a folder of a drive without locks is locked: a file in the machine's own temporary folder."""
    address = sha256(os.fsencode(folder.resolve() / name)).hexdigest()[:24]
    user = os.getuid() if sys.platform != "win32" else 0
    return Path(tempfile.gettempdir()) / f"mien-{user}-{address}.lock"


def _unwritable(folder: Path, error: OSError) -> MienError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(f"{folder} is a file or lies in one, and a folder is written; choose another name")
    return MienError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder")


def _let_go() -> None:
    """In a forked child: a copy of the open file would hold the lock for as long as the child lives."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
