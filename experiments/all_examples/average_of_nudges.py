"""Every example wants other nudges: what becomes of them when they are averaged?

The average over all 60,000 examples of what each wants of every weight of the film's network (784-16-16-10) is minus
the gradient of the cost. The same gradient three ways (every example by itself, then averaged; jax.grad of the average
cost; by hand), untrained, and after an epoch; and, in float64 on few examples, the factor between them with and without
Nielsen's 1/2, the average of separate steps, and what leaving out one example changes, (g_i - G)/(N - 1).

Run:     python -m experiments average_of_nudges [--quick | --full]
Time:    default 12 s, --quick 9 s, --full 12 s on 2 cores, compilation included
Result:  the average of all 60,000 nudges is minus the gradient, by hand and by jax.grad, to 2e-7 of its length (10
         seeds, untrained and trained).
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from experiments.all_examples import average_of_nudges_figures as drawn
from experiments.common import asking, plots, runs
from experiments.common.asking import flat, nudges
from experiments.common.claims import Claims, about, at_most, identity
from experiments.common.problem import Problem, plain_layers
from research import backprop, data, gradients, models, training
from research.data import Examples
from research.models import Params
from research.training import TrainState

CHUNK = 100  # examples whose gradients are held at once on a CPU: 5 MB, which stay in a core's cache
SUBSET = 200  # examples on which the identities are checked in float64
LEFT_OUT = 50  # of these, how many are left out in turn
LEARNING_RATE = 1.5  # of the separate steps; any other would do


@dataclasses.dataclass(frozen=True)
class Settings(asking.Settings):
    """Settings of the average; every seed is a start of the network."""


QUICK = Settings(num_seeds=1)
FULL = Settings(num_seeds=10)


class Exact(NamedTuple):
    """In float64, of the first seed's networks: relative errors, and factors over minus the gradient."""

    averaged: Float[np.ndarray, "checked"]  # T28: the average of the nudges
    by_hand: Float[np.ndarray, "checked"]  # T28: and of the nudges by hand
    separate_steps: Float[np.ndarray, "checked"]  # C6: mean of the steps each example makes, over the rate
    leave_one_out: Float[np.ndarray, "checked"]  # T13: largest of (g_i - G)/(N - 1)
    factor: Float[np.ndarray, "checked 2"]  # T29: mean over all components, relative standard deviation
    halved: Float[np.ndarray, "checked 2"]  # T29: where every example's cost carries Nielsen's 1/2


class Result(NamedTuple):
    errors: Float[np.ndarray, "networks 2"]  # relative, of the average of the nudges by autodiff and by hand, float32
    exact: Exact
    table: drawn.Table  # the first seed's trained network
    num_examples: int


def nudges_by_hand(cost_fn: Callable, *activations: models.Activation) -> Callable[[Params, Examples], Params]:
    """What every example wants, by the film's routine, layer by layer."""

    def of_one(params: Params, example: Examples) -> Params:
        return jax.tree.map(jnp.negative, backprop.backpropagate(params, example, cost_fn, *activations).grads)

    return jax.vmap(of_one, (None, 0))


def average_in_chunks(
    wanted: Callable[[Params, Examples], Params], params: Params, examples: Examples, chunk_size: int
) -> Params:
    """The average over all examples of wanted(params, examples), whose leaves lead with an example axis. In memory are
    the nudges of one chunk, all equally long, and the averages of all chunks. An average of averages also loses less to
    rounding than one long sum."""
    num_examples = len(examples.inputs)
    length = next(size for size in range(chunk_size, 0, -1) if num_examples % size == 0)
    chunks = jax.tree.map(lambda leaf: leaf.reshape(-1, length, *leaf.shape[1:]), examples)
    return gradients.average(jax.lax.map(lambda chunk: gradients.average(wanted(params, chunk)), chunks))


def relative_error(found: Array, wanted: Array) -> Array:
    return jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted)


def factor(found: Array, wanted: Array) -> Array:
    """(mean, relative standard deviation) of found / wanted over the components of which either is not zero."""
    asked, ratio = (found != 0) | (wanted != 0), found / wanted
    mean = jnp.mean(ratio, where=asked)
    return jnp.stack([mean, jnp.std(ratio, where=asked) / jnp.abs(mean)])


def identities(one: Callable, by_hand: Callable, params: Params, examples: Examples) -> tuple[Array, ...]:
    """The fields of Exact for one network, in the precision of what is handed over."""
    nudge = -flat(jax.grad(gradients.mean_over_examples(one))(params, examples))  # minus the gradient
    wanted = jax.vmap(flat)(nudges(one)(params, examples))
    halved = nudges(lambda params, example: one(params, example) / 2)
    return (
        relative_error(jnp.mean(wanted, axis=0), nudge),
        relative_error(flat(gradients.average(by_hand(params, examples))), nudge),
        relative_error(mean_of_separate_steps(one, params, examples) / LEARNING_RATE, nudge),
        leave_one_out_error(one, params, examples, nudge, wanted),
        factor(jnp.mean(wanted, axis=0), nudge),
        factor(flat(gradients.average(halved(params, examples))), nudge),
    )


