"""Is the average of the drunk man's footsteps sober, and that of many drunk men?

On a parabola, at rest, phi = 1 - eta h, the mean of n footsteps has the variance Var(x)/(n B) [1 - 2 phi (1 - phi^n)/
(n (1 - phi^2))], x the examples' minima, and K men's mean a K-th of one's floor, eta tr(Sigma)/(4 B) (Polyak, Juditsky
1992). In the network K men leave one trained place until they stumble; then a second epoch's footsteps are averaged.

Run:     python -m experiments footsteps [--quick | --full]
Time:    default 30 s, --quick 14 s, --full 45 s on 2 cores, compilation included
Result:  (6 seeds) 4 men's mean wins 1.00 of theory's gain at rate 1, 0.29 at 4 (median of -0.59 to
         0.64); averages end 4-8 % above falling rates
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from experiments.common import hills, long_training, plots, runs, walks
from experiments.common.claims import Claims, about, at_most, identity, prediction
from experiments.common.long_training import Settings
from experiments.common.problem import Problem
from research import data, gradients, statistics

ETA_H, LENGTHS, CHAINS = np.array([0.02, 0.2, 1.0, 1.8]), np.array([1, 10, 100, 1000]), 2000
MEN, BATCH, RATES = 4, 10, (1.0, 4.0)
PLACES = ("where a\nman stands", "average of\nhis footsteps", "end of a\nfalling rate", f"mean of\n{MEN} men")
WHY = (
    "finding: a bias may stay, for the valley is no parabola, though beside the falling rate's end it is not larger at "
    "the larger eta; whether it vanishes with eta would decide"
)
QUICK, FULL = Settings(num_seeds=1, start_epochs=2), Settings(num_seeds=6, start_epochs=60)


class Result(NamedTuple):
    parabola: Float[np.ndarray, "eta_h lengths"]  # simulated variance of the mean of n footsteps, over Var(x)/B
    cost: Float[np.ndarray, "3 seeds men rates"]  # on the training set, at the first three PLACES
    together: Float[np.ndarray, "3 seeds rates"]  # at the mean over all men
    scatter: Float[np.ndarray, "seeds men rates"]  # tr(Sigma) where he stands


def variance(eta_h: Any, length: Any) -> Any:
    """Of the mean of so many footsteps, over Var(x)/B: the formula."""
    return (1 - 2 * (1 - eta_h) * (1 - (1 - eta_h) ** length) / (length * eta_h * (2 - eta_h))) / length


def simulated(seed: int) -> np.ndarray:
    """The field `parabola`, from starts with the stationary variance eta h/(2 - eta h)."""
    rng, eta_h = np.random.default_rng(seed), ETA_H[:, None]
    places = [rng.standard_normal((len(ETA_H), CHAINS)) * np.sqrt(eta_h / (2 - eta_h))]
    for _ in range(LENGTHS[-1] - 1):
        places.append((1 - eta_h) * places[-1] + eta_h * rng.standard_normal(places[-1].shape))
    return np.stack([np.square(np.mean(places[:length], axis=0)).mean(axis=1) for length in LENGTHS], axis=1)


def walk(objective: Any, train: data.Examples, rates: Array, place: Array, rows: Array) -> tuple[Array, Array]:
    """(where the batches `rows` (steps, batch) lead with these `rates` (steps), the mean of all places on the way)."""

    def step(state: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        batch = jax.tree.map(lambda leaf: leaf[now[0]], train)
        place = state[0] - now[1] * jax.grad(objective)(state[0], batch)
        return (place, state[1] + place / len(rows)), None

    return jax.lax.scan(step, (place, jnp.zeros_like(place)), (rows, rates))[0]


def measure(problem: Problem, settings: Settings) -> Result:
    unravel, end = hills.unravel_of(problem), long_training.train(problem, settings)
    starts = np.repeat(jax.vmap(lambda params: ravel_pytree(params)[0])(end), MEN, axis=0)
    has = len(problem.train.inputs)
    drawn = np.random.default_rng(settings.seed).integers(has, size=(2, len(starts), has // BATCH, BATCH))
    objective = gradients.mean_over_examples(lambda point, example: problem.example_cost(unravel(point), example))
    go, found = runs.over_seeds(lambda *each: walk(objective, *each), (None, None, 0, 0)), []
    for rate in RATES:
        rates = np.full(has // BATCH, rate, np.float32)
        settled, _ = go(problem.train, rates, starts, drawn[0])
        falling, _ = go(problem.train, rates * np.linspace(1, 0, len(rates), dtype=np.float32), settled, drawn[1])
        found.append(np.stack([*go(problem.train, rates, settled, drawn[1]), falling]))
    places = np.stack(found, axis=2).reshape(3, -1, MEN, len(RATES), starts.shape[-1])
    cost, together = walks.heights(problem, (places, places.mean(axis=2)))
    runs.stop_if_diverged("constant rates from a trained place", cost, 0)
    scatter = lambda point, train: statistics.total_variance(problem.statistics.moments(unravel(point), train))
    ends = runs.over_seeds(scatter, (0, None))(places[0].reshape(-1, starts.shape[-1]), problem.train)
    return Result(simulated(settings.seed), cost, together, np.asarray(ends).reshape(cost[0].shape))


def claims(result: Result, settings: Settings) -> Claims:
    off = np.abs(result.parabola / variance(ETA_H[:, None], LENGTHS) - 1) / np.sqrt(2 / CHAINS)
    yield identity("N1", "on a parabola the mean of n footsteps has the formula's variance", off.max(), at_most(4),
                   f"standard errors, largest of {off.size}", "phi = 1 - eta h; chance: 1 in 1,000")  # fmt: skip
    if settings.is_the_films:
        (man, average, falling), floor = result.cost.mean(axis=2), RATES * result.scatter.mean(axis=1) / (4 * BATCH)
        won = (man - result.together[0]) / ((1 - 1 / MEN) * floor)
        yield prediction("N1", f"{MEN} men's mean leaves a {MEN}th of eta tr(Sigma)/(4 B), rate {RATES[0]:g}",
                         np.median(won[:, 0]), about(1, by=0.3), "of theory's gain", "a parabola", WHY)  # fmt: skip
        yield prediction("N1", "the average of his footsteps is no higher than the falling rate's end",
                         np.max(average / falling), at_most(1), "ratio of costs, largest", "on a parabola of any "
                         "curvature a share of 2/s (1 - (1 - e^-s)/s) is left, s = n eta h", WHY)  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    shares = np.median(np.stack([*result.cost.mean(axis=2)[1:], result.together[0]]) / result.cost[0].mean(axis=1), 1)
    said = [f"{average:.2f} of what he does at a rate of {rate:g} (a falling rate's end {falling:.2f}, {MEN} men's "
            f"mean place {men:.2f})" for rate, average, falling, men in zip(RATES, *shares, strict=True)]  # fmt: skip
    return f"The average of a drunk man's footsteps costs {', and '.join(said)}; medians."


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[left, right]] = plots.new_figure(13.5, 5.5, columns=2)
    for series, (eta_h, found) in enumerate(zip(ETA_H, result.parabola, strict=True)):
        left.plot(LENGTHS, variance(eta_h, LENGTHS), "-", LENGTHS, found, "os^D"[series], color=plots.COLOURS[series])
        left.text(1.15, 1.2 * found[0], f"η h = {eta_h:g}", color=plots.COLOURS[series])
    left.set(xscale="log", yscale="log", xlabel="footsteps averaged", ylabel="variance of their mean, in Var(x)/B")
    costs = np.stack([*result.cost.mean(axis=2), result.together[0]], axis=1)  # seeds, places, rates
    for series, rate in enumerate(RATES):
        plots.seed_points(right, np.arange(len(PLACES)), costs[..., series], series)
        right.text(0.1, np.median(costs[:, 0, series]), f"rate {rate:g}", va="center", color=plots.COLOURS[series])
    right.set(xticks=range(len(PLACES)), xticklabels=PLACES, ylabel="the network's training cost", ylim=(0, None))
    left.set_title("A parabola; lines: theory, marks: runs")
    foot = f"{MEN} men a seed; medians and ranges; h: the parabola's curvature"
    return {"footsteps": plots.headline(figure, finding(result, settings).partition(" (")[0], foot)}
