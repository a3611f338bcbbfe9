"""How near does one come to a known optimum if every step sees one example, shuffled or drawn by lot?

Least squares with a ridge, C_i = (theta . x_i - y_i)^2 / 2 + ridge/2 |theta|^2, on 30 images: x_i are their first
principal components, scaled so that the Hessian is h times the identity; y_i says whether image i is a 0. Constant
rate eta, float64; A_i = x_i x_i^T + ridge, g_i the gradients at the optimum, e the distance to it at the ends of epochs
(Ying et al., "Stochastic learning under random reshuffling"; the second line is worked out here):

    drawn by lot    M = E (1 - eta A_i) M (1 - eta A_i) + eta^2 E g_i g_i^T, exact: E |e|^2 = tr M, about eta^1
    shuffled anew   an epoch moves by xi = eta^2 sum_(i<j) A_j g_i beyond its contraction r = (1 - eta h)^N, so that
                    E |e|^2 = |E xi|^2 / (1 - r)^2 + tr cov xi / (1 - r^2), small steps: about eta^2, then eta^3
    a fixed order   comes to rest where an epoch leads back to where it began, exact; about eta^2

Run:     python -m experiments convex_shuffling [--quick | --full]
Time:    default 15 s, --quick 10 s, --full 11 s on 2 cores, compilation included
Result:  slopes 1.01 by lot, 2.05 shuffled anew, each on theory's line (8 seeds; shuffled anew at small rates only). At
         the smallest rate the squared distance by lot is 2,600 times as large; of fixed orders sorted is the farthest.
"""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float

from experiments.common import experiment, plots, runs
from experiments.common.bounds import require
from experiments.common.claims import Claims, about, at_least, identity, prediction, worst
from experiments.common.problem import Problem
from research import data, fits, gradients, sampling, training
from research.data import Examples
from research.training import TrainState

NUM_IMAGES, NUM_FEATURES, RIDGE = 30, 6, 0.1
STEEPNESS = 1 + RIDGE  # h: the Hessian is h times the identity
RATES = 2.5e-4 * 2.0 ** np.arange(9)
SMALL = 4  # of the rates, for the slopes: there the variance of reshuffling, about eta^3, is below its eta^2
BURN_IN = int(np.ceil(6 / (NUM_IMAGES * RATES[0] * STEEPNESS)))  # epochs that leave e^-6 of the start, smallest rate
ANEW, ONCE, BY_LOT, AS_STORED, SORTED = range(5)
NAMES = ("shuffled anew", "shuffled once", "drawn by lot", "as stored", "sorted by label")


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    chains: Annotated[int, Ge(1)] = 32
    """Independent runs for every seed."""


QUICK = Settings(num_seeds=2, chains=16)
FULL = Settings(num_seeds=8)


class Result(NamedTuple):
    distance: Float[np.ndarray, "ways seeds rates"]  # squared, to the optimum; mean over chains and ends of epochs
    by_lot: Float[np.ndarray, "rates"]  # the same by theory
    anew: Float[np.ndarray, "2 rates"]  # squared bias and variance
    resting: Float[np.ndarray, "2 rates"]  # of the resting places of the last two ways

    @property
    def slopes(self) -> np.ndarray:
        """(ways): the exponents of the rate, through the SMALL rates, of the means over seeds."""
        means = self.distance.mean(axis=1)[:, :SMALL]
        return np.array([fits.log_log_slope(RATES[:SMALL], mean) for mean in means])


class Quadratic(NamedTuple):
    """A mean of parabolas, C_i = (e - e_i)^T A_i (e - e_i) / 2, seen from its optimum."""

    features: np.ndarray  # N, d
    targets: np.ndarray  # N
    optimum: np.ndarray  # d
    curvatures: np.ndarray  # N, d, d: A_i
    slopes: np.ndarray  # N, d: g_i, each example's gradient at the optimum


def make_quadratic(examples: Examples) -> Quadratic:
    pixels = np.asarray(data.unit_interval(jnp.asarray(examples.inputs)), np.float64)
    left, strength, _ = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    enough = len(strength) >= NUM_FEATURES and strength[NUM_FEATURES - 1] > 1e-6 * strength[0]
    require(enough, f"the first images vary in fewer than {NUM_FEATURES} directions; take another data set")
    features = left[:, :NUM_FEATURES] * np.sqrt(len(pixels))
    labels = np.asarray(examples.targets).argmax(axis=1)
    targets = (labels == labels.min()).astype(float)
    curvatures = features[:, :, None] * features[:, None] + RIDGE * np.eye(NUM_FEATURES)
    optimum = np.linalg.solve(curvatures.mean(axis=0), features.T @ targets / len(targets))
    return Quadratic(features, targets, optimum, curvatures, curvatures @ optimum - features * targets[:, None])


def ridge_cost(theta: Array, example: Examples) -> Array:
    return (jnp.vdot(theta, example.inputs) - example.targets[0]) ** 2 / 2 + RIDGE / 2 * jnp.vdot(theta, theta)


