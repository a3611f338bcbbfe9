"""What does this one digit want: of the outputs, of every neuron, of every pixel, of every weight?

One image, the film's network (784-16-16-10) and one way backwards, at the start and after some training: the nudges of
the outputs, the three avenues of a neuron, the columns of 7:38 and their sum, and so on down to the pixels. Next to the
columns stands what the film draws at 7:38, where the arrows follow the sign of the weight alone. Every number is
checked on some twenty digits in several networks, and a page, nudges.html, goes through them one click at a time.

Run:     python -m experiments nudges [--quick | --full] [--index 5] [--layer 3] [--epochs 2]
Time:    default 11 s, --quick 7 s, --full 14 s on 2 cores, compilation included
Result:  by hand = jax.grad to 3e-8, down to the pixels; the columns of unwanted outputs have the sign opposite to the
         weight without exception, so that 90 % of the arrows at 7:38 point the wrong way, before training and after.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int, Shaped
from matplotlib.figure import Figure

from experiments.common import descents, experiment, runs, wishes
from experiments.common.bounds import below_train, require
from experiments.common.claims import Claim, about, at_most, exactly, identity, prediction, within
from experiments.common.descents import Method
from experiments.common.plots import Page
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import nudges_figures as drawn
from research import costs, data
from research.backprop import Functions
from research.data import Examples
from research.models import Layer

START, TRAINED = "start", "trained"
BATCH_SIZE, LEARNING_RATE = 100, 4.0  # as in full_batch_vs_sgd, which found them
GALLERY = 20  # digits on the page, besides the chosen one
UNTRAINED = 32  # starts whose accuracy is averaged: one start says nearly always the same, right or wrong


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of one digit's story."""

    index: Annotated[int | None, Ge(0), below_train] = None
    """Which training example is to be listened to, from 0; by default the first 2."""
    layer: Annotated[int | None, Ge(1)] = None
    """Whose columns are drawn: 1 the first hidden layer, ..., the outputs last; by default the outputs."""
    epochs: Annotated[int, Ge(0)] = 2
    """Passes of mini-batch descent (batches of 100, learning rate 4), after which the same is told again; 0: none."""


QUICK = Settings(num_seeds=2, epochs=0)
FULL = Settings(num_seeds=10, epochs=5)


class Checks(NamedTuple):
    """What the claims are about, measured on one example in one network; the errors are relative, the shares of 1."""

    by_hand: Float[np.ndarray, "networks seeds digits"]  # error of the gradient by hand against jax.grad
    nudges: Float[np.ndarray, "networks seeds digits"]  # of all activations, pixels included: error against jax.grad
    column_sum: Float[np.ndarray, "networks seeds digits"]  # error of the sum of columns against W^T pull
    brightness: Float[np.ndarray, "networks seeds digits"]  # neighbours by brightness whose requests are in this order
    dark: Float[np.ndarray, "networks seeds digits"]  # largest request for a weight behind a neuron that is at 0
    strongest: Float[np.ndarray, "networks seeds digits"]  # layers whose greatest strengthening joins the brightest and
    # the neuron that most wants to rise
    wanted: Float[np.ndarray, "networks seeds digits"]  # in columns of outputs that should rise: the weight's sign
    unwanted: Float[np.ndarray, "networks seeds digits"]  # in columns of the others: the opposite sign
    drawn_wrong: Float[np.ndarray, "networks seeds digits"]  # arrows that are wrong if drawn by the weight's sign alone
    weakened: Float[np.ndarray, "networks seeds digits"]  # share of the outputs' weights that should go down
    nudge_signs: Float[np.ndarray, "networks seeds digits"]  # share of outputs that are nudged towards their target
    proportional: Float[np.ndarray, "networks seeds digits"]  # largest distance of nudge / (y - a) from the film's 2
    rank_one: Float[np.ndarray, "networks seeds digits"]  # second singular value of a layer's requests over the first


class LayerStory(NamedTuple):
    """One layer of the first seed's network: its parameters, what all training examples together ask of them, and every
    digit's numbers."""

    weights: Float[np.ndarray, "out in"]
    biases: Float[np.ndarray, "out"]
    average_weights: Float[np.ndarray, "out in"]  # minus the gradient
    average_biases: Float[np.ndarray, "out"]
    sums: Float[np.ndarray, "digits out"]
    activations: Float[np.ndarray, "digits out"]
    slopes: Float[np.ndarray, "digits out"]
    nudges: Float[np.ndarray, "digits out"]
    pulls: Float[np.ndarray, "digits out"]


class Network(NamedTuple):
    """The first seed's network at one moment."""

    name: str
    says: str
    pixel_nudges: Float[np.ndarray, "digits pixels"]
    layers: tuple[LayerStory, ...]


