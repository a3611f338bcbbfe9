"""Is the cost really 32 times more sensitive to one weight than to another?

The film reads a component 3.2 and a component 0.1 of the negative gradient as "32 times more sensitive". Here, on real
images and at the start of training: the weight with the largest component and the one nearest to 1/32 of it are wiggled
by the same epsilon, and the changes of the cost compared; then some hundred other weights. And the gradient as a
direction: steps of equal length along it, along each single weight, along 10,000 random directions, and along the
signs of the gradient without its sizes. Differences of costs are small, so all is computed in float64.

Run:     python -m experiments.wiggle [--quick | --full]
Time:    default 14 s, --quick 7 s, --full 3 min on 2 cores, compilation included
Result:  yes: components 31.99 times apart change the cost 31.99 times as much at epsilon 0.001 and 32.18 times at 0.1;
         step for equal step the signs alone go down 21 % as steeply as the gradient, the best single parameter 17 %,
         the best of 10,000 random directions 3.3 % (--full, 10 seeds)
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from experiments.figures import wiggle as figures
from research import data, gradients, models, plots
from research.data import Examples
from research.models import Layer

NAME = Path(__file__).stem
CHUNK = 1000  # examples at a time: their images fit into a core's cache
TIMES = 32  # the film's 3.2 against 0.1
EPSILONS = np.logspace(-5, -0.5, 10)
SMALL = EPSILONS <= 1e-3  # where only the first order of the error is left
SENSITIVITY_EPSILON = 1e-5
STEP_LENGTH = 0.01
BLOCK = 500  # random directions that are held at once


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the wiggles."""

    num_examples: int = 5000
    """Training images over which the cost is averaged, from the first on; 1 up to all of them."""
    num_weights: int = 200
    """How many weights and biases, drawn at random, are wiggled one by one, 2 or more."""
    num_directions: int = 10_000
    """How many random directions are tried, a multiple of 500, above 0."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.num_weights >= 2, f"--num-weights is {self.num_weights}; it must be 2 or more")
        common.require(
            self.num_directions >= BLOCK and self.num_directions % BLOCK == 0,
            f"--num-directions is {self.num_directions}; it must be a multiple of {BLOCK}, above 0",
        )


QUICK = Settings(num_seeds=2, num_examples=1000, num_weights=100, num_directions=2500)
FULL = Settings(num_seeds=10, num_examples=20_000, num_weights=500)


Numbers = Array | np.ndarray  # as computed, or as read back for the figures


class TwoWeights(NamedTuple):
    """The most sensitive weight and the one nearest to 1/32 of it."""

    components: Numbers  # 2; of the gradient
    changes: Numbers  # epsilons, 2; of the cost
    error_slope: Numbers  # theory: |ratio of the changes - ratio of the components| per epsilon


class Sensitivities(NamedTuple):
    """Weights drawn at random, wiggled one by one."""

    components: Numbers  # weights
    measured: Numbers  # weights; change of the cost per epsilon


class Directions(NamedTuple):
    """First-order decrease of the cost per unit of movement, as a share of |G|; and the real one of a short step."""

    random: Numbers  # directions; cosine with the way down, -G
    between_random: Numbers  # pairs; cosine between two random directions
    first_order: Numbers  # 4: the way down, its signs alone, the best single parameter, the best random direction
    actual: Numbers  # 4; decrease of the cost in a step of STEP_LENGTH


Found = tuple[TwoWeights, Sensitivities, Directions]
Rise = Callable[[Array], Array]  # how much higher the cost is than here, for all parameters in one row


def two_weights(rise: Rise, here: Array, gradient: Array, is_weight: Array) -> TwoWeights:
    """Wiggles the two weights by every epsilon; `is_weight` is 1 for weights, 0 for biases.

    Theory: with slopes g and curvatures h the changes are g eps + h eps^2 / 2 each, so their ratio is off the ratio of
    the slopes by the factor 1 + eps/2 (h_a/g_a - h_b/g_b): linearly in eps.
    """
    sizes = jnp.abs(gradient) * is_weight
    pair = jnp.array([jnp.argmax(sizes), jnp.argmin(jnp.abs(sizes - sizes.max() / TIMES))])
    components = gradient[pair]

    def change(epsilon: Array) -> Array:
        return jax.lax.map(lambda weight: rise(here.at[weight].add(epsilon)), pair)

    def curvature(weight: Array) -> Array:
        along = jnp.zeros_like(here).at[weight].set(1)
        return jax.jvp(jax.grad(rise), (here,), (along,))[1][weight]

    bends = jax.lax.map(curvature, pair) / components
    error_slope = jnp.abs(components[0] / components[1] * (bends[0] - bends[1]) / 2)
    return TwoWeights(components, jax.lax.map(change, jnp.array(EPSILONS)), error_slope)


def sensitivities(rise: Rise, here: Array, gradient: Array, key: Array, num_weights: int) -> Sensitivities:
    """The change of the cost per wiggle, for weights drawn at random."""
    drawn = jax.random.choice(key, len(here), (min(num_weights, len(here)),), replace=False)
    risen = jax.lax.map(lambda weight: rise(here.at[weight].add(SENSITIVITY_EPSILON)), drawn)
    return Sensitivities(gradient[drawn], risen / SENSITIVITY_EPSILON)


def directions(rise: Rise, here: Array, gradient: Array, key: Array, num_directions: int) -> Directions:
    """The way down against its signs alone, against every single weight, and against random directions."""
    down = unit(-gradient)
    down32 = down.astype(jnp.float32)

    def try_block(block_key: Array) -> tuple[Array, Array, Array]:
        block = jax.random.normal(block_key, (BLOCK, len(here)), jnp.float32)
        block = block / jnp.linalg.norm(block, axis=1, keepdims=True)
        cosines = block @ down32
        return cosines, jnp.sum(block[::2] * block[1::2], axis=1), block[jnp.argmax(cosines)]

    cosines, between, best_of_block = jax.lax.map(try_block, jax.random.split(key, num_directions // BLOCK))
    best_random = best_of_block[jnp.argmax(best_of_block @ down32)].astype(here.dtype)
    steepest = jnp.argmax(jnp.abs(gradient))
    best_single = jnp.zeros_like(here).at[steepest].set(jnp.sign(down[steepest]))
    ways = jnp.stack([down, unit(jnp.sign(down)), best_single, unit(best_random)])
    actual = -jax.lax.map(lambda way: rise(here + STEP_LENGTH * way), ways)
    return Directions(cosines.ravel(), between.ravel(), ways @ down, actual)


def unit(vector: Array) -> Array:
    """The vector's direction, of length 1."""
    return vector / jnp.linalg.norm(vector)


