"""Readers of the film ask: in practice, is it not conjugate gradients, BFGS, momentum or Adam that are used?

All go down the same hill, the film's network and cost on some images of MNIST, from the same starts and with as many
gradients, counted in passes over the images: a line that is searched costs every gradient that the search asks for. On
the full batch plain descent, momentum, Nesterov's momentum, Adam, L-BFGS (optax) and nonlinear conjugate gradients
(Polak and Ribiere, scipy); on mini-batches the first four. Each is tuned on two starts that are not counted, by its
rate or by how exactly it searches along lines (Wolfe's second condition, c2). How fragile that is: what either ends at
with the number that the other would choose. Seconds are of one run on one device, compilation apart. --full lets
momentum and Adam begin once more after 20 plain steps, and holds the full batch's race on a quarter of the images too.

Run:     python -m experiments other_optimizers [--quick | --full]
Time:    default 45 s, --quick 13 s, --full 12 min, on 2 cores, compilation included
Result:  (5 starts) 400 full-batch gradients: L-BFGS 0.037, conjugate gradients 0.055, plain descent 0.14; momentum,
         Nesterov and Adam end higher: these claims do not hold, but after 20 plain steps they come to 0.02 to 0.04
         (medians; one start in five of momentum ends at 0.41).
"""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from experiments.common import descents, experiment, optimizers, plots, runs
from experiments.common.bounds import BatchSize, Count, of_train, require
from experiments.common.claims import Claims, at_least, at_most, exactly, follow_up, prediction
from experiments.common.optimizers import BEGUN_LATER, BFGS, CONJUGATE, GROUP, MINIBATCH, PLAIN, Descent, Method, Way
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from experiments.networks import other_optimizers_figures as drawn
from research import data

TUNING_SEEDS = 2  # starts on which the numbers of a grid are compared, beside those that are counted
FROM_THE_START = len(PLAIN) + 2  # methods on the full batch; those after them begin later
BUDGETS = np.array([10, 20, 50, 100, 200, 400])  # evaluations at which descents are compared

WHY = (
    "finding: the first steps, carried on, drive outputs to 0, where a sigmoid has no slope, and digits are never said "
    "(decided by --full, where the same methods begin once more after 20 plain steps)"
)
WHY_LATER = "finding: digits are lost in single starts even then; more starts would say how often"
WHY_FRAGILE = (
    "finding: for most methods the two starts choose different numbers; more tuning starts would say which suits most. "
    "Until then a smaller difference between two methods decides nothing"
)


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 3
    """How many starts are counted; two more, on which all are tuned, are not."""
    num_examples: Annotated[int | None, Ge(2), of_train] = 5000
    """Training images, from the first on."""
    num_evaluations: Annotated[int, Ge(10)] = 100
    """Gradients of the full batch, or passes over the images, that each may take."""
    batch_size: BatchSize = 100
    """Examples in a mini-batch."""
    head_start: Annotated[int, Ge(0)] = 0
    """Plain steps after which momentum, Nesterov's and Adam begin, in three more runs; 0 leaves these out."""
    fewer_examples: Annotated[int, Ge(0), of_train] = 0
    """Images of a second race on the full batch, from the first on; 0 leaves it out."""

    def check(self) -> None:
        require(
            self.head_start < self.num_evaluations,
            f"--head-start is {self.head_start}; it must be below --num-evaluations, {self.num_evaluations}",
        )


QUICK = Settings(num_seeds=1, num_examples=1000, num_evaluations=20)
FULL = Settings(num_seeds=5, num_examples=10_000, num_evaluations=400, head_start=20,
                fewer_examples=2500)  # fmt: skip


