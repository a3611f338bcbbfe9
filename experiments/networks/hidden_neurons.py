"""How many hidden neurons, and how many hidden layers, does the network need?

The film's readers ask it; the film says trial and error. Here is the trial: one hidden layer of 0 (pixels straight to
digits), 1, 2, 4, 8, 16, 30 and 100 neurons, and 0 to 4 hidden layers of 30, with the film's own 784-16-16-10 among
them; the same orders of the examples for all, each network with the learning rate of the grid that brought its cost on
the training images lowest. Accuracy on training and test images against the number of parameters, and how much of the
gradient reaches the first layer before training: one more layer multiplies what comes back by W^T and by sigma'(z).

Run:     python -m experiments hidden_neurons [--quick | --full]
Time:    default 40 s, --quick 10 s, --full 3.5 to 6 min on 2 cores, compilation included
Result:  (6 seeds) 36 % with two neurons, 93.7 % with 16, 95.5 % with 30, 94.6 % with 100; a second layer of 30 adds 0.6
         points, three end as one does (-0.6 to 0.75), four 1.0 below. Untrained, each lets 0.24 of the gradient
         through.
"""

import dataclasses
from itertools import pairwise
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, MinLen
from jax import Array
from jaxtyping import Float, Int

from experiments.common import descents, experiment, plots, runs
from experiments.common.bounds import BatchSize, Count, require
from experiments.common.claims import Claim, Claims, at_most, prediction, within
from experiments.common.descents import Trained
from experiments.common.problem import Problem
from experiments.networks import hidden_neurons_figures as drawn
from research.data import Examples

