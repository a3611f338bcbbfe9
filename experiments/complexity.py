"""How do time, work and memory grow with the data, the network and the batch?

A reader of the film asks for the complexity. The gradient over N images is timed for N up to all of them; networks with
more neurons and with more layers; one pass over the images in batches of every size. Beside the seconds stand the
operations, by formula (forwards 2 for every weight, backwards 2 for its own slope, and 2 for what is handed on to the
layer before, which the first layer saves) and as XLA counts them, and the memory that XLA sets aside: for all images at
once, and in chunks. Contestants in turn, medians, compilation left out; num_seeds is how often all is timed.

Run:     python -m experiments.complexity [--quick | --full]
Time:    default 25 s, --quick 11 s, --full 55 s on 2 cores, compilation included
Result:  proportional to N: slope 1.02 from 7,000 to 60,000 images, 50 ms (64 GFLOP/s, medians of 10 rounds); XLA
         counts 54.6 thousand operations an example, the formula 52.7; memory 202 MB at once, 3.4 MB in chunks, whatever
         N; 32 times the width takes 24 times the time, batches of one 3 times as long a pass as batches of 1,000
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import PyTree

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from experiments.figures import complexity as figures
from research import data, gradients, models, training
from research.data import Examples

NAME = Path(__file__).stem
COUNTED = 100  # examples over which XLA counts the operations of a network
HALVINGS = 3  # the slope in N is that between all images and 1/8 of them


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the timings."""

    num_seeds: int = 3
    """How often all is timed, 1 or more; each time the median of three."""
    halvings: int = 6
    """N is all training images, 1/2, 1/4, ... of them: how many times halved, 3 or more."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    """Neurons of a single hidden layer, 1 or more."""
    depths: tuple[int, ...] = (1, 2, 4, 8)
    """How many hidden layers of --depth-width neurons, 1 or more."""
    depth_width: int = 128
    """Neurons of each of these layers, 1 or more."""
    batch_sizes: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000)
    """Examples a step, 1 up to --num-examples."""
    num_examples: int = 4000
    """Images over which other networks and other batches are timed, 1 up to all."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.halvings >= HALVINGS, f"--halvings is {self.halvings}; it must be {HALVINGS} or more")
        for name, values in (
            ("--widths", self.widths),
            ("--depths", self.depths),
            ("--depth-width", (self.depth_width,)),
            ("--batch-sizes", self.batch_sizes),
            ("--num-examples", (self.num_examples,)),
        ):
            given = ", ".join(map(str, values)) or "empty"
            common.require(
                len(values) > 0 and min(values) >= 1, f"{name} is {given}; give one or more, each at least 1"
            )
        common.require(
            max(self.batch_sizes) <= self.num_examples,
            f"--batch-sizes has {max(self.batch_sizes)}; with --num-examples {self.num_examples} none may be larger",
        )


QUICK = Settings(num_seeds=2, halvings=3, widths=(16, 64, 256), depths=(1, 4), batch_sizes=(1, 10, 100, 1000))
FULL = Settings(num_seeds=10, halvings=9, num_examples=10_000)


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
    x: int  # what is varied in this sweep
    sizes: tuple[int, ...]
    call: Callable[[models.Params], PyTree]
    flops: int  # of the call, by formula


