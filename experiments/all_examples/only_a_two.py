"""What happens if one listens to one image of a 2 alone?

The film's network is trained on one single image, and what share of the test images it then calls each digit is looked
at after 0, 1, ..., 10, 20, ..., 100, ... steps; for ten digits in place of the 2, and from two kinds of start: small
weights, N(0, 1/n), and all parameters N(0, 1), where outputs that are wrong but saturated move slowly.

Run:     python -m experiments only_a_two [--quick | --full]
Time:    default 10 s, --quick 7 s, --full 60 s on 2 cores, compilation included
Result:  from small weights a 2 alone makes everything a 2 within 100 steps, in all of 10 seeds; from N(0, 1) not in
         every seed, since outputs that are wrong but saturated hardly move: those claims do not hold.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, Le
from jax import Array
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from experiments.all_examples import only_a_two_figures as drawn
from experiments.common import asking, experiment, runs
from experiments.common.claims import Claim, prediction, within
from experiments.common.problem import Problem
from research import gradients, models, training
from research.data import Examples, unit_interval
from research.models import Params
from research.training import History, Step, TrainState

STARTS = ("weights N(0, 1/n), biases 0", "weights and biases N(0, 1)")
CHUNK = 1000  # test images looked at together


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of listening to one image; every seed has its own starts and its own images."""

    num_seeds: Annotated[int, Ge(1)] = 3
    """How many runs of each kind, each with its own start and its own images."""
    learning_rate: Annotated[float, Gt(0)] = 1.5
    """Learning rate; Nielsen's 3.0, who differentiates with a 1/2 that the film's cost does not have."""
    num_decades: Annotated[int, Ge(1), Le(6)] = 3
    """Listening goes on for 10 to the power of this many steps."""


QUICK = Settings(num_seeds=1, num_decades=2)
FULL = Settings(num_seeds=10, num_decades=4)


class Result(NamedTuple):
    """What share of the test images is called each class, by the class of the one image."""

    steps: Int[np.ndarray, "points"]
    shares: Float[np.ndarray, "starts seeds digits points classes"]
    digits: Int[np.ndarray, "digits"]  # the classes of the images that are listened to

    @property
    def named(self) -> np.ndarray:
        """(starts, seeds, digits, points): the share called d when the image listened to is a d."""
        return np.stack([self.shares[:, :, i, :, digit] for i, digit in enumerate(self.digits)], axis=2)


class Network(NamedTuple):
    """What all runs share."""

    apply: Callable
    step: Step
    optimizer: optax.GradientTransformation


def listen_to_one(
    network: Network, params: Params, alone: Examples, test: Examples, num_decades: int
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


def called(network: Network, test: Examples, params: Params) -> Array:
    """What share of the test images is called each class."""

    def named(inputs: Array) -> Array:
        output = network.apply(params, unit_interval(inputs))
        return jax.nn.one_hot(jnp.argmax(output), len(output))

    return jnp.mean(jax.lax.map(named, test.inputs, batch_size=min(CHUNK, len(test.inputs))), axis=0)


def starts(problem: Problem, init_keys: Array) -> Params:
    """The network of the settings, and one all of whose parameters are N(0, 1): leaves (2, seeds, ...)."""

    def both(key: Array) -> tuple[Params, Params]:
        params = problem.model.init(key)
        return params, wide_of(problem, params, key)

    found = jax.jit(runs.over_seeds(both, (0,)))(init_keys)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)


def wide_of(problem: Problem, params: Params, key: Array) -> Params:
    """Parameters of the same shapes, all N(0, 1): for plain layers as models.mlp draws them."""
    if problem.mlp is None:
        leaves, tree = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        return jax.tree.unflatten(
            tree, [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
        )
    sizes = (params[0].weights.shape[1], *(len(layer.biases) for layer in params))
    return models.mlp(sizes, init_weights=models.unit_normal, init_biases=models.unit_normal).init(key)


def measure(problem: Problem, settings: Settings) -> Result:
    """Every seed, every digit and both kinds of start, all as runs of one descent."""
    optimizer = optax.sgd(settings.learning_rate)
    objective = gradients.mean_over_examples(problem.example_cost)
    network = Network(problem.model.apply, training.make_step(objective, optimizer), optimizer)
    init_keys, _ = runs.seed_keys(settings.seed, settings.num_seeds)
    orders, classes = asking.listening(problem, settings)
    by_class = orders[:, np.argsort(classes)]  # the images listened to: of a 0, a 1, ...
    kinds, (num_seeds, num_digits) = len(STARTS), by_class.shape

    def every_run(leaf: np.ndarray) -> np.ndarray:
        return np.repeat(leaf[:, :, None], num_digits, axis=2).reshape(-1, *leaf.shape[2:])

    rows = np.broadcast_to(by_class, (kinds, num_seeds, num_digits)).ravel()
    alone = jax.tree.map(lambda leaf: np.asarray(leaf)[rows][:, None], problem.train)
    start = jax.tree.map(every_run, starts(problem, init_keys))
    steps, shares = listen_to_one(network, start, alone, problem.test, settings.num_decades)
    return Result(steps, shares.reshape(kinds, num_seeds, num_digits, *shares.shape[1:]), np.sort(classes))


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T27 in its own words, for the 2 and for every digit in its place, for each kind of start."""
    if not settings.is_the_films or 100 not in result.steps:
        return
    named = 100 * result.named[..., result.steps == 100]
    for kind, of_kind in zip(STARTS, named, strict=True):
        for what, shares in (("2", of_kind[:, 2]), ("image of any digit", of_kind)):
            yield prediction("T27", f"after 100 steps on one {what} alone, everything is called by its name; {kind}",
                             shares.min(), within(99, 100, 100), "% of the test images, smallest of all seeds",
                             "the film; computed on 8x8 digits before", why="finding: outputs that start saturated are "
                             "wrong and hardly move; how long they stay so, over 100 starts, would decide "
                             "it")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """What a 2 alone leads to, and the share of runs in which nearly all is called by the one image's name."""
    only = int(result.digits[min(2, len(result.digits) - 1)])
    last = 100 * np.median(result.named[:, :, list(result.digits).index(only), -1])
    at = np.flatnonzero(result.steps <= 100)[-1]
    small, large = (f"{(shares >= 0.99).sum()} of {shares.size}" for shares in result.named[..., at])
    return (
        f"After {result.steps[-1]:,} steps on one {only} alone, {last:.0f} % of the test images are called {only} "
        f"(median); after {result.steps[at]} steps on one image of any digit nearly all are called by its name in "
        f"{small} runs from small weights and in {large} from N(0, 1)."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """For each digit, what share is called by its name, against steps."""
    return {"only_a_two": drawn.alone(result, STARTS)}
