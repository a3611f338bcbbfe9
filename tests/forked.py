"""Programs that tests start: each is a process of its own, forked from one that has imported everything and begun
nothing. What importing takes, more than what most of them do, is spent once."""

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import jax

PATIENCE = 600  # seconds for one to end: the machine may have other work
IMPORTED = ["once", "experiments.common.experiment", "experiments.common.descents", "experiments.common.checkpoints"]


class Program(NamedTuple):
    """One that runs, and the folder in which what it says is kept."""

    process: BaseProcess
    said: Path

    def ended(self) -> tuple[int | None, str, str]:
        """Its exit code, None where it did not end in time, and what it said on stdout and stderr."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        return code, (self.said / "out").read_text(), (self.said / "err").read_text()


def start(words: Sequence[str], folder: Path, said: Path, **variables: str) -> Program:
    """`python WORDS`, that is -m MODULE or -c CODE and what it is given, in `folder`, with these variables set:
    those of JAX but JAX_PLATFORMS, and of XLA, are read when it is imported, so that they change nothing here."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(IMPORTED)
    process = forks.Process(target=work, args=(words, folder, said.absolute(), variables), daemon=True)
    process.start()
    return Program(process, said)


def work(words: Sequence[str], folder: Path, said: Path, variables: dict[str, str]) -> None:
    """What the process does."""
    said.mkdir(parents=True, exist_ok=True)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.chdir(folder)
    os.environ.update(variables)
    if "JAX_PLATFORMS" in variables:  # JAX has read it when it was imported
        jax.config.update("jax_platforms", variables["JAX_PLATFORMS"])
    for name in ("forked", "once"):  # files of ours that no user has: they would count as the user's own code
        sys.modules.pop(name, None)
    option, what, *given = words
    sys.argv, sys.path = [option, *given], ["", *sys.path]
    try:
        if option == "-c":
            exec(what, {"__name__": "__main__"})
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a forked process leaves them out, and JAX takes leave of other processes in one
