"""How much data does the network need?

The film's closing point is that learning like this needs a lot of labelled examples. Two recipes are trained, Nielsen's
(784-30-10, cross-entropy), whose nine numbers are known, and the film's network with the film's cost, on N of the
images, N = 100 to 50,000, with as many steps of 10 images for every N: Nielsen's with his 150,000 and his weight decay,
the film's with 30,000. His numbers are one run each, on the first N images, judged by 10,000 further training images;
here every seed draws its own N images, each set within the next, and the 10,000 test images judge.

Run:     python -m experiments data_need [--quick | --full]
Time:    default 40 s, --quick 10 s, --full 2.5 to 3.5 min on 2 cores, compilation included
Result:  784-30-10 comes within 0.7 points of Nielsen's numbers from N = 1,000 on, within 3.3 below (means of 5 seeds).
         Its error falls as N^-0.30 (his: N^-0.345), better described by 3.2 % + 232 % N^-0.49.
"""

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, MinLen, MultipleOf
from jaxtyping import Float, Int

from experiments.common import descents, experiment, plots, runs, teaching
from experiments.common.bounds import Count, require, rising, typed
from experiments.common.claims import Claims, about, at_least, prediction, within, worst
from experiments.common.problem import Problem
from experiments.common.teaching import BATCH, Recipe
from research import fits

SIZES = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
NIELSENS = (69.09, 76.37, 85.29, 88.85, 91.27, 93.24, 94.89, 95.85, 95.97)  # fig/more_data.json of his book
NIELSENS_STEPS = 150_000


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the trainings; every seed has its own start and its own images."""

    num_seeds: Count = 5
    """How many runs for every size."""
    sizes: Annotated[tuple[int, ...], Ge(BATCH), MinLen(2), rising] = SIZES
    """Training images; those beyond the data set are left out."""
    num_steps: Annotated[int, Ge(10), MultipleOf(10)] = 30_000
    """Nielsen's recipe: steps of 10 images for every size; his are 150,000."""
    films_steps: Annotated[int, Ge(10), MultipleOf(10)] = 30_000
    """The film's network: the same."""


QUICK = Settings(num_seeds=2, sizes=(100, 1000, 10_000, 50_000), num_steps=3000, films_steps=3000)
FULL = Settings(num_steps=NIELSENS_STEPS)


class Result(NamedTuple):
    """Accuracy on the test set of both recipes, Nielsen's and the film's."""

    sizes: Int[np.ndarray, "sizes"]
    accuracy: Float[np.ndarray, "recipes sizes seeds"]  # per cent
    labels: tuple[str, ...]
    num_test: int


def accuracy_by_size(recipe: Recipe, settings: Settings, sizes: list[int], num_steps: int) -> np.ndarray:
    """(sizes, seeds): accuracy on the test set after so many steps on so many images."""
    problem, method, starts = recipe
    rngs = [np.random.default_rng([settings.seed, index]) for index in range(settings.num_seeds)]
    orders = [rng.permutation(len(problem.train.inputs)) for rng in rngs]
    pairs = [(rng, order[:size]) for size in sizes for rng, order in zip(rngs, orders, strict=True)]
    rows = np.stack([teaching.rows_of(rng, chosen, num_steps) for rng, chosen in pairs])
    loop = descents.minibatch_legs(problem, method, lambda posed, data, state: posed.accuracy(state.params, data[1]))
    chunks = [(part,) for part in np.split(rows[:, None], 10, axis=2)]
    state, data = teaching.begin(method.optimizer, starts, len(sizes)), (problem.train, problem.test)
    run = runs.descend(f"more data, {method.label}"[:28], loop, state, data, chunks)
    return run.history.observed[:, -1].reshape(len(sizes), settings.num_seeds)


def measure(problem: Problem, settings: Settings) -> Result:
    count = len(problem.train.inputs)
    sizes = [size for size in settings.sizes if size <= count]
    too_few = f"there are {count} training images, so give two or more sizes of at most {count}"
    require(len(sizes) >= 2, f"{typed('--sizes', settings.sizes)}: {too_few}")
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    recipes = (teaching.nielsens(problem, init_keys), teaching.films(problem, init_keys))
    steps = (settings.num_steps, settings.films_steps)
    found = [accuracy_by_size(recipe, settings, sizes, count) for recipe, count in zip(recipes, steps, strict=True)]
    labels = tuple(recipe.method.label for recipe in recipes)
    return Result(np.array(sizes), 100 * np.stack(found), labels, len(problem.test.inputs))


