"""Every example wants other nudges: what becomes of them when they are averaged?

The film's table with computed numbers: what a 2, a 5, a 0, ... want from single weights of the film's network
(784-16-16-10), and the average over all 60,000 examples, which is minus the gradient of the cost. The same gradient
three ways (every example by itself, then averaged; jax.grad of the average cost; by hand), how far the examples
disagree, and how fast the average settles while they are added one by one: untrained, and after an epoch.

Run:     python -m experiments.average_of_nudges [--quick | --full]
Time:    default 20 s, --quick 11 s, --full 4 min, on 2 cores
Result:  the average of all 60,000 nudges is minus the gradient to 2e-7; before training it takes some 60 examples to
         come within 10 % of it, after one epoch tens of thousands.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from experiments.common import descents, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from research import backprop, data, gradients, models, plots, sharding, training
from research.data import Examples, unit_interval
from research.training import History, TrainState

NAME = Path(__file__).stem
CHUNK = 100  # examples whose gradients are held at once: 5 MB, which stay in a core's cache
SUBSET = 200  # examples on which the identities are checked in float64
LEFT_OUT = 50  # of these, how many are left out in turn
FILMS_COLUMNS = (2, 5, 0, 4, 1, 9)  # the digits of the film's table, in its order
HEAT_ROWS = 12  # parameters of every layer in the heat map
HEAT_COLUMNS = 4  # examples of every class in the heat map
LEARNING_RATE = 1.5  # Nielsen's 3.0, who differentiates with the 1/2; any other would do for the identity of one step
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
MINUS = "\N{MINUS SIGN}"
WISH_COLOURS = LinearSegmentedColormap.from_list("wishes", (plots.COLOURS[1], "white", plots.COLOURS[0]))


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the table; every seed is a start of the network, with its own shuffles."""

    num_seeds: int = 2
    """How many starts, 1 or more; the table shows the first."""
    num_shuffles: int = 4
    """In how many orders the examples of every network are added up one by one, 1 or more."""
    num_epochs: int = 1
    """Passes over the training set, in mini-batches of 100, before the examples are asked a second time, 1 or more."""
    learning_rate: float = 4.0
    """Learning rate of these passes, above 0; full_batch_vs_sgd found it best for batches of 100."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.num_shuffles >= 1, f"--num-shuffles is {self.num_shuffles}; it must be 1 or more")
        common.require(self.num_epochs >= 1, f"--num-epochs is {self.num_epochs}; it must be 1 or more")
        common.check_positive("--learning-rate", [self.learning_rate])


QUICK = Settings(num_seeds=1, num_shuffles=1)
FULL = Settings(num_seeds=10, num_shuffles=16)


# What examples want.


def flat(tree: PyTree) -> Array:
    """All parameters in one row, in the film's numbering w_0, w_1, ...: layer by layer, weights before biases."""
    return ravel_pytree(tree)[0]


def flat_rows(tree: PyTree) -> np.ndarray:
    """`flat` for every index of the leaves' leading axis: (examples or networks, params)."""
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(tree)], axis=1)


def requests(one: Callable) -> Callable[[PyTree, Examples], PyTree]:
    """What every example wants for every parameter: minus the gradient of its own cost, by vmap(grad).

    >>> squared = lambda params, example: jnp.sum((params - example.inputs) ** 2)
    >>> requests(squared)(jnp.float32(0.0), Examples(jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1)))).tolist()
    [2.0, 6.0]
    """
    return lambda params, examples: jax.tree.map(jnp.negative, gradients.per_example_gradients(one)(params, examples))


def requests_by_hand(cost_fn: Callable, *activations: models.Activation) -> Callable[[PyTree, Examples], PyTree]:
    """The same by the film's routine, layer by layer; `activations` are that of the hidden layers and the last."""

    def of_one(params: PyTree, example: Examples) -> PyTree:
        return jax.tree.map(jnp.negative, backprop.backpropagate(params, example, cost_fn, *activations).grads)

    return jax.vmap(of_one, (None, 0))


def average_in_chunks(
    wanted: Callable[[PyTree, Examples], PyTree], params: PyTree, examples: Examples, chunk_size: int = CHUNK
) -> PyTree:
    """The average over all examples of wanted(params, examples), whose leaves lead with an example axis.

    In memory are the requests of one chunk and the averages of all chunks. An average of averages also loses less to
    rounding than one long sum; a shorter rest counts with its own weight.

    >>> examples = Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
    >>> average_in_chunks(lambda params, some: params * some.inputs, jnp.float32(2.0), examples, chunk_size=2).tolist()
    [4.0]
    """
    num_examples = len(examples.inputs)
    chunk_size = min(chunk_size, num_examples)
    whole = num_examples // chunk_size * chunk_size

    def average_of(chunk: Examples) -> PyTree:
        return gradients.average(wanted(params, chunk))

    chunks = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, chunk_size, *leaf.shape[1:]), examples)
    average = gradients.average(jax.lax.map(average_of, chunks))
    if whole == num_examples:
        return average
    of_rest = average_of(jax.tree.map(lambda leaf: leaf[whole:], examples))
    share = whole / num_examples
    return jax.tree.map(lambda most, few: share * most + (1 - share) * few, average, of_rest)


