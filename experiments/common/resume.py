"""Going on with a run that was stopped, with the same bits.

What a run measures is a sequence of calls of compiled programs, the same one every time. The calls are numbered, and
what they gave is saved every ten seconds: by orbax, beside the work that goes on, whole or not at all. A run that goes
on is given what was saved instead of computing it. What was not saved, or is damaged, is computed again, so any part
of a journal is of use, and no experiment knows of it. Of several processes the first one keeps the journal, since all
hold the same, and tells the others what it recalls.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from experiments.common import folders, hosts, records, stopping, trees
from experiments.common.bounds import first_line

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

PAUSE = 10.0  # seconds between two savings; before the first, twice that: to begin takes a third of a CPU-second
SHARE = 0.02  # of the time that may be spent on saving
# Bytes that wait to be saved, each held once by every device, and of a journal; what is beyond is computed again.
HELD, TOTAL = 2**26, 2**30
MARGIN = 2**16  # bytes of what orbax writes besides the arrays
DIGEST = "sha256"


class Journal:
    """The calls of one run: those that an earlier run has saved, and those that are saved now."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about
        self.number = 0  # of the call that goes on
        self.manager: ocp.CheckpointManager | None = None
        self.steps: list[int] = []  # the number of the last call in each checkpoint
        self.opened: tuple[int, dict[str, Any]] = (0, {})
        self.pending: dict[str, dict[str, Any]] = {}
        self.bytes, self.held = 0, 0  # of all that is kept, and of what is pending
        self.pause, self.saved_at = 2 * PAUSE, time.monotonic()
        if hosts.is_first() and (folder / "calls").is_dir():
            self.find()

    def find(self) -> None:
        """Opens what was saved; what orbax cannot open is removed, and computed again."""
        try:
            self.open()
        except Exception as error:
            self.manager, self.steps = None, []
            shutil.rmtree(self.folder / "calls", ignore_errors=True)
            said = f"the checkpoints in {self.folder} are damaged ({first_line(error)}); all is computed again"
            print(said, flush=True)

    def open(self) -> "ocp.CheckpointManager":
        """Opens the folder, or makes it; orbax is imported here, since few runs need it."""
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.CRITICAL)  # errors are said in one sentence
        calls = (self.folder / "calls").absolute()
        calls.mkdir(parents=True, exist_ok=True)
        if left_by(self.folder) != self.about:
            folders.write_file(self.folder / "about.json", json.dumps(self.about).encode())
        alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})  # orbax waits for no other
        options = ocp.CheckpointManagerOptions(create=False, multiprocessing_options=alone)
        self.manager = ocp.CheckpointManager(calls, options=options)
        self.steps = sorted(self.manager.all_steps())
        return self.manager

    def recall(self, compute: Callable[[], PyTree], like: Callable[[], PyTree]) -> PyTree:
        """What this call gave in the run that was stopped, else what it gives now."""
        self.number += 1
        with nothing_kept():  # what is called within a call is part of it
            found = self.read(like)
            if found is None:
                found = compute()
                self.keep(found)
        return found

    def read(self, like: Callable[[], PyTree]) -> PyTree | None:
        step = next((step for step in self.steps if step >= self.number), None)
        if step is None:
            return None
        if self.opened[0] != step:
            self.opened = step, told(self.restored(step) if hosts.is_first() else {})
        entry = self.opened[1].get(str(self.number))
        return None if entry is None else built(like(), entry)

    def restored(self, step: int) -> dict[str, Any]:
        """The calls of one checkpoint; none of them where it is damaged."""
        import orbax.checkpoint as ocp

        assert self.manager is not None
        try:
            with jax.enable_x64(True), warnings.catch_warnings():  # float64 stays so
                warnings.simplefilter("ignore")  # arrays come back to the devices that they lay on: that is meant
                found = dict(self.manager.restore(step, args=ocp.args.PyTreeRestore()))
            if all(digest(entry) == bytes(entry[DIGEST]) for entry in found.values()):
                return found
        except Exception:  # whatever a damaged file leads to, in orbax and in what it reads with
            hush_what_is_left_behind()
        print(f"the checkpoint {self.folder / 'calls' / str(step)} is damaged; its part is computed again", flush=True)
        return {}

    def keep(self, found: PyTree) -> None:
        """Saves what has come together, if it is time."""
        leaves = [np.asarray(leaf) if isinstance(leaf, float) else leaf for leaf in jax.tree.leaves(found)]
        leaves = [leaf for leaf in leaves if leaf.size]  # orbax saves no empty array
        size = sum(leaf.nbytes for leaf in leaves)
        known = not hosts.is_first() or (self.steps and self.number <= self.steps[-1])
        fits = self.held + size <= HELD and self.bytes + size <= TOTAL
        if fits and not known and all(map(is_plain, leaves)):
            self.bytes, self.held = self.bytes + size, self.held + size
            self.pending[str(self.number)] = {str(place): leaf for place, leaf in enumerate(leaves)}
        if self.pending and time.monotonic() - self.saved_at >= self.pause:
            self.save()

    def save(self) -> None:
        """Hands to orbax what has come together; the run goes on where it cannot be written, as on a full disk."""
        import orbax.checkpoint as ocp

        jax.block_until_ready(self.pending)
        began = time.monotonic()
        for entry in self.pending.values():
            entry[DIGEST] = np.frombuffer(digest(entry), np.uint8)
        try:
            manager = self.manager or self.open()
            self.try_room()
            pending = jax.device_get(self.pending) if hosts.are_several() else self.pending
            manager.save(self.number, args=ocp.args.PyTreeSave(pending))
        except Exception as error:
            self.give_up(error)
            return
        self.pending, self.held, self.saved_at = {}, 0, time.monotonic()
        records.trim_memory()
        self.pause = max(PAUSE, (self.saved_at - began) / SHARE)
        stopping.something_is_saved()

    def try_room(self) -> None:
        """Raises OSError where the disk, or a limit, has no room: orbax would say so in threads, and not only once."""
        size = sum(leaf.nbytes for entry in self.pending.values() for leaf in entry.values())
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.write(bytes(size + MARGIN))

    def give_up(self, error: Exception) -> None:
        self.pending, self.held, self.bytes = {}, 0, TOTAL
        hush_what_is_left_behind()
        print(f"{self.folder} could not be written ({first_line(error)}); no more checkpoints", flush=True)

    def close(self) -> None:
        try:
            if self.manager is not None:
                self.manager.close()
        except Exception as error:
            self.give_up(error)


CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def recall(compute: Callable[[], PyTree], like: Callable[[], PyTree]) -> PyTree:
    """compute(), or what it gave in a run that was stopped; `like()` has its structure, shapes and types.

    >>> recall(lambda: 1 + 1, lambda: 0)
    2
    """
    journal = CURRENT.get()
    return compute() if journal is None else journal.recall(compute, like)


def kept(program: Callable) -> Callable:
    """A compiled program whose calls can be recalled; within another one's trace it is that program."""

    def call(*args: PyTree) -> PyTree:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
            return program(*args)
        return recall(lambda: program(*args), lambda: jax.eval_shape(program, *args))

    return call


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Within, calls are neither saved nor recalled: they are timed, or are part of another call."""
    before = CURRENT.set(None)
    try:
        yield
    finally:
        CURRENT.reset(before)


@contextlib.contextmanager
def journal(results: Path, about: dict[str, Any], *, go_on: bool) -> Iterator[None]:
    """Within, a run into the folder `results` is kept, and goes on from what a run of the same kind has left, if it is
    to `go_on`; `about` is all that must be the same. Raises DataError if another run into that folder goes on."""
    folder, about = place_of(results), json.loads(json.dumps(about, default=os.fspath))
    with contextlib.ExitStack() as held:
        hosts.on_first(lambda: held.enter_context(folders.alone(folder, results)))
        earlier = left_by(folder)
        other = [key for key in about if earlier.get(key) != about[key]]
        if other or not go_on:
            forget(results)
        found = Journal(folder, about)
        if other or not go_on:
            found.steps = []  # where what an earlier run left cannot be removed
        found.steps = json.loads(hosts.from_first(json.dumps(found.steps).encode()))
        if go_on:
            print(beginning(found.steps, earlier, other), flush=True)
        before = CURRENT.set(found)
        try:
            yield
        finally:
            CURRENT.reset(before)
            found.close()


def beginning(steps: list[int], earlier: dict[str, Any], other: list[str]) -> str:
    """From where a run goes on, or why it does not."""
    if steps:
        return f"goes on after {steps[-1]} of its computations, which the stopped run has made"
    why = f"that run had other {', '.join(other)}" if earlier and other else "nothing is saved"
    return f"there is nothing to go on from ({why}); starts anew"


def place_of(results: Path) -> Path:
    return results.with_name(f".{results.name}.resume")


def left_by(folder: Path) -> dict[str, Any]:
    """What an earlier run says of itself; {} where there was none, or it cannot be read."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return about if isinstance(about, dict) else {}
    except (OSError, ValueError):
        return {}


def forget(results: Path) -> None:
    """Removes what was kept of a run into that folder; of a link, the link. Of several processes the first does it."""
    place = place_of(results)
    if not hosts.is_first():
        return
    if place.is_symlink():
        place.unlink()
    shutil.rmtree(place, ignore_errors=True)


def is_plain(leaf: Any) -> bool:
    """Whether orbax can save it: numbers, not a random key."""
    return not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)


def hush_what_is_left_behind() -> None:
    """From now on nobody is told of a read or write that ends when orbax has given it up and closed its loop."""
    say = sys.unraisablehook
    sys.unraisablehook = lambda said: None if "Event loop is closed" in str(said.exc_value) else say(said)


def told(calls: dict[str, Any]) -> dict[str, Any]:
    """What the first process has restored, on all of them."""
    if not hosts.are_several():
        return calls
    content = hosts.from_first(folders.packed(trees.flat(calls)))
    return trees.built(dict[str, dict[str, np.ndarray]], dict(np.load(io.BytesIO(content))))


def digest(entry: dict[str, Any]) -> bytes:
    names = sorted(entry.keys() - {DIGEST}, key=int)
    return hashlib.sha256(b"".join(np.asarray(entry[name]).tobytes() for name in names)).digest()


def built(like: PyTree, entry: dict[str, Any]) -> PyTree | None:
    """The saved leaves in the structure of `like`, empty ones filled in; None where they do not fit."""
    wanted, structure = jax.tree.flatten(like)
    saved = [entry[name] for name in sorted(entry.keys() - {DIGEST}, key=int)]
    full = [leaf for leaf in wanted if np.size(leaf)]
    if [np.shape(leaf) for leaf in saved] != [np.shape(leaf) for leaf in full]:
        return None
    left = iter(saved)
    leaves = [next(left) if np.size(leaf) else np.zeros(leaf.shape, leaf.dtype) for leaf in wanted]
    return jax.tree.unflatten(structure, leaves)
