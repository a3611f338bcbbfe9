"""What if we listen to one 2 alone, and why must every example be asked?

First, one single image trains the film's network (784-16-16-10) from two kinds of start, for each of the ten digits:
what share of the test images does it then call by that digit's name? Second, the same number of steps listening to
the 2; to the 2 and a 5; to one of each digit; to a hundred; to a thousand; to all 60,000: how many are right?

Run:     python -m experiments.only_a_two [--quick | --full]
Time:    default 13 s, --quick 8 s, --full 1 min, on 2 cores, compilation included
Result:  from small weights a 2 alone makes everything a 2 within 100 steps, in all of 10 seeds; from N(0, 1) not in
         every seed, since outputs that are wrong but saturated hardly move: those claims do not hold. One, two, ten,
         100, 1,000 and all examples: 10 to 92 % right.
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
from jaxtyping import PyTree

from experiments.common import plots, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from experiments.figures import only_a_two as figures
from research import gradients, models, sharding, training
from research.data import Examples, unit_interval
from research.training import History, Step, TrainState

NAME = Path(__file__).stem
STARTS = ("weights N(0, 1/n), biases 0", "weights and biases N(0, 1)")
BATCH = 10  # examples of every step when listening to several
CHUNK = 1000  # test images looked at together


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of listening to few and to many; every seed has its own starts and its own examples."""

    num_seeds: int = 3
    """How many runs of each kind, each with its own start and its own examples, 1 or more."""
    learning_rate: float = 1.5
    """Learning rate, above 0; Nielsen's 3.0, who differentiates with a 1/2 that the film's cost does not have."""
    num_decades: int = 3
    """Listening to one image goes on for 10 to the power of this many steps, 1 or more."""
    num_steps: int = 6000
    """Steps of 10 examples when listening to more and more, a multiple of 10, above 0; 6,000 are one epoch."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rate", [self.learning_rate])
        common.require(self.num_decades >= 1, f"--num-decades is {self.num_decades}; it must be 1 or more")
        common.require(
            self.num_steps >= 10 and self.num_steps % 10 == 0,
            f"--num-steps is {self.num_steps}; it must be a multiple of 10, above 0",
        )


QUICK = Settings(num_seeds=1, num_decades=2, num_steps=3000)
FULL = Settings(num_seeds=10, num_decades=4, num_steps=30000)


class Network(NamedTuple):
    """What both parts share."""

    apply: Callable
    step: Step
    optimizer: optax.GradientTransformation


def verdict(apply: Callable, params: PyTree, example: Examples) -> Array:
    """(true class, called class), a table with a single 1 in it: its mean over examples is the confusion matrix.

    >>> example = Examples(jnp.array([0.2, 0.9]), jnp.array([1.0, 0.0]))
    >>> verdict(lambda params, inputs: inputs, (), example).tolist()  # a 0 that is called 1
    [[0.0, 1.0], [0.0, 0.0]]
    """
    output = apply(params, unit_interval(example.inputs))
    return jnp.outer(example.targets, jax.nn.one_hot(jnp.argmax(output), len(output), dtype=example.targets.dtype))


def confusion(apply: Callable, params: PyTree, examples: Examples) -> Array:
    """Share of the examples with this true class (row) that are called that class (column); all sum to 1."""
    tables = jax.lax.map(partial(verdict, apply, params), examples, batch_size=min(CHUNK, len(examples.inputs)))
    return jnp.mean(tables, axis=0)


# First part: one single image.


def listen_to_one(
    network: Network, params: PyTree, alone: Examples, test: Examples, num_decades: int
) -> tuple[np.ndarray, np.ndarray]:
    """(steps, shares (runs, steps, classes)): what share of the test images is called each class, after so many steps.

    Every run has its own params and its own example, in batches of one, `alone`. It is observed at 0, 1, ..., 10, 20,
    ..., 100, ... steps.
    """
    state = TrainState(params, jax.vmap(network.optimizer.init)(params))
    share = jax.jit(runs.over_seeds(lambda params, test: called(network, test, params), (0, None)))
    steps, shares = [np.array([0])], [np.asarray(share(params, test))[:, None]]
    for power in range(num_decades):
        run = runs.descend(f"one image, steps of {10**power}", decade(network, power), state, test, [tuple(alone)])
        state = run.state
        steps.append(steps[-1][-1] + 10**power * np.arange(1, run.history.observed.shape[1] + 1))
        shares.append(run.history.observed)
    return np.concatenate(steps), np.concatenate(shares, axis=1)


def decade(network: Network, power: int) -> Callable:
    """One run's loop from 10^power steps to ten times as many (from 0 in the first decade), observed ten times."""
    num_legs = 10 if power == 0 else 9

    def loop(state: TrainState, test: Examples, inputs: Array, targets: Array) -> tuple[TrainState, History]:
        return training.full_batch_descent(
            network.step,
            state,
            Examples(inputs, targets),
            num_legs,
            10**power,
            lambda state: called(network, test, state.params),
        )

    return loop


