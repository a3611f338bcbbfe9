"""How is the improvement shared out among biases, weights and layers, and do the hidden weights change at all?

Questions of the film's readers, on the film's network and real images. How are the avenues balanced: which share of the
first-order improvement, |G|^2, do the weights and the biases of each layer carry, through training? Should w be updated
with v held constant, or both at once: one step of the last layer first, then one of the others with its new weights,
against all at once. Do the hidden weights change, or only the activations? What steps leave over of the first order
is measured in float64, for smaller and smaller learning rates: by Taylor it shrinks in proportion to the rate.

Run:     python -m experiments avenues [--quick | --full]
Time:    default 8 s, --quick 7 s, --full 2 min on 2 cores, compilation included
Result:  nobody sets the balance: the first layer carries 1.9 % of the improvement at the start, the last 92 %;
         ten epochs later 84 % and 4 %. Old or new v: the same curve; all slopes taken beforehand, the order of moving
         the layers is free, to the last bit. 11,930 parameters change, all but the 16 x 67 weights of pixels that are
         black in every image (20 seeds).
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from experiments.common import descents, experiment, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claim, about, at_most, exactly, identity, prediction
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import avenues_figures
from research import backprop, data, fits, gradients, layerwise, training
from research.data import Examples
from research.models import Layer
from research.training import Step, TrainState

RATES = np.logspace(-4, 0, 9)  # learning rates of the single steps that are looked at as they get smaller
SMALL = RATES <= 1e-2  # where only the first order is left
NUM_WATCHED = 100  # images whose activations are predicted


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of the accounts."""

    learning_rate: Annotated[float, Gt(0)] = 2.0
    """Learning rate of both descents."""
    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Examples in a mini-batch."""
    num_legs: Annotated[int, Ge(1)] = 12
    """How often a training is looked at."""
    steps_per_leg: Annotated[int, Ge(1)] = 100
    """Mini-batch steps between two looks."""
    num_looked_at: Annotated[int, Ge(1), of_train] = 5000
    """Training images, from the first on, on which costs and gradients are looked at; all are trained on."""


QUICK = Settings(num_seeds=2, num_legs=6, num_looked_at=2000)
FULL = Settings(num_seeds=20, num_legs=60, num_looked_at=20_000)


class SmallSteps(NamedTuple):
    """One step from the start, for every learning rate: three errors of the first order, and whether the order in which
    the layers move counts."""

    decrease: Float[np.ndarray, "seeds rates"]  # |1 - actual / predicted decrease of the cost|
    updates: Float[np.ndarray, "seeds rates"]  # |dw with the old v - dw with the new v| / |dw|
    activations: Float[np.ndarray, "seeds rates"]  # |change of all activations - J dtheta| / |change|
    order: Float[np.ndarray, "seeds rates"]  # largest difference of parameters: layers at once, one after another


class Result(NamedTuple):
    """Two trainings of every seed from one start, and its small steps."""

    shares: Float[np.ndarray, "seeds looks layers 2"]  # of |G|^2 in the weights and the biases, all layers at once
    costs: Float[np.ndarray, "seeds 2 looks"]  # all layers at once; the last first, the others with its new weights
    num_changed: Int[np.ndarray, "seeds"]  # components of the gradient over all images that are not 0, at the start
    steps: SmallSteps
    num_expected: int  # parameters that can change
    num_parameters: int
    sigmoids: bool  # whether the hidden neurons are


def both_ways(settings: Settings, problem: Problem, params: list[Layer], key: Array, shared: tuple) -> tuple:
    """(shares, costs, number of parameters that change) of one seed."""
    train, few = shared
    shuffle_key, _ = jax.random.split(key)
    num_steps = settings.num_legs * settings.steps_per_leg
    rows = layerwise.batches(shuffle_key, len(train.inputs), settings.batch_size, num_steps)
    schedule = rows.reshape(settings.num_legs, settings.steps_per_leg, settings.batch_size)
    objective, rate = gradients.mean_over_examples(problem.example_cost), settings.learning_rate
    start = TrainState(params, ())

    def look(state: TrainState) -> tuple[Array, Array]:
        cost, grads = jax.value_and_grad(problem.cost)(state.params, few)
        return cost, layerwise.shares(grads)

    def follow(step: Step) -> tuple[Array, Array]:
        return training.minibatch_descent(step, start, train, schedule, look)[1].observed

    costs, shares = follow(layerwise.at_once(objective, rate, jnp.ones(len(params))))
    costs_last_first, _ = follow(layerwise.last_first(objective, rate, jnp.eye(len(params))[-1]))
    cost_at_start, shares_at_start = look(start)
    changed = ravel_pytree(jax.grad(problem.cost)(params, train))[0] != 0
    ways = jnp.stack([costs, costs_last_first])
    return (
        jnp.concatenate([shares_at_start[None], shares]),
        jnp.concatenate([jnp.full((2, 1), cost_at_start), ways], axis=1),
        changed.sum(),
    )


def small_steps(cost: Callable, activations: Callable, params: list[Layer], few: Examples) -> SmallSteps:
    """What one step does as the learning rate gets smaller; `activations(params)` are watched.

    w is the first layer and v the last: dw is the change of w in one step, with v as it was or already moved.
    """
    layers = jnp.eye(len(params))
    orders = jnp.stack([layers, layers[::-1]])  # first to last, last to first
    before, grads = jax.value_and_grad(cost)(params, few)
    steepness = layerwise.squares(grads).sum()

    def of_rate(rate: Array) -> tuple[Array, Array, Array, Array]:
        moved = layerwise.go(params, grads, rate, jnp.ones(len(params)))
        with_new_v = layerwise.go(params, grads, rate, layers[-1])
        dw = ravel_pytree(grads[0])[0]
        dw_with_new_v = ravel_pytree(jax.grad(cost)(with_new_v, few)[0])[0]
        steps = jax.tree.map(lambda slope: -rate * slope, grads)
        seen, predicted = jax.jvp(activations, (params,), (steps,))
        change = activations(moved) - seen

        def apart(order: Array) -> Array:
            in_turn = jax.lax.scan(lambda p, free: (layerwise.go(p, grads, rate, free), None), params, order)[0]
            return jnp.max(jnp.abs(ravel_pytree(in_turn)[0] - ravel_pytree(moved)[0]))

        return (
            jnp.abs(1 - (before - cost(moved, few)) / (rate * steepness)),
            jnp.linalg.norm(dw - dw_with_new_v) / jnp.linalg.norm(dw),
            jnp.linalg.norm(change - predicted) / jnp.linalg.norm(change),
            jnp.max(jax.lax.map(apart, orders)),
        )

    return SmallSteps(*jax.lax.map(of_rate, jnp.array(RATES)))


def measure(problem: Problem, settings: Settings) -> Result:
    """Every seed's two trainings, and its small steps in float64."""
    functions = plain_layers(problem, "every layer's share is looked at")
    few = data.take(problem.train, slice(settings.num_looked_at))
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    starts = descents.starts(problem, init_keys)
    told = jax.jit(runs.over_seeds(partial(both_ways, settings, problem), (0, 0, None)))
    shares, costs, num_changed = jax.device_get(told(starts, keys, (problem.train, few)))
    bad = ~np.isfinite(costs).all(axis=(0, 1))
    if bad.any():
        raise runs.Diverged("training", settings.steps_per_leg * int(bad.argmax()))

    def of_seed(params: list[Layer], few: Examples) -> SmallSteps:
        def activations(params: list[Layer]) -> Array:
            def of_one(inputs: Array) -> Array:
                return jnp.concatenate(backprop.feed_forward(params, inputs, *functions).activations[1:])

            return jax.vmap(of_one)(few.inputs[:NUM_WATCHED])

        return small_steps(problem.cost, activations, params, few)

    steps = runs.in_float64(jax.jit(runs.over_seeds(of_seed, (0, None))))(starts, few)
    num_black = int((np.asarray(problem.train.inputs) == 0).all(axis=0).sum())
    num_expected = problem.num_parameters - num_black * starts[0].biases.shape[-1]
    sigmoids = functions[0] is jax.nn.sigmoid
    return Result(shares, costs, num_changed, steps, num_expected, problem.num_parameters, sigmoids)


