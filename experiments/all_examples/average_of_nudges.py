"""Every example wants other nudges: what becomes of them when they are averaged?

The average over all 60,000 examples of what each wants of every weight of the film's network (784-16-16-10) is minus
the gradient of the cost. The same gradient three ways (every example by itself, then averaged; jax.grad of the average
cost; by hand), untrained, and after an epoch; and, in float64 on few examples, the factor between them with and without
Nielsen's 1/2, the average of separate steps, and what leaving out one example changes, (g_i - G)/(N - 1).

Run:     python -m experiments average_of_nudges [--quick | --full]
Time:    default 12 s, --quick 9 s, --full 60 s on 2 cores, compilation included
Result:  the average of all 60,000 nudges is minus the gradient to 2e-7 (10 seeds).
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.all_examples import average_of_nudges_figures as drawn
from experiments.common import asking, runs
from experiments.common.asking import flat, flat_rows, nudges
from experiments.common.claims import Claim, about, at_most, identity
from experiments.common.problem import Problem, plain_layers
from research import backprop, data, gradients, models, training
from research.data import Examples
from research.models import Params
from research.training import TrainState

CHUNK = 100  # examples whose gradients are held at once: 5 MB, which stay in a core's cache
SUBSET = 200  # examples on which the identities are checked in float64
LEFT_OUT = 50  # of these, how many are left out in turn
LEARNING_RATE = 1.5  # of the separate steps; any other would do


@dataclasses.dataclass(frozen=True)
class Settings(asking.Settings):
    """Settings of the average; every seed is a start of the network."""


QUICK = Settings(num_seeds=1)
FULL = Settings(num_seeds=10)


class Exact(NamedTuple):
    """The same gradient in several ways, flat, and two laws about it; in float64, of the first seed's networks."""

    minus_gradient: Float[np.ndarray, "checked params"]  # of the mean cost, by jax.grad
    averaged: Float[np.ndarray, "checked params"]  # T28: the average of the nudges
    by_hand: Float[np.ndarray, "checked params"]  # T28: and of the nudges by hand
    halved: Float[np.ndarray, "checked params"]  # T29: where every example's cost carries Nielsen's 1/2
    separate_steps: Float[np.ndarray, "checked params"]  # C6: mean of the steps each example makes, over the rate
    leave_one_out: Float[np.ndarray, "checked"]  # T13: largest relative error of (g_i - G)/(N - 1)


class Result(NamedTuple):
    """The networks come untrained first, one for each seed, then trained in the same order."""

    average: Float[np.ndarray, "networks params"]  # the last column of the film's table
    minus_gradient: Float[np.ndarray, "networks params"]  # by jax.grad of the mean cost
    by_hand: Float[np.ndarray, "networks params"]  # average of the nudges by hand
    exact: Exact
    table: drawn.Table  # the first seed's trained network
    num_examples: int


def nudges_by_hand(cost_fn: Callable, *activations: models.Activation) -> Callable[[Params, Examples], Params]:
    """What every example wants, by the film's routine, layer by layer."""

    def of_one(params: Params, example: Examples) -> Params:
        return jax.tree.map(jnp.negative, backprop.backpropagate(params, example, cost_fn, *activations).grads)

    return jax.vmap(of_one, (None, 0))


def average_in_chunks(
    wanted: Callable[[Params, Examples], Params], params: Params, examples: Examples, chunk_size: int = CHUNK
) -> Params:
    """The average over all examples of wanted(params, examples), whose leaves lead with an example axis.

    In memory are the nudges of one chunk, of at most `chunk_size` examples and all equally long, and the averages of
    all chunks. An average of averages also loses less to rounding than one long sum.

    >>> examples = Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
    >>> average_in_chunks(lambda params, some: params * some.inputs, jnp.float32(2.0), examples, chunk_size=2).tolist()
    [4.0]
    """
    num_examples = len(examples.inputs)
    length = next(size for size in range(chunk_size, 0, -1) if num_examples % size == 0)
    chunks = jax.tree.map(lambda leaf: leaf.reshape(-1, length, *leaf.shape[1:]), examples)
    return gradients.average(jax.lax.map(lambda chunk: gradients.average(wanted(params, chunk)), chunks))


