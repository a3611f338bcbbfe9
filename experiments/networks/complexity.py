"""How do time, work and memory grow with the data, the network and the batch?

A reader of the film asks for the complexity. The gradient over N images is timed for N up to all of them; networks with
more neurons and with more layers; one pass over the images in batches of every size. Beside the seconds stand the
operations, by formula (forwards 2 for every weight, backwards 2 for its own slope, and 2 for what is handed on to the
layer before, which the first layer saves) and as XLA counts them, and the memory that XLA sets aside: for all images at
once, and in chunks. Contestants in turn, medians, compilation left out; num_seeds is how often all is timed.

Run:     python -m experiments complexity [--quick | --full]
Time:    default 25 s, --quick 11 s, --full 60 s on 2 cores, compilation included
Result:  proportional to N: slope 0.98 (0.94 to 1.04); 202 MB at once, 3.4 MB in chunks, from 1,000 images on. 32 times
         the width takes 9.3 times the time; a pass one by one takes 4.0 times as long as in batches of 1,000, in
         batches of 3 6.3 times.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, MinLen
from jaxtyping import Float, Int, PyTree

from experiments.common import descents, experiment, plots, runs
from experiments.common.bounds import Count, of_train, require, rising
from experiments.common.claims import Claims, about, prediction, worst
from experiments.common.problem import CHUNK, Problem, random_parameters
from experiments.networks import complexity_figures as drawn
from research import data, fits, gradients, training
from research.data import Examples

HALVINGS = 3  # the slope in N is that between all images and 1/8 of them
LARGE = slice(-HALVINGS - 1, None)


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How often all is timed; each time the median of three."""
    halvings: Annotated[int, Ge(HALVINGS)] = 6
    """N is all training images, 1/2, 1/4, ... of them: how many times halved."""
    widths: Annotated[tuple[int, ...], Ge(1), MinLen(1), rising] = (16, 32, 64, 128, 256, 512)
    """Neurons of a single hidden layer."""
    depths: Annotated[tuple[int, ...], Ge(1), MinLen(1), rising] = (1, 2, 4, 8)
    """How many hidden layers of --depth-width neurons."""
    depth_width: Annotated[int, Ge(1)] = 128
    """Neurons of each of these layers."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(1), rising] = (1, 3, 10, 30, 100, 300, 1000)
    """Examples a step, at most --num-images."""
    num_images: Annotated[int, Ge(1), of_train] = 4000
    """Images over which other networks and other batches are timed."""

    def check(self) -> None:
        require(
            self.batch_sizes[-1] <= self.num_images,
            f"--batch-sizes has {self.batch_sizes[-1]}; with --num-images {self.num_images} none may be larger",
        )


QUICK = Settings(num_seeds=2, halvings=3, widths=(16, 64, 256), depths=(1, 4), batch_sizes=(1, 10, 100, 1000))
FULL = Settings(num_seeds=10, halvings=9, num_images=10_000)


class Sweep(NamedTuple):
    x: Int[np.ndarray, "points"]
    flops: Float[np.ndarray, "points"]  # by formula
    seconds: Float[np.ndarray, "rounds points"]

    @property
    def growth(self) -> tuple[float, float]:
        """(operations, median time): how many times those of the first point the last one takes."""
        times = np.median(self.seconds, axis=0)
        return self.flops[-1] / self.flops[0], times[-1] / times[0]


class Result(NamedTuple):
    examples: Sweep
    width: Sweep
    depth: Sweep
    batch: Sweep
    network_formula: Float[np.ndarray, "networks"]  # operations of one example of every network, the own one first
    network_flops: Float[np.ndarray, "networks"]  # the same, as XLA counts them
    examples_flops: Float[np.ndarray, "halvings"]  # of N examples at once
    at_once_bytes: Float[np.ndarray, "halvings"]  # memory that XLA sets aside
    chunked_bytes: Float[np.ndarray, "halvings"]

    @property
    def slopes(self) -> np.ndarray:  # of the time in N, of every round
        return np.array([fits.log_log_slope(self.examples.x[LARGE], row[LARGE]) for row in self.examples.seconds])


class Point(NamedTuple):  # one thing that is timed
    x: int
    sizes: tuple[int, ...]
    flops: float
    call: Callable[[], PyTree]


def flops_by_formula(sizes: Sequence[int]) -> int:
    """Of the gradient of one example: 4 for every weight, 2 more for every weight behind the first layer.

    >>> flops_by_formula((784, 16, 16, 10))
    52672
    """
    weights = [num_in * num_out for num_in, num_out in pairwise(sizes)]
    return 6 * sum(weights) - 2 * weights[0]


def whole_chunks(num_examples: int) -> int:
    """Rounded down to whole chunks, where there is one: a rest would be a program, and memory, of its own.

    >>> whole_chunks(7500), whole_chunks(937)
    (7000, 937)
    """
    return num_examples // CHUNK * CHUNK or num_examples


def measure(problem: Problem, settings: Settings) -> Result:
    require(problem.mlp is not None, "complexity counts plain layers of many sizes; leave out --model")
    have = len(problem.train.inputs)
    require(have >> settings.halvings >= 1, f"--halvings is {settings.halvings}; there are only {have} training images")
    on_one = problem._replace(train=on_one_device(problem.train))
    sweeps = sweeps_of(on_one, experiment.sizes_for(settings, problem.train), settings)
    networks = dict.fromkeys(point.sizes for sweep in sweeps for point in sweep)
    examples, width, depth, batch = timed(sweeps, settings.num_seeds)
    formula = np.array([flops_by_formula(sizes) for sizes in networks], float)
    counted = np.array([descents.flops_per_example(with_layers(on_one, sizes)) for sizes in networks])
    flops, at_once, in_chunks = counts_of(on_one, [point.x for point in sweeps[0]])
    return Result(examples, width, depth, batch, formula, counted, flops, at_once, in_chunks)


def on_one_device(tree: PyTree) -> PyTree:
    return jax.device_put(tree, jax.local_devices()[0])


def with_layers(posed: Problem, sizes: tuple[int, ...]) -> Problem:
    return posed._replace(model=posed.mlp(sizes))  # pyright: ignore[reportOptionalCall]


def sweeps_of(posed: Problem, own: tuple[int, ...], settings: Settings) -> list[list[Point]]:
    few, num_in, num_out = data.take(posed.train, slice(settings.num_images)), own[0], own[-1]

    def gradient(x: int, sizes: tuple[int, ...], examples: Examples) -> Point:
        other = with_layers(posed, sizes)
        fun = jax.jit(jax.grad(other.cost))
        flops = float(flops_by_formula(sizes) * len(examples.inputs))
        return Point(x, sizes, flops, partial(fun, on_one_device(random_parameters(other.model)), examples))

    halved = [whole_chunks(len(posed.train.inputs) >> times) for times in range(settings.halvings, -1, -1)]
    deep = [(depth, (num_in, *(settings.depth_width,) * depth, num_out)) for depth in settings.depths]
    work = float(flops_by_formula(own) * settings.num_images)
    return [
        [gradient(size, own, data.take(posed.train, slice(size))) for size in halved],
        [gradient(width, (num_in, width, num_out), few) for width in settings.widths],
        [gradient(depth, sizes, few) for depth, sizes in deep],
        [Point(size, own, work, one_pass(posed._replace(train=few), size)) for size in settings.batch_sizes],
    ]


def one_pass(posed: Problem, batch_size: int) -> Callable[[], PyTree]:
    """Steps over all training examples, batch after batch, in the order in which they lie there."""
    optimizer, start = optax.sgd(0.1), on_one_device(random_parameters(posed.model))
    step = training.make_step(gradients.mean_over_examples(posed.example_cost), optimizer)
    rows = training.in_batches(training.cyclic_order(len(posed.train.inputs), 1), batch_size)
    loop = jax.jit(partial(training.minibatch_descent, step, observe=lambda state: ()))
    return partial(loop, training.TrainState(start, optimizer.init(start)), posed.train, rows)


def timed(sweeps: list[list[Point]], num_rounds: int) -> list[Sweep]:
    """The median seconds of every call in every round, those of all sweeps in turn."""
    calls = {f"{x} of {sweep}": point.call for sweep, points in enumerate(sweeps) for x, point in enumerate(points)}
    rounds = []
    for number in range(num_rounds):
        runs.console.print(f"timing, round {number + 1} of {num_rounds} ...")
        rounds.append(list(runs.seconds_each(calls).values()))
    parts = np.split(np.array(rounds), np.cumsum([len(points) for points in sweeps])[:-1], axis=1)
    return [
        Sweep(np.array([point.x for point in points]), np.array([point.flops for point in points]), seconds)
        for points, seconds in zip(sweeps, parts, strict=True)
    ]


def count(fun: Callable, *arguments: PyTree) -> tuple[float, float]:
    """(operations, bytes set aside) of `fun` for arguments of these shapes, as XLA says; nothing runs."""
    compiled = jax.jit(fun).lower(*arguments).compile()
    return compiled.cost_analysis()["flops"], compiled.memory_analysis().temp_size_in_bytes  # pyright: ignore


def counts_of(posed: Problem, numbers: list[int]) -> np.ndarray:
    """(operations at once, memory at once, memory in chunks) of the gradient over so many examples each."""
    at_once, found = gradients.mean_over_examples(posed.example_cost), []
    params = jax.eval_shape(posed.model.init, jax.random.key(0))
    for num in numbers:
        few = jax.tree.map(lambda leaf, num=num: jax.ShapeDtypeStruct((num, *leaf.shape[1:]), leaf.dtype), posed.train)
        _, in_chunks = count(jax.grad(posed.cost), params, few)
        found.append([*count(jax.grad(at_once), params, few), in_chunks])
    return np.array(found, float).T


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    x = result.examples.x[LARGE]
    yield prediction("C32", "the time of a full gradient grows in proportion to N (7,000 to 60,000 images)",
                     np.median(result.slopes), about(1, by=0.05), "slope, log-log, median", "N equal pieces of "
                     "work", why="every call takes a time that does not grow with N, up to a tenth of all at 7,000 "
                     "images; a set of more images would decide"
                     )  # fmt: skip
    for says, memory, slope, source in (
        ("the memory for all examples at once grows as N", result.at_once_bytes, 1, "activations of all examples"),
        ("the memory in chunks does not grow with N", result.chunked_bytes, 0, "activations of one chunk"),
    ):
        yield prediction("C32", says, fits.log_log_slope(x, memory[LARGE]), about(slope, by=0.05), "slope, log-log",
                         source)  # fmt: skip
    of_networks = result.network_flops / result.network_formula
    of_examples = result.examples_flops / result.examples.flops
    yield prediction("E18", "XLA counts what the formula says, for every width, depth and N",
                     1 + worst(np.concatenate([of_networks, of_examples]) - 1), about(1, by=0.1),
                     "counted / formula, farthest from 1", "the same formula")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    parts = []
    for name, sweep in (("width", result.width), ("depth", result.depth)):
        work, took = (f"{times:.3g} times the" for times in sweep.growth)
        parts.append(f"{name} {sweep.x[0]} to {sweep.x[-1]}: {work} operations in {took} time")
    whole, slopes = np.median(result.examples.seconds[:, -1]), result.slopes
    return (
        f"The gradient over {result.examples.x[-1]:,} images takes {1000 * whole:.0f} ms "
        f"(median; {result.examples.flops[-1] / whole / 1e9:.0f} GFLOP/s), slope in N from "
        f"{result.examples.x[LARGE][0]:,} on {np.median(slopes):.2f} ({slopes.min():.2f} to {slopes.max():.2f}); "
        f"{'; '.join(parts)}; a pass in small batches takes {drawn.slowest(result.batch)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    times = drawn.times(result, settings, result.examples.x[LARGE][0])
    return {"complexity": times, "complexity_works": drawn.works(result, settings)}
