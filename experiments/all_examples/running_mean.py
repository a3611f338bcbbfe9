"""How fast does the average settle while the examples are added one by one?

|mean of the first n gradients - G| / |G| for n = 1, 2, ..., in several orders of the examples, for a network that is
untrained and one that is trained for an epoch. Theory, sampling from a finite population without replacement: its root
mean square over all orders is sqrt(B_simple/n (N - n)/(N - 1)), with B_simple = tr Sigma / |G|^2 (McCandlish et al.,
arXiv:1812.06162).

Run:     python -m experiments running_mean [--quick | --full]
Time:    default 12 s, --quick 8 s, --full 95 s on 2 cores, compilation included
Result:  to come within 10 % of the gradient takes some 53 examples before training (36 to 70) and 25,000 of 60,000
         after one epoch (14,000 to 33,000; medians and ranges of 10 seeds). The distance is 1.008 times theory's.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int

from experiments.common import asking, plots, runs
from experiments.common.asking import flat
from experiments.common.claims import Claims, identity, within
from experiments.common.problem import Problem
from experiments.common.wish_tables import epochs_of
from research import data, sampling, statistics
from research.data import Examples
from research.models import Params


@dataclasses.dataclass(frozen=True)
class Settings(asking.Settings):
    num_shuffles: Annotated[int, Ge(1)] = 4
    """In how many orders the examples of every network are added up one by one."""


QUICK = Settings(num_seeds=1, num_shuffles=1)
FULL = Settings(num_seeds=10, num_shuffles=16)


class Result(NamedTuple):
    """The networks come untrained first, one for each seed, then trained in the same order."""

    counts: Int[np.ndarray, "points"]  # how many examples have been added up
    distance: Float[np.ndarray, "networks shuffles points"]
    expected: Float[np.ndarray, "networks points"]

    @property
    def within_a_tenth(self) -> list[int]:
        """Examples until the median order of the first seed is within 10 % of the gradient: untrained, trained."""
        medians = np.median(self.distance[:: len(self.distance) // 2], axis=1)
        return [int(self.counts[np.argmax(median <= 0.1)]) for median in medians]


def running_distance(one: Callable, params: Params, gradient: Params, order: Array, examples: Examples) -> Array:
    """|mean of the first n gradients - gradient| / |gradient| for n = 1, 2, ..., in this order of the examples."""

    def add(total: Params, row_and_count: tuple[Array, Array]) -> tuple[Params, Array]:
        row, count = row_and_count
        addend = jax.grad(one)(params, data.take(examples, row))
        total = jax.tree.map(jnp.add, total, addend)
        return total, optax.tree.norm(jax.tree.map(lambda leaf, full: leaf / count - full, total, gradient))

    counts = jnp.arange(1, len(order) + 1, dtype=flat(params).dtype)
    distances = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), (order, counts))[1]
    return distances / optax.tree.norm(gradient)


def expected_distance(noise_scale: np.ndarray, counts: np.ndarray, num_examples: int) -> np.ndarray:
    """Root mean square over all orders of `running_distance`, by the header's formula."""
    return np.sqrt(noise_scale / counts * sampling.finite_population(counts, num_examples))


def gradient_and_scale(problem: Problem, params: Params, train: Examples) -> tuple[Params, Array]:
    found = problem.statistics.moments(params, train)
    return jax.grad(problem.cost)(params, train), statistics.noise_scale(found)


def measure(problem: Problem, settings: Settings) -> Result:
    train, num_examples, num_shuffles = problem.train, len(problem.train.inputs), settings.num_shuffles
    params = asking.untrained_and_trained(problem, settings)
    of_seeds = runs.over_seeds(partial(gradient_and_scale, problem), (0, None))
    gradient, scale = jax.tree.map(np.asarray, of_seeds(params, train))
    orders = asking.shuffles(settings.seed, len(scale), num_shuffles, num_examples).reshape(-1, num_examples)
    every = jax.tree.map(lambda leaf: np.repeat(leaf, num_shuffles, axis=0), (params, gradient))
    follow = runs.over_seeds(partial(running_distance, problem.example_cost), (0, 0, 0, None))
    counts = np.unique([*np.geomspace(1, num_examples, 200).astype(int), min(100, num_examples)])
    distances = np.asarray(follow(*every, orders, train))[:, counts - 1].reshape(len(scale), num_shuffles, -1)
    return Result(counts, distances, expected_distance(scale.astype(float)[:, None], counts, num_examples))


def claims(result: Result, settings: Settings) -> Claims:
    early = result.counts <= result.counts[-1] / 2
    ratio = result.distance[..., early] / result.expected[:, None, early]
    yield identity("T28", "adding examples one by one, the running mean settles as sqrt(B_simple/n (N-n)/(N-1))",
                     np.sqrt(np.mean(ratio**2)), within(0.8, 1.25, 1), "distance / theory, root mean square",
                     "sampling without replacement")  # fmt: skip


def needed(result: Result) -> list[str]:
    """Examples until the median order is within 10 % of the gradient, untrained and trained: median and range of the
    seeds in two digits, for the looks lie 6 % apart."""
    counts = result.counts[np.argmax(np.median(result.distance, axis=1) <= 0.1, axis=1)]
    found = [np.quantile(some, (0.5, 0, 1)) for some in np.split(counts, 2)]
    return ["{} ({} to {})".format(*(f"{float(f'{count:.2g}'):,.0f}" for count in some)) for some in found]


def finding(result: Result, settings: Settings) -> str:
    untrained, trained = needed(result)
    return (
        f"To come within 10 % of the gradient takes some {untrained} examples before training and {trained} of "
        f"{result.counts[-1]:,} after {epochs_of(settings.num_epochs)} (median order; median and range of the seeds)."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    counts, num_examples = result.counts[:-1], int(result.counts[-1])
    figure, ((axis,),) = plots.new_figure(9, 5.8)
    after, at = f"after {epochs_of(settings.num_epochs)}", len(counts) // 4
    networks = zip((0, settings.num_seeds), ("before training", after), result.within_a_tenth, strict=True)
    for series, (network, when, reached) in enumerate(networks):
        distance, expected = 100 * result.distance[network, :, :-1], 100 * result.expected[network, :-1]
        plots.seed_band(axis, counts, distance, series, "")
        axis.plot(counts, expected, color="black", linestyle=":", linewidth=1.5)
        axis.plot(reached, 10, "o", color=plots.COLOURS[series], markersize=8)
        plots.note(axis, f"{when}, $B$ = {result.expected[network, 0] ** 2:.3g}", (counts[at], 2.5 * expected[at]),
                   series=series, fontweight="bold")  # fmt: skip
    plots.reference_line(axis, 100, "as far away as no step at all")
    plots.reference_line(axis, 10, "10 %")
    plots.panel(axis, x=f"examples averaged so far, n (of N = {num_examples:,})",
                y="distance from the gradient, % of its length", log_y=(0.01, 0.1, 1, 10, 100, 1000),
                log_x=[10**power for power in range(len(str(num_examples)))], ylim=(0.1, None))  # fmt: skip
    plots.note(axis, "dotted: theory, $\\sqrt{B/n \\cdot (N-n)/(N-1)}$, $B$ = tr $\\Sigma/|G|^2$", (0.03, 0.04),
               unit=plots.IN_PANEL, fontsize=10)  # fmt: skip
    untrained, trained = needed(result)
    drawn = f"drawn: first seed, median and range of {result.distance.shape[1]} orders"
    title = f"To come within 10 % of the gradient takes {untrained} examples before training, {trained} {after}"
    return {"running_mean": plots.headline(figure, title, f"headline: of all; {drawn}")}
