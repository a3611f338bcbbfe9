"""Whole runs tried out: each is a process, forked from one that has imported everything and begun nothing."""

import multiprocessing
import os
import resource
import runpy
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import jax

from experiments.common import cli, folders, resume
from research.data import DataError

PATIENCE = 600  # seconds for a run to end


def begin(words: list[str], place: Path, most_bytes: int = resource.RLIM_INFINITY) -> BaseProcess:
    """Starts `python -m experiments WORDS` in the folder `place`/here; no file may have more than `most_bytes`."""
    (place / "here").mkdir(parents=True, exist_ok=True)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["experiments.common.experiment"])
    process = forks.Process(target=work, args=(words, place.absolute(), most_bytes))
    process.start()
    return process


def work(words: list[str], place: Path, most_bytes: int) -> None:
    """What the process does; it saves after every computation, not every ten seconds."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.chdir(place / "here")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    if most_bytes != resource.RLIM_INFINITY:  # or half a program would stay in the user's cache
        jax.config.update("jax_enable_compilation_cache", False)
    resume.PAUSE, resume.SHARE = 0.0, float("inf")
    sys.argv[1:] = words
    runpy.run_module("experiments", run_name="__main__", alter_sys=True)


def ended(words: list[str], place: Path, most_bytes: int = resource.RLIM_INFINITY) -> int | None:
    """The exit code of such a run."""
    process = begin(words, place, most_bytes)
    process.join(PATIENCE)
    process.kill()
    return process.exitcode


def killed(words: list[str], place: Path, name: str, seconds: float, *, while_writing: bool) -> bool:
    """Whether it could be killed after so many seconds, if `while_writing` at the next moment at which it writes."""
    before, began = unfinished(place, name), time.monotonic()
    process = begin(words, place)
    while process.is_alive():
        if time.monotonic() - began > seconds and (not while_writing or unfinished(place, name) - before):
            process.kill()
        time.sleep(0.001)
    process.join()
    return process.exitcode == -signal.SIGKILL


def unfinished(place: Path, name: str) -> set[Path]:
    """The folders in which a run writes its result or a checkpoint, before they are moved to their places."""
    out = place / "here" / "out"
    return {*out.glob(f".{name}.[0-9]*"), *out.glob(f".{name}.resume/calls/*tmp*")}


def is_whole(folder: Path) -> bool:
    """Whether a result is there with all its files as they were written, or not at all."""
    if not folder.exists():
        return True
    try:
        record = folders.read_record(folder)
    except DataError:
        return False
    there = {path.name: folders.sha256(path.read_bytes()) for path in folder.iterdir() if path.name != folders.RECORD}
    hashes = {name: sha256 for name, sha256 in record["sha256"].items() if name != folders.RECORD}
    return there == hashes


def is_one_sentence(said: str) -> bool:
    """Whether this, and no more, was said on stderr."""
    return said.startswith(("error: ", "diverged: ")) and len(said.splitlines()) == 1 and len(said) < cli.LONGEST + 10


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, but for those by which a run can go on."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".resume" not in str(path.relative_to(folder))]
    return {path: path.read_bytes() for path in files}