class Result(NamedTuple):
    """The checks of all seeds, and the story of every digit in the first seed's networks."""

    checks: Checks
    untrained: Float[np.ndarray, "starts"]  # accuracy on the test set
    rows: Int[np.ndarray, "digits"]  # of the training set
    inputs: Shaped[np.ndarray, "digits pixels"]
    targets: Float[np.ndarray, "digits classes"]
    chosen: int  # which of the digits is drawn
    networks: tuple[Network, ...]
    image_shape: tuple[int, int, int]
    num_train: int
    films: bool  # cost and outputs: squared distances of numbers between 0 and 1


def moments(settings: Settings, problem: Problem, starts: list[Layer], shuffle_keys: Array) -> dict[str, list[Layer]]:
    """The parameters of all seeds at the start and, if asked for, after some epochs of mini-batches of 100."""
    found = {START: jax.tree.map(lambda leaf: np.asarray(leaf[: settings.num_seeds]), starts)}
    if settings.epochs:
        method = Method(f"batches of {BATCH_SIZE}", BATCH_SIZE, optax.sgd(LEARNING_RATE))
        order = descents.shuffles(shuffle_keys[: settings.num_seeds], len(problem.train.inputs), settings.epochs)
        found[TRAINED] = descents.follow(problem, method, found[START], order, num_legs=settings.epochs).end
    return found


def says(name: str, epochs: int) -> str:
    """The moment in words."""
    return "before any training" if name == START else f"after {epochs} epoch{'s' * (epochs != 1)} of training"


def check_all(functions: Functions, one: Callable, params: list[list[Layer]], digits: Examples) -> Checks:
    """Every digit in every seed's network, at every moment."""
    examine_all = jax.jit(runs.over_seeds(jax.vmap(partial(wishes.examine, functions, one), (None, 0)), (0, None)))
    found = []
    for moment in params:
        checks, requests = jax.device_get(examine_all(moment, digits))
        found.append(Checks(**checks, rank_one=np.max(list(map(wishes.distance_from_rank_one, requests)), axis=0)))
    return jax.tree.map(lambda *parts: np.stack(parts), *found)


def tell_all(
    problem: Problem, functions: Functions, params: dict[str, list[Layer]], digits: Examples, epochs: int
) -> tuple[Network, ...]:
    """The story of every digit in the first seed's network, at every moment."""
    gradient = jax.jit(jax.grad(problem.cost))
    story = jax.jit(jax.vmap(partial(wishes.tell, functions), (None, 0)))

    def of_moment(name: str) -> Network:
        first = data.take(params[name], 0)
        average = jax.tree.map(jnp.negative, gradient(first, problem.train))
        pixel_nudges, numbers = story(first, digits)
        layers = [LayerStory(*own, *mean, *told) for own, mean, told in zip(first, average, numbers, strict=True)]
        return Network(name, says(name, epochs), pixel_nudges, tuple(layers))

    return tuple(map(of_moment, params))


def measure(problem: Problem, settings: Settings) -> Result:
    """Follows the digits by hand, at the start and after training."""
    functions = Functions(problem.cost_fn, *plain_layers(problem, "one digit is followed by hand"))
    labels = np.argmax(np.asarray(problem.train.targets), axis=1)
    check_with_problem(problem, settings)
    index = int(np.argmax(labels == 2)) if settings.index is None else settings.index
    rows = np.union1d(wishes.few_of_each(labels, GALLERY), [index])
    rows = rows[np.argsort(labels[rows], kind="stable")]
    digits = jax.device_get(data.take(problem.train, rows))
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, max(UNTRAINED, settings.num_seeds))
    starts = descents.starts(problem, init_keys)
    params = moments(settings, problem, starts, shuffle_keys)
    return Result(
        checks=check_all(functions, problem.example_cost, list(params.values()), digits),
        untrained=np.asarray(jax.jit(runs.over_seeds(problem.accuracy, (0, None)))(starts, problem.test)),
        rows=rows,
        inputs=np.asarray(digits.inputs),
        targets=np.asarray(digits.targets),
        chosen=int(np.flatnonzero(rows == index)[0]),
        networks=tell_all(problem, functions, params, digits, settings.epochs),
        image_shape=problem.image_shape,
        num_train=len(labels),
        films=functions.cost_fn is costs.sum_of_squares and functions.output_activation is jax.nn.sigmoid,
    )