def identities(one: Callable, by_hand: Callable, params: Params, examples: Examples) -> Exact:
    """For one network, in the precision of what is handed over."""
    minus_gradient = -flat(jax.grad(gradients.mean_over_examples(one))(params, examples))
    wanted = jax.vmap(flat)(nudges(one)(params, examples))
    halved = nudges(lambda params, example: one(params, example) / 2)
    return Exact(
        minus_gradient,
        jnp.mean(wanted, axis=0),
        flat(gradients.average(by_hand(params, examples))),
        flat(gradients.average(halved(params, examples))),
        mean_of_separate_steps(one, params, examples) / LEARNING_RATE,
        leave_one_out_error(one, params, examples, minus_gradient, wanted),
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
        others = (left_out + 1 + jnp.arange(num_examples - 1)) % num_examples
        some = data.take(examples, others)
        change = flat(jax.grad(gradients.mean_over_examples(one))(params, some)) + nudge  # G_without_i - G
        law = (nudges[left_out] - nudge) / (num_examples - 1)
        return jnp.linalg.norm(change - law) / jnp.linalg.norm(change)

    return jnp.max(jax.lax.map(error, jnp.arange(min(LEFT_OUT, num_examples))))


def measure(problem: Problem, settings: Settings) -> Result:
    """The gradient three ways and the identities, for every network."""
    activations = plain_layers(problem, "average_of_nudges averages by hand, too")
    one, by_hand = problem.example_cost, nudges_by_hand(problem.cost_fn, *activations)
    params = asking.untrained_and_trained(problem, settings)

    def three_ways(params: Params, train: Examples) -> tuple[Params, ...]:
        minus_gradient = jax.tree.map(jnp.negative, jax.grad(problem.cost)(params, train))
        return average_in_chunks(nudges(one), params, train), minus_gradient, average_in_chunks(by_hand, params, train)

    look = jax.jit(runs.over_seeds(three_ways, (0, None)))
    average, minus_gradient, handmade = map(flat_rows, look(params, problem.train))
    of_first_seed = jax.tree.map(lambda leaf: leaf[:: settings.num_seeds], params)
    in_turn = jax.jit(lambda params, few: jax.lax.map(lambda each: identities(one, by_hand, each, few), params))
    exact = runs.in_float64(in_turn)(of_first_seed, data.take(problem.train, slice(SUBSET)))
    trained = jax.tree.map(lambda leaf: leaf[1:], of_first_seed)
    table = drawn.tabulate(problem, trained, average[settings.num_seeds])
    return Result(average, minus_gradient, handmade, exact, table, len(problem.train.inputs))


def row_errors(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """|found - wanted| / |wanted| of every network."""
    return np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)


def factors(found: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, relative standard deviation) of found / wanted over the components of which either is not zero, for every
    network.

    >>> [numbers.tolist() for numbers in factors(np.array([[1.0, 0.0, 2.0]]), np.array([[2.0, 0.0, 4.0]]))]
    [[0.5], [0.0]]
    """
    asked = (found != 0) | (wanted != 0)
    ratios = [row[chosen] / other[chosen] for row, other, chosen in zip(found, wanted, asked, strict=True)]
    means = np.array([np.mean(ratio) for ratio in ratios])
    return means, np.array([np.std(ratio) for ratio in ratios]) / np.abs(means)


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T28, T29, C6 and T13: all of it is linearity of the derivative, and checks the code."""
    exact, checked = result.exact, partial(identity, source="linearity")
    factor, half = (factors(found, exact.minus_gradient) for found in (exact.averaged, exact.halved))
    error = {"bound": at_most(1e-12), "unit": "largest relative error"}
    in_mean, spread = "mean over all components", {"bound": at_most(1e-6), "unit": "relative standard deviation"}
    in_float32 = {**error, "bound": at_most(1e-6)}
    everyone = f"{result.num_examples:,} examples, float32"
    few = f"{min(SUBSET, result.num_examples)} examples, first seed, float64"
    yield checked("T28", f"the average of the nudges is minus the gradient of the average cost ({everyone})",
                  row_errors(result.average, result.minus_gradient).max(), **in_float32)  # fmt: skip
    yield checked("T28", f"and so is the average of the nudges by hand ({everyone})",
                  row_errors(result.by_hand, result.minus_gradient).max(), **in_float32)  # fmt: skip
    both = [row_errors(found, exact.minus_gradient).max() for found in (exact.averaged, exact.by_hand)]
    yield checked("T28", f"both again ({few})", max(both), **error)
    yield checked("T29", f"averaged nudges over minus the gradient: the factor ({few})", factor[0].mean(),
                  about(1, by=1e-6), in_mean)  # fmt: skip
    yield checked("T29", "the factor is the same for every component", factor[1].max(), **spread)
    yield checked("T29", "with a 1/2 in every example's cost the factor is 1/2", half[0].mean(), about(0.5, by=1e-6),
                  in_mean)  # fmt: skip
    yield checked("T29", "and again the same for every component", half[1].max(), **spread)
    yield checked("C6", f"the average of separate steps is the step with the average gradient ({few})",
                  row_errors(exact.separate_steps, exact.minus_gradient).max(), **error)  # fmt: skip
    yield checked("T13", f"leaving out example i changes the gradient by (g_i - G)/(N-1) ({few})",
                  exact.leave_one_out.max(), **error)  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    error = max(row_errors(found, result.minus_gradient).max() for found in (result.average, result.by_hand))
    return (
        f"Averaged over all {result.num_examples:,} examples, the nudges are minus the gradient: three ways, relative "
        f"difference at most {error:.0e}."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    return {"average_of_nudges": drawn.table(result.table, result.num_examples, settings.num_epochs)}
