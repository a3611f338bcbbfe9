"""How does the critical batch size move as the cost to come down to falls?

batch_frontier fitted one hyperbola, S = S_min (1 + B_crit / B), to the steps that batches of B take down to one cost.
McCandlish et al. (arXiv:1812.06162) expect one for every cost, and a B_crit that rises as the cost falls: the gradient
G shrinks faster than the single examples' gradients scatter, so that the noise scale B_simple = tr Sigma / |G|^2 grows.
Here the same race (experiments/common/race.py) is held down to four costs from the same starts, and B_simple is
measured on every way down. It reads 4,000 images, so that the full batch is cheap.

Run:     python -m experiments critical_batch [--quick | --full]
Time:    default 90 s, --quick 15 s, --full 100 s, on 2 cores, compilation included
Result:  (8 starts) B_crit is 9, 8, 10, 14 down to the costs 0.8, 0.6, 0.4, 0.3; B_simple, the mean of the way, does not
         grow but falls, 123 to 75: 14 to 5.5 times that, for every way leads over the plateau. Four claims do not hold:
         within a factor of 5.
"""

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, MinLen

from experiments.common import plots, race, runs
from experiments.common.bounds import Count, below_train, falling, of_train, rising
from experiments.common.claims import Claims, at_least, follow_up, prediction, within
from experiments.common.problem import Problem
from research import fits

IMAGES = 4000
WHY = (
    "finding: every way leads over the plateau, where G is small, hence B_simple large, but the rate, not the noise, "
    "limits a step; a race that begins behind it decides (past_the_plateau: within the factor)"
)


@dataclasses.dataclass(frozen=True)
class Settings(race.Settings):
    num_examples: Annotated[int | None, Ge(1), of_train] = IMAGES
    """Training images, from the first on: the full batch."""
    num_seeds: Count = 2
    """How many starts are counted; two more, by which rates are chosen, are not."""
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(3), rising, below_train] = (2, 8, 32, 128, 512)
    """Batch sizes; the full batch comes besides."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(3), rising] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """The grid of learning rates, the same for every batch size and every target."""
    targets: Annotated[tuple[float, ...], Gt(0), MinLen(2), falling] = (0.8, 0.6, 0.4, 0.3)
    """The costs to come down to. At the start it is about 2.7; where all outputs are 0.1, it is 0.9."""
    target: Annotated[float, Gt(0)] = 0.8
    """Not used: each of --targets takes its place in turn."""
    max_steps: Annotated[int, Ge(race.LOOK_EVERY)] = 3000
    """Steps after which a run is given up; small batches may take as many as one pass over the images."""


QUICK = Settings(
    num_seeds=1, num_examples=1000, batch_sizes=(2, 16, 128), learning_rates=(1.0, 2.0, 4.0), targets=(0.8, 0.6)
)
FULL = Settings(num_seeds=8)


class Result(NamedTuple):
    races: tuple[race.Race, ...]  # one for each target


def measure(problem: Problem, settings: Settings) -> Result:
    starts, shuffle_keys = race.begin(problem, settings)
    races = []
    for target in settings.targets:
        runs.console.print(f"down to cost {target:g} ...")
        races.append(race.hold(problem, dataclasses.replace(settings, target=target), starts, shuffle_keys))
    return Result(tuple(races))


def critical_sizes(result: Result) -> np.ndarray:
    """B_crit of every target: of the medians' hyperbola."""
    return np.array([run.hyperbola.critical for run in result.races])


def noise_scales(result: Result) -> np.ndarray:
    """B_simple of every target: mean of the way, median of the seeds."""
    return np.array([run.noise_scale for run in result.races])


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films or result.races[0].sizes[-1] < IMAGES:
        return
    source, critical = "McCandlish et al. arXiv:1812.06162", critical_sizes(result)
    grid = np.array(settings.learning_rates, np.float32)  # as it was tried
    rates = np.concatenate([run.rates for run in result.races])
    for target, run in zip(settings.targets, result.races, strict=True):
        down = f"down to cost {target:g}"
        yield prediction("E9", f"{down} steps against batch size lie on a hyperbola", run.hyperbola.explained,
                         within(0.95, 1, 1), "share of the variance of log S, medians", source)  # fmt: skip
        yield follow_up("E9", f"{down} B_simple over B_crit is within a factor of 5", run.over_critical,
                        within(0.2, 5, 1), "ratio; B_simple: mean of the way, median",
                        f"{source}; the factor: a wish", WHY)  # fmt: skip
    yield prediction("E9", f"B_crit is larger for the cost {settings.targets[-1]:g} than for {settings.targets[0]:g}",
                     critical[-1] / critical[0], at_least(1), "ratio", f"{source}: they expect the noise scale "
                     "to grow as the cost falls")  # fmt: skip
    yield prediction("E9", "every batch size has its best learning rate inside the grid, for every target",
                     np.mean((rates > grid.min()) & (rates < grid.max())), at_least(1),
                     "share of the batch sizes and targets", "else a better rate may lie outside")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    listed = lambda numbers, form: ", ".join(format(number, form) for number in numbers)
    return (
        f"Down to the costs {listed(settings.targets, 'g')} B_crit is {listed(critical_sizes(result), '.0f')} and the "
        f"noise scale on the way {listed(noise_scales(result), '.0f')} (medians of {settings.num_seeds} starts, a look "
        f"every {race.LOOK_EVERY} examples)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[left, right]] = plots.new_figure(14, 5.6, columns=2)
    targets, critical, every_start = np.array(settings.targets), critical_sizes(result), []
    for series, (target, run) in enumerate(zip(targets, result.races, strict=True)):
        sizes, _ = run.medians()
        steps = run.steps[np.isin(run.sizes, sizes)]
        plots.seed_points(left, sizes, steps.T, series % 5)
        fine = np.geomspace(sizes[0], sizes[-1], 200)
        left.plot(fine, run.hyperbola.at(fine), color=plots.COLOURS[series % 5], label=f"to cost {target:g}")
        every_start.append([fits.hyperbola(sizes, of_one).critical for of_one in steps.T])
    noise = [run.noise.mean(axis=1) for run in result.races]
    for dots, middle, line, colour, label in (
        (every_start, critical, "o-", plots.COLOURS[4], "B_crit, fitted"),
        (noise, noise_scales(result), "s--", plots.COLOURS[6], "B_simple, measured"),
    ):
        right.plot(targets, np.array(dots), ".", color=colour, alpha=0.5)
        right.plot(targets, middle, line, color=colour, label=label)
    right.invert_xaxis()
    ticks = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
    plots.panel(left, "Steps, and the hyperbola S = S_min (1 + B_crit / B)", "batch size B", "steps to that cost",
                log_x=(*settings.batch_sizes, IMAGES), log_y=ticks)  # fmt: skip
    plots.panel(right, "Critical batch size and noise scale", "cost to come down to (falls to the right)",
                "batch size", log_x=settings.targets, log_y=ticks)  # fmt: skip
    headline = (
        f"The critical batch size is {critical[0]:.0f} down to cost {targets[0]:g} and {critical[-1]:.0f} down to "
        f"{targets[-1]:g}: batches larger than that save at most half of its steps"
    )
    foot = "left: median and range of the starts, right: median and every start; rates chosen on two others"
    return {"critical_batch": plots.headline(figure, headline, foot)}