NEARLY = 2.0  # points below the best single layer that count as nearly as good
LONG = 10  # epochs from which on accuracies are held against the literature's


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):  # the network of --layer-sizes, the film's by default, is tried with the others
    num_seeds: Count = 3
    """How many runs, each with its own start and its own shuffles."""
    widths: Annotated[tuple[int, ...], Ge(0), MinLen(1)] = (0, 1, 2, 4, 8, 16, 30, 100)
    """Neurons of a single hidden layer; 0 is no hidden layer."""
    depths: Annotated[tuple[int, ...], Ge(0), MinLen(1)] = (0, 1, 2, 3, 4)
    """How many hidden layers of --depth-width neurons."""
    depth_width: Annotated[int, Ge(1)] = 30
    """Neurons of each of these layers."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (0.5, 2.0, 8.0)
    """The grid of learning rates, tried for every network."""
    batch_size: BatchSize = 100
    """Examples a step."""
    num_epochs: Annotated[int, Ge(1)] = 3
    """Passes over the training set."""


QUICK = Settings(num_seeds=2, widths=(0, 2, 16), depths=(1, 3), depth_width=16, num_epochs=1, learning_rates=(0.5, 8.0))
FULL = Settings(num_seeds=6, num_epochs=10, learning_rates=(0.125, 0.5, 2.0, 8.0, 32.0))


class Network(NamedTuple):
    sizes: Int[np.ndarray, "layers"]
    trained: Trained
    norms: Float[np.ndarray, "seeds weights"]  # of each layer's gradient before training

    @property
    def num_parameters(self) -> int:
        return sum(int(num_out) * (int(num_in) + 1) for num_in, num_out in pairwise(self.sizes))

    @property
    def name(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def test(self) -> np.ndarray:  # % correct at the end, of each seed
        return 100 * self.trained.test_accuracy[:, -1]


class Result(NamedTuple):
    networks: tuple[Network, ...]  # of the two sweeps, each once, and that of --layer-sizes
    own: int  # which of them that is

    def by_hidden(self) -> dict[tuple[int, ...], Network]:
        return {tuple(network.sizes[1:-1].tolist()): network for network in self.networks}


def hidden_layers(settings: Settings) -> list[tuple[int, ...]]:
    """The hidden layers of every network of the two sweeps, each once, in order.

    >>> hidden_layers(Settings(widths=(0, 30), depths=(1, 2)))
    [(), (30,), (30, 30)]
    """
    wide = [(width,) if width else () for width in settings.widths]
    deep = [(settings.depth_width,) * depth for depth in settings.depths]
    return list(dict.fromkeys([*wide, *deep]))


def measure(problem: Problem, settings: Settings) -> Result:
    require(problem.mlp is not None, "hidden_neurons tries plain layers of many sizes; leave out --model")
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.num_epochs)
    rows = descents.in_equal_legs(descents.in_batches(order, settings.batch_size), settings.num_epochs)
    own = experiment.sizes_for(settings, problem.train)
    tried = list(dict.fromkeys([*((own[0], *hidden, own[-1]) for hidden in hidden_layers(settings)), own]))
    found = []
    for sizes in tried:
        posed = problem._replace(model=problem.mlp(sizes))  # pyright: ignore[reportOptionalCall]
        name = "-".join(map(str, sizes))
        trained = descents.train(name, posed, settings.learning_rates, init_keys, rows)
        found.append(Network(np.array(sizes), trained, gradient_lengths(posed, init_keys)))
        runs.console.print(f"{name:<20} {np.median(found[-1].test):.2f} % of the test images")
    return Result(tuple(found), tried.index(own))


def gradient_lengths(problem: Problem, init_keys: Array) -> np.ndarray:
    def of_seed(init_key: Array, train: Examples) -> Array:
        grads = jax.grad(problem.cost)(problem.model.init(init_key), train)
        return jnp.stack([jnp.asarray(optax.tree.norm(layer)) for layer in grads])

    return np.asarray(runs.over_seeds(of_seed, (0, None))(init_keys, problem.train))


def claims(result: Result, settings: Settings) -> Claims:
    if not dataclasses.replace(settings, layer_sizes=()).is_the_films:
        return
    networks, one_layer = result.by_hidden(), (settings.depth_width,)
    deep = [hidden for hidden in networks if len(hidden) > 1 and set(hidden) == {settings.depth_width}]
    long = settings.num_epochs >= LONG
    if long and () in networks:
        yield prediction("C15", "no hidden layer, 784-10: about 91 to 92 % of the test images",
                         np.median(networks[()].test), within(90.5, 92.5, 91.5), "%, median",
                         "linear classifiers on MNIST")  # fmt: skip
    if long and deep and one_layer in networks:
        gain = max(np.median(networks[hidden].test) for hidden in deep) - np.median(networks[one_layer].test)
        yield prediction("C8", "more than one hidden layer gains less than a point", gain, at_most(1),
                         "points, medians", "Nielsen, chapter 5: 0.42")  # fmt: skip
    if deep and one_layer in networks:
        yield depth_claim(networks[one_layer], networks[max(deep, key=len)])


def depth_claim(shallow: Network, deepest: Network) -> Claim:
    """How much of the gradient each further layer lets through to the first, before training.
    The weights are from N(0, 1/n), so W^T keeps the length on average; sigma' is 1/4 at most and 0.235 on average over
    sums of variance 1/4, as the activations of 1/2 make them. With 30 neurons the length scatters by sqrt(1/30) = 18 %;
    bounds are four standard errors."""
    more = deepest.norms.shape[1] - shallow.norms.shape[1]
    measured = np.median((deepest.norms[:, 0] / shallow.norms[:, 0]) ** (1 / more))
    scatter = 4 * (1 / int(shallow.sizes[1]) / len(shallow.norms) / more) ** 0.5
    return prediction("C8", "before training, each further hidden layer lets a quarter of the gradient through to the "
                      "first", measured, within(0.235 * (1 - scatter), 0.25 * (1 + scatter), 0.235), "times, median",
                      "W^T keeps the length, sigma' takes 0.235; four standard errors")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    networks = result.by_hidden()
    single = {width: np.median(networks[(width,) if width else ()].test) for width in settings.widths}
    best = max(result.networks, key=lambda network: np.median(network.test))
    widest = max(single, key=single.__getitem__)
    few = min(width for width in single if single[width] >= single[widest] - NEARLY)
    epochs = f"{settings.num_epochs} epoch{'s' * (settings.num_epochs != 1)}"
    return (
        f"A hidden layer of {few} comes within {NEARLY:g} points of the best one, {widest}: {single[few]:.1f} % "
        f"against {single[widest]:.1f} % of the test images after {epochs}, each at the best of "
        f"{len(settings.learning_rates)} rates; the best network of this sweep is {best.name}, "
        f"{np.median(best.test):.1f} %."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    return {"hidden_neurons": drawn.sweep(result, settings, finding(result, settings))}