def check_with_problem(problem: Problem, settings: Settings) -> None:
    """Raises SettingsError unless the layer exists and there is enough to train on."""
    num_train = len(problem.train.inputs)
    num_layers = len(jax.eval_shape(problem.model.init, jax.random.key(0)))
    require(
        settings.layer is None or settings.layer <= num_layers,
        f"--layer is {settings.layer}; it must be between 1, the first hidden layer, and {num_layers}, the outputs",
    )
    require(
        settings.epochs == 0 or num_train > BATCH_SIZE,
        f"--epochs is {settings.epochs}, but there are only {num_train} training examples; training in batches of "
        f"{BATCH_SIZE} needs more, so give --epochs 0",
    )


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """T7 to T26, C1 and C5: backpropagation by hand is exact, and obeys the film's sentences; the worst case counts."""
    checks, chance = result.checks, 100 / result.targets.shape[1]
    yield identity("T7", "the gradient by hand is the one of jax.grad", np.max(checks.by_hand), at_most(1e-5),
                   "largest relative error", "the chain rule, float32")  # fmt: skip
    yield prediction("T14", "before any training the network's answers are no better than chance",
                     100 * float(np.mean(result.untrained)), about(chance, share=0.3), "% correct, mean",
                     f"one class in {result.targets.shape[1]}; {len(result.untrained)} starts")  # fmt: skip
    yield identity("T19", "the brighter the neuron before, the bigger the request for its weight",
                   100 * np.min(checks.brightness), exactly(100), "% in the same order", "pull x a")  # fmt: skip
    yield identity("T19", "no request for a weight behind a dark neuron or pixel", np.max(checks.dark), exactly(0),
                   "largest |request|", "pull x 0")  # fmt: skip
    yield identity("T22", "one digit's requests for a layer's weights are of rank one", np.max(checks.rank_one),
                   at_most(1e-6), "2nd singular value over 1st", "an outer product, float32")  # fmt: skip
    hidden = [layer.activations for network in result.networks for layer in network.layers[:-1]]
    if all((activations >= 0).all() for activations in hidden):  # with others, such as tanh, two minuses make a plus
        yield identity("T22", "the greatest strengthening joins the brightest neuron and the one that most wants to "
                       "rise", 100 * np.min(checks.strongest), exactly(100), "% of layers",
                       "an outer product")  # fmt: skip
    yield identity("T25", "a layer's columns of wishes add up to W^T pull", np.max(checks.column_sum), at_most(1e-6),
                   "largest relative error", "Nielsen, chapter 2, BP2, float32")  # fmt: skip
    yield identity("T26", "the wishes of every layer, pixels included, are those of jax.grad", np.max(checks.nudges),
                   at_most(1e-5), "largest relative error", "the chain rule, float32")  # fmt: skip
    if result.films:
        yield from films_claims(checks, 100 - chance)


def films_claims(checks: Checks, unwanted: float) -> Iterator[Claim]:
    """The claims that need the film's cost and outputs between 0 and 1; `unwanted` % of the outputs should fall."""
    all_but_one = within(unwanted - 1e-3, unwanted + 1e-3, unwanted)
    yield identity("T16", "the digit's own output should rise, all others should fall",
                   100 * np.min(checks.nudge_signs), exactly(100), "% of outputs", "0 < a < 1")  # fmt: skip
    yield identity("T17", "each output's wish is twice its distance from the target, exactly",
                   np.max(checks.proportional), at_most(1e-6), "largest |wish / distance - 2|",
                   "the derivative of (y - a)^2")  # fmt: skip
    yield identity("T23", "against Hebb: the weights to unwanted outputs are weakened, though both ends fire",
                   100 * float(np.mean(checks.weakened)), all_but_one, "% of the outputs' weights",
                   "all outputs but one should fall; 0 < a")  # fmt: skip
    yield identity("T24", "the wanted output asks neurons with a positive weight to rise, with a negative one to fall",
                   100 * np.min(checks.wanted), exactly(100), "% of its column", "pull x w, pull > 0")  # fmt: skip
    yield identity("C1", "the columns of the unwanted outputs have the sign opposite to the weight",
                   100 * np.min(checks.unwanted), exactly(100), "% of their columns", "pull x w, pull < 0")  # fmt: skip
    yield identity("C5", "as drawn in the film at 7:38, by the sign of the weight alone, these columns point the "
                   "wrong way", 100 * float(np.mean(checks.drawn_wrong)), all_but_one, "% of the arrows",
                   "all outputs but one should fall")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """How exact the way by hand is, and how many of the film's arrows are wrong."""
    where = " and ".join(network.says for network in result.networks)
    return (
        f"One digit's wishes by hand are those of jax.grad (relative error {np.max(result.checks.by_hand):.0e}), "
        f"{where}. Drawn by the sign of the weight alone, as in the film at 7:38, "
        f"{100 * np.mean(result.checks.drawn_wrong):.0f} % of the arrows point the wrong way."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure | Page]:
    """Network, columns, pixels and weights at every moment; the page to click through."""
    found = {}
    for network in result.networks:
        picture, ending = drawn.picture_of(result, network), "" if network.name == START else "_after_training"
        found[f"nudges{ending}"] = drawn.network(picture)
        found[f"columns{ending}"] = drawn.columns(picture, settings.layer or len(network.layers))
        found[f"pixels_and_weights{ending}"] = drawn.pixels_and_weights(picture)
    dataset = settings.dataset.rstrip("/").rpartition("/")[2]
    return found | {"nudges.html": Page("", drawn.page(result, dataset).encode())}  # nudges.png has the same name
