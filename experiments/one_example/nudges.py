"""What does this one digit want: of the outputs, of every neuron, of every pixel, of every weight?

One image, the film's network (784-16-16-10) and one way backwards, at the start and after some training: the nudges of
the outputs, the three avenues of a neuron, the columns of 7:38 and their sum, and so on down to the pixels. Next to the
columns stands what the film draws at 7:38, where the arrows follow the sign of the weight alone. Every number is
checked on some twenty digits in several networks, and a page, nudges.html, goes through them one click at a time
and takes the step.

Run:     python -m experiments nudges [--quick | --full] [--index 5] [--layer 3] [--epochs 2]
Time:    default 11 s, --quick 7 s, --full 18 s on 2 cores, compilation included
Result:  drawn by the weight's sign, as at 7:38, the columns of the nine unwanted outputs point the wrong way; with
         Hebb's rule requests correlate by -0.44 before training, 0.72 after five epochs (20 digits, first of 10 seeds).
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int, Shaped

from experiments.common import descents, experiment, runs, wishes
from experiments.common.bounds import below_train, require
from experiments.common.claims import Claims, about, at_most, exactly, identity, prediction
from experiments.common.descents import Method
from experiments.common.plots import Figure, Page
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import nudges_figures as drawn
from research import costs, data
from research.backprop import Functions
from research.data import Examples
from research.models import Layer

BATCH_SIZE, LEARNING_RATE = 100, 4.0  # as in full_batch_vs_sgd, which found them
GALLERY = 20  # digits on the page, besides the chosen one
UNTRAINED = 32  # starts whose accuracy is averaged: one start says nearly always the same, right or wrong


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    index: Annotated[int | None, Ge(0), below_train] = None
    """Which training example is to be listened to, from 0; by default the first 2."""
    layer: Annotated[int | None, Ge(1)] = None
    """Whose columns are drawn: 1 the first hidden layer, ..., the outputs last; by default the outputs."""
    epochs: Annotated[int, Ge(0)] = 2
    """Passes of mini-batch descent (batches of 100, learning rate 4), after which the same is told again; 0: none."""


QUICK = Settings(num_seeds=2, epochs=0)
FULL = Settings(num_seeds=10, epochs=5)


class LayerStory(NamedTuple):
    weights: Float[np.ndarray, "out in"]
    biases: Float[np.ndarray, "out"]
    average_weights: Float[np.ndarray, "out in"]  # their nudges, averaged over all training examples
    numbers: wishes.Numbers


class Network(NamedTuple):
    """The first seed's network at one moment, and every digit's numbers in it."""

    name: str
    says: str
    pixel_nudges: Float[np.ndarray, "digits pixels"]
    layers: tuple[LayerStory, ...]


class Result(NamedTuple):
    checks: wishes.Checks
    untrained: Float[np.ndarray, "starts"]  # accuracy on the test set
    rows: Int[np.ndarray, "digits"]  # of the training set
    inputs: Shaped[np.ndarray, "digits pixels"]
    targets: Float[np.ndarray, "digits classes"]
    chosen: int  # which of the digits is drawn
    networks: tuple[Network, ...]
    image_shape: tuple[int, int, int]
    num_train: int
    films: bool  # cost and outputs: squared distances of numbers between 0 and 1


def trained(problem: Problem, epochs: int, starts: list[Layer], shuffle_keys: Array) -> list[Layer]:
    """The parameters of all seeds after some epochs of mini-batches of 100."""
    method = Method(f"batches of {BATCH_SIZE}", BATCH_SIZE, optax.sgd(LEARNING_RATE))
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), epochs)
    return descents.follow(problem, method, starts, order, num_legs=epochs).end


def tell_all(
    problem: Problem, functions: Functions, moments: dict[str, list[Layer]], digits: Examples, epochs: int
) -> tuple[Network, ...]:
    """The story of every digit in the first seed's network, at every moment."""
    gradient = jax.jit(jax.grad(problem.cost))
    story = jax.jit(jax.vmap(partial(wishes.tell, functions), (None, 0)))
    words = {"start": "before any training", "trained": f"after {epochs} epoch{'s' * (epochs != 1)} of training"}
    networks = []
    for name, params in moments.items():
        first = data.take(params, 0)
        pixel_nudges, numbers = story(first, digits)
        layers = [
            LayerStory(layer.weights, layer.biases, -grads.weights, told)
            for layer, grads, told in zip(first, gradient(first, problem.train), numbers, strict=True)
        ]
        networks.append(Network(name, words[name], pixel_nudges, tuple(layers)))
    return tuple(networks)