class Outcome(NamedTuple):
    label: str
    tuned: Tuned  # costs of the tuning starts: geometric means
    tried: Float[np.ndarray, "tuning grid"]  # the same of each tuning start
    cost: Float[np.ndarray, "seeds evaluations"]  # after 0, 1, 2, ... of them
    seconds: float  # of one evaluation, what goes with it included
    silent: Float[np.ndarray, "seeds"]  # outputs that never exceed 1/2 on an image of their own class, at the end

    @property
    def end(self) -> float:
        return float(np.median(self.cost[:, -1]))

    @property
    def swapped(self) -> float:
        """How many times as high a tuning start ends with the number that suits the other, the worse of the two."""
        choices = self.tried.argmin(axis=1)
        return float((self.tried[:, choices] / self.tried.min(axis=1, keepdims=True)).max())


class Result(NamedTuple):
    full: tuple[Outcome, ...]  # on the full batch
    mini: tuple[Outcome, ...]  # on mini-batches
    fewer: tuple[Outcome, ...]  # on the full batch of fewer images

    def by_label(self) -> dict[str, Outcome]:
        return {outcome.label: outcome for outcome in (*self.full, *self.mini)}


def measure(problem: Problem, settings: Settings) -> Result:
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS)
    starts = jax.tree.map(np.asarray, descents.starts(problem, init_keys))
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_evaluations)
    rows = descents.in_equal_legs(descents.in_batches(order, settings.batch_size), settings.num_evaluations)
    silent, few = optimizers.silence(problem), data.take(problem.train, slice(settings.fewer_examples))

    def on_minibatches(method: Method) -> Outcome:
        way = partial(optimizers.in_minibatches, problem, method)
        return tune(settings, silent, method, optimizers.compiled(problem, way), (starts, rows))

    full, mini = on_full_batch(problem, settings, starts), tuple(map(on_minibatches, MINIBATCH))
    fewer = on_full_batch(problem._replace(train=few), settings, starts) if settings.fewer_examples else ()
    return Result(full, mini, fewer)


def on_full_batch(problem: Problem, settings: Settings, starts: list) -> tuple[Outcome, ...]:
    """All that go down on the full batch, those that begin later last."""
    silent, budget = optimizers.silence(problem), settings.num_evaluations

    def go(way: Callable, method: Method) -> Outcome:
        going = optimizers.compiled(problem, partial(way, problem, method, budget))
        return tune(settings, silent, method, going, (starts,))

    full = [go(optimizers.plain, method) for method in PLAIN]
    full.append(go(optimizers.searching, BFGS))
    full.append(tune(settings, silent, CONJUGATE, optimizers.one_by_one(problem, budget), (starts,)))
    for method in BEGUN_LATER if settings.head_start else ():
        later = optimizers.after_plain_steps(method, full[0].tuned.best, settings.head_start)
        full.append(go(optimizers.plain, later))
    return tuple(full)


def tune(settings: Settings, silent: Callable, method: Method, way: Way, given: tuple) -> Outcome:
    """Chooses the number with which the tuning starts end lowest (mean of the logarithms), then counts the others."""
    budgets, grid = np.arange(settings.num_evaluations + 1), np.array(method.grid)

    def descend(starts: np.ndarray, numbers: np.ndarray) -> tuple[list[Descent], np.ndarray]:
        found = way(data.take(given, starts), numbers)
        return found, np.array([optimizers.at_budgets(descent, budgets) for descent in found])

    _, tried = descend(np.repeat(np.arange(TUNING_SEEDS), len(grid)), np.tile(grid, TUNING_SEEDS))
    ends = np.nan_to_num(tried[:, -1].reshape(TUNING_SEEDS, -1), nan=np.inf)
    tuned = Tuned(grid, np.exp(np.log(ends).mean(axis=0)))
    began = time.perf_counter()
    found, cost = descend(TUNING_SEEDS + np.arange(settings.num_seeds), np.full(settings.num_seeds, tuned.best))
    seconds = runs.seconds_since(began) / one_after_the_other(method, found)
    runs.console.print(f"{method.label}: {tuned.best:g} suits best, cost {np.median(cost[:, -1]):.4f}")
    if not np.isfinite(cost).all():
        raise runs.Diverged(method.label, int(np.argwhere(~np.isfinite(cost))[0][1]))
    digits = np.array([float(silent(descent.end)) for descent in found])
    return Outcome(method.label, tuned, ends, cost, seconds, digits)


