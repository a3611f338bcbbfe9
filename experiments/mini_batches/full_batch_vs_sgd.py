"""What does a mini-batch step buy, and what does it cost, against a full-batch step?

The film's network (784-16-16-10) and cost on all of MNIST: full-batch descent against mini-batches of 10, 100 and
1000, from the same starts, with the same shuffles, every learning rate chosen by the same search (--tune). Cost and
test accuracy against steps, examples read, floating point operations and seconds.

Run:     python -m experiments full_batch_vs_sgd [--quick | --full]
Time:    default 45 s, --quick 15 s, --full 4 min, with --tune 15 to 22 min, on 2 cores, compilation included
Result:  (10 seeds, --tune) batches of 100 come as far as 600 full-batch steps with 343 times fewer examples, in 161
         times less time (medians). After 600 steps each the full batch is ahead in 6 of 10, median cost 0.124, 0.154.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge, Gt, MinLen, MultipleOf
from jaxtyping import Float, Int

from experiments.common import descents, experiment, plots, runs, tune
from experiments.common.bounds import below_train, different, require
from experiments.common.claims import Claims, at_least, at_most, prediction, speed, within
from experiments.common.descents import STEPS_PER_LEG, Beginning, Curve, Method
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from experiments.mini_batches import full_batch_vs_sgd_figures as drawn
from research.training import TrainState

FILMS_BATCH = 100
LOOKS = 8  # while the steps double
TUNING_SEEDS = 4  # by their median cost at the end a rate is judged


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    batch_sizes: Annotated[tuple[int, ...], Ge(1), MinLen(1), different, below_train] = (10, 100, 1000)
    """Mini-batch sizes to compare with the full batch."""
    learning_rates: Annotated[tuple[float, ...], Gt(0)] = (0.5, 4.0, 4.0)
    """Learning rate for each of the batch sizes. These were the best of --tune at commit 50088b6, 4 seeds."""
    full_batch_learning_rate: Annotated[float, Gt(0)] = 4.0
    """Learning rate of full-batch descent; found likewise."""
    num_steps: Annotated[int, Ge(STEPS_PER_LEG), MultipleOf(STEPS_PER_LEG)] = 200
    """Full-batch steps."""
    num_epochs: Annotated[int, Ge(1)] = 6
    """Passes over the training set for every mini-batch size."""
    tune: bool = False
    """Search the learning rates on the grid 2^-3, 2^-2, ... 2^4 first, with four seeds at most, and use the best."""

    def check(self) -> None:
        require(
            len(self.learning_rates) == len(self.batch_sizes),
            f"--learning-rates has {len(self.learning_rates)} values for {len(self.batch_sizes)} --batch-sizes; "
            "give one for each",
        )


QUICK = Settings(num_seeds=2, batch_sizes=(10, 100), learning_rates=(0.5, 4.0), num_steps=40, num_epochs=1)
FULL = Settings(num_seeds=10, num_steps=600, num_epochs=20)


class Result(NamedTuple):
    """Every method, the full batch first, then the mini-batches in the order of the settings."""

    batch_sizes: Int[np.ndarray, "methods"]
    rates: Float[np.ndarray, "methods"]
    curves: tuple[Curve, ...]
    seconds: Float[np.ndarray, "methods"]  # of one step
    flops_per_example: float
    tuned: tuple[Tuned, ...]  # empty without --tune

    @property
    def reference(self) -> int:
        """Which method is the film's: the one whose batches are nearest to its 100."""
        return 1 + int(np.argmin(np.abs(self.batch_sizes[1:] - FILMS_BATCH)))


def method_of(batch_size: int, rate: float, num_examples: int) -> Method:
    label = "full batch" if batch_size == num_examples else f"batches of {batch_size:,}"
    return Method(f"{label}, rate {rate:g}", batch_size, optax.sgd(rate))