def claims(result: Result, settings: Settings) -> Claims:
    """T42 and E13; Nielsen's numbers are asked for only on MNIST, where the steps are as many as his."""
    mnist = settings.dataset == "mnist"
    for network, mean, asked in zip(("784-30-10", "the film's network"), result.accuracy.mean(axis=2),
                                    (mnist, settings.is_the_films), strict=True):  # fmt: skip
        if asked:
            yield prediction("T42", f"more data, better answers, at every size: {network}", np.diff(mean).min(),
                             at_least(0), "% points, smallest growth of the mean", "the film")  # fmt: skip
    if not mnist or settings.num_steps != NIELSENS_STEPS or result.sizes.tolist() != list(SIZES):
        return
    mean, source = result.accuracy[0].mean(axis=1), "Nielsen, more_data.json"
    off, large = mean - np.array(NIELSENS), result.sizes >= 1000
    for where, chosen, by in (("of 1,000 or more", large, 2), ("below 1,000", ~large, 5)):
        yield prediction("E13", f"784-30-10, N {where}: accuracy less Nielsen's", worst(off[chosen]), about(0, by=by),
                         f"% points, mean of the seeds, worst of {chosen.sum()} sizes", source)  # fmt: skip
    _, exponent, fit = fits.power_law(result.sizes, 100 - mean)
    _, his, _ = fits.power_law(result.sizes, 100 - np.array(NIELSENS))
    yield prediction("E13", "the error falls as N^-b, b as in Nielsen's nine numbers", exponent,
                     within(his - 0.05, his + 0.05, round(his, 3)), "b, from the mean of the seeds",
                     source)  # fmt: skip
    yield prediction("E13", "a power law explains most of how the error falls with N",
                     fit, within(0.95, 1), "R^2 of the logarithms", "Meir et al. arXiv:2211.08430")  # fmt: skip


def law(sizes: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """(a, b, c) of errors = a + b N^-c by least squares of the logarithms: a from a fine grid, the rest a power law.

    >>> [round(number, 2) for number in law(np.array([1.0, 4.0, 16.0]), 3 + np.array([2.0, 1.0, 0.5]))]
    [3.0, 2.0, 0.5]
    """
    floors = (errors.min() * np.arange(0, 1, 1e-3)).tolist()
    tried = [(floor, *fits.power_law(sizes, errors - floor)[:2]) for floor in floors]
    return min(tried, key=lambda found: np.sum(np.log((found[0] + found[1] * sizes ** -found[2]) / errors) ** 2))


def laws(result: Result) -> list[tuple[float, float, float]]:
    """Each recipe's law of the mean errors, at least half an image, so that they have a logarithm."""
    least = 50 / result.num_test
    return [law(result.sizes, np.maximum(100 - each.mean(axis=1), least)) for each in result.accuracy]


def finding(result: Result, settings: Settings) -> str:
    first, last = result.accuracy.mean(axis=2)[:, [0, -1]].T
    said = [f"{floor:.1f} % + {height:.0f} % N^-{exponent:.2f}" for floor, height, exponent in laws(result)]
    return (
        f"{result.sizes[0]:,} images give {result.labels[0]} {first[0]:.1f} % right answers, {result.sizes[-1]:,} give "
        f"{last[0]:.1f} %; {result.labels[1]} {first[1]:.1f} % and {last[1]:.1f} % (means; "
        f"{settings.num_steps:,} and {settings.films_steps:,} steps). The errors are about {said[0]} and {said[1]}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(11.5, 6.8)
    axis, sizes, all_steps = axes[0, 0], result.sizes, (settings.num_steps, settings.films_steps)
    fine = np.geomspace(sizes[0], sizes[-1], 200)
    for series, (floor, height, exponent) in enumerate(laws(result)):
        error, colour = 100 - result.accuracy[series], plots.COLOURS[series]
        mean, label = error.mean(axis=1), result.labels[series].replace(", ", ",\n")
        axis.errorbar(sizes, mean, [mean - error.min(axis=1), error.max(axis=1) - mean], fmt="os"[series],
                      color=colour, elinewidth=1.2)  # fmt: skip
        label += f"\n{all_steps[series]:,} steps of 10\nfit: ${floor:.1f} + {height:.0f} N^{{-{exponent:.2f}}}$"
        axis.plot(fine, floor + height * fine**-exponent, color=colour, linestyle=plots.LINES[series], linewidth=1.5,
                  label=label)  # fmt: skip
    if settings.dataset == "mnist":
        axis.plot(SIZES, 100 - np.array(NIELSENS), "x", color="k", markersize=9, markeredgewidth=2, zorder=5)
        plots.note(axis, "crosses: Nielsen's\nnine numbers", (SIZES[-3], 100 - NIELSENS[-3]), (-12, -4))
    plots.panel(axis, x="training images N", y=f"wrong answers on {result.num_test:,} test images, %",
                log_x=sizes.tolist(), log_y=(2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70))  # fmt: skip
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    first, last = (100 - result.accuracy[0, place].mean() for place in (0, -1))
    headline = (f"More data, fewer errors: {result.labels[0]} makes {first:.1f} % wrong answers with {sizes[0]:,} "
                f"images, {last:.1f} % with {sizes[-1]:,}")  # fmt: skip
    return {"data_need": plots.headline(figure, headline, "points and the numbers above: means, with the range")}