def one_after_the_other(method: Method, found: list[Descent]) -> float:
    """How many evaluations one device made for these descents, those that fill up a group included."""
    evaluations = [int(descent.evaluations[-1]) for descent in found]
    if method is CONJUGATE:
        return sum(evaluations)
    filled = -(-len(found) // GROUP) * GROUP - len(found)
    return (sum(evaluations) + filled * evaluations[-1]) / min(GROUP, jax.device_count())


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    by_label, budgets = result.by_label(), BUDGETS[settings.num_evaluations >= BUDGETS]
    bfgs, plain = by_label[BFGS.label].cost, result.full[0].cost
    yield prediction("E15", f"L-BFGS is below plain descent at every budget ({' '.join(map(str, budgets))} gradients "
                     "of the full batch)", (bfgs / plain)[:, budgets].max(), at_most(1), "cost / its cost, largest",
                     "common practice")  # fmt: skip
    for index, outcome in enumerate(result.full[1:], 1):
        kind, why = (prediction, WHY) if index < FROM_THE_START else (follow_up, WHY_LATER)
        yield kind("C20", f"{outcome.label} gets lower than plain descent with as many gradients of the full batch",
                   (outcome.cost[:, -1] / plain[:, -1]).max(), at_most(1), "cost / its cost, largest",
                   "common practice", why=why)  # fmt: skip
    yield prediction("C20", "the search is not fragile: with the number that the other tuning start would choose, a "
                     "start ends at most twice as high", max(outcome.swapped for outcome in by_label.values()),
                     at_most(2), "cost / its lowest, largest of the methods",
                     "a wish: else two starts are too few to choose by", WHY_FRAGILE)  # fmt: skip
    if result.fewer:
        ends = [[outcome.end for outcome in race] for race in (result.full, result.fewer)]
        ranks = np.argsort(np.argsort(ends, axis=1), axis=1)
        yield prediction("C20", f"on {settings.fewer_examples:,} images the methods of the full batch end in the same "
                         "order", np.corrcoef(*ranks)[0, 1], at_least(0.8), "rank correlation of their median costs",
                         "a wish: an order that holds for few images is to hold for more")  # fmt: skip
    if settings.num_evaluations >= BUDGETS[-1]:  # for so many the grids were made
        inside = np.mean([outcome.tuned.is_inside for outcome in (*by_label.values(), *result.fewer)])
        yield prediction("C20", "every number that was tuned lies inside its grid", inside, exactly(1),
                         "share of the methods", "else a better one may lie beyond", "finding: on fewer images "
                         "L-BFGS does best with the least first step of its grid; less would decide")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    by_label, sgd = result.by_label(), result.mini[0]
    bfgs, conjugate, adam = (by_label[label] for label in (BFGS.label, CONJUGATE.label, "Adam"))
    at_equal = min(settings.num_evaluations, int(settings.num_evaluations * bfgs.seconds / sgd.seconds))
    later = [f", {outcome.label} {outcome.end:.2g}" for outcome in result.full[FROM_THE_START:]]
    fewer = [f"{outcome.label} {outcome.end:.2g}" for outcome in result.fewer[:FROM_THE_START]]
    fragile = max(outcome.swapped for outcome in by_label.values())
    return (
        f"With {settings.num_evaluations} gradients of the full batch L-BFGS comes down to {bfgs.end:.2g}, conjugate "
        f"gradients to {conjugate.end:.2g}, Adam to {adam.end:.2g}, plain descent to {result.full[0].end:.2g}"
        f"{''.join(later)}; plain SGD with as many passes to {sgd.end:.2g}, and in the seconds of L-BFGS (one "
        f"timing, {at_equal} passes) to {float(np.median(sgd.cost[:, at_equal])):.2g}."
        + (f" On {settings.fewer_examples:,} images: {', '.join(fewer)}." if fewer else "")
        + f" With the number that suits the other of two tuning starts a start ends up to {fragile:.2g} times as high."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"other_optimizers": drawn.race(result, settings)}
