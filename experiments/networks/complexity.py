"""How do time, work and memory grow with the data, the network and the batch?

A reader of the film asks for the complexity. The gradient over N images is timed for N up to all of them; networks with
more neurons and with more layers; one pass over the images in batches of every size. Beside the seconds stand the
operations, by formula (forwards 2 for every weight, backwards 2 for its own slope, and 2 for what is handed on to the
layer before, which the first layer saves) and as XLA counts them, and the memory that XLA sets aside: for all images at
once, and in chunks. Contestants in turn, medians, compilation left out; num_seeds is how often all is timed.

Run:     python -m experiments complexity [--quick | --full]
Time:    default 25 s, --quick 11 s, --full 55 s on 2 cores, compilation included
Result:  proportional to N: slope 1.02 from 7,000 to 60,000 images, 50 ms (64 GFLOP/s, medians of 10 rounds); XLA
         counts 54.6 thousand operations an example, the formula 52.7; memory 202 MB at once, 3.4 MB in chunks, whatever
         N; 32 times the width takes 24 times the time, batches of one 3 times as long a pass as batches of 1,000.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, MinLen
from jaxtyping import Float, Int, PyTree
from matplotlib.figure import Figure

from experiments.common import experiment, problem, runs
from experiments.common.bounds import of_train, require
from experiments.common.claims import Claim, about, prediction, worst
from experiments.common.problem import CHUNK, Problem
from experiments.networks import complexity_figures as drawn
from research import data, fits, gradients, models, training
from research.data import Examples

COUNTED = 100  # examples over which XLA counts the operations of a network
HALVINGS = 3  # the slope in N is that between all images and 1/8 of them


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the timings."""

    num_seeds: Annotated[int, Ge(1)] = 3
    """How often all is timed; each time the median of three."""
    halvings: Annotated[int, Ge(HALVINGS)] = 6
    """N is all training images, 1/2, 1/4, ... of them: how many times halved."""
    widths: Annotated[tuple[int, ...], Ge(1), MinLen(1)] = (16, 32, 64, 128, 256, 512)
    """Neurons of a single hidden layer."""
    depths: Annotated[tuple[int, ...], Ge(1), MinLen(1)] = (1, 2, 4, 8)
    """How many hidden layers of --depth-width neurons."""
    depth_width: Annotated[int, Ge(1)] = 128
    """Neurons of each of these layers."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(1)] = (1, 3, 10, 30, 100, 300, 1000)
    """Examples a step, at most --num-images."""
    num_images: Annotated[int, Ge(1), of_train] = 4000
    """Images over which other networks and other batches are timed."""

    def check(self) -> None:
        """No batch is larger than what it is drawn from."""
        require(
            max(self.batch_sizes) <= self.num_images,
            f"--batch-sizes has {max(self.batch_sizes)}; with --num-images {self.num_images} none may be larger",
        )


QUICK = Settings(num_seeds=2, halvings=3, widths=(16, 64, 256), depths=(1, 4), batch_sizes=(1, 10, 100, 1000))
FULL = Settings(num_seeds=10, halvings=9, num_images=10_000)


class Result(NamedTuple):
    """What was timed, point by point, and what XLA counts."""

    sweep: tuple[str, ...]  # examples, width, depth or batch
    x: Int[np.ndarray, "points"]  # what is varied in this sweep
    flops: Float[np.ndarray, "points"]  # by formula
    seconds: Float[np.ndarray, "rounds points"]
    network_formula: Float[np.ndarray, "networks"]  # operations of one example of every network
    network_flops: Float[np.ndarray, "networks"]  # the same, as XLA counts them
    examples_formula: Float[np.ndarray, "halvings"]  # operations of N examples at once
    examples_flops: Float[np.ndarray, "halvings"]
    at_once_bytes: Float[np.ndarray, "halvings"]  # memory that XLA sets aside
    chunked_bytes: Float[np.ndarray, "halvings"]

    def of(self, sweep: str) -> np.ndarray:
        """The places of one sweep."""
        return np.flatnonzero(np.array(self.sweep) == sweep)

    @property
    def large(self) -> np.ndarray:
        """The places with N from 1/8 of all images on."""
        mine = self.of("examples")
        return mine[self.x[mine] >= whole_chunks(int(self.x[mine].max()) >> HALVINGS)]

    @property
    def slopes(self) -> np.ndarray:
        """Of the time in N, of every round."""
        return np.array([fits.log_log_slope(self.x[self.large], each[self.large]) for each in self.seconds])


class Count(NamedTuple):
    """What XLA says of a compiled program."""

    flops: float
    bytes: float  # set aside while it runs, the arguments and results apart


def flops_by_formula(sizes: Sequence[int]) -> int:
    """Of the gradient of one example: 4 for every weight, 2 more for every weight behind the first layer.

    >>> flops_by_formula((784, 16, 16, 10))
    52672
    """
    weights = [num_in * num_out for num_in, num_out in pairwise(sizes)]
    return 6 * sum(weights) - 2 * weights[0]


def count(fun: Callable, *arguments: PyTree) -> Count:
    """Compiles `fun` for arguments of these shapes, runs nothing, and asks XLA."""
    compiled = jax.jit(fun).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    return Count(compiled.cost_analysis()["flops"], memory.temp_size_in_bytes)  # pyright: ignore


def shapes_of(model: models.Model, train: Examples, num_examples: int) -> tuple[PyTree, Examples]:
    """(parameters, examples) as shapes only, for `count`."""
    params = jax.eval_shape(model.init, jax.random.key(0))
    return params, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_examples, *leaf.shape[1:]), leaf.dtype), train)


def gradient_of(one: Callable, chunk_size: int | None) -> Callable:
    """The gradient of the mean cost, all examples at once or in chunks."""
    return jax.grad(gradients.mean_over_examples(one, chunk_size=chunk_size))


def one_pass(one: Callable, batch_size: int, train: Examples) -> Callable[[models.Params], models.Params]:
    """Steps over all of `train`, batch after batch, in the order in which it lies there."""
    optimizer = optax.sgd(0.1)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)
    rows = training.in_batches(training.cyclic_order(len(train.inputs), 1), batch_size)

    @jax.jit
    def loop(params: models.Params, train: Examples, rows: jax.Array) -> models.Params:
        state = training.TrainState(params, optimizer.init(params))
        return training.minibatch_descent(step, state, train, rows, lambda state: ())[0].params

    return lambda params: loop(params, train, rows)


class Point(NamedTuple):
    """One thing that is timed."""

    sweep: str
    x: int
    sizes: tuple[int, ...]
    call: Callable[[models.Params], PyTree]
    flops: int


def points_of(posed: Problem, own: tuple[int, ...], settings: Settings) -> list[Point]:
    """Everything that is timed; the training set lies on one device."""
    train = posed.train
    few, ends = data.take(train, slice(settings.num_images)), (own[0], own[-1])

    def one_of(sizes: tuple[int, ...]) -> Callable:
        return posed._replace(model=posed.mlp(sizes)).example_cost  # pyright: ignore[reportOptionalCall]

    def gradient(sweep: str, x: int, sizes: tuple[int, ...], examples: Examples) -> Point:
        fun = jax.jit(gradient_of(one_of(sizes), CHUNK))
        flops = flops_by_formula(sizes) * len(examples.inputs)
        return Point(sweep, x, sizes, lambda params: fun(params, examples), flops)

    halved = [whole_chunks(len(train.inputs) >> times) for times in range(settings.halvings, -1, -1)]
    deep = [(depth, (ends[0], *(settings.depth_width,) * depth, ends[1])) for depth in settings.depths]
    work = flops_by_formula(own) * settings.num_images
    return [
        *(gradient("examples", size, own, data.take(train, slice(size))) for size in halved),
        *(gradient("width", width, (ends[0], width, ends[1]), few) for width in settings.widths),
        *(gradient("depth", depth, sizes, few) for depth, sizes in deep),
        *(Point("batch", size, own, one_pass(one_of(own), size, few), work) for size in settings.batch_sizes),
    ]


def whole_chunks(num_examples: int) -> int:
    """Rounded down to whole chunks, where there is one: a rest would be a program, and memory, of its own.

    >>> whole_chunks(7500), whole_chunks(937)
    (7000, 937)
    """
    return num_examples // CHUNK * CHUNK or num_examples


def seconds_of(points: list[Point], num_rounds: int) -> np.ndarray:
    """(rounds, points): the median seconds of every call, all in turn."""
    calls = {}
    for index, point in enumerate(points):
        start = jax.device_put(problem.random_parameters(models.mlp(point.sizes)), jax.devices()[0])
        calls[f"{index}"] = partial(point.call, start)
    rounds = []
    for number in range(num_rounds):
        runs.console.print(f"timing, round {number + 1} of {num_rounds} ...")
        rounds.append(list(runs.seconds_each(calls).values()))
    return np.array(rounds)


def counts_of(posed: Problem, points: list[Point]) -> tuple[np.ndarray, ...]:
    """By formula and by XLA: operations of one example of every network, and of N examples at once; memory."""

    def ask(sizes: tuple[int, ...], num_examples: int, chunk_size: int | None) -> Count:
        other = posed._replace(model=posed.mlp(sizes))  # pyright: ignore[reportOptionalCall]
        shapes = shapes_of(other.model, posed.train, num_examples)
        return count(gradient_of(other.example_cost, chunk_size), *shapes)

    networks = dict.fromkeys(point.sizes for point in points)
    own = [(point.sizes, point.x) for point in points if point.sweep == "examples"]
    at_once, chunked = ([ask(*each, chunk) for each in own] for chunk in (None, CHUNK))
    found = (
        [flops_by_formula(sizes) for sizes in networks],
        [ask(sizes, COUNTED, None).flops / COUNTED for sizes in networks],
        [flops_by_formula(sizes) * size for sizes, size in own],
        [each.flops for each in at_once],
        [each.bytes for each in at_once],
        [each.bytes for each in chunked],
    )
    return tuple(np.array(each, float) for each in found)


def measure(problem: Problem, settings: Settings) -> Result:
    """Times and counts, on one device."""
    require(problem.mlp is not None, "complexity counts plain layers of many sizes; leave out --model")
    have = len(problem.train.inputs)
    require(have >> settings.halvings >= 1, f"--halvings is {settings.halvings}; there are only {have} training images")
    on_one = problem._replace(train=jax.device_put(problem.train, jax.devices()[0]))
    points = points_of(on_one, experiment.sizes_for(settings, problem.train), settings)
    timed = [np.array([getattr(point, name) for point in points]) for name in ("x", "flops")]
    return Result(
        tuple(point.sweep for point in points),
        timed[0],
        timed[1].astype(float),
        seconds_of(points, settings.num_seeds),
        *counts_of(on_one, points),
    )


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """C32 and E18, from theory; only for the film's network and MNIST."""
    if not settings.is_the_films:
        return
    x, last = result.x[result.large], slice(-HALVINGS - 1, None)
    ratios = np.concatenate([
        result.network_flops / result.network_formula, result.examples_flops / result.examples_formula
    ])  # fmt: skip
    yield prediction("C32", "the time of a full-batch gradient grows in proportion to N, from 7,000 to 60,000 images",
                     np.median(result.slopes), about(1, by=0.05), "slope, log-log, median", "N equal pieces of "
                     "work")  # fmt: skip
    yield prediction("C32", "so does the memory for all examples at once",
                     fits.log_log_slope(x, result.at_once_bytes[last]), about(1, by=0.05), "slope, log-log",
                     "activations of all examples")  # fmt: skip
    yield prediction("C32", "in chunks it does not grow", fits.log_log_slope(x, result.chunked_bytes[last]),
                     about(0, by=0.05), "slope, log-log", "activations of one chunk")  # fmt: skip
    yield prediction("E18", "one example's gradient takes 52.7 thousand operations, as XLA counts them",
                     result.network_flops[0] / 1000, about(52.672, share=0.1), "kFLOP", "4 a weight, 2 more behind the "
                     "first layer")  # fmt: skip
    yield prediction("E18", "XLA counts what the formula says, for every width, depth and N", 1 + worst(ratios - 1),
                     about(1, by=0.1), "counted / formula, farthest from 1", "the same formula")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """Time in N, and how it grows with width, depth and batch size."""
    seconds, x = np.median(result.seconds, axis=0), result.x
    whole, batches = int(result.of("examples")[-1]), result.of("batch")
    parts = []
    for name in ("width", "depth"):
        first, last = result.of(name)[[0, -1]]
        work, took = result.flops[last] / result.flops[first], seconds[last] / seconds[first]
        parts.append(f"{name} {x[first]} to {x[last]}: {work:.3g} times the operations in {took:.3g} times the time")
    rate = result.flops[whole] / seconds[whole] / 1e9
    return (
        f"The gradient over {x[whole]:,} images takes {1000 * seconds[whole]:.0f} ms ({rate:.0f} GFLOP/s), slope in N "
        f"{np.median(result.slopes):.2f}; {'; '.join(parts)}; a pass in batches of {x[batches[0]]} takes "
        f"{seconds[batches[0]] / seconds[batches[-1]]:.3g} times that in batches of {x[batches[-1]]:,}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """Time, memory and operations against data, network and batch."""
    return {"complexity": drawn.page(result, settings.depth_width, settings.num_images)}