class Tally(NamedTuple):
    """How the requests of all examples scatter, for every parameter."""

    mean_square: PyTree
    more: PyTree  # share of the examples that want the parameter larger
    less: PyTree


def tally(one: Callable, params: PyTree, examples: Examples) -> Tally:
    """Asks one example after the other and keeps only sums: quicker than a batch on a CPU, whose cache holds them."""

    def add(total: Tally, example: Examples) -> tuple[Tally, None]:
        gradient = jax.grad(one)(params, example)
        addend = Tally(
            mean_square=jax.tree.map(jnp.square, gradient),
            more=jax.tree.map(lambda leaf: (leaf < 0).astype(leaf.dtype), gradient),
            less=jax.tree.map(lambda leaf: (leaf > 0).astype(leaf.dtype), gradient),
        )
        return jax.tree.map(jnp.add, total, addend), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    total, _ = jax.lax.scan(add, Tally(zeros, zeros, zeros), examples)
    return Tally(*(flat(tree) / len(examples.inputs) for tree in total))


def noise_scale(average: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """B_simple = tr(Sigma) / |G|^2, with tr(Sigma) = mean |g_i|^2 - |G|^2 (McCandlish et al., arXiv:1812.06162).

    Both arguments are (seeds, params).

    >>> noise_scale(np.array([[2.0]]), np.array([[5.0]])).tolist()  # of the requests 1 and 3
    [0.25]
    """
    squared_norm = np.square(average, dtype=np.float64).sum(axis=1)
    return (mean_square.sum(axis=1, dtype=np.float64) - squared_norm) / squared_norm


# The running mean: examples added one by one.


def running_distance(one: Callable, params: PyTree, gradient: PyTree, order: Array, examples: Examples) -> Array:
    """|mean of the first n gradients - gradient| / |gradient| for n = 1, 2, ..., in this order of the examples.

    >>> squared = lambda params, example: jnp.sum((params - example.inputs) ** 2)
    >>> examples = Examples(jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1)))  # their gradients are -2 and -6
    >>> running_distance(squared, jnp.zeros(1), jnp.array([-4.0]), jnp.array([1, 0]), examples).tolist()
    [0.5, 0.0]
    """

    def add(total: PyTree, row_and_count: tuple[Array, Array]) -> tuple[PyTree, Array]:
        row, count = row_and_count
        addend = jax.grad(one)(params, jax.tree.map(lambda leaf: leaf[row], examples))
        total = jax.tree.map(jnp.add, total, addend)
        return total, optax.tree.norm(jax.tree.map(lambda leaf, full: leaf / count - full, total, gradient))

    counts = jnp.arange(1, len(order) + 1, dtype=flat(params).dtype)
    distances = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), (order, counts))[1]
    return distances / optax.tree.norm(gradient)


def expected_distance(noise_scale: np.ndarray, counts: np.ndarray, num_examples: int) -> np.ndarray:
    """Root mean square over all orders of `running_distance`: sqrt(B_simple / n * (N - n) / (N - 1)).

    Source: sampling from a finite population without replacement.

    >>> expected_distance(np.array(4.0), np.array([1, 4, 9]), 9).round(3).tolist()
    [2.0, 0.791, 0.0]
    """
    return np.sqrt(noise_scale / counts * (num_examples - counts) / (num_examples - 1))


# The identities, in float64 on few examples.


class Factor(NamedTuple):
    """A ratio taken component by component."""

    mean: Array
    spread: Array  # standard deviation over the components, relative to the mean


class Identities(NamedTuple):
    """How far each law is from holding; all numbers but the factors' means should be zero."""

    averaged: Array  # T28: |average of requests + gradient of the mean cost| / |gradient|
    by_hand: Array  # the same for the requests by hand
    factor: Factor  # T29: average of requests / minus the gradient
    half_factor: Factor  # the same where every example's cost carries Nielsen's 1/2
    separate_steps: Array  # C6: |mean of parameters after separate steps - after one step| / |step|
    leave_one_out: Array  # T13: largest |G - G_without_i - (g_i - G)/(N - 1)| / |G - G_without_i|


def relative(found: Array, wanted: Array) -> Array:
    """|found - wanted| / |wanted|"""
    return jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted)