def mean_of_separate_steps(one: Callable, params: Params, examples: Examples) -> Array:
    """C6: every example makes a step of its own from the same place; how far they come on average."""
    optimizer = optax.sgd(LEARNING_RATE)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)
    start = TrainState(params, optimizer.init(params))
    alone = jax.tree.map(lambda leaf: leaf[:, None], examples)  # batches of one
    ends = jax.vmap(lambda example: flat(step(start, example)[0].params))(alone)
    return gradients.average(ends) - flat(params)


def leave_one_out_error(one: Callable, params: Params, examples: Examples, nudge: Array, nudges: Array) -> Array:
    """T13: G - G_without_i against (g_i - G)/(N - 1), the first computed from the other N - 1 examples; largest error
    over the first LEFT_OUT examples, each left out in turn. `nudge` is -G, the rows of `nudges` are -g_i."""
    num_examples = len(examples.inputs)

    def error(left_out: Array) -> Array:
        some = data.take(examples, (left_out + 1 + jnp.arange(num_examples - 1)) % num_examples)
        change = flat(jax.grad(gradients.mean_over_examples(one))(params, some)) + nudge  # G_without_i - G
        return relative_error((nudges[left_out] - nudge) / (num_examples - 1), change)

    return jnp.max(jax.lax.map(error, jnp.arange(min(LEFT_OUT, num_examples))))


def measure(problem: Problem, settings: Settings) -> Result:
    activations = plain_layers(problem, "average_of_nudges averages by hand, too")
    one, by_hand = problem.example_cost, nudges_by_hand(problem.cost_fn, *activations)
    at_once = problem.at_once(CHUNK, problem.num_parameters)
    params = asking.untrained_and_trained(problem, settings)

    def three_ways(params: Params, train: Examples) -> tuple[Array, Array]:
        nudge = -flat(jax.grad(problem.cost)(params, train))
        averages = [flat(average_in_chunks(wanted, params, train, at_once)) for wanted in (nudges(one), by_hand)]
        return averages[0], jnp.stack([relative_error(average, nudge) for average in averages])

    average, errors = map(np.asarray, runs.over_seeds(three_ways, (0, None))(params, problem.train))
    of_first_seed = jax.tree.map(lambda leaf: leaf[:: settings.num_seeds], params)
    in_turn = jax.jit(lambda params, few: jax.lax.map(lambda each: identities(one, by_hand, each, few), params))
    exact = Exact(*runs.in_float64(in_turn)(of_first_seed, data.take(problem.train, slice(SUBSET))))
    trained = jax.tree.map(lambda leaf: leaf[1:], of_first_seed)
    table = drawn.tabulate(problem, trained, average[settings.num_seeds])
    return Result(errors, exact, table, len(problem.train.inputs))


def claims(result: Result, settings: Settings) -> Claims:
    exact, (average, by_hand) = result.exact, result.errors.max(axis=0)
    (factor, factor_spread), (half, half_spread) = exact.factor.T, exact.halved.T
    everyone = f"{result.num_examples:,} examples, float32"
    few = f"{min(SUBSET, result.num_examples)} examples, first seed, float64"
    for film, says, error, most in (
        ("T28", f"the average of the nudges is minus the gradient of the average cost ({everyone})", average, 1e-6),
        ("T28", f"the average of the nudges by hand is minus the gradient too ({everyone})", by_hand, 1e-6),
        ("T28", f"both averages of the nudges are minus the gradient ({few})",
         np.max([exact.averaged, exact.by_hand]), 1e-12),
        ("C6", f"the average of separate steps is the step with the average gradient ({few})",
         exact.separate_steps.max(), 1e-12),
        ("T13", f"leaving out example i changes the gradient by (g_i - G)/(N-1) ({few})",
         exact.leave_one_out.max(), 1e-12),
    ):  # fmt: skip
        yield identity(film, says, error, at_most(most), "largest relative error", "linearity")
    for says, where, mean, expected, spread in (
        (f"averaged nudges over minus the gradient: the factor ({few})", "it", factor, 1, factor_spread),
        ("with a 1/2 in every example's cost the factor is 1/2", "with a 1/2 it", half, 0.5, half_spread),
    ):
        yield identity("T29", says, mean.mean(), about(expected, by=1e-6), "mean over all components", "linearity")
        yield identity("T29", f"that factor: {where} is the same for every component", spread.max(), at_most(1e-6),
                       "relative standard deviation", "linearity")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    return (
        f"Averaged over all {result.num_examples:,} examples, the nudges are minus the gradient: computed three ways, "
        f"it differs by at most {result.errors.max():.0e} of its length."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"average_of_nudges": drawn.table(result.table, result.num_examples, settings.num_epochs)}