def measure(problem: Problem, settings: Settings) -> Result:
    functions = Functions(problem.cost_fn, *plain_layers(problem, "one digit is followed by hand"))
    labels = np.argmax(np.asarray(problem.train.targets), axis=1)
    num_layers = len(jax.eval_shape(problem.model.init, jax.random.key(0)))
    require(
        settings.layer is None or settings.layer <= num_layers,
        f"--layer is {settings.layer}; it must be between 1, the first hidden layer, and {num_layers}, the outputs",
    )
    require(
        settings.epochs == 0 or len(labels) > BATCH_SIZE,
        f"--epochs is {settings.epochs}, but there are only {len(labels)} training examples; training in batches of "
        f"{BATCH_SIZE} needs more, so give --epochs 0",
    )
    index = int(np.argmax(labels == 2)) if settings.index is None else settings.index
    rows = np.union1d(wishes.few_of_each(labels, GALLERY), [index])
    rows = rows[np.argsort(labels[rows], kind="stable")]
    digits = jax.device_get(data.take(problem.train, rows))
    num_seeds = settings.num_seeds
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, max(UNTRAINED, num_seeds))
    starts = descents.starts(problem, init_keys)
    moments = {"start": jax.tree.map(lambda leaf: np.asarray(leaf[:num_seeds]), starts)}
    if settings.epochs:
        moments["trained"] = trained(problem, settings.epochs, moments["start"], shuffle_keys[:num_seeds])
    examine = partial(wishes.examine, functions, problem.example_cost)
    examine_all = runs.over_seeds(jax.vmap(examine, (None, 0)), (0, None))
    return Result(
        checks=jax.tree.map(
            lambda *each: np.stack(each), *(examine_all(params, digits) for params in moments.values())
        ),
        untrained=np.asarray(runs.over_seeds(problem.accuracy, (0, None))(starts, problem.test)),
        rows=rows,
        inputs=np.asarray(digits.inputs),
        targets=np.asarray(digits.targets),
        chosen=int(np.flatnonzero(rows == index)[0]),
        networks=tell_all(problem, functions, moments, digits, settings.epochs),
        image_shape=problem.image_shape,
        num_train=len(labels),
        films=functions.cost_fn is costs.sum_of_squares and functions.output_activation is jax.nn.sigmoid,
    )


def claims(result: Result, settings: Settings) -> Claims:
    # rank one, nothing behind a dark pixel: tests/test_backprop.py holds these laws
    checks, num_classes = result.checks, result.targets.shape[1]
    yield prediction("T14", "before any training the network's answers are no better than chance",
                     100 * float(np.mean(result.untrained)), about(100 / num_classes, share=0.3), "% correct, mean",
                     f"one class in {num_classes}; {len(result.untrained)} starts")  # fmt: skip
    for film, says, errors, most, source in (
        ("T7", "the gradient by hand is the one of jax.grad", checks.by_hand, 1e-5, "the chain rule, float32"),
        ("T25", "a layer's columns of wishes add up to W^T pull", checks.column_sum, 1e-6, "Nielsen, chapter 2, BP2"),
        ("T26", "the wishes of every layer, pixels included, are those of jax.grad", checks.nudges, 1e-5,
         "the chain rule, float32"),
    ):  # fmt: skip
        yield identity(film, says, np.max(errors), at_most(most), "largest relative error", source)
    shares = [("T19", "the brighter the neuron before, the bigger the nudge of its weight", checks.brightness,
               "% in the same order", "pull x a")]  # fmt: skip
    hidden = [layer.numbers.activations for network in result.networks for layer in network.layers[:-1]]
    if all((activations >= 0).all() for activations in hidden):  # with others, such as tanh, two minuses make a plus
        shares.append(("T22", "the greatest strengthening joins the brightest neuron and the one that most wants to "
                       "rise", checks.strongest, "% of layers", "an outer product"))  # fmt: skip
    if result.films:
        shares += [
            ("T16", "the digit's own output should rise, all others should fall", checks.nudge_signs, "% of outputs",
             "0 < a < 1"),
            ("T24", "the wanted output asks neurons with a positive weight to rise, with a negative one to fall",
             checks.wanted, "% of its column", "pull x w, pull > 0"),
            ("C1", "the columns of the unwanted outputs have the sign opposite to the weight", checks.unwanted,
             "% of their columns", "pull x w, pull < 0"),
        ]  # fmt: skip
        yield identity("T17", "each output's wish is twice its distance from the target", np.max(checks.proportional),
                       at_most(1e-6), "largest |wish / distance - 2|", "the derivative of (y - a)^2")  # fmt: skip
    for film, says, share, unit, source in shares:
        yield identity(film, says, 100 * np.min(share), exactly(100), unit, source)


def along_hebb(result: Result, network: Network) -> list[float]:
    """For every digit, the correlation of what it asks of the weights into the outputs with Hebb's rule."""
    return [drawn.along_hebb(drawn.picture_of(result, network, digit)) for digit in range(len(result.rows))]


def finding(result: Result, settings: Settings) -> str:
    along = [f"{np.median(along_hebb(result, network)):.2f} {network.says}" for network in result.networks]
    return (
        "An output that should fall asks the opposite of what its weights say: drawn by the weight's sign, as in the "
        "film at 7:38, the columns of all unwanted outputs point the wrong way. What a digit asks of the weights into "
        f"the outputs correlates with firing together, as Hebb's rule would, by {' and '.join(along)} (first seed, "
        f"median of {len(result.rows)} digits)."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure | Page]:
    found = {}
    for network in result.networks:
        ending = "" if network.name == "start" else "_after_training"
        picture = drawn.picture_of(result, network, result.chosen)
        found[f"nudges{ending}"] = drawn.network(picture)
        found[f"columns{ending}"] = drawn.columns(picture, settings.layer or len(network.layers))
        found[f"pixels_and_weights{ending}"] = drawn.pixels_and_weights(picture, along_hebb(result, network))
    page = drawn.page(result, Path(settings.dataset).name)
    return found | {"nudges.html": Page("", page.encode())}  # nudges.png has the same name