def proportionality(found: Array, wanted: Array) -> Factor:
    """The factor found / wanted, over the components of which either is not zero.

    >>> [float(number) for number in proportionality(jnp.array([1.0, 0.0, 2.0]), jnp.array([2.0, 0.0, 4.0]))]
    [0.5, 0.0]
    """
    asked = (found != 0) | (wanted != 0)
    ratio = jnp.where(asked, found / jnp.where(asked, wanted, 1), 0)
    num_asked = jnp.sum(asked, dtype=ratio.dtype)
    mean = jnp.sum(ratio) / num_asked
    return Factor(mean, jnp.sqrt(jnp.sum(jnp.where(asked, ratio - mean, 0) ** 2) / num_asked) / jnp.abs(mean))


def separate_steps_error(one: Callable, params: PyTree, examples: Examples) -> Array:
    """C6: every example makes a step of its own from the same place; the average of their ends, against ONE step."""
    optimizer = optax.sgd(LEARNING_RATE)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)
    state = TrainState(params, optimizer.init(params))
    alone = jax.tree.map(lambda leaf: leaf[:, None], examples)  # batches of one
    ends = jax.vmap(lambda example: flat(step(state, example)[0].params))(alone)
    together = flat(step(state, examples)[0].params)
    return relative(gradients.average(ends) - flat(params), together - flat(params))


def leave_one_out_error(one: Callable, params: PyTree, examples: Examples) -> Array:
    """T13: G - G_without_i against (g_i - G)/(N - 1), the first computed from the other N - 1 examples; largest error
    over the first LEFT_OUT examples, each left out in turn."""
    gradient = jax.grad(gradients.mean_over_examples(one))
    num_examples = len(examples.inputs)
    full = flat(gradient(params, examples))

    def error(left_out: Array) -> Array:
        others = (left_out + 1 + jnp.arange(num_examples - 1)) % num_examples
        without = flat(gradient(params, jax.tree.map(lambda leaf: leaf[others], examples)))
        alone = flat(jax.grad(one)(params, jax.tree.map(lambda leaf: leaf[left_out], examples)))
        return relative((alone - full) / (num_examples - 1), full - without)

    return jnp.max(jax.lax.map(error, jnp.arange(min(LEFT_OUT, num_examples))))


def identities(one: Callable, by_hand: Callable, params: PyTree, examples: Examples) -> Identities:
    """All of them, in the precision of what is handed over."""
    minus_gradient = -flat(jax.grad(gradients.mean_over_examples(one))(params, examples))
    averaged = flat(gradients.average(requests(one)(params, examples)))
    halved = flat(gradients.average(requests(lambda params, example: one(params, example) / 2)(params, examples)))
    return Identities(
        averaged=relative(averaged, minus_gradient),
        by_hand=relative(flat(gradients.average(by_hand(params, examples))), minus_gradient),
        factor=proportionality(averaged, minus_gradient),
        half_factor=proportionality(halved, minus_gradient),
        separate_steps=separate_steps_error(one, params, examples),
        leave_one_out=leave_one_out_error(one, params, examples),
    )


def identities_in_float64(one: Callable, by_hand: Callable, params: PyTree, examples: Examples) -> Identities:
    """`identities` of every seed, each number an array (seeds,); only the first SUBSET examples are asked."""
    with jax.enable_x64(True):
        few = jax.tree.map(lambda leaf: np.asarray(leaf[:SUBSET], np.float64), examples)
        few = few._replace(inputs=few.inputs / 255 if examples.inputs.dtype == np.uint8 else few.inputs)
        exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        every_seed = jax.jit(runs.over_seeds(partial(identities, one, by_hand), (0, None)))
        return jax.tree.map(np.asarray, every_seed(exact, few))


# The run.


class Measured(NamedTuple):
    """All that the claims are about. The networks come untrained first, one for each seed, then trained in the same
    order; every array but `counts` leads with a network axis."""

    params: PyTree
    average: np.ndarray  # networks, params: the last column of the film's table
    minus_gradient: np.ndarray  # networks, params: by jax.grad of the mean cost
    by_hand: np.ndarray  # networks, params: average of the requests by hand
    tally: Tally
    counts: np.ndarray  # points: how many examples have been added up
    distance: np.ndarray  # networks, shuffles, points
    expected: np.ndarray  # networks, points
    identities: Identities
    num_black: int  # pixels that are black in every example