def called(network: Network, test: Examples, params: PyTree) -> Array:
    """What share of the test images is called each class."""

    def named(inputs: Array) -> Array:
        output = network.apply(params, unit_interval(inputs))
        return jax.nn.one_hot(jnp.argmax(output), len(output))

    return jnp.mean(jax.lax.map(named, test.inputs, batch_size=min(CHUNK, len(test.inputs))), axis=0)


def starts(settings: Settings, model: models.Model, train: Examples, init_keys: Array) -> PyTree:
    """The network of the settings, and one all of whose parameters are N(0, 1): leaves (2, seeds, ...)."""
    normal = models.unit_normal
    wide = models.mlp(settings.sizes_for(train), init_weights=normal, init_biases=normal)
    both = jax.jit(runs.over_seeds(lambda key: (model.init(key), wide.init(key)), (0,)))(init_keys)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *both)


def alone_from_every_start(
    settings: Settings, network: Network, start: PyTree, listened: np.ndarray, train: Examples, test: Examples
) -> tuple[np.ndarray, np.ndarray]:
    """(steps, shares (2 kinds of start, seeds, digits, steps, classes)); `listened` (seeds, digits) are the images."""
    kinds, (num_seeds, num_digits) = len(STARTS), listened.shape

    def every_run(leaf: np.ndarray) -> np.ndarray:
        repeated = np.repeat(leaf[:, :, None], num_digits, axis=2)
        return repeated.reshape(-1, *leaf.shape[2:])

    rows = np.broadcast_to(listened, (kinds, num_seeds, num_digits)).ravel()
    alone = jax.tree.map(lambda leaf: np.asarray(leaf)[rows][:, None], train)
    steps, shares = listen_to_one(network, jax.tree.map(every_run, start), alone, test, settings.num_decades)
    return steps, shares.reshape(kinds, num_seeds, num_digits, *shares.shape[1:])


# Second part: more and more examples.


def listening_order(labels: np.ndarray, shuffle: np.ndarray, classes: list[int]) -> np.ndarray:
    """The shuffle with the first example of each class moved to the front, in the order of `classes`.

    >>> listening_order(np.array([5, 2, 5, 0]), np.array([2, 0, 3, 1]), [2, 5, 0]).tolist()
    [1, 2, 3, 0]
    """
    firsts = np.array([shuffle[labels[shuffle] == label][0] for label in classes])
    return np.concatenate([firsts, shuffle[~np.isin(shuffle, firsts)]])


def schedule_for(rng: np.random.Generator, listened: np.ndarray, num_steps: int) -> np.ndarray:
    """(steps, BATCH) rows of the examples listened to: shuffle after shuffle, cut into batches.

    A batch of fewer than BATCH examples holds each of them several times; its mean is then theirs.

    >>> schedule_for(np.random.default_rng(0), np.array([7]), 2).tolist()
    [[7, 7, 7, 7, 7, 7, 7, 7, 7, 7], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7]]
    """
    num_shuffles = math.ceil(num_steps * BATCH / len(listened))
    rows = np.concatenate([rng.permutation(listened) for _ in range(num_shuffles)])
    return rows[: num_steps * BATCH].reshape(num_steps, BATCH)