def measure(problem: Problem, settings: Settings) -> Result:
    num_examples = len(problem.train.inputs)
    require_steps(settings, num_examples)
    beginning = descents.begin(problem, settings, settings.num_epochs)
    sizes = (num_examples, *settings.batch_sizes)
    rates, tuned = (settings.full_batch_learning_rate, *settings.learning_rates), ()

    def curve(size: int, rate: float, beginning: Beginning = beginning) -> Curve:
        return follow(problem, method_of(size, rate, num_examples), beginning, settings.num_steps)

    if settings.tune:
        seeds = dataclasses.replace(settings, num_seeds=min(TUNING_SEEDS, settings.num_seeds))
        few = descents.begin(problem, seeds, settings.num_epochs)
        tuned = tuple(tune.tune(lambda rate, size=size: curve(size, rate, few).cost[:, -1]) for size in sizes)
        rates = tuple(found.best for found in tuned)
    curves = tuple(map(curve, sizes, rates))
    runs.console.print("timing single steps ...")
    methods = [method_of(size, rate, num_examples) for size, rate in zip(sizes, rates, strict=True)]
    first = jax.tree.map(lambda leaf: leaf[0], beginning.params)
    seconds = descents.seconds_per_step(problem, methods, first, beginning.order[0, 0])
    flops = descents.flops_per_example(problem)
    return Result(np.array(sizes), np.array(rates), curves, np.array(seconds), flops, tuned)


def follow(problem: Problem, method: Method, beginning: Beginning, num_steps: int) -> Curve:
    """One method's curve, looked at as `legs` says; full-batch descent makes `num_steps`, a look every 20."""
    start, order = beginning
    if method.batch_size == order.shape[-1]:
        return descents.follow(problem, method, start, order, num_steps).curve
    state = TrainState(start, jax.vmap(method.optimizer.init)(start))
    chunks = legs(descents.in_batches(order, method.batch_size), num_steps)
    loop = descents.minibatch_legs(problem, method)
    run = runs.descend(method.label, loop, state, (problem.train, problem.test), chunks)
    cost, accuracy = run.history.observed
    runs.stop_if_diverged(method.label, cost[:, -1:], int(run.steps[-1]))  # the last step's cost is seen here only
    return Curve(run.steps, cost, accuracy)


def legs(rows: np.ndarray, num_steps: int) -> list[tuple[np.ndarray]]:
    """Schedules (seeds, legs, steps, batch) of (seeds, steps, batch): a look every 20 steps for `num_steps`, then
    LOOKS times until the steps have doubled, and so on: no farther apart than an eighth of what went before.

    >>> [schedule.shape[1:3] for (schedule,) in legs(np.zeros((1, 100, 5)), 40)]
    [(2, 20), (8, 5), (2, 10)]
    """
    num_seeds, total, size = rows.shape
    at, length, until, found = 0, STEPS_PER_LEG, num_steps, []
    while total - at >= length:
        end = at + (min(until, total) - at) // length * length
        found.append((rows[:, at:end].reshape(num_seeds, -1, length, size),))
        at, length, until = end, end // LOOKS, 2 * end
    return found + [(rows[:, None, at:],)] * (at < total)