def measure(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples) -> Measured:
    """The gradient three ways, the scatter of the requests, the running mean and the identities, for every network."""
    one = gradients.example_cost(model.apply, cost_fn)
    by_hand = requests_by_hand(cost_fn, *activations(settings))
    shared = sharding.on_every_device(train)
    params = untrained_and_trained(settings, model, one, shared)
    looked_at = jax.jit(runs.over_seeds(partial(three_ways, one, by_hand), (0, None)))(params, shared)
    average, minus_gradient, handmade = map(flat_rows, looked_at)
    scatter = jax.tree.map(np.asarray, jax.jit(runs.over_seeds(partial(tally, one), (0, None)))(params, shared))
    counts, distance = running_means(settings, one, params, looked_at[1], shared)
    scale = noise_scale(average, np.asarray(scatter.mean_square))
    return Measured(
        params=params,
        average=average,
        minus_gradient=minus_gradient,
        by_hand=handmade,
        tally=scatter,
        counts=counts,
        distance=distance,
        expected=expected_distance(scale[:, None], counts, len(train.inputs)),
        identities=identities_in_float64(one, by_hand, params, train),
        num_black=int((np.asarray(train.inputs).max(axis=0) == 0).sum()),
    )


def shuffles(seed: int, num_networks: int, num_shuffles: int, num_examples: int) -> np.ndarray:
    """Orders of the examples: (networks, shuffles, examples); numpy's, which need no compiling."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(num_examples) for _ in range(num_networks * num_shuffles)]
    return np.stack(orders).reshape(num_networks, num_shuffles, num_examples)


def untrained_and_trained(settings: Settings, model: models.Model, one: Callable, train: Examples) -> PyTree:
    """Every seed's start, then where it has come to after some epochs; every leaf is (2 seeds, ...)."""
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    start = jax.jit(runs.over_seeds(model.init, (0,)))(init_keys)
    optimizer = optax.sgd(settings.learning_rate)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)

    def loop(state: TrainState, train: Examples, schedule: Array) -> tuple[TrainState, History]:
        return training.minibatch_descent(step, state, train, schedule, lambda state: ())

    num_examples = len(train.inputs)
    order = shuffles(settings.seed, settings.num_seeds, settings.num_epochs, num_examples)
    schedule = descents.in_batches(order, min(100, num_examples))[:, None]
    state = TrainState(start, jax.vmap(optimizer.init)(start))
    end = runs.descend("training", loop, state, train, [(schedule,)]).state.params
    return jax.tree.map(lambda *parts: np.concatenate(parts), start, end)


def activations(settings: Settings) -> list[models.Activation]:
    """Those of the hidden layers and of the last layer."""
    return [
        common.import_function("--activation", settings.activation, "jax.nn"),
        common.import_function("--output-activation", settings.output_activation, "jax.nn"),
    ]


def three_ways(one: Callable, by_hand: Callable, params: PyTree, examples: Examples) -> tuple[PyTree, PyTree, PyTree]:
    """Every example by itself, then averaged; minus jax.grad of the mean cost; by hand, then averaged."""
    objective = gradients.mean_over_examples(one, chunk_size=10 * CHUNK)
    return (
        average_in_chunks(requests(one), params, examples),
        jax.tree.map(jnp.negative, jax.grad(objective)(params, examples)),
        average_in_chunks(by_hand, params, examples),
    )


def running_means(
    settings: Settings, one: Callable, params: PyTree, minus_gradient: PyTree, train: Examples
) -> tuple[np.ndarray, np.ndarray]:
    """(counts, distances (networks, shuffles, counts)), the counts evenly spaced on a logarithmic axis."""
    num_examples, num_networks, num_shuffles = len(train.inputs), 2 * settings.num_seeds, settings.num_shuffles
    orders = shuffles(settings.seed, num_networks, num_shuffles, num_examples).reshape(-1, num_examples)
    gradient = jax.tree.map(np.negative, minus_gradient)
    every = jax.tree.map(lambda leaf: np.repeat(leaf, num_shuffles, axis=0), (params, gradient))
    distances = jax.jit(runs.over_seeds(partial(running_distance, one), (0, 0, 0, None)))(*every, orders, train)
    counts = np.unique([*np.geomspace(1, num_examples, 200).astype(int), min(100, num_examples)])
    return counts, np.asarray(distances)[:, counts - 1].reshape(num_networks, num_shuffles, -1)


def is_the_films(settings: Settings) -> bool:
    """Whether data, cost and network are the film's."""
    fields = ("dataset", "cost", "layer_sizes", "activation", "output_activation")
    return all(getattr(settings, field) == getattr(Settings(), field) for field in fields)


def row_errors(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """|found - wanted| / |wanted| of every network."""
    return np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)


def share_of_expected(measured: Measured) -> float:
    """Root mean square, over orders and networks and over n on a logarithmic axis up to N/2, of distance / expected."""
    early = measured.counts <= measured.counts[-1] / 2
    ratio = measured.distance[..., early] / measured.expected[:, None, early]
    return float(np.sqrt(np.mean(ratio**2)))


def both_signs(scatter: Tally) -> tuple[np.ndarray, np.ndarray]:
    """(share, silent), one number a network: of the parameters for which any example asks, the share on which examples
    disagree in sign; and how many parameters no example asks for."""
    more, less = np.asarray(scatter.more) > 0, np.asarray(scatter.less) > 0
    asked, disputed = more | less, more & less
    return disputed.sum(axis=1) / asked.sum(axis=1), (~asked).sum(axis=1)


