"""A run's folder: run.json, arrays, figures and pages are put together beside their place and moved there at once.

Whenever a run is killed, OUT/NAME is the earlier run or the new one, never a mixture: run.json knows the SHA-256 of
every file, and of every array by itself, so that damage is noticed and two runs can be compared by their records alone.
Files in it that no run of ours has written are kept, NAME as NAME.kept where one of ours is called so.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from experiments.common import hosts
from experiments.common.bounds import SettingsError
from research.data import DataError

RECORD, ARRAYS = "run.json", "arrays.npz"
# What numpy and zipfile raise for files with flipped bits: an unknown compression or encryption is a RuntimeError.
UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


def check_writable(folder: Path) -> None:
    """Raises SettingsError unless a file can be made in `folder`, if it exists, or else in the nearest above it.
    It is tried: who may do everything, as root, is told by `os.access` that every folder will do, even /proc."""
    try:
        there = Path(os.path.realpath(folder))  # where a link leads
        existing = next(path for path in (there, *there.parents) if path.exists() or path.is_symlink())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise SettingsError(
            f"--out is {folder}, which is not a folder that can be written to ({error.strerror}); choose another"
        ) from error


def write(folder: Path, record: dict[str, Any], arrays: Mapping[str, np.ndarray], drawn: Mapping[str, bytes]) -> None:
    """Leaves run.json, arrays.npz and what was drawn, by file name, in `folder`: all of it, or nothing. Of several
    processes the first one writes. Raises DataError where the system refuses, as when the disk is full."""
    if not hosts.is_first():
        return
    files = {**drawn, ARRAYS: packed(arrays)}
    hashes = {name: sha256(content) for name, content in sorted(files.items())}
    about = {"files": sorted([*files, RECORD]), "sha256": hashes, "sha256_of_arrays": fingerprints(arrays)}
    hashes[RECORD] = sha256(as_json(record | about))  # of all but itself
    files[RECORD] = as_json(record | about) + b"\n"
    try:
        put(files, Path(os.path.realpath(folder)))  # a link is followed, and stays
    except (OSError, shutil.Error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{folder} could not be written ({what}); what lay there before is untouched") from error


def put(files: Mapping[str, bytes], folder: Path) -> None:
    """Leaves the files in `folder` beside what is not ours, all of them or none."""
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        remove(unfinished)  # of an earlier process of our number
        unfinished.mkdir()
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
        for kept in foreign(folder):
            place = unfinished / kept.name
            place = kept_as(place) if os.path.lexists(place) else place
            if kept.is_dir() and not kept.is_symlink():
                shutil.copytree(kept, place, symlinks=True)
            else:
                shutil.copy2(kept, place, follow_symlinks=False)
        exchange(unfinished, folder)
    finally:
        remove(unfinished)


@contextlib.contextmanager
def alone(place: Path, results: Path) -> Iterator[None]:
    """Within, no other process that asks so works at `place` for `results`; the system lets go of the lock of one that
    dies. Raises DataError if another does."""
    lock = FileLock(place.with_name(f"{place.name}.lock"))
    try:
        results.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"another run into {results} goes on; wait for it, or name another folder by --out") from None
    except OSError as error:
        raise DataError(f"{results} could not be written ({error.strerror}); what lay there is untouched") from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def as_json(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, indent=1, allow_nan=False, default=os.fspath).encode()


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as a .npz file, without anything pickled."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fingerprints(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """name -> SHA-256 of dtype, shape and bytes, in C order: equal where the arrays have the same bits."""
    return {
        name: sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()) for name, array in arrays.items()
    }


def foreign(folder: Path) -> list[Path]:
    """What lies in the folder and was written by no run of ours: all of it where no file is a run.json of ours, and
    folders. A file in the folder's place is such a one."""
    if not folder.is_dir():
        return [folder] if folder.exists() else []
    ours = {RECORD, ARRAYS} if (folder / RECORD).is_file() else set()
    with contextlib.suppress(OSError, ValueError):
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        is_ours = isinstance(record, dict) and bool({"status", "sha256"} & record.keys())
        files = record.get("files", ()) if is_ours else ()
        ours = ours | set(files) if is_ours and isinstance(files, list | tuple) else set()
    return sorted(path for path in folder.iterdir() if path.is_dir() or path.name not in ours)