def measure(settings: Settings, model: models.Model, cost_fn: Callable, examples: Examples) -> Found:
    """All three for every seed; every array leads with a seed axis."""
    cost = gradients.mean_over_examples(gradients.example_cost(model.apply, cost_fn), chunk_size=CHUNK)

    def of_seed(init_key: Array, key: Array, examples: Examples) -> Found:
        weights_key, directions_key = jax.random.split(key)
        params = jax.tree.map(lambda leaf: leaf.astype(float), model.init(init_key))
        here, unflatten = ravel_pytree(params)
        is_weight, _ = ravel_pytree(
            [Layer(jnp.ones_like(weights), jnp.zeros_like(biases)) for weights, biases in params]
        )

        def hill(parameters: Array) -> Array:
            return cost(unflatten(parameters), examples)

        height, gradient = jax.value_and_grad(hill)(here)  # the height of here is computed once

        def rise(parameters: Array) -> Array:
            return hill(parameters) - height

        return (
            two_weights(rise, here, gradient, is_weight),
            sensitivities(rise, here, gradient, weights_key, settings.num_weights),
            directions(rise, here, gradient, directions_key, settings.num_directions),
        )

    with jax.enable_x64(True):
        wide = Examples(jnp.asarray(examples.inputs / np.float64(255)), jnp.asarray(examples.targets, float))
        keys = runs.seed_keys(settings.seed, settings.num_seeds)
        return jax.tree.map(np.asarray, jax.jit(runs.over_seeds(of_seed, (0, 0, None)))(*keys, wide))


def ratios(pair: TwoWeights) -> tuple[np.ndarray, np.ndarray]:
    """(seeds) ratio of the components, (seeds, epsilons) ratio of the changes of the cost; without sign."""
    exact = np.abs(np.asarray(pair.components[:, 0] / pair.components[:, 1]))
    return exact, np.abs(np.asarray(pair.changes[..., 0] / pair.changes[..., 1]))