def chance_of_dispute(num_classes: int) -> float:
    """How likely examples disagree about a weight of a hidden neuron of an untrained network, all of whose outputs are
    near 1/2.

    Then every output wants down as hard as the one of the label wants up, so that what a neuron is asked to do for
    label d is w_d - (w_1 + ... + w_n)/2, in the random weights w through which it is seen: up to a random factor the
    same sum in every hidden layer. Examples disagree if it has both signs among the n labels. By 100,000 draws.

    >>> round(chance_of_dispute(10), 2)
    0.74
    """
    weights = np.random.default_rng(0).standard_normal((100_000, num_classes))
    asked = weights - weights.sum(axis=1, keepdims=True) / 2
    return float(np.mean((asked.min(axis=1) < 0) & (asked.max(axis=1) > 0)))


def make_claims(settings: Settings, measured: Measured, num_examples: int) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    exact = measured.identities
    everyone, few = f"{num_examples:,} examples, float32", f"{min(SUBSET, num_examples)} examples, float64"
    error, in_mean, in_spread = "largest relative error", "mean over all components", "relative standard deviation"
    found = [
        claim("T28", f"the average of the nudges is minus the gradient of the average cost ({everyone})",
              float(row_errors(measured.average, measured.minus_gradient).max()), 0.0, 0.0, 1e-6, error),
        claim("T28", f"and so is the average of the nudges by hand ({everyone})",
              float(row_errors(measured.by_hand, measured.minus_gradient).max()), 0.0, 0.0, 1e-6, error),
        claim("T28", f"both again ({few})",
              float(max(exact.averaged.max(), exact.by_hand.max())), 0.0, 0.0, 1e-12, error),
        claim("T28", "adding examples one by one, the running mean settles as sqrt(B_simple/n (N-n)/(N-1))",
              share_of_expected(measured), 1.0, 0.8, 1.25, "distance / theory, root mean square"),
        claim("T29", f"averaged nudges over minus the gradient: the factor ({few})",
              float(exact.factor.mean.mean()), 1.0, 1 - 1e-6, 1 + 1e-6, in_mean),
        claim("T29", "the factor is the same for every component",
              float(exact.factor.spread.max()), 0.0, 0.0, 1e-6, in_spread),
        claim("T29", "with a 1/2 in every example's cost the factor is 1/2",
              float(exact.half_factor.mean.mean()), 0.5, 0.5 - 1e-6, 0.5 + 1e-6, in_mean),
        claim("T29", "and again the same for every component",
              float(exact.half_factor.spread.max()), 0.0, 0.0, 1e-6, in_spread),
        claim("C6", f"the average of separate steps is the step with the average gradient ({few})",
              float(exact.separate_steps.max()), 0.0, 0.0, 1e-12, error),
        claim("T13", f"leaving out example i changes the gradient by (g_i - G)/(N-1) ({few})",
              float(exact.leave_one_out.max()), 0.0, 0.0, 1e-12, error),
    ]  # fmt: skip
    return found + claims_on_disputes(settings, measured) if is_the_films(settings) else found