def require_steps(settings: Settings, num_examples: int) -> None:
    """Raises SettingsError unless every batch size makes steps enough to compare."""
    for size in settings.batch_sizes:
        num_steps = settings.num_epochs * (num_examples // size)
        require(
            num_steps >= STEPS_PER_LEG,
            f"--num-epochs is {settings.num_epochs}, in which batches of {size} make {num_steps} steps; "
            f"at least {STEPS_PER_LEG} are needed for a comparison, so raise --num-epochs",
        )


def costs_at_equal_steps(curves: tuple[Curve, ...], num_steps: int) -> list[np.ndarray]:
    """The cost of every method, for every seed, after equally many steps: the most that all made, to num_steps."""
    together = min(num_steps, *(int(curve.steps[-1]) for curve in curves)) // STEPS_PER_LEG * STEPS_PER_LEG
    return [curve.cost[:, curve.steps.tolist().index(together)] for curve in curves]


def factors_to_target(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """(examples, seconds): how many times more the full batch needs than each other method, (methods, 2, seeds): at
    least, as the first look at or below the target tells, and at most, as the look before.
    The target is each seed's own: the cost with which its full-batch run ends. NaN where a method never saw it."""
    full, *others = result.curves
    steps = np.stack([steps_to(curve, full.cost[:, -1]) for curve in others])
    with np.errstate(divide="ignore"):  # there was no look before the first
        times = full.steps[-1] / steps
    examples, seconds = (each[0] / each[1:, None, None] for each in (result.batch_sizes, result.seconds))
    return times * examples, times * seconds


def steps_to(curve: Curve, target: np.ndarray) -> np.ndarray:
    """(2, seeds): steps at the first look at or below each seed's target, and at the look before; NaN for never."""
    reached = curve.cost <= target[:, None]
    looks = np.stack([curve.steps, np.append(0, curve.steps[:-1])]).astype(float)
    return np.where(reached.any(axis=1), looks[:, reached.argmax(axis=1)], np.nan)


def in_words(factors: np.ndarray) -> str:
    """Of (2, seeds) the median, at the later look; the least and the most of all seeds."""
    least, most = factors[0].min(), factors[1].max()
    return (
        f"{np.median(factors[0]):,.0f} ({least:,.0f} to {most:,.0f})" if np.isfinite(most) else f"at least {least:,.0f}"
    )


def claims(result: Result, settings: Settings) -> Claims:
    size = int(result.batch_sizes[result.reference])
    ratio = result.batch_sizes[0] / size
    full, *others = costs_at_equal_steps(result.curves, settings.num_steps)
    yield speed("T30", f"a full-batch step takes as long as N/B steps of {size:,} examples, or fewer",
                result.seconds[0] / result.seconds[result.reference],
                within(1, ratio, ratio), "times", "arithmetic: N/B without overhead")  # fmt: skip
    yield prediction("T32", "step for step the full batch wins or ties: its cost over the best mini-batch method's, "
                     "each with the rate for its whole run", max(float(np.median(full / other)) for other in others),
                     at_most(1.05), "ratio, median", "the gradient is the steepest step; 5 % is a tie")  # fmt: skip
    for what, factors in zip(("example read", "second"), factors_to_target(result), strict=True):
        for batch, factor in zip(result.batch_sizes[1:], factors, strict=True):
            yield prediction("T34", f"per {what} batches of {batch:,} win: the full batch needs so many times more, "
                             f"{in_words(factor)} from one look to the next", factor[0].min(),
                             at_least(1), "least of all seeds, at the later look", "the film")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    examples, seconds = (factors[result.reference - 1] for factors in factors_to_target(result))
    label = f"Batches of {result.batch_sizes[result.reference]:,}"
    if not np.isfinite(examples[0]).all():
        return f"{label} did not come as far as {settings.num_steps} full-batch steps in every seed."
    at_equal_steps = costs_at_equal_steps(result.curves, settings.num_steps)
    full, film = at_equal_steps[0], at_equal_steps[result.reference]
    return (
        f"{label} come as far as {settings.num_steps} full-batch steps with {in_words(examples)} times fewer examples, "
        f"in {in_words(seconds)} times less time (median; from seed to seed and look to look). After as many "
        f"steps of each the full batch is ahead of them in {np.sum(full < film)} of {len(full)} seeds (median cost "
        f"{np.median(full):.3f}, {np.median(film):.3f})."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    times = [in_words(factors[result.reference - 1]) for factors in factors_to_target(result)]
    says, films_cost = finding(result, settings).partition(" After ")[0], settings.has_films_cost
    return {
        "full_batch_vs_sgd": drawn.cost(result, settings.num_steps, times, says, films_cost=films_cost),
        "accuracy": drawn.accuracy(result, settings.num_steps),
    }