def exchange(new: Path, old: Path) -> None:
    """Puts `new` where `old` is, at once; where the system cannot exchange two folders, `old` is moved aside first."""
    if not old.exists():
        new.rename(old)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        names = os.fsencode(new), os.fsencode(old)
        if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
            return
    aside = new.with_name(f"{new.name}.aside")
    old.rename(aside)
    new.rename(old)
    remove(aside)


def remove(path: Path) -> None:
    """Removes a folder, or a file of somebody's in its place, of which the new folder has a copy."""
    if path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what runs into this folder left unfinished when they were killed."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        pid = left.name.removeprefix(f".{folder.name}.").partition(".")[0]
        if pid.isdigit() and not alive(int(pid)):
            if left.name.endswith(".aside") and not folder.exists():
                left.rename(folder)  # it was killed in between
            else:
                remove(left)


def alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it is somebody else's
    return True


def read_record(folder: Path) -> dict[str, Any]:
    """run.json of an earlier run. Raises DataError if there is none."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder / RECORD} is missing; run the experiment first") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{folder / RECORD} is damaged ({error}); run the experiment again") from error
    if not (isinstance(record, dict) and {"status", "settings", "commit"} <= record.keys()):
        raise DataError(f"{folder / RECORD} is no record of a run; run the experiment again")
    if not is_as_written(record):
        raise DataError(f"{folder / RECORD} is not as it was written; run the experiment again")
    return record


def is_as_written(record: dict[str, Any]) -> bool:
    """Whether it has its own SHA-256; true of one that does not say."""
    hashes = record.get("sha256", {})
    if not isinstance(hashes, dict):
        return False
    others = {name: of for name, of in hashes.items() if name != RECORD}
    return RECORD not in hashes or hashes[RECORD] == sha256(as_json({**record, "sha256": others}))


def last_record(folder: Path) -> dict[str, Any]:
    """run.json of an earlier run, {} where there is none that can be read."""
    try:
        return read_record(folder)
    except DataError:
        return {}


def claims_of(record: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """(id, says) of every claim -> the claim."""
    return {(claim["id"], claim["says"]): claim for claim in record.get("claims", ())}


def read_arrays(folder: Path, expected: str = "") -> dict[str, np.ndarray]:
    """arrays.npz of an earlier run. Raises DataError if it cannot be read, or has another SHA-256 than expected."""
    try:
        content = (folder / ARRAYS).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as opened:
            arrays = dict(opened)
    except FileNotFoundError as error:
        raise DataError(f"{folder / ARRAYS} is missing; run the experiment again") from error
    except UNREADABLE as error:
        raise DataError(f"{folder / ARRAYS} is damaged ({error}); run the experiment again") from error
    if expected not in ("", sha256(content)):
        raise DataError(f"{folder / ARRAYS} is not what {RECORD} beside it speaks of; run the experiment again")
    return arrays


def set_aside(path: Path, title: str) -> None:
    """Moves what lies there without that title, and is no file of ours, to NAME.kept; links, too."""
    if path.is_symlink() or path.is_dir() or (path.exists() and title.encode() not in path.read_bytes()):
        path.rename(kept_as(path))


def kept_as(path: Path) -> Path:
    """NAME.kept, or the first of NAME.kept2, NAME.kept3, ... that is free."""
    names = (path.with_name(f"{path.name}.kept{number}") for number in ("", *range(2, 10_000)))
    return next(name for name in names if not os.path.lexists(name))


def write_file(path: Path, content: bytes) -> None:
    """Writes one file beside its place and moves it there when it is complete; of several processes the first one.
    Raises DataError where the system refuses."""
    if not hosts.is_first():
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} could not be written ({error.strerror}); what lay there before is untouched"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
