"""The files of this machine: whether they are there, and whether others may read them."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from aimkeeper.doctor.findings import Finding, failed, fine, warning
from aimkeeper.settings import Loaded, Settings

_ABOUT = "files"
LEAST_FREE = 200 * 1024 * 1024  # bytes: below this a busy database may fill the disk within the day
MOUNTS = Path("/proc/self/mounts")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# File locks do not prove who lives on these, and SQLite is not safe there.
_OF_OTHER_MACHINES = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}


def look(loaded: Loaded) -> list[Finding]:
    """What is to be said of the files beside the database, and of those that settings stand in."""
    try:
        found = [*_of_the_store(loaded.settings), *_with_settings(loaded)]
    except OSError as error:
        found = [failed(_ABOUT, f"{error.filename or 'a file'} can't be looked at: {error.strerror}.")]
    return found or [fine(_ABOUT, f"what lies in {loaded.settings.database_path.parent} is for its owner alone.")]


def _of_the_store(settings: Settings) -> Iterator[Finding]:
    folder = settings.database_path.parent
    if not folder.is_dir():
        return
    kind = _file_system(folder)
    if settings.postgres is None and kind in _OF_OTHER_MACHINES:
        yield failed(
            _ABOUT, f"{folder} lies on another machine ({kind}): put AIMKEEPER_DATA_DIR on a disk of this one."
        )
    if (free := shutil.disk_usage(folder).free) < LEAST_FREE:
        yield warning(_ABOUT, f"only {free // 1024**2} MB are free where {folder} lies: make room.")
    named = settings.database_path.name
    for path in sorted(folder.iterdir()):
        if path.name in ("secret.key", "operator.key") or path.name.startswith(named):
            yield from _private(path)


def _with_settings(loaded: Loaded) -> Iterator[Finding]:
    places = {source.partition(" (")[0] for source in loaded.sources.values()}
    for name in (".env", "aimkeeper.toml"):
        if name in places:
            yield from _private(Path.cwd() / name)


def _private(path: Path) -> Iterator[Finding]:
    try:
        status = path.stat()
    except OSError:
        return  # it has gone while we looked
    # A served address is for others to know; the folder it lies in guards the rest.
    if path.name.endswith("-served-at"):
        return
    if status.st_mode & _OTHERS:
        way = "chmod 700" if stat.S_ISDIR(status.st_mode) else "chmod 600"
        yield warning(_ABOUT, f"others of this machine may read {path}: {way} {path}")
    if status.st_uid != os.geteuid():
        yield warning(_ABOUT, f"{path} belongs to another user: run aimkeeper as that one, or change its owner.")


def _file_system(folder: Path) -> str:
    """The kind of file system that *folder* lies on, where the kernel says so."""
    try:
        mounts = [line.split()[1:3] for line in MOUNTS.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return ""
    resolved = folder.resolve()
    holding = [(len(place), kind) for place, kind in mounts if Path(place) in (resolved, *resolved.parents)]
    return max(holding, default=(0, ""))[1]