def squared_distances(schedule: Array, examples: Examples, optimum: Array, rates: Array) -> Array:
    """(rates): mean |theta - optimum|^2 at the ends of the second half of the epochs, over chains; `schedule` (chains,
    epochs, steps, batch)."""

    def chain(rate: Array, rows: Array) -> Array:
        optimizer = optax.sgd(rate)
        step = training.make_step(gradients.mean_over_examples(ridge_cost), optimizer)
        state, away = TrainState(optimum, optimizer.init(optimum)), lambda state: jnp.sum((state.params - optimum) ** 2)
        history = training.minibatch_descent(step, state, examples, rows, away)[1]
        return jnp.mean(history.observed[len(rows) // 2 :])

    return jnp.mean(jax.vmap(jax.vmap(chain, (None, 0)), (0, None))(rates, schedule), axis=1)


def measure(problem: Problem, settings: Settings) -> Result:
    have, epochs = len(problem.train.inputs), 2 * BURN_IN
    require(have >= NUM_IMAGES, f"this case takes {NUM_IMAGES} images; there are {have} for training")
    few = jax.tree.map(np.asarray, data.take(problem.train, slice(NUM_IMAGES)))
    labels, quadratic = few.targets.argmax(axis=1), make_quadratic(few)
    runs.console.print(f"{settings.chains} chains a seed, {epochs:,} epochs ...")

    def draw(key: Array, labels: Array) -> tuple[Array, ...]:
        keys = jax.random.split(jax.random.fold_in(key, 1), settings.chains)
        return jax.vmap(lambda key: training.all_ways(key, labels, 1, epochs))(keys)

    _, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    orders = jax.device_get(runs.over_seeds(draw, (0, None))(keys, labels))
    examples = Examples(quadratic.features, quadratic.targets[:, None])  # pyright: ignore[reportArgumentType]
    measured = runs.in_float64(runs.over_seeds(squared_distances, (0, None, None, None)))
    distance = np.stack([measured(order, examples, quadratic.optimum, RATES) for order in orders])
    by_lot = np.array([sampling.variance_by_lot(*quadratic[3:], rate) for rate in RATES])
    anew = np.stack(sampling.bias_and_variance_shuffled(*quadratic[3:], RATES, settings.seed))
    fixed = np.arange(NUM_IMAGES), np.argsort(labels, kind="stable")
    resting = [[sampling.resting_place(*quadratic[3:], order, rate) for rate in RATES] for order in fixed]
    return Result(distance, by_lot, anew, np.sum(np.square(resting), axis=-1))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    mean = result.distance.mean(axis=1)
    where, others = f"for rates from {RATES[0]:g} to {RATES[SMALL - 1]:g}", mean[[ANEW, ONCE, AS_STORED]].max(axis=0)
    yield prediction("E19", f"the squared distance to the optimum goes as the rate if drawn by lot, {where}",
                     result.slopes[BY_LOT], about(1, by=0.2), "slope", "Ying et al.")  # fmt: skip
    yield prediction("E19", f"the squared distance goes as the rate's square if shuffled anew, {where}",
                     result.slopes[ANEW], about(2, by=0.2), "slope", "Ying et al.")  # fmt: skip
    yield identity("E19", "drawn by lot the squared distance is as the exact formula says, for every rate",
                     1 + worst(mean[BY_LOT] / result.by_lot - 1), about(1, by=0.05),
                     "ratio, mean of the seeds, worst rate", "tr M")  # fmt: skip
    yield prediction("E19", "shuffled anew the squared distance is as theory says, for the smallest rate",
                     mean[ANEW, 0] / result.anew.sum(axis=0)[0], about(1, by=0.1), "ratio, mean of the seeds",
                     "bias and variance of xi")  # fmt: skip
    yield prediction("E19", "sorted by label ends farther off than the other orders without replacement",
                     np.min(mean[SORTED] / others), at_least(1), "least ratio to the next, of all rates",
                     "what shuffling is to prevent")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    anew, by_lot = result.distance.mean(axis=1)[[ANEW, BY_LOT]]
    factor = float(f"{by_lot[0] / anew[0]:.2g}")  # no third digit: the seeds scatter
    return (
        f"One image a step: at the rate {RATES[0]:g} the squared distance to the optimum is {factor:,.0f} times as "
        f"large drawn by lot as shuffled anew. Up to the rate {RATES[SMALL - 1]:g} it goes as the rate to the "
        f"power {result.slopes[BY_LOT]:.2f} drawn by lot, {result.slopes[ANEW]:.2f} shuffled anew."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, axes = plots.new_figure(11, 6)
    axis, (bias, variance) = axes[0, 0], result.anew
    theories = {ANEW: bias + variance, BY_LOT: result.by_lot, AS_STORED: result.resting[0], SORTED: result.resting[1]}
    for way, (name, marker, colour) in enumerate(zip(NAMES, "os^Dv", plots.COLOURS, strict=False)):
        distance = result.distance[way].mean(axis=0)
        axis.plot(RATES, distance, marker, color=colour, markersize=7)
        plots.note(axis, f"{name}: slope {result.slopes[way]:.2f}", (RATES[0], distance[0]), (-9, 0), va="center",
                   color=colour)  # fmt: skip
        if way in theories:
            axis.plot(RATES, theories[way], color=colour, linestyle=plots.LINES[way], linewidth=1.4)
    axis.plot(RATES, bias, color="0.4", linewidth=1, linestyle=(0, (1, 3)))
    axis.set(xscale="log", yscale="log", xlabel="learning rate η", xlim=(RATES[0] / 5, None))
    axis.set_title(
        "lines: theory, nothing fitted (shuffled anew: of small steps; thin grey: its bias alone, η²)", fontsize=11
    )
    axis.set_ylabel("mean squared distance to the optimum, ends of epochs")
    chains = f"{NUM_IMAGES} images, {settings.chains} chains for each of {settings.num_seeds} seeds"
    about = f"least squares with a ridge, one image a step; {chains}"
    return {"convex_shuffling": plots.headline(figure, finding(result, settings).partition(". ")[0], about=about)}
