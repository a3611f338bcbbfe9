"""Every example wants other nudges: what becomes of them when they are averaged?

The film's table with computed numbers: what a 2, a 5, a 0, ... want from single weights of the film's network
(784-16-16-10), and the average over all 60,000 examples, which is minus the gradient of the cost. The same gradient
three ways (every example by itself, then averaged; jax.grad of the average cost; by hand), how far the examples
disagree, and how fast the average settles while they are added one by one: untrained, and after an epoch.

Run:     python -m experiments.average_of_nudges [--quick | --full]
Time:    default 13 s, --quick 10 s, --full 90 s on 2 cores, compilation included
Result:  the average of all 60,000 nudges is minus the gradient to 2e-7; before training it takes some 60 examples to
         come within 10 % of it, after one epoch tens of thousands.
"""

import dataclasses
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

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from experiments.figures import average_of_nudges as figures
from research import backprop, data, gradients, models, sharding, training
from research.data import Examples, unit_interval
from research.training import History, TrainState

NAME = Path(__file__).stem
CHUNK = 100  # examples whose gradients are held at once: 5 MB, which stay in a core's cache
SUBSET = 200  # examples on which the identities are checked in float64
LEFT_OUT = 50  # of these, how many are left out in turn
LEARNING_RATE = 1.5  # Nielsen's 3.0, who differentiates with the 1/2; any other would do for the identity of one step


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

Numbers = Array | np.ndarray  # as traced, or as computed


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

    In memory are the requests of one chunk, of at most `chunk_size` examples and all equally long, and the averages of
    all chunks. An average of averages also loses less to rounding than one long sum.

    >>> examples = Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
    >>> average_in_chunks(lambda params, some: params * some.inputs, jnp.float32(2.0), examples, chunk_size=2).tolist()
    [4.0]
    """
    num_examples = len(examples.inputs)
    length = next(size for size in range(chunk_size, 0, -1) if num_examples % size == 0)
    chunks = jax.tree.map(lambda leaf: leaf.reshape(-1, length, *leaf.shape[1:]), examples)
    return gradients.average(jax.lax.map(lambda chunk: gradients.average(wanted(params, chunk)), chunks))


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


class Exact(NamedTuple):
    """The same gradient in several ways, flat, and two laws about it."""

    minus_gradient: Numbers  # of the mean cost, by jax.grad
    averaged: Numbers  # T28: the average of the requests
    by_hand: Numbers  # T28: and of the requests by hand
    halved: Numbers  # T29: where every example's cost carries Nielsen's 1/2
    separate_steps: Numbers  # C6: the mean of the steps that every example makes by itself, over the learning rate
    leave_one_out: Numbers  # T13: largest |G - G_without_i - (g_i - G)/(N - 1)| / |G - G_without_i|


def identities(one: Callable, by_hand: Callable, params: PyTree, examples: Examples) -> Exact:
    """All of them, in the precision of what is handed over."""
    minus_gradient = -flat(jax.grad(gradients.mean_over_examples(one))(params, examples))
    wanted = jax.vmap(flat)(requests(one)(params, examples))
    halved = requests(lambda params, example: one(params, example) / 2)
    return Exact(
        minus_gradient=minus_gradient,
        averaged=jnp.mean(wanted, axis=0),
        by_hand=flat(gradients.average(by_hand(params, examples))),
        halved=flat(gradients.average(halved(params, examples))),
        separate_steps=mean_of_separate_steps(one, params, examples) / LEARNING_RATE,
        leave_one_out=leave_one_out_error(one, params, examples, minus_gradient, wanted),
    )


def mean_of_separate_steps(one: Callable, params: PyTree, examples: Examples) -> Array:
    """C6: every example makes a step of its own from the same place; how far they come on average."""
    optimizer = optax.sgd(LEARNING_RATE)
    step = training.make_step(gradients.mean_over_examples(one), optimizer)
    start = TrainState(params, optimizer.init(params))
    alone = jax.tree.map(lambda leaf: leaf[:, None], examples)  # batches of one
    ends = jax.vmap(lambda example: flat(step(start, example)[0].params))(alone)
    return gradients.average(ends) - flat(params)


def leave_one_out_error(one: Callable, params: PyTree, examples: Examples, request: Array, requests: Array) -> Array:
    """T13: G - G_without_i against (g_i - G)/(N - 1), the first computed from the other N - 1 examples; largest error
    over the first LEFT_OUT examples, each left out in turn. `request` is -G, the rows of `requests` are -g_i."""
    num_examples = len(examples.inputs)

    def error(left_out: Array) -> Array:
        others = (left_out + 1 + jnp.arange(num_examples - 1)) % num_examples
        some = jax.tree.map(lambda leaf: leaf[others], examples)
        change = flat(jax.grad(gradients.mean_over_examples(one))(params, some)) + request  # G_without_i - G
        law = (requests[left_out] - request) / (num_examples - 1)
        return jnp.linalg.norm(change - law) / jnp.linalg.norm(change)

    return jnp.max(jax.lax.map(error, jnp.arange(min(LEFT_OUT, num_examples))))


def identities_in_float64(one: Callable, by_hand: Callable, params: PyTree, examples: Examples) -> Exact:
    """`identities` of every network, each with a leading network axis; only the first SUBSET examples are asked."""
    with jax.enable_x64(True):
        few = jax.tree.map(lambda leaf: np.asarray(leaf[:SUBSET], np.float64), examples)
        few = few._replace(inputs=few.inputs / 255 if examples.inputs.dtype == np.uint8 else few.inputs)
        exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        in_turn = jax.jit(lambda params, few: jax.lax.map(lambda each: identities(one, by_hand, each, few), params))
        return jax.tree.map(np.asarray, in_turn(exact, few))


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
    exact: Exact
    num_black: int  # pixels that are black in every example


def measure(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples) -> Measured:
    """The gradient three ways, the scatter of the requests, the running mean and the identities, for every network."""
    one = gradients.example_cost(model.apply, cost_fn)
    by_hand = requests_by_hand(cost_fn, *common.activations_by_hand(settings))
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
        exact=identities_in_float64(one, by_hand, params, train),
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


def row_errors(found: Numbers, wanted: Numbers) -> np.ndarray:
    """|found - wanted| / |wanted| of every network."""
    return np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)


def factors(found: Numbers, wanted: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """(mean, relative standard deviation) of found / wanted over the components of which either is not zero, for every
    network.

    >>> [numbers.tolist() for numbers in factors(np.array([[1.0, 0.0, 2.0]]), np.array([[2.0, 0.0, 4.0]]))]
    [[0.5], [0.0]]
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    asked = (found != 0) | (wanted != 0)
    ratios = [row[chosen] / other[chosen] for row, other, chosen in zip(found, wanted, asked, strict=True)]
    means = np.array([np.mean(ratio) for ratio in ratios])
    return means, np.array([np.std(ratio) for ratio in ratios]) / np.abs(means)


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
    exact = measured.exact
    factor, half = (factors(found, exact.minus_gradient) for found in (exact.averaged, exact.halved))
    everyone, few = f"{num_examples:,} examples, float32", f"{min(SUBSET, num_examples)} examples, float64"
    error, in_mean, in_spread = "largest relative error", "mean over all components", "relative standard deviation"
    found = [
        claim("T28", f"the average of the nudges is minus the gradient of the average cost ({everyone})",
              float(row_errors(measured.average, measured.minus_gradient).max()), 0.0, 0.0, 1e-6, error),
        claim("T28", f"and so is the average of the nudges by hand ({everyone})",
              float(row_errors(measured.by_hand, measured.minus_gradient).max()), 0.0, 0.0, 1e-6, error),
        claim("T28", f"both again ({few})",
              float(max(row_errors(found, exact.minus_gradient).max() for found in (exact.averaged, exact.by_hand))),
              0.0, 0.0, 1e-12, error),
        claim("T28", "adding examples one by one, the running mean settles as sqrt(B_simple/n (N-n)/(N-1))",
              share_of_expected(measured), 1.0, 0.8, 1.25, "distance / theory, root mean square"),
        claim("T29", f"averaged nudges over minus the gradient: the factor ({few})",
              float(factor[0].mean()), 1.0, 1 - 1e-6, 1 + 1e-6, in_mean),
        claim("T29", "the factor is the same for every component",
              float(factor[1].max()), 0.0, 0.0, 1e-6, in_spread),
        claim("T29", "with a 1/2 in every example's cost the factor is 1/2",
              float(half[0].mean()), 0.5, 0.5 - 1e-6, 0.5 + 1e-6, in_mean),
        claim("T29", "and again the same for every component",
              float(half[1].max()), 0.0, 0.0, 1e-6, in_spread),
        claim("C6", f"the average of separate steps is the step with the average gradient ({few})",
              float(row_errors(exact.separate_steps, exact.minus_gradient).max()), 0.0, 0.0, 1e-12, error),
        claim("T13", f"leaving out example i changes the gradient by (g_i - G)/(N-1) ({few})",
              float(exact.leave_one_out.max()), 0.0, 0.0, 1e-12, error),
    ]  # fmt: skip
    return found + claims_on_disputes(settings, measured) if common.is_the_films(settings) else found


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