def make_claims(settings: Settings, found: Found, num_parameters: int) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    pair, sensitivity, direction = found
    exact, measured = ratios(pair)
    errors = np.abs(measured - exact[:, None])[:, SMALL]
    slopes = [np.polyfit(np.log(EPSILONS[SMALL]), np.log(error), 1)[0] for error in errors]
    off = max(slopes, key=lambda slope: abs(slope - 1))
    correlations = [np.corrcoef(np.abs(a), np.abs(b))[0, 1] for a, b in zip(*sensitivity, strict=True)]
    low, high = best_of_random(settings.num_directions, num_parameters)
    spread = 4 / np.sqrt(settings.num_directions)  # four standard deviations of a root mean square of M/2 cosines
    share = direction.first_order
    return [
        claim("T10", f"wiggled by {EPSILONS[0]:g}, the cost changes as many times more as the components say",
              float(np.max(np.abs(measured[:, 0] / exact - 1))), 0.0, 0.0, 1e-3, "largest relative error"),
        claim("T10", "the ratio's error shrinks linearly with epsilon", float(off), 1.0, 0.9, 1.1, "slope, log-log"),
        claim("T10", "and is what the curvatures along the two weights predict",
              float(np.median(errors[:, 0] / EPSILONS[0] / pair.error_slope)), 1.0, 0.95, 1.05, "measured / predicted"),
        claim("T9", f"the size of a component is the cost's sensitivity to it, {settings.num_weights} weights wiggled",
              float(min(correlations)), 1.0, 1 - 1e-6, 1.0 + 1e-9, "smallest correlation"),
        claim("T6", "no single parameter and no random direction goes down as steeply as -G, step for equal step",
              float(np.max(share[:, 2:])), None, None, 1.0, "share of |G|, largest"),
        claim("T6", f"nor does the cost itself sink as much in a step of {STEP_LENGTH}",
              float(np.max(direction.actual[:, 1:] / direction.actual[:, :1])), None, None, 1.0, "share, largest"),
        claim("T6", f"the best of {settings.num_directions:,} random directions is hardly better than standing still",
              float(np.mean(share[:, 3])), float(np.sqrt(2 * np.log(settings.num_directions) / num_parameters)),
              low, high, "share of |G|, mean"),
        claim("T8", f"two random directions in {num_parameters:,} dimensions are at right angles, but for 1/sqrt(d)",
              float(np.sqrt(np.mean(direction.between_random**2) * num_parameters)), 1.0, 1 - spread, 1 + spread,
              "root mean square cosine times sqrt(d)"),
        claim("T37", "the signs of the gradient without its sizes go down less steeply: |G|_1 / sqrt(d) against |G|",
              float(np.max(share[:, 1])), None, 0.0, 1.0, "share of |G|, largest"),
    ]  # fmt: skip


def best_of_random(num_directions: int, num_parameters: int) -> tuple[float, float]:
    """Between which shares of |G| the best of M random directions lies in 998 of 1000 cases.

    A cosine with a random direction is nearly normal with variance 1/d, and P(best of M < c) = P(one < c)^M.

    >>> low, high = best_of_random(10_000, 13_002)
    >>> round(low, 3), round(high, 3)
    (0.028, 0.046)
    """
    low, high = (NormalDist().inv_cdf(p ** (1 / num_directions)) for p in (0.001, 0.999))
    return low / num_parameters**0.5, high / num_parameters**0.5


def sentence(found: Found) -> str:
    """What was found, in one sentence."""
    exact, measured = ratios(found[0])
    share = np.median(found[2].first_order, axis=0)
    return (
        f"Components {exact[0]:.2f} times apart: at epsilon 0.1 the cost changes {at(measured[0], 0.1):.2f} times as "
        f"much, at 0.001 {at(measured[0], 1e-3):.2f} times; for the same length of step the signs alone go down "
        f"{share[1]:.0%} as steeply as the gradient, the best single parameter {share[2]:.0%}, the best random "
        f"direction {share[3]:.1%}."
    )


def at(values: Numbers, epsilon: float) -> np.ndarray:
    """The row of the epsilon nearest to this one."""
    return np.asarray(values)[np.argmin(np.abs(EPSILONS - epsilon))]


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    common.require_images(settings, "--num-examples", settings.num_examples, train)
    train = common.first(train, settings.num_examples)
    model, cost_fn = common.model_and_cost(settings, train)
    found = measure(settings, model, cost_fn, train)
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))))
    claims, finding = make_claims(settings, found, num_parameters), sentence(found)
    arrays = {name: value for part in found for name, value in part._asdict().items() if part is not found[1]}
    arrays |= {f"wiggled_{name}": value for name, value in found[1]._asdict().items()}
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        arrays,
        **records.describe_data(settings.dataset, train=train),
        num_parameters=num_parameters,
        finding=finding,
    )


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    exact, measured = ratios(TwoWeights(*(arrays[name] for name in TwoWeights._fields)))
    plots.save(figures.wiggle_figure(record, arrays, EPSILONS, exact, measured), out / NAME / "wiggle.png")
    directions = figures.direction_figure(record, arrays, STEP_LENGTH, SENSITIVITY_EPSILON)
    plots.save(directions, out / NAME / "directions.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.wiggle"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