def claims_on_disputes(settings: Settings, measured: Measured) -> list[Claim]:
    """T20 for the film's network and data: how many weights are pulled both ways, and how many not at all."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    share, silent = both_signs(measured.tally)
    untrained, trained = np.split(share, 2)
    expected, black = chance_of_dispute(10), 16.0 * measured.num_black
    # nearly all weights are those of the first layer's 16 neurons, each of which is one draw
    three_sigma = 3 * math.sqrt(expected * (1 - expected) / 16 / settings.num_seeds)
    after = f"after {settings.num_epochs} epoch{'s' * (settings.num_epochs > 1)}"
    return [
        claim("T20", "examples disagree in sign on this share of the weights that anyone wants changed, untrained",
              float(untrained.mean()), expected, max(0.0, expected - three_sigma),
              min(1.0, expected + three_sigma), "mean share"),
        claim("T20", f"and on nearly all of them {after}", float(trained.mean()), 1.0, 0.95, 1.0, "mean share"),
        claim("T20", f"untrained, nobody asks for the 16 weights of the {measured.num_black} always black pixels",
              float(silent[: settings.num_seeds].max()), black, black, black, "weights"),
    ]  # fmt: skip


def sentence(measured: Measured, num_examples: int) -> str:
    """What was found, in one sentence."""
    averages = (measured.average, measured.by_hand)
    error = max(row_errors(average, measured.minus_gradient).max() for average in averages)
    untrained, trained = np.split(both_signs(measured.tally)[0], 2)
    return (
        f"Averaged over all {num_examples:,} examples, the nudges are minus the gradient (three ways, relative "
        f"difference at most {error:.0e}), though the examples pull {100 * untrained.mean():.0f} % of the weights both "
        f"ways before training and {100 * trained.mean():.1f} % after."
    )


# The table and its figures.


def parameter_name(index: int, layer_sizes: tuple[int, ...]) -> str:
    """Where the film's w_index sits: neurons counted from 0, in layers of weights counted from 1.

    >>> parameter_name(0, (784, 16, 16, 10)), parameter_name(13001, (784, 16, 16, 10))
    ('pixel 0 to neuron 0 of layer 1', 'bias of output 9')
    """
    for layer, (num_in, num_out) in enumerate(itertools.pairwise(layer_sizes), start=1):
        last = layer == len(layer_sizes) - 1
        if index < num_out * num_in:
            neuron, source = divmod(index, num_in)
            origin = f"pixel {source}" if layer == 1 else f"neuron {source}"
            return f"{origin} to output {neuron}" if last else f"{origin} to neuron {neuron} of layer {layer}"
        index -= num_out * num_in
        if index < num_out:
            return f"bias of output {index}" if last else f"bias of neuron {index} of layer {layer}"
        index -= num_out
    raise ValueError(f"there is no parameter so far behind the last of a network {layer_sizes}")


def layer_slices(layer_sizes: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Where the weights and the biases of every layer lie among w_0, w_1, ...

    >>> layer_slices((2, 3))
    [(slice(0, 6, None), slice(6, 9, None))]
    """
    slices, begin = [], 0
    for num_in, num_out in itertools.pairwise(layer_sizes):
        middle, end = begin + num_in * num_out, begin + num_out * (num_in + 1)
        slices.append((slice(begin, middle), slice(middle, end)))
        begin = end
    return slices


def table_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...]) -> np.ndarray:
    """The first and the last parameter, and from each layer the weight and the bias with the largest requests."""
    loudest = [part.start + int(mean_square[part].argmax()) for pair in layer_slices(layer_sizes) for part in pair]
    return np.unique([0, *loudest, len(mean_square) - 1])