# What the figures show.


def shown(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples, measured: Measured) -> dict:
    """What the table and the heat maps show: the first seed's network, untrained and trained."""
    sizes, (untrained, trained) = settings.sizes_for(train), (0, settings.num_seeds)
    labels, num_classes = np.asarray(train.targets).argmax(axis=1), train.targets.shape[1]
    many = figures.first_of_each(labels, list(range(num_classes)), figures.HEAT_COLUMNS)
    examples = jax.tree.map(lambda leaf: np.asarray(leaf)[many], train)
    one_each = figures.first_of_each(labels[many], [label for label in figures.FILMS_COLUMNS if label < num_classes], 1)
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
    heat_rows = figures.heat_map_rows(mean_square, sizes, settings.seed)
    parts = {
        "table": part(trained, figures.table_rows(mean_square, sizes), one_each),
        "before": part(untrained, heat_rows, everyone),
        "after": part(trained, heat_rows, everyone),
    }
    arrays = {f"{name}_{field}": array for name, fields in parts.items() for field, array in fields.items()}
    image_shape = data.image_shape(settings.dataset, data_dir=settings.data_dir)
    images = np.asarray(unit_interval(jnp.asarray(examples.inputs[one_each])))
    return {**arrays, "table_images": images.reshape(-1, *image_shape)}


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    model, cost_fn = common.model_and_cost(settings, train)
    measured = measure(settings, model, cost_fn, train)
    num_examples = len(train.inputs)
    claims, finding = make_claims(settings, measured, num_examples), sentence(measured, num_examples)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        shown(settings, model, cost_fn, train, measured)
        | {"counts": measured.counts, "distance": measured.distance, "expected": measured.expected},
        **records.describe_data(settings.dataset, train=train),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
    )


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.table_figure(record, arrays), out / NAME / f"{NAME}.png")
    plots.save(figures.heat_map_figure(record, arrays), out / NAME / "heat_map.png")
    plots.save(figures.running_mean_figure(record, arrays), out / NAME / "running_mean.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.average_of_nudges"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
