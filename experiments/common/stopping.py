"""How the program ends when it is told to, by a key, a closed terminal or the system: at once, in one sentence.

Results and checkpoints are moved into place whole, so nothing has to be tidied up. An exception from a signal's
handler would not do: a library's callback may swallow it, and an interpreter that winds up beside running computations
may crash.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from types import FrameType

RUNNING: list[subprocess.Popen] = []
FATE = ["what was not finished is gone"]
STARTED = "STARTED_BY_ANOTHER"  # in the environment of what one of our programs starts, and speaks for
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


def listen() -> None:
    """From now on signals end the program so; what is ignored, as under nohup, stays ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def something_is_saved() -> None:
    FATE[1:] = ["--resume goes on with what was not finished"]


def stop(number: int, frame: FrameType | None) -> None:
    for process in RUNNING:
        process.terminate()
    cursor, name = SHOW_CURSOR * os.isatty(2), signal.Signals(number).name
    said = "" if STARTED in os.environ else f"\nstopped by {name}; earlier results stand, {FATE[-1]}\n"
    os.write(2, (cursor + said).encode())
    signal.signal(number, signal.SIG_DFL)  # told twice, it does not wait
    for process in RUNNING:
        with contextlib.suppress(ChildProcessError):  # it has just ended
            os.waitpid(process.pid, 0)
    os._exit(128 + number)


def run(command: Sequence[str]) -> int:
    """Runs a program that ends with this one; its exit code."""
    with subprocess.Popen(command, env={**os.environ, STARTED: "yes"}) as process:
        RUNNING.append(process)
        code = process.wait()
        RUNNING.remove(process)
    return code