def heat_map_rows(mean_square: np.ndarray, layer_sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """From each layer HEAT_ROWS parameters for which anyone asks, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    rows = []
    for weights, biases in layer_slices(layer_sizes):
        asked = weights.start + np.flatnonzero(mean_square[weights.start : biases.stop])
        rows.append(np.sort(rng.choice(asked, min(HEAT_ROWS, len(asked)), replace=False)))
    return np.concatenate(rows)


def first_of_each(labels: np.ndarray, classes: list[int], how_many: int) -> np.ndarray:
    """Where the first examples of each class are, class by class.

    >>> first_of_each(np.array([5, 2, 2, 5, 2]), [2, 5], 2).tolist()
    [1, 2, 0, 3]
    """
    return np.concatenate([np.flatnonzero(labels == label)[:how_many] for label in classes])


def shown(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples, measured: Measured) -> dict:
    """What the table and the heat maps show: the first seed's network, untrained and trained."""
    sizes, (untrained, trained) = settings.sizes_for(train), (0, settings.num_seeds)
    labels, num_classes = np.asarray(train.targets).argmax(axis=1), train.targets.shape[1]
    many = first_of_each(labels, list(range(num_classes)), HEAT_COLUMNS)
    examples = jax.tree.map(lambda leaf: np.asarray(leaf)[many], train)
    one_each = first_of_each(labels[many], [label for label in FILMS_COLUMNS if label < num_classes], 1)
    wanted = jax.jit(requests(gradients.example_cost(model.apply, cost_fn)))

    def part(network: int, rows: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
        params = jax.tree.map(lambda leaf: leaf[network], measured.params)
        return {
            "rows": rows,
            "labels": labels[many][columns],
            "wanted": flat_rows(wanted(params, examples))[columns][:, rows].T,
            "average": measured.average[network, rows],
            "gradient": measured.minus_gradient[network, rows],
            "more": measured.tally.more[network, rows],
            "less": measured.tally.less[network, rows],
        }

    everyone, mean_square = np.arange(len(many)), measured.tally.mean_square[trained]
    heat_rows = heat_map_rows(mean_square, sizes, settings.seed)
    parts = {
        "table": part(trained, table_rows(mean_square, sizes), one_each),
        "before": part(untrained, heat_rows, everyone),
        "after": part(trained, heat_rows, everyone),
    }
    arrays = {f"{name}_{field}": array for name, fields in parts.items() for field, array in fields.items()}
    image_shape = data.image_shape(settings.dataset, data_dir=settings.data_dir)
    images = np.asarray(unit_interval(jnp.asarray(examples.inputs[one_each])))
    return {**arrays, "table_images": images.reshape(-1, *image_shape)}


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    cost_fn = common.cost_function(settings)
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    model = common.make_model(settings, train)
    common.check_cost(cost_fn, model, train)
    measured = measure(settings, model, cost_fn, train)
    num_examples = len(train.inputs)
    claims, finding = make_claims(settings, measured, num_examples), sentence(measured, num_examples)
    records.write_run(
        settings.out / NAME,
        settings,
        claims,
        shown(settings, model, cost_fn, train, measured)
        | {"counts": measured.counts, "distance": measured.distance, "expected": measured.expected},
        **records.describe_data(settings.dataset, train=train),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
    )
    records.print_claims(claims)
    print(finding)


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(table_figure(record, arrays), out / NAME / f"{NAME}.png")
    plots.save(heat_map_figure(record, arrays), out / NAME / "heat_map.png")
    plots.save(running_mean_figure(record, arrays), out / NAME / "running_mean.png")
    print(f"figures and run.json are in {out / NAME}")


def row_scaled(wanted: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Every row divided by its largest request in size, so that small and large ones are seen alike; zeros stay."""
    largest = np.abs(wanted).max(axis=1)
    scale = np.where(largest > 0, largest, 1)
    return [(array.T / scale).T for array in (wanted, *others)]


def table_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """The film's table with computed numbers: one row a weight, one column an example, then the average of all."""
    wanted, average, gradient = (arrays[f"table_{name}"] for name in ("wanted", "average", "gradient"))
    num_examples, num_columns = record["dataset"]["train"]["count"], wanted.shape[1]
    numbers = np.column_stack([wanted, average, gradient])
    colours = np.column_stack(row_scaled(wanted, average, gradient))
    figure, axes = plots.new_figure(4.2 + 1.15 * (num_columns + 3), 2.6 + 0.52 * len(wanted))
    axis = axes[0, 0]
    axis.imshow(np.pad(colours, ((0, 0), (0, 1))), cmap=WISH_COLOURS, vmin=-1.3, vmax=1.3, aspect="auto")
    for row, column in np.ndindex(numbers.shape):
        bold = "bold" if column >= num_columns else "normal"
        axis.text(column, row, signed(1000 * float(numbers[row, column])), ha="center", va="center", weight=bold)
    for row, (more, less) in enumerate(zip(arrays["table_more"], arrays["table_less"], strict=True)):
        axis.text(num_columns + 2, row, f"{100 * more:.0f} : {100 * less:.0f}", ha="center", va="center")
    headings = [
        *(f"a {label}" for label in arrays["table_labels"]),
        f"average of\nall {num_examples:,}",
        "minus the\ngradient",
        "want it\nup : down, %",
    ]
    axis.set_xticks(range(len(headings)), headings)
    axis.set_yticks(range(len(wanted)), row_names(arrays["table_rows"], record["layer_sizes"]))
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.axvline(num_columns - 0.5, color="black", linewidth=2)
    thumbnails(axis, arrays["table_images"])
    axis.set_xlabel(
        f"what each wants for each weight, in thousandths (blue +: more, orange {MINUS}: less; colours scaled row by "
        f"row), after {epochs_of(record)}\nrows: the first and the last parameter, and from every layer the weight and "
        "the bias with the largest wishes",
        fontsize=9,
    )
    title = "Every example has its own wish for each weight; averaged over all, the wishes are minus the gradient"
    figure.suptitle(title, fontsize=13, fontweight="bold")
    return figure


def epochs_of(record: dict) -> str:
    num_epochs = record["settings"]["num_epochs"]
    return "1 epoch of training" if num_epochs == 1 else f"{num_epochs} epochs of training"


def signed(value: float) -> str:
    """Three digits with a sign; an exact zero without.

    >>> signed(12.345), signed(0.00001), signed(0.0)
    ('+12.3', '+0.000', '0')
    """
    digits = f"{value:+.3f}" if abs(value) < 1 else f"{value:+#.3g}".rstrip(".")
    return digits.replace("-", MINUS) if value else "0"


def row_names(rows: np.ndarray, layer_sizes: list[int]) -> list[str]:
    """The parameters' places and the film's names for them.

    >>> row_names(np.array([13001]), [784, 16, 16, 10])
    ['bias of output 9   w₁₃₀₀₁']
    """
    return [f"{parameter_name(int(row), tuple(layer_sizes))}   w{str(row).translate(SUBSCRIPTS)}" for row in rows]


def thumbnails(axis: Axes, images: np.ndarray) -> None:
    """Each example's image above its column."""
    for column, image in enumerate(images):
        place = axis.inset_axes((column - 0.4, -2.35, 0.8, 1.1), transform=axis.transData)
        place.imshow(image, cmap="gray", vmin=0, vmax=1)
        place.set_axis_off()


def heat_map_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Many more weights and examples, before and after training; a wish for less carries a dash besides its colour."""
    num_columns = len(arrays["before_labels"])
    figure, axes = plots.new_figure(17, 9, columns=4, sharey=True, width_ratios=(num_columns, 2, num_columns, 2))
    stages = {
        "before": "before training: many rows are unanimous",
        "after": f"after {epochs_of(record)}: hardly any is",
    }
    for (stage, title), (left, right) in zip(stages.items(), axes[0].reshape(2, 2), strict=True):
        scaled = row_scaled(arrays[f"{stage}_wanted"], arrays[f"{stage}_average"])
        wanted, average = (np.sign(array) * np.sqrt(np.abs(array)) for array in scaled)
        wishes(left, wanted)
        wishes(right, average[:, None])
        name_classes(left, arrays[f"{stage}_labels"])
        left.set_title(title)
        left.set_xlabel(f"examples, the first {HEAT_COLUMNS} of every class")
        right.set_xticks([0], [f"average\nof all {record['dataset']['train']['count']:,}"])
    rows = arrays["before_rows"]
    axes[0, 0].set_yticks(range(len(rows)), row_names(rows, record["layer_sizes"]), fontsize=8)
    bar = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), WISH_COLOURS), ax=axes, shrink=0.5, ticks=(-1, -0.5, 0, 0.5, 1)
    )
    bar.ax.set_yticklabels([f"{MINUS} less: {MINUS}1", f"{MINUS}1/4", "0", "+1/4", "+ more: +1"])
    bar.set_label("what the example wants for the weight,\nas a share of the largest wish in its row")
    title = (
        "The untrained network hears many unanimous wishes; a trained one is pulled both ways on nearly every weight"
    )
    figure.suptitle(title, fontsize=14, fontweight="bold")
    return figure


def wishes(axis: Axes, matrix: np.ndarray) -> None:
    """A heat map of numbers between -1 and 1, with a dash on the negative ones."""
    rows, columns = np.nonzero(matrix < 0)
    axis.plot(columns, rows, linestyle="none", marker="_", color="black", markersize=3.5, markeredgewidth=0.7)
    axis.grid(False)
    axis.tick_params(length=0)
    axis.imshow(matrix, cmap=WISH_COLOURS, vmin=-1, vmax=1, aspect="auto")


def name_classes(axis: Axes, labels: np.ndarray) -> None:
    """Names each run of equal labels below its columns and draws a line where one ends."""
    changes = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    for begin in changes[1:-1]:
        axis.axvline(begin - 0.5, color="black", linewidth=0.8)
    centres = [(begin + end - 1) / 2 for begin, end in itertools.pairwise(changes)]
    axis.set_xticks(centres, [f"{labels[begin]}s" for begin in changes[:-1]])


def running_mean_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """How far the average of the first n requests is from the average of all, against n."""
    counts, num_examples = arrays["counts"], record["dataset"]["train"]["count"]
    num_seeds, before_last = record["settings"]["num_seeds"], counts < counts[-1]
    figure, axes = plots.new_figure(8.5, 5.8)
    axis = axes[0, 0]
    for series, (network, when) in enumerate(((num_seeds, f"after {epochs_of(record)}"), (0, "before training"))):
        distance, expected = 100 * arrays["distance"][network], 100 * arrays["expected"][network]
        plots.seed_band(
            axis,
            counts[before_last],
            distance[:, before_last],
            series,
            f"{when}, {len(distance)} order{'s' * (len(distance) > 1)}",
        )
        label = f"theory: $\\sqrt{{B/n \\cdot (N-n)/(N-1)}}$ with $B$ = {float(f'{expected[0] ** 2 / 1e4:.3g}'):,g}"
        axis.plot(counts[before_last], expected[before_last], color="black", linestyle=":", linewidth=1.5, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    plots.plain_log_ticks(axis.xaxis, [10**power for power in range(len(str(num_examples)))])
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 10, 100, 1000))
    plots.reference_line(axis, 100, "as far away as no step at all")
    axis.set_ylim(bottom=0.1)
    axis.set_xlabel(f"examples averaged so far, n (of N = {num_examples:,})")
    axis.set_ylabel("distance from the gradient, % of its length")
    axis.legend(loc="lower left", fontsize=9)
    axis.set_title(running_mean_title(counts, arrays["distance"][[0, num_seeds]]))
    return figure


def running_mean_title(counts: np.ndarray, distance: np.ndarray) -> str:
    """The finding in words; distance (2, orders, counts) is that of one network, untrained and trained."""
    untrained, trained = (counts[np.flatnonzero(median <= 0.1)[0]] for median in np.median(distance, axis=1))
    return (
        f"To come within 10 % of the gradient takes {untrained:,} examples before training, {trained:,} after;\n"
        "each time, four times as many examples halve the distance"
    )


def main() -> None:
    """python -m experiments.average_of_nudges"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