def points_of(settings: Settings, cost_fn: Callable, train: Examples) -> list[Point]:
    """Everything that is timed; `train` lies on one device."""
    own = settings.sizes_for(train)
    few = common.first(train, settings.num_examples)
    ends = own[0], own[-1]

    def one_of(sizes: tuple[int, ...]) -> Callable:
        return gradients.example_cost(models.mlp(sizes, *common.activations(settings)).apply, cost_fn)

    def gradient(sweep: str, x: int, sizes: tuple[int, ...], examples: Examples) -> Point:
        fun = jax.jit(gradient_of(one_of(sizes), descents.CHUNK))
        flops = flops_by_formula(sizes) * len(examples.inputs)
        return Point(sweep, x, sizes, lambda params: fun(params, examples), flops)

    halved = [whole_chunks(len(train.inputs) >> times) for times in range(settings.halvings, -1, -1)]
    deep = [(depth, (ends[0], *(settings.depth_width,) * depth, ends[1])) for depth in settings.depths]
    work = flops_by_formula(own) * settings.num_examples
    return [
        *(gradient("examples", size, own, common.first(train, size)) for size in halved),
        *(gradient("width", width, (ends[0], width, ends[1]), few) for width in settings.widths),
        *(gradient("depth", depth, sizes, few) for depth, sizes in deep),
        *(Point("batch", size, own, one_pass(one_of(own), size, few), work) for size in settings.batch_sizes),
    ]


def whole_chunks(num_examples: int) -> int:
    """Rounded down to whole chunks, where there is one: a rest would be a program, and memory, of its own.

    >>> whole_chunks(7500), whole_chunks(937)
    (7000, 937)
    """
    return num_examples // descents.CHUNK * descents.CHUNK or num_examples


def seconds_of(settings: Settings, points: list[Point]) -> np.ndarray:
    """(seeds, points): the median seconds of every call, all in turn; as often as there are seeds."""
    calls = {}
    for index, point in enumerate(points):
        start = jax.device_put(common.random_parameters(models.mlp(point.sizes)), jax.devices()[0])
        calls[f"{index}"] = partial(point.call, start)
    rounds = []
    for number in range(settings.num_seeds):
        runs.console.print(f"timing, round {number + 1} of {settings.num_seeds} ...")
        rounds.append(list(runs.seconds_each(calls).values()))
    return np.array(rounds)


def counts_of(settings: Settings, cost_fn: Callable, train: Examples, points: list[Point]) -> dict[str, np.ndarray]:
    """By XLA: operations of one example of every network, and of N examples at once; memory, at once and in chunks."""

    def ask(sizes: tuple[int, ...], num_examples: int, chunk_size: int | None) -> Count:
        model = models.mlp(sizes, *common.activations(settings))
        one = gradients.example_cost(model.apply, cost_fn)
        return count(gradient_of(one, chunk_size), *shapes_of(model, train, num_examples))

    networks = dict.fromkeys(point.sizes for point in points)
    own = [(point.sizes, point.x) for point in points if point.sweep == "examples"]
    at_once, chunked = ([ask(*each, chunk) for each in own] for chunk in (None, descents.CHUNK))
    return {
        "network_formula": np.array([flops_by_formula(sizes) for sizes in networks]),
        "network_flops": np.array([ask(sizes, COUNTED, None).flops / COUNTED for sizes in networks]),
        "examples_formula": np.array([flops_by_formula(sizes) * size for sizes, size in own]),
        "examples_flops": np.array([each.flops for each in at_once]),
        "at_once_bytes": np.array([each.bytes for each in at_once]),
        "chunked_bytes": np.array([each.bytes for each in chunked]),
    }


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """The slope of log y against log x, by least squares.

    >>> round(slope(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0])), 6)
    2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def large(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Which points have N from 1/8 of all images on."""
    mine = arrays["sweep"] == "examples"
    return mine & (arrays["x"] >= whole_chunks(int(arrays["x"][mine].max()) >> HALVINGS))


