"""How is the improvement shared out among biases, weights and layers, and do the hidden weights change at all?

Questions of the film's readers, on the film's network and real images. How are the avenues balanced: which share of the
first-order improvement, |G|^2, do the weights and the biases of each layer carry, through training? Should w be updated
with v held constant, or both at once: one step of the last layer first, then one of the others with its new weights,
against all at once. Do the hidden weights change, or only the activations? What steps leave over of the first order
is measured in float64, for smaller and smaller learning rates: by Taylor it shrinks in proportion to the rate.

Run:     python -m experiments avenues [--quick | --full]
Time:    default 8 s, --quick 7 s, --full 50 s on 2 cores, compilation included
Result:  the first layer carries 1.9 % of the improvement at the start, the last 92 %; ten epochs later 84 % and 4 % (20
         seeds). Old or new v: the same cost. All but the 16 x 67 weights of pixels that are always black have a slope.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from experiments.common import descents, layer_descents, plots, runs
from experiments.common.claims import Claims, about, exactly, identity, prediction, worst
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import layer_figures
from research import backprop, data, fits, gradients, layerwise
from research.data import Examples
from research.models import Layer

RATES = np.logspace(-4, 0, 9)  # learning rates of the single steps that are looked at as they get smaller
SMALL = RATES <= 1e-2  # where only the first order is left
NUM_WATCHED = 100  # images whose activations are predicted


@dataclasses.dataclass(frozen=True)
class Settings(layer_descents.Settings):
    """None of their own."""


QUICK = Settings(num_seeds=2, num_legs=6, num_looked_at=2000)
FULL = Settings(num_seeds=20, num_legs=60, num_looked_at=20_000)


class SmallSteps(NamedTuple):
    """One step from the start, for every learning rate: three errors of the first order."""

    decrease: Float[np.ndarray, "seeds rates"]  # |1 - actual / predicted decrease of the cost|
    updates: Float[np.ndarray, "seeds rates"]  # |dw with the old v - dw with the new v| / |dw|
    activations: Float[np.ndarray, "seeds rates"]  # |change of all activations - J dtheta| / |change|


class Result(NamedTuple):
    costs: Float[np.ndarray, "seeds 2 looks"]  # all layers at once; the last first, the others with its new weights
    shares: Float[np.ndarray, "seeds looks layers 2"]  # of |G|^2 in the weights and the biases, all layers at once
    num_changed: Int[np.ndarray, "seeds"]  # components of the gradient over all images that are not 0, at the start
    steps: SmallSteps
    num_expected: int  # parameters that can change
    sigmoids: bool  # whether the hidden neurons are


def small_steps(cost: Callable, activations: Callable, params: list[Layer], few: Examples) -> SmallSteps:
    """What one step does as the learning rate gets smaller; `activations(params, few)` are watched.
    w is the first layer and v the last: dw is the change of w in one step, with v as it was or already moved."""
    before, grads = jax.value_and_grad(cost)(params, few)
    steepness = layerwise.squares(grads).sum()
    dw = ravel_pytree(grads[0])[0]

    def of_rate(rate: Array) -> tuple[Array, Array, Array]:
        moved = layerwise.go(params, grads, rate, jnp.ones(len(params)))
        with_new_v = layerwise.go(params, grads, rate, jnp.eye(len(params))[-1])
        dw_with_new_v = ravel_pytree(jax.grad(cost)(with_new_v, few)[0])[0]
        steps = jax.tree.map(lambda slope: -rate * slope, grads)
        seen, predicted = jax.jvp(lambda params: activations(params, few), (params,), (steps,))
        change = activations(moved, few) - seen
        return (
            jnp.abs(1 - (before - cost(moved, few)) / (rate * steepness)),
            jnp.linalg.norm(dw - dw_with_new_v) / jnp.linalg.norm(dw),
            jnp.linalg.norm(change - predicted) / jnp.linalg.norm(change),
        )

    return SmallSteps(*jax.lax.map(of_rate, jnp.array(RATES)))


def measure(problem: Problem, settings: Settings) -> Result:
    functions = plain_layers(problem, "every layer's share is looked at")
    objective, rate = gradients.mean_over_examples(problem.example_cost), settings.learning_rate

    def of_seed(params: list[Layer], key: Array, shared: tuple[Examples, Examples]) -> tuple[Array, Array, Array]:
        train, few = shared
        shuffle_key, _ = jax.random.split(key)

        def look(params: list[Layer]) -> tuple[Array, Array]:
            cost, grads = jax.value_and_grad(problem.cost)(params, few)
            return cost, layerwise.shares(grads)

        follow = partial(layer_descents.follow, settings, train, look, params=params, shuffle_key=shuffle_key)
        _, (costs, shares) = follow(layerwise.at_once(objective, rate, jnp.ones(len(params))))
        _, (costs_last_first, _) = follow(layerwise.last_first(objective, rate, jnp.eye(len(params))[-1]))
        changed = ravel_pytree(jax.grad(problem.cost)(params, train))[0] != 0
        return jnp.stack([costs, costs_last_first]), shares, changed.sum()

    def activations(params: list[Layer], few: Examples) -> Array:
        def of_one(inputs: Array) -> Array:
            return jnp.concatenate(backprop.feed_forward(params, inputs, *functions).activations[1:])

        return jax.vmap(of_one)(few.inputs[:NUM_WATCHED])

    costs, shares, num_changed = layer_descents.every_seed(problem, settings, of_seed)
    few = data.take(problem.train, slice(settings.num_looked_at))
    starts = descents.starts(problem, runs.seed_keys(settings.seed, settings.num_seeds)[0])
    step = runs.over_seeds(partial(small_steps, problem.cost, activations), (0, None))
    steps = runs.in_float64(step)(starts, few)
    num_black = int((np.asarray(problem.train.inputs) == 0).all(axis=0).sum())
    num_expected = problem.num_parameters - num_black * starts[0].biases.shape[-1]
    sigmoids = functions[0] is jax.nn.sigmoid
    return Result(costs, shares, num_changed, steps, num_expected, sigmoids)


def claims(result: Result, settings: Settings) -> Claims:
    steps, first, taylor = result.steps, about(1, by=0.1), "Taylor, second order"
    decrease, updates, activations = (
        1 + worst(np.array([fits.log_log_slope(RATES[SMALL], error[SMALL]) - 1 for error in errors]))
        for errors in steps
    )
    yield identity("C3", f"at a rate of {RATES[0]:g} the cost sinks by what all shares together promise",
                   1 - np.max(steps.decrease[:, 0]), about(1, by=0.001), "actual / predicted", "Taylor")  # fmt: skip
    yield identity("C3", "what the cost sinks less than all shares promise shrinks with the rate", decrease, first,
                   "slope, log-log", taylor)  # fmt: skip
    yield identity("C2", "the first layer's update with the old or the new last layer: they differ by O(rate)",
                   updates, first, "slope, log-log", taylor)  # fmt: skip
    if result.sigmoids:  # others, such as ReLU, may sleep, and wake in a jump
        yield identity("C13", "to first order activations change as the changed weights and biases say", activations,
                       first, "slope of the error, log-log", taylor)  # fmt: skip
        yield prediction("C13", "at the start every parameter has a slope but the weights of pixels black in "
                         "every image", np.min(result.num_changed), exactly(result.num_expected), "parameters, fewest",
                         "pull x a: 0 only where a is; rounding to 0 could break it")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    by_layer = np.mean(result.shares.sum(axis=3), axis=0)
    at_once, last_first = np.median(result.costs[:, :, -1], axis=0)
    return (
        f"The last layer carries {by_layer[0, -1]:.0%} of the improvement at the start and {by_layer[-1, -1]:.0%} "
        f"after training, the first {by_layer[0, 0]:.1%} and {by_layer[-1, 0]:.0%} (means). Updating all layers at "
        f"once ends at a cost of {at_once:.3f}, the last layer first at {last_first:.3f} (medians); "
        f"{np.min(result.num_changed):,} of the {result.num_expected:,} parameters that can change have a slope at the "
        "start."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"avenues": layer_figures.avenues(result, settings), "order": layer_figures.order(result, settings, RATES)}
