"""How much better does it get if more and more examples are asked?

From the same starts the network takes equally many steps of 10 examples: of one 2 alone, of a 2 and a 5, of one of each
digit, of a hundred, a thousand, and of all. A batch of fewer than ten examples holds each of them several times. What
every test digit is then called is counted.

Run:     python -m experiments more_and_more [--quick | --full]
Time:    default 12 s, --quick 7 s, --full 30 s on 2 cores, compilation included
Result:  taught by one 2 alone the network is right about the 2s and nothing else, 10 %; by a 2 and a 5 15 %, by one of
         each digit 45 % (38 to 52), by 100 examples 69 %, 1,000 87 %, all 93 % (medians of 10 seeds, equal steps).
"""

import dataclasses
import math
from typing import Annotated, NamedTuple

import numpy as np
import optax
from annotated_types import Ge, Gt, MultipleOf
from jax import Array
from jaxtyping import Float, Int

from experiments.common import descents, experiment, plots, runs, teaching
from experiments.common.bounds import Count
from experiments.common.claims import Claims, about, at_least, prediction, within
from experiments.common.descents import Method
from experiments.common.problem import Problem
from experiments.common.teaching import BATCH, FILMS_RATE
from research.training import TrainState


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How many runs, each with its own start and its own examples."""
    learning_rate: Annotated[float, Gt(0)] = FILMS_RATE
    """Learning rate; Nielsen's 3.0, who differentiates with a 1/2 that the film's cost does not have."""
    num_steps: Annotated[int, Ge(10), MultipleOf(10)] = 6000
    """Steps of 10 examples; 6,000 are one epoch."""


QUICK = Settings(num_seeds=1, num_steps=3000)
FULL = Settings(num_seeds=10, num_steps=30_000)


class Result(NamedTuple):
    """Confusion matrices at the end, for every number of examples listened to."""

    sizes: Int[np.ndarray, "sizes"]
    confusion: Float[np.ndarray, "sizes seeds true called"]
    classes: tuple[int, ...]  # in the order in which they are listened to

    @property
    def right(self) -> np.ndarray:
        """(sizes, seeds): right answers in per cent, the diagonal's sum."""
        return 100 * np.trace(self.confusion, axis1=-2, axis2=-1)


def measure(problem: Problem, settings: Settings) -> Result:
    """One, two, one of each class, 100, 1,000, all examples; all sizes and all seeds are runs of one descent."""
    num_examples, num_classes = problem.train.targets.shape
    sizes = sorted({size for size in (1, 2, num_classes, 100, 1000, num_examples) if size <= num_examples})
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    orders, classes = teaching.listening(problem, settings)
    rng = np.random.default_rng(settings.seed)
    rows = np.stack([teaching.rows_of(rng, order[:size], settings.num_steps) for size in sizes for order in orders])
    method = Method("more and more examples", BATCH, optax.sgd(settings.learning_rate))
    state = teaching.begin(method.optimizer, descents.starts(problem, init_keys), len(sizes))

    def confusion(problem: Problem, shared: tuple, state: TrainState) -> Array:
        return teaching.confusion(problem.model.apply, state.params, shared[1])

    loop, parts = descents.minibatch_legs(problem, method, confusion), np.split(rows[:, None], 10, axis=2)
    run = runs.descend(method.label, loop, state, (problem.train, problem.test), [(part,) for part in parts])
    found = run.history.observed[:, -1].reshape(len(sizes), len(orders), num_classes, num_classes)
    return Result(np.array(sizes), found, tuple(classes))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    truth, answers = (result.confusion.sum(axis=axis) for axis in (-1, -2))  # sizes, seeds, classes
    others = 100 * (1 - answers[1][:, list(result.classes[:2])].sum(axis=1))
    yield prediction("T27", f"after {settings.num_steps:,} steps on one 2 the network is right about the 2s and "
                     "nothing else", result.right[0].mean(), about(100 * float(truth[0, 0, 2]), by=1),
                     "% correct, mean", "the film")  # fmt: skip
    yield prediction("T27", "listening to a 2 and a 5, it calls hardly any test image anything else", others.max(),
                     within(0, 1), "% called otherwise, largest", "the film, for two")  # fmt: skip
    yield prediction("T28", "listening to more examples makes it better, every time: 1, 2, one of each, 100, 1,000, "
                     "all", np.diff(np.median(result.right, axis=1)).min(), at_least(0),
                     "% points, smallest growth of the median", "the film")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    sizes = ", ".join(f"{size:,}" for size in result.sizes)
    right = ", ".join(f"{percent:.0f}" for percent in np.median(result.right, axis=1))
    return (
        f"{settings.num_steps:,} steps on {sizes} examples give {right} % right answers on the test images (medians)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    right, num_sizes, (first, second, *_) = result.right, len(result.sizes), result.classes
    lower = [f"size {size}" for size in result.sizes]
    figure, axes = plots.new_mosaic(14, 7.5, [["top"] * num_sizes, lower], height_ratios=(1.5, 1))
    top, places, middle = axes["top"], np.arange(num_sizes), np.median(right, axis=1)
    plots.seed_band(top, places, right.T, 0, "")
    top.plot(places, right, "o", color=plots.COLOURS[0], alpha=0.4, markersize=4)
    for place, percent in enumerate(middle):
        plots.note(top, f"{percent:.0f} %", (place, percent), (-22, 8), ha="center", fontweight="bold", fontsize=11)
    top.set(xlim=(-0.5, num_sizes - 0.5), ylim=(0, 105), ylabel="correct on the test images, %")
    *some, everyone = result.sizes.tolist()
    words = {1: f"one {first}", 2: f"a {first} and a {second}", len(result.classes): "one of each"}
    top.set_xticks(places, [*(words.get(size, f"{size:,} examples") for size in some), f"all {everyone:,}"])
    for name, matrices in zip(lower, result.confusion, strict=True):
        panel, matrix = axes[name], matrices.mean(axis=0)
        ticks = range(0, len(matrix), math.ceil(len(matrix) / 10))
        panel.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Greys", vmin=0, vmax=1)
        panel.grid(False)
        panel.tick_params(length=0, labelsize=8)
        panel.set(xticks=ticks, yticks=ticks)
        panel.set_xlabel("... is called", fontsize=9)
    axes[lower[0]].set_ylabel("a test image of this digit ...", fontsize=9)
    title = f"All must be asked: taught by one {first} alone the network calls everything a {first} and "
    says = f"is right {middle[0]:.0f} % of the time, taught by everyone {middle[-1]:.0f} %"
    foot = f"{settings.num_steps:,} steps of {BATCH} examples each; median and range\n"
    foot += "squares: black where all images of a digit are called the same, mean of the seeds"
    return {"more_and_more": plots.headline(figure, title + says, foot)}
