"""Running: compile once, share the seeds out over the devices, go chunk by chunk, show progress, notice divergence."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.common import records, resume
from research import data, sharding
from research.training import History, TrainState

console = Console(stderr=True)
# XLA keeps to half of such a register unless it is told: an epoch of mini-batches takes a sixth longer then.
WIDE = {"xla_cpu_prefer_vector_width": 512}


class Diverged(ArithmeticError):
    """The cost of a run became NaN or infinite."""

    def __init__(self, label: str, step: int) -> None:
        self.step = step
        super().__init__(f"{label}: the cost was no longer a finite number at step {step}; lower the learning rate")


class Stuck(Diverged):
    """A run came to a place without a gradient, as where every sigmoid is saturated."""

    def __init__(self, epochs: float) -> None:
        ArithmeticError.__init__(
            self,
            f"no example has a gradient after {epochs:.3g} epoch{'' if epochs == 1 else 's'} of training, the network "
            "is saturated; lower the learning rate",
        )


class Run(NamedTuple):
    """What `descend` leaves behind; arrays but `steps` lead with a seed axis."""

    state: TrainState
    steps: np.ndarray  # points: steps made when it was observed
    history: History  # costs: seeds, steps; observed: seeds, points, ...
    run_seconds: float  # without those of compiling


def compiled(fun: Callable) -> Any:
    """`jax.jit`, with what suits this machine: the one place where compiler options stand."""
    return jax.jit(fun, compiler_options=WIDE if jax.default_backend() == "cpu" and has_avx512() else None)


def over_seeds(fun: Callable, in_axes: Sequence[int | None]) -> Any:
    """`fun` of one seed -> of all of them, compiled: in turn on the devices of a CPU, all at once on a GPU or TPU.
    What a call gave is kept for a run that goes on from a stopped one."""
    return resume.kept(compiled_over_seeds(fun, in_axes))


def compiled_over_seeds(fun: Callable, in_axes: Sequence[int | None]) -> Any:
    at_once = 1 if jax.default_backend() == "cpu" else 1024
    return sharding.together(compiled(sharding.over_devices(fun, in_axes, at_once=at_once)))


def has_avx512() -> bool:
    """Whether this CPU's registers hold 16 floats; where the system does not say, False."""
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512f" in cpu.read_text()


def in_float64(fun: Callable) -> Callable:
    """`fun`, computed in float64: floats and images among its arguments are widened, its result is numpy's.

    >>> in_float64(lambda third: 3 * third)(np.float32(0.5)).dtype
    dtype('float64')
    """

    def wide(*args: PyTree) -> PyTree:
        with jax.enable_x64(True):
            return jax.device_get(fun(*data.widened(args)))

    return wide


def progress_bar() -> Progress:
    """Label, bar, cost, steps a second and time left; one line at the end where the output is no terminal."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=16),
        TextColumn("cost {task.fields[cost]:.4f}"),
        TextColumn("{task.fields[rate]:>9,.0f} steps/s"),
        TimeRemainingColumn(),
        console=console,
    )


def descend(label: str, loop: Callable, state: TrainState, shared: PyTree, chunks: Sequence[tuple]) -> Run:
    """Follows one loop of research.training through its chunks, all seeds together, and shows how far it is.
    `loop(state, shared, *chunk) -> (state, History)` is for ONE seed. Every leaf of `state` and of the chunks leads
    with a seed axis, `shared` is the same for all. It is compiled once for every shape of chunk. Raises Diverged if a
    cost is not finite."""
    programs, run_seconds = {}, 0.0
    steps, histories = [np.zeros(1, int)], []
    with progress_bar() as bar:
        task = bar.add_task(label, total=len(chunks), cost=float("nan"), rate=0.0)
        mapped = compiled_over_seeds(loop, (0, None, *(0 for _ in chunks[0])))
        for chunk in chunks:
            (state, history), seconds = resume.recall(
                partial(timed, programs, mapped, state, shared, *chunk),
                lambda given=(state, shared, *chunk): (jax.eval_shape(mapped, *given), 0.0),
            )
            run_seconds += float(seconds)
            history = jax.tree.map(np.asarray, history)
            num_seeds, num_legs, steps_per_leg = history.costs.shape
            steps_done = int(steps[-1][-1])
            stop_if_diverged(label, history.costs, steps_done)
            steps.append(steps_done + steps_per_leg * np.arange(1, num_legs + 1))
            histories.append(history._replace(costs=history.costs.reshape(num_seeds, -1)))
            rate = num_seeds * steps[-1][-1] / run_seconds
            bar.update(task, advance=1, cost=history.costs[:, -1].mean(), rate=rate)
    history = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *histories)
    histories.clear()
    records.trim_memory()
    return Run(state, np.concatenate(steps[1:]), history, run_seconds)


def timed(programs: dict, mapped: Any, *given: PyTree) -> tuple[PyTree, float]:
    """(what it gives, seconds of that without compiling); `programs` keeps what is compiled, by shapes."""
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(given[2:]))
    if shapes not in programs:
        programs[shapes] = mapped.lower(*given).compile()
    start = time.perf_counter()
    found = jax.block_until_ready(programs[shapes](*given))
    return found, time.perf_counter() - start


def seconds_since(start: float) -> float:
    """Seconds since that time.perf_counter(); in a run that goes on, those that the stopped one took."""
    return float(resume.recall(lambda: time.perf_counter() - start, lambda: 0.0))


def stop_if_diverged(label: str, costs: np.ndarray, steps_before: int) -> None:
    """Raises Diverged with the first step at which a seed's cost is NaN or infinite; costs: seeds, ..., steps."""
    bad = ~np.isfinite(costs.reshape(len(costs), -1)).all(axis=0)
    if bad.any():
        raise Diverged(label, steps_before + int(bad.argmax()))


def seconds_each(calls: dict[str, Callable[[], PyTree]], repeats: int = 3) -> dict[str, float]:
    """Median seconds of each call, compilation left out, the contestants taken in turn."""
    return {name: statistics.median(seconds) for name, seconds in seconds_in_turn(calls, repeats).items()}


def seconds_in_turn(
    calls: dict[str, Callable[[], PyTree]], repeats: int, *, pause: float = 0.0
) -> dict[str, list[float]]:
    """Seconds of each call in every round, compilation left out, the contestants taken in turn. `pause` seconds go by
    before each: threads of other libraries stay awake for a while after their work, and would disturb who comes next.
    """
    with resume.nothing_kept():
        for call in calls.values():
            jax.block_until_ready(call())
        seconds = {name: [] for name in calls}
        for _ in range(repeats):
            for name, call in calls.items():
                time.sleep(pause)
                start = time.perf_counter()
                jax.block_until_ready(call())
                seconds[name].append(time.perf_counter() - start)
    return seconds


@partial(jax.jit, static_argnums=(0, 1))
def seed_keys(seed: int, num_seeds: int) -> tuple[jax.Array, jax.Array]:
    """(init_keys, shuffle_keys), one of each for every seed; seed s of a run is the same however many there are."""

    def of_seed(index: jax.Array) -> tuple[jax.Array, jax.Array]:
        init_key, shuffle_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), index))
        return init_key, shuffle_key

    return jax.vmap(of_seed)(jnp.arange(num_seeds))
