"""Do more devices, another Python and another JAX find the same numbers?

Five numbers and arrays, each from all images: the cost at the start, its gradient, the noise of the examples' gradients
(the trace of their covariance), the parameters after steps of mini-batches, and the largest eigenvalue of the Hessian
there. They are found by a process with one device of the CPU, by a second one like it, on 1, 2, 4, ... of the devices
of this one, and by the Pythons that --pythons names. The same programs on the same inputs give the same bits. More
devices add up in another order, as does one of several, which has fewer threads, and another JAX may compile otherwise:
numbers then differ as far as float32 rounds.

Run:     python -m experiments same_numbers [--quick | --full] [--cpu-devices 8] [--pythons python3.13]
Time:    --full 40 s on 2 cores, compilation included
Result:  another process finds the same bits; 1, 2, 4 and 8 of 8 devices, and Python 3.13 with JAX 0.12, the same to
         5e-7
"""

import dataclasses
import platform
import shutil
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import experiment, hosts, plots, processes, runs
from experiments.common.bounds import Count, of_train, require
from experiments.common.claims import Claims, at_most, exactly, identity, prediction
from experiments.common.problem import Problem
from research import curvature, gradients, sharding, statistics, training
from research.training import TrainState

FOUND = ("cost", "gradient", "noise", "parameters", "largest eigenvalue")
AGAIN = "another process"
SGD = optax.sgd(1.0)
ROUNDED = 1e-6  # 16 roundings of float32, 2^-24 each: so deep is a tree of sums over 60,000 images


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 1
    """The numbers are of one start."""
    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Images of a mini-batch."""
    num_steps: Count = 100
    """Steps of mini-batches, with rate 1; at most one pass over the images."""
    pythons: tuple[str, ...] = ()
    """Pythons of other environments that have this project and its packages, by name or path: python3.13."""

    def check(self) -> None:
        for python in self.pythons:
            require(bool(shutil.which(python)), f"--pythons names {python}, which is no program; name one or its path")


QUICK = Settings(num_examples=1000, num_steps=10)
FULL = Settings()


class Result(NamedTuple):
    ways: tuple[str, ...]  # who computed; the first one is what the others are compared with
    apart: Float[np.ndarray, "ways found"]  # largest difference over the largest number
    steps: int

    def of(self, way: str) -> float:
        return self.apart[self.ways.index(way)].max()


def measure(problem: Problem, settings: Settings) -> Result:
    require(not hosts.are_several(), "same_numbers starts its processes itself; start it alone")
    have = jax.devices()
    counts = [2**power for power in range(len(have).bit_length()) if 2**power < len(have)] + [len(have)]
    found = {name: processes.together(1, of_this_process, settings)[1] for name in ("a process", AGAIN)}
    for count in counts:
        found[f"{count} of {len(have)} devices"] = numbers_on(problem, settings, have[:count])
    for python in settings.pythons:
        name, numbers = processes.together(1, of_this_process, settings, python=python)
        found[name] = numbers
    first, *_ = found.values()
    apart = [[np.abs(own - alone).max() / np.abs(alone).max() for own, alone in zip(numbers, first, strict=True)]
             for numbers in found.values()]  # fmt: skip
    return Result(tuple(found), np.array(apart), num_steps_of(problem, settings))


def num_steps_of(problem: Problem, settings: Settings) -> int:
    return min(settings.num_steps, len(problem.train.inputs) // settings.batch_size)


def of_this_process(problem: Problem, settings: Settings) -> tuple[str, list[np.ndarray]]:
    """(what computes here; the arrays of FOUND)"""
    name = f"Python {platform.python_version()}, JAX {jax.__version__}"
    return name, numbers_on(problem, settings, jax.devices())


def numbers_on(problem: Problem, settings: Settings, devices: Sequence) -> list[np.ndarray]:
    """The arrays of FOUND, in float64, computed on these devices."""
    init_key, order_key, look_key = jax.random.split(jax.random.key(settings.seed), 3)
    count = len(problem.train.inputs)
    schedule = training.shuffled_schedule(order_key, count, settings.batch_size, 1)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), SGD)

    def of_start(params: Any, train: Any, rows: Any) -> tuple:
        begun = TrainState(params, SGD.init(params))
        ended = training.minibatch_descent(step, begun, train, rows, lambda state: ())[0].params
        cost, grads = jax.value_and_grad(problem.cost)(params, train)
        noise = statistics.total_variance(problem.statistics.moments(params, train))
        top = curvature.top_eigenvalues(problem.cost, ended, train, look_key).values
        return cost, ravel_pytree(grads)[0], noise, ravel_pytree(ended)[0], top

    start = jax.tree.map(lambda leaf: leaf[None], problem.model.init(init_key))
    given = sharding.on_every_device((start, problem.train, schedule[:, : settings.num_steps]), devices=devices)
    program = sharding.over_devices(of_start, (0, None, None), devices=devices)
    return [np.asarray(each[0], float) for each in sharding.together(runs.compiled(program))(*given)]


def claims(result: Result, settings: Settings) -> Claims:
    unit = "largest difference over the largest number"
    yield identity("N10", "another process of the same Python and JAX finds the same bits", result.of(AGAIN),
                   exactly(0), unit, "the same programs on the same inputs")  # fmt: skip
    devices = [way for way in result.ways if way.endswith("devices")]
    yield identity("N10", "any number of the devices finds what a process with one finds", max(map(result.of, devices)),
                   at_most(ROUNDED), unit, "sums in another order: 16 roundings of float32")  # fmt: skip
    for way in result.ways:
        if way.startswith("Python"):
            yield prediction("N10", f"{way} finds the same numbers", result.of(way), at_most(ROUNDED), unit,
                             "the same sums in another order: 16 roundings of float32",
                             f"{result.steps} steps, one after the other, can carry a rounding on and let it grow; the "
                             "growth over the steps beside the sharpness would decide")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    others = [f"{way}: {'the same bits' if not row.any() else f'{row.max():.1e} (in {FOUND[row.argmax()]})'}"
              for way, row in zip(result.ways[1:], result.apart[1:], strict=True)]  # fmt: skip
    return (
        f"Largest differences from what a process with one device finds, over the largest number: {'; '.join(others)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[axis]] = plots.new_figure(11, 1.6 + 0.5 * len(result.ways))
    table = result.apart[1:]
    axis.imshow(np.log10(np.maximum(table, 1e-9)), cmap="Purples", vmin=-9, vmax=-4, aspect="auto")
    axis.set_xticks(range(len(FOUND)), [*FOUND[:3], f"parameters\nafter {result.steps} steps", FOUND[-1]])
    axis.set_yticks(range(len(table)), result.ways[1:])
    axis.grid(visible=False)
    for (row, column), apart in np.ndenumerate(table):
        says = f"{apart:.0e}" if apart else "same bits"
        axis.text(column, row, says, ha="center", va="center", fontsize=13, color="white" if apart > 1e-5 else "black")
    axis.set_title("largest difference from what a process with one device finds, over the largest number", fontsize=11)
    says = f"Others find the same numbers, to {table.max():.0e} of the largest" if table.any() else "The same bits"
    return {"same_numbers": plots.headline(figure, says)}