def how_many(num_classes: int, num_examples: int) -> list[int]:
    """To how many examples the network listens: one, two, one of each class, a hundred, a thousand, all.

    >>> how_many(10, 60000), how_many(3, 50)
    ([1, 2, 10, 100, 1000, 60000], [1, 2, 3, 50])
    """
    return sorted({size for size in (1, 2, num_classes, 100, 1000, num_examples) if size <= num_examples})


def listen_to_many(
    network: Network, start: PyTree, schedules: np.ndarray, train: Examples, test: Examples
) -> np.ndarray:
    """Confusion matrices (runs, true, called) after following each run's schedule (runs, steps, BATCH)."""

    def loop(state: TrainState, shared: tuple[Examples, Examples], schedule: Array) -> tuple[TrainState, History]:
        train, test = shared
        return training.minibatch_descent(
            network.step, state, train, schedule, lambda state: confusion(network.apply, state.params, test)
        )

    state = TrainState(start, jax.vmap(network.optimizer.init)(start))
    parts = [(part,) for part in np.split(schedules[:, None], 10, axis=2)]
    history = runs.descend("more and more examples", loop, state, (train, test), parts).history
    return history.observed[:, -1]


def more_and_more(
    settings: Settings, network: Network, start: PyTree, orders: np.ndarray, train: Examples, test: Examples
) -> np.ndarray:
    """Confusion matrices (sizes, seeds, true, called); `orders` (seeds, examples) say who is listened to first."""
    num_examples, num_classes = train.targets.shape
    sizes, rng = how_many(num_classes, num_examples), np.random.default_rng(settings.seed)
    schedules = [schedule_for(rng, order[:size], settings.num_steps) for size in sizes for order in orders]
    every_run = jax.tree.map(lambda leaf: np.tile(leaf, (len(sizes),) + (1,) * (leaf.ndim - 1)), start)
    found = listen_to_many(network, every_run, np.stack(schedules), train, test)
    return found.reshape(len(sizes), len(orders), num_classes, num_classes)


# The run.


class Measured(NamedTuple):
    """All that the claims are about."""

    steps: np.ndarray
    shares: np.ndarray  # kinds of start, seeds, digits, steps, classes
    sizes: list[int]
    confusion: np.ndarray  # sizes, seeds, true, called
    classes: list[int]  # in the order in which they are listened to: 2, 5, 0, 1, ...


def measure(settings: Settings, model: models.Model, cost_fn: Callable, train: Examples, test: Examples) -> Measured:
    """Both parts, for every seed."""
    optimizer = optax.sgd(settings.learning_rate)
    objective = gradients.mean_over_examples(gradients.example_cost(model.apply, cost_fn))
    network = Network(model.apply, training.make_step(objective, optimizer), optimizer)
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    labels, num_classes = np.asarray(train.targets).argmax(axis=1), train.targets.shape[1]
    classes = list(dict.fromkeys(label for label in (2, 5, *range(num_classes)) if label < num_classes))
    shuffles = [
        np.random.default_rng([settings.seed, index]).permutation(len(labels)) for index in range(settings.num_seeds)
    ]
    orders = np.stack([listening_order(labels, shuffle, classes) for shuffle in shuffles])
    by_class = orders[:, np.argsort(classes)]  # the images listened to alone: of a 0, a 1, ...
    start = starts(settings, model, train, init_keys)
    everywhere = sharding.on_every_device((train, test))
    steps, shares = alone_from_every_start(settings, network, start, by_class, train, everywhere[1])
    plain = jax.tree.map(lambda leaf: leaf[0], start)
    return Measured(
        steps=steps,
        shares=shares,
        sizes=how_many(num_classes, len(labels)),
        confusion=more_and_more(settings, network, plain, orders, *everywhere),
        classes=classes,
    )


