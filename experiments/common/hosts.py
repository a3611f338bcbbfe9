"""Several processes, on one host or on many, that run the same command: each computes its share, the first one writes.

Every process holds all the data and goes through all of `measure`; the programs of `runs.over_seeds` and of surfaces
are shared out over the devices of all processes, and what they find comes back to each process.

A process that dies ends the others, in one sentence and with exit code 3: at once where it is the first one, to which
all are connected, otherwise when they next exchange something. One that falls silent does so after PATIENCE.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all

from experiments.common import stopping
from experiments.common.bounds import SettingsError, blaming, require
from research.data import DataError

COUNT, INDEX, ADDRESS = "JAX_PROCESS_COUNT", "JAX_PROCESS_INDEX", "JAX_COORDINATOR_ADDRESS"
COUNTS = (COUNT, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")  # started by hand, by srun, by mpirun
INDICES = (INDEX, "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
PATIENCE = 60  # seconds without a sign of life, after which a process counts as dead
LOST = 3  # the exit code where one of them has failed
LAST_WORDS = threading.Lock()  # a failed exchange and JAX may tell of the same end in two threads


def join(cpu_devices: int) -> None:
    """Joins the other processes, where there are any; it must come before the first array. Each brings its devices.
    Of the three variables JAX itself reads the address; what is not set, it asks of the scheduler."""
    count, index = asked_count(), number_in(INDEX)
    if count == 1:
        return
    with blaming(f"{count} processes were asked for, but could not be joined", f"set {COUNT}, {INDEX} and {ADDRESS}"):
        jax.config.update("jax_num_cpu_devices", cpu_devices)
        jax.distributed.initialize(
            num_processes=count, process_id=index, heartbeat_timeout_seconds=PATIENCE, shutdown_timeout_seconds=PATIENCE
        )
    stopping.listen()  # JAX has taken SIGTERM for itself
    ctypes.pythonapi.PyOS_setsig(signal.SIGABRT, aborted)
    hush()


def hush() -> None:
    """Errors are said by all processes, the rest by the first one."""
    if not is_first():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        stopping.FATE.append("the first process says whether something is saved")


def asked_count() -> int:
    """How many processes the environment asks for."""
    return next(filter(None, map(number_in, COUNTS)), 1)


def number_in(variable: str) -> int | None:
    """The number that a variable of the environment holds, None where it is not set."""
    text = os.environ.get(variable, "")
    require(not text or text.isdecimal(), f"{variable} is {text}; it must be a whole number")
    return int(text) if text else None


def are_several() -> bool:
    """Whether this process has joined others."""
    return jax.distributed.is_initialized()


def is_first() -> bool:
    """Whether this process is the one that writes, as the only one is. Before the processes have joined, its number in
    the environment decides; without one, True."""
    if are_several():
        return jax.process_index() == 0
    named = [number for number in map(number_in, INDICES) if number is not None]
    return asked_count() == 1 or not named or named[0] == 0


def from_first(content: bytes) -> bytes:
    """What the first process gives, on all of them; each waits for it here.

    >>> from_first(b"alone")
    b'alone'
    """
    if not are_several():
        return content
    own = np.frombuffer(content if is_first() else b"", np.uint8)
    size = int(broadcast_one_to_all(np.int32(len(own))))
    padded = np.zeros(2 ** size.bit_length(), np.uint8)  # of few lengths, for each is a program of its own
    padded[: len(own)] = own
    return broadcast_one_to_all(padded)[:size].tobytes()


def on_first(act: Callable[[], object]) -> None:
    """Does it on the first process; what is wrong there is wrong on all of them, so that none waits for one that left.

    >>> on_first(lambda: print("done"))
    done
    """
    wrong = None
    try:
        if is_first():
            act()
    except (SettingsError, DataError) as error:
        wrong = error
    said = from_first(str(wrong or "").encode())
    if said:
        raise wrong or DataError(said.decode())


def lost(why: str) -> NoReturn:
    """Ends this process when one of them has failed: at once, since whoever leaves in order waits for the others."""
    LAST_WORDS.acquire()
    sentence = "the processes of this run can no longer work together; start all of them again"
    os.write(2, f"error: {sentence} ({why}); {stopping.FATE[-1]}\n".encode())
    os._exit(LOST)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def aborted(number: int) -> None:
    """JAX aborts a process, in a thread of its own, when the first one is gone or one is silent. A handler from
    signal.signal would run too late, in the main thread."""
    lost("one of them is gone, or has been silent for too long")