def slope_of(errors: np.ndarray) -> float:
    """The log-log slope against the learning rate that is furthest from 1 among the seeds."""
    slopes = [fits.log_log_slope(RATES[SMALL], error[SMALL]) for error in errors]
    return max(slopes, key=lambda slope: abs(slope - 1))


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """C2, C3, C13 and C23; the worst seed counts."""
    steps, one, taylor = result.steps, about(1, by=0.1), "Taylor, second order"
    yield identity("C3", "the shares of weights and biases of all layers add up to the whole improvement",
                   np.max(np.abs(result.shares.sum(axis=(2, 3)) - 1)), at_most(1e-5), "largest distance from 1",
                   "|G|^2 is a sum, float32")  # fmt: skip
    yield identity("C3", f"at a learning rate of {RATES[0]:g} the cost sinks by what these shares promise",
                   1 - np.max(steps.decrease[:, 0]), about(1, by=0.001), "actual / predicted", "Taylor")  # fmt: skip
    yield identity("C3", "and the difference shrinks with the learning rate", slope_of(steps.decrease), one,
                   "slope, log-log", taylor)  # fmt: skip
    yield identity("C2", "w updated with the old or with the new v: the difference shrinks with the learning rate",
                   slope_of(steps.updates), one, "slope, log-log", taylor)  # fmt: skip
    yield identity("C23", "all slopes taken beforehand, the order of applying them, first layer to last or back, is "
                   "free", np.max(steps.order), at_most(1e-15), "largest difference between parameters, float64",
                   "each parameter moves once")  # fmt: skip
    if result.sigmoids:  # others, such as ReLU, may sleep, and wake in a jump
        yield identity("C13", "the activations change by what the changed weights and biases make of them, to first "
                       "order", slope_of(steps.activations), one, "slope of the error, log-log", taylor)  # fmt: skip
        yield prediction("C13", "every parameter changes but the weights of pixels that are black in every image",
                         np.min(result.num_changed), exactly(result.num_expected), "parameters, fewest",
                         "pull x a: 0 only where a is; rounding to 0 could break it")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """The first and the last layer's shares, and how many parameters change."""
    by_layer = np.mean(result.shares.sum(axis=3), axis=0)
    at_once, last_first = np.median(result.costs[:, :, -1], axis=0)
    return (
        f"The last layer carries {by_layer[0, -1]:.0%} of the improvement at the start and {by_layer[-1, -1]:.0%} "
        f"after training, the first {by_layer[0, 0]:.1%} and {by_layer[-1, 0]:.0%}. With the old v for w training "
        f"ends at a cost of {at_once:.3f}, with the new v at {last_first:.3f}; {np.min(result.num_changed):,} of "
        f"{result.num_parameters:,} parameters change."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """The shares through training, the errors of small steps, and w with the old and the new v."""
    return {"avenues": avenues_figures.avenues(result, settings, RATES)}
