"""Several processes of this machine, started here, that do the same work together over the loopback address.

python -m experiments.common.processes FOLDER is one of them; hosts.py says which variables are set for it.
"""

import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from experiments.common import hosts, posing, stopping
from experiments.common.bounds import require

ASKED, FOUND = "asked.pickle", "found.pickle"


def together(count: int, work: Callable, settings: Any, python: str = sys.executable) -> Any:
    """What work(problem, settings), a function of some module, gives in the first of `count` processes that make the
    same call, each with one device of the CPU."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        # pickled, since nobody else can write to this folder, and what is handed over are functions and settings
        Path(folder, ASKED).write_bytes(pickle.dumps((work, settings)))
        started = [start(python, folder, {hosts.COUNT: str(count), hosts.INDEX: str(index), hosts.ADDRESS: address})
                   for index in range(count)]  # fmt: skip
        stopping.RUNNING.extend(started)
        said = [process.communicate()[1] for process in started]
        for process in started:
            stopping.RUNNING.remove(process)
        failed = [words for process, words in zip(started, said, strict=True) if process.returncode]
        why = " ".join(failed[0].split())[-300:] if failed else ""
        require(not failed, f"{count} processes of this machine could not work together: {why}")
        return pickle.loads(Path(folder, FOUND).read_bytes())


def start(python: str, folder: str, joining: dict[str, str]) -> subprocess.Popen:
    command = [python, "-m", "experiments.common.processes", folder]
    return subprocess.Popen(command, env=os.environ | joining | {"JAX_PLATFORMS": "cpu"}, stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True)  # fmt: skip


def main(folder: Path) -> None:
    jax.config.update("jax_num_cpu_devices", 1)
    hosts.join(cpu_devices=1)
    work, settings = pickle.loads((folder / ASKED).read_bytes())
    found = work(posing.pose(settings), settings)
    if hosts.is_first():
        (folder / FOUND).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    stopping.listen()
    main(Path(sys.argv[1]))