def make_claims(settings: Settings, arrays: dict[str, np.ndarray]) -> list[Claim]:
    """Every claim with its bounds, from theory; only for the film's network and MNIST."""
    if not common.is_the_films(settings):
        return []
    claim = partial(Claim, num_seeds=settings.num_seeds)
    chosen = large(arrays)
    x = arrays["x"][chosen]
    slopes = [slope(x, seconds[chosen]) for seconds in arrays["seconds"]]
    last = slice(-HALVINGS - 1, None)
    ratios = np.concatenate([
        arrays["network_flops"] / arrays["network_formula"], arrays["examples_flops"] / arrays["examples_formula"]
    ])  # fmt: skip
    return [
        claim("C32", "the time of a full-batch gradient grows in proportion to N, from 7,000 to 60,000 images",
              float(np.median(slopes)), 1.0, 0.95, 1.05, "slope, log-log, median"),
        claim("C32", "so does the memory for all examples at once",
              slope(x, arrays["at_once_bytes"][last].astype(float)), 1.0, 0.95, 1.05, "slope, log-log", num_seeds=1),
        claim("C32", "in chunks it does not grow",
              slope(x, arrays["chunked_bytes"][last].astype(float)), 0.0, -0.05, 0.05, "slope, log-log", num_seeds=1),
        claim("E18", "one example's gradient takes 52.7 thousand operations, as XLA counts them",
              float(arrays["network_flops"][0]) / 1000, 52.672, 0.9 * 52.672, 1.1 * 52.672, "kFLOP", num_seeds=1),
        claim("E18", "XLA counts what the formula says, for every width, depth and N",
              1 + records.worst(ratios - 1), 1.0, 0.9, 1.1, "counted / formula, farthest from 1", num_seeds=1),
    ]  # fmt: skip


def sentence(arrays: dict[str, np.ndarray]) -> str:
    """What was found, in one sentence."""
    seconds, x = np.median(arrays["seconds"], axis=0), arrays["x"]
    whole = int(np.flatnonzero(arrays["sweep"] == "examples")[-1])
    batches = np.flatnonzero(arrays["sweep"] == "batch")
    parts = []
    for name in ("width", "depth"):
        first, last = np.flatnonzero(arrays["sweep"] == name)[[0, -1]]
        work, took = arrays["flops"][last] / arrays["flops"][first], seconds[last] / seconds[first]
        parts.append(f"{name} {x[first]} to {x[last]}: {work:.3g} times the operations in {took:.3g} times the time")
    slopes = [slope(x[large(arrays)], each[large(arrays)]) for each in arrays["seconds"]]
    return (
        f"The gradient over {x[whole]:,} images takes {1000 * seconds[whole]:.0f} ms "
        f"({arrays['flops'][whole] / seconds[whole] / 1e9:.0f} GFLOP/s), slope in N {np.median(slopes):.2f}; "
        f"{'; '.join(parts)}; a pass in batches of {x[batches[0]]} takes "
        f"{seconds[batches[0]] / seconds[batches[-1]]:.3g} times that in batches of {x[batches[-1]]:,}."
    )


def run(settings: Settings) -> None:
    """Checks first, then times and counts, and leaves run.json and arrays.npz behind."""
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    common.require_images(settings, "--num-examples", settings.num_examples, train)
    common.require(
        len(train.inputs) >> settings.halvings >= 1,
        f"--halvings is {settings.halvings}; {settings.dataset} has only {len(train.inputs)} training images to halve",
    )
    _, cost_fn = common.model_and_cost(settings, train)
    on_one = jax.device_put(train, jax.devices()[0])
    points = points_of(settings, cost_fn, on_one)
    arrays = {
        "sweep": np.array([point.sweep for point in points]),
        "x": np.array([point.x for point in points]),
        "flops": np.array([point.flops for point in points]),
        "seconds": seconds_of(settings, points),
        **counts_of(settings, cost_fn, train, points),
    }
    claims, finding = make_claims(settings, arrays), sentence(arrays)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        arrays,
        **records.describe_data(settings.dataset, train=train),
        layer_sizes=settings.sizes_for(train),
        networks=list(dict.fromkeys(point.sizes for point in points)),
        finding=finding,
    )


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    chosen = large(arrays)
    slopes = np.array([slope(arrays["x"][chosen], seconds[chosen]) for seconds in arrays["seconds"]])
    plots.save(figures.page(record, arrays, slopes), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.complexity"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