def accuracies(confusion: np.ndarray) -> np.ndarray:
    """Share of right answers: the diagonal's sum, over the last two axes.

    >>> accuracies(np.array([[0.5, 0.1], [0.2, 0.2]])).tolist()
    0.7
    """
    return np.trace(confusion, axis1=-2, axis2=-1)


def share_named(shares: np.ndarray) -> np.ndarray:
    """(kinds of start, seeds, digits, steps): the share called d when the image listened to is a d."""
    return np.stack([shares[:, :, digit, :, digit] for digit in range(shares.shape[2])], axis=2)


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, fixed before the run; they are about the film's network, cost and data."""
    if not common.is_the_films(settings):
        return []
    claim = partial(Claim, num_seeds=settings.num_seeds)
    right = 100 * accuracies(measured.confusion)
    truth, answers = (measured.confusion.sum(axis=axis) for axis in (-1, -2))  # sizes, seeds, classes
    twos = 100 * float(truth[0, 0, 2])
    others = 100 * (1 - answers[1][:, measured.classes[:2]].sum(axis=1))
    grown = np.diff(np.median(right, axis=1))
    found = [
        claim("T27", f"after {settings.num_steps:,} steps on one 2 the network is right about the 2s and nothing else",
              float(right[0].mean()), twos, twos - 1, twos + 1, "% correct, mean"),
        claim("T27", "listening to a 2 and a 5, it calls hardly any test image anything else",
              float(others.max()), 0.0, 0.0, 1.0, "% called otherwise, largest"),
        claim("T28", "listening to more examples makes it better, every time: 1, 2, one of each, 100, 1,000, all",
              float(grown.min()), None, 0.0, None, "% points, smallest growth of the median"),
    ]  # fmt: skip
    return (claims_at_step_100(claim, measured) if 100 in measured.steps else []) + found


def claims_at_step_100(claim: Callable[..., Claim], measured: Measured) -> list[Claim]:
    """T27 in its own words, for the 2 and for every digit in its place, for each kind of start."""
    named = 100 * share_named(measured.shares)[..., measured.steps == 100]
    unit = "% of the test images, smallest of all seeds"
    return [
        claim("T27", f"after 100 steps on one {what} alone, everything is called by its name; {kind}",
              float(shares.min()), 100.0, 99.0, 100.0, unit)
        for kind, of_kind in zip(STARTS, named, strict=True)
        for what, shares in (("2", of_kind[:, 2]), ("image of any digit", of_kind))
    ]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    right = 100 * np.median(accuracies(measured.confusion), axis=1)
    last = 100 * np.median(share_named(measured.shares)[:, :, measured.classes[0], -1])
    only, sizes = measured.classes[0], ", ".join(f"{size:,}" for size in measured.sizes)
    return (
        f"After {measured.steps[-1]:,} steps on one {only} alone, {last:.0f} % of the test images are called {only} "
        f"(median); {settings.num_steps:,} steps on {sizes} examples give "
        f"{', '.join(f'{percent:.0f}' for percent in right)} % right answers."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    model, cost_fn = common.model_and_cost(settings, train)
    measured = measure(settings, model, cost_fn, train, test)
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {"steps": measured.steps, "shares": measured.shares, "confusion": measured.confusion},
        **records.describe_data(settings.dataset, train=train, test=test),
        finding=finding,
        sizes=measured.sizes,
        classes=measured.classes,
    )


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    alone = figures.alone_figure(record, arrays["steps"], 100 * share_named(arrays["shares"]), STARTS)
    plots.save(alone, out / NAME / f"{NAME}.png")
    more = figures.more_figure(record, arrays["confusion"], 100 * accuracies(arrays["confusion"]), BATCH)
    plots.save(more, out / NAME / "more_and_more.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.only_a_two"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
