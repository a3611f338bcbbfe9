"""What does this one digit want: of the outputs, of every neuron, of every pixel, of every weight?

One image, the film's network (784-16-16-10) and one way backwards, at the start and after some training: the wishes of
the outputs, the three avenues of a neuron, the columns of wishes and their sum, and so on down to the pixels. Next to
the columns stands what the film draws at 7:38, where the arrows follow the sign of the weight alone. Every number is
checked on some twenty digits in several networks, and a page, nudges.html, goes through them one click at a time.

Run:     python -m experiments.nudges [--quick | --full] [--index 5] [--layer 3] [--epochs 2]
Time:    default 24 s, --quick 14 s, --full 30 s on 2 busy cores, compilation included
Result:  by hand = jax.grad to 3e-8, down to the pixels; the columns of unwanted outputs have the sign opposite to the
         weight without exception, so that 90 % of the arrows at 7:38 point the wrong way, before training and after;
         wishes are exactly 2 (y - a), but a saturated output, wrong by 0.9999, is pulled with 0.0003 only
"""

import base64
import dataclasses
import json
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import PyTree
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from experiments.common import descents, records, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem
from experiments.common.records import Claim
from research import backprop, costs, data, plots
from research.data import Examples
from research.models import Layer

NAME = Path(__file__).stem
TEMPLATE = Path(__file__).with_name("nudges_page.html")
START, TRAINED = "start", "trained"
BATCH_SIZE, LEARNING_RATE = 100, 4.0  # as in full_batch_vs_sgd, which found them
GALLERY = 20  # digits on the page, besides the chosen one
UNTRAINED = 32  # starts whose accuracy is averaged: one start says nearly always the same, right or wrong
MOST_ROWS = 16  # neurons before that a picture of columns has room for, and as many columns


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of one digit's story; the default takes about 20 s on 2 cores."""

    index: int = -1
    """Which training example is to be listened to, from 0; -1 is the first 2."""
    layer: int = -1
    """Whose columns of wishes are drawn: 1 the first hidden layer, ..., the outputs last; -1 is the last."""
    epochs: int = 2
    """Passes of mini-batch descent (batches of 100, learning rate 4), after which the same is told again; 0: none."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(self.index >= -1, f"--index is {self.index}; it must be 0 or more, or -1 for the first 2")
        common.require(
            self.layer == -1 or self.layer >= 1,
            f"--layer is {self.layer}; it must be 1, the first hidden layer, or more, or -1 for the outputs",
        )
        common.require(self.epochs >= 0, f"--epochs is {self.epochs}; it must be 0 or more")


QUICK = Settings(num_seeds=2, epochs=0)
FULL = Settings(num_seeds=10, epochs=5)


class Functions(NamedTuple):
    """What backpropagation by hand is given besides parameters and example, in its order."""

    cost_fn: Callable
    activation: Callable
    output_activation: Callable


class Story(NamedTuple):
    """Every number of one example's way forward and back; activations and nudges from layer 0, the others from 1."""

    sums: list[Array]
    activations: list[Array]
    slopes: list[Array]
    nudges: list[Array]
    pulls: list[Array]


def tell(functions: Functions, params: list[Layer], example: Examples) -> Story:
    """The whole story of one example in one network."""
    sums, activations = backprop.feed_forward(params, example.inputs, *functions[1:])
    grads, nudges = backprop.backpropagate(params, example, *functions)
    slopes = [backprop.slope(*pair) for pair in zip(layer_functions(functions, params), sums, strict=True)]
    return Story(sums, activations, slopes, nudges, pulls=[-layer.biases for layer in grads])


def layer_functions(functions: Functions, params: list[Layer]) -> list[Callable]:
    """The activation of every layer, first hidden one first."""
    return [*[functions.activation] * (len(params) - 1), functions.output_activation]


class Checks(NamedTuple):
    """What the claims are about, measured on one example in one network; the errors are relative, the shares of 1."""

    by_hand: Array  # error of the gradient by hand against jax.grad
    wishes: Array  # error of the wishes of all activations, pixels included, against jax.grad
    column_sum: Array  # error of the sum of columns against W^T pull
    brightness: Array  # share of neighbours, sorted by brightness, whose weights' requests are in the same order
    dark: Array  # largest request for a weight behind a neuron that is at 0
    requests: list[Array]  # for the weights of every layer
    strongest: Array  # share of layers whose greatest strengthening joins the brightest and the most wished-for
    wanted: Array  # share of the numbers in the columns of outputs that should rise, with the sign of the weight
    unwanted: Array  # share in the columns of the others, with the opposite sign
    drawn_wrong: Array  # share of these arrows that are wrong if drawn by the sign of the weight alone
    weakened: Array  # share of the outputs' weights that should go down
    wish_signs: Array  # share of outputs that are wished towards their target
    proportional: Array  # largest distance of wish / (target - output) from the film's 2


def examine(functions: Functions, one: Callable, params: list[Layer], example: Examples) -> Checks:
    """Every check of one example; `one` is the cost of one example as a function of the parameters."""
    grads, nudges = backprop.backpropagate(params, example, *functions)
    *befores, output = backprop.feed_forward(params, example.inputs, *functions[1:]).activations
    pulls = [-layer.biases for layer in grads]
    asked = list(map(backprop.avenues, params, pulls, befores))
    requests, last, target = [each.weights for each in asked], asked[-1], example.targets
    signs = jnp.sign(params[-1].weights)
    rises = (last.biases > 0)[:, None] & (signs != 0)
    falls = (last.biases < 0)[:, None] & (signs != 0)
    return Checks(
        by_hand=relative_error(grads, jax.grad(one)(params, example)),
        wishes=relative_error(nudges, wishes_by_autodiff(functions, params, example)),
        column_sum=worst(map(column_error, params, pulls, asked)),
        brightness=-worst(-share_in_order(*pair) for pair in zip(requests, befores, strict=True)),
        dark=worst(
            jnp.max(jnp.abs(w), where=(a == 0)[None], initial=0) for w, a in zip(requests, befores, strict=True)
        ),
        requests=requests,
        strongest=jnp.mean(jnp.array(list(map(strongest_joins_brightest, requests, pulls, befores)))),
        wanted=share(rises, jnp.sign(last.columns) == signs),
        unwanted=share(falls, jnp.sign(last.columns) == -signs),
        drawn_wrong=share(rises | falls, jnp.sign(last.columns) != signs),
        weakened=share(last.weights != 0, last.weights < 0),
        wish_signs=jnp.mean(jnp.sign(nudges[-1]) == jnp.sign(target - output)),
        proportional=jnp.max(jnp.abs(nudges[-1] / (target - output) - 2)),
    )


def wishes_by_autodiff(functions: Functions, params: list[Layer], example: Examples) -> list[Array]:
    """-dC/da of every layer, by jax.grad with respect to a shift that is added to its activations."""

    def cost(shifts: list[Array]) -> Array:
        activations = data.unit_interval(example.inputs) + shifts[0]
        for layer, activate, shift in zip(params, layer_functions(functions, params), shifts[1:], strict=True):
            activations = activate(layer.weights @ activations + layer.biases) + shift
        return functions.cost_fn(activations, example.targets)

    sizes = [params[0].weights.shape[1], *(len(layer.biases) for layer in params)]
    return jax.tree.map(jnp.negative, jax.grad(cost)([jnp.zeros(size) for size in sizes]))


def column_error(layer: Layer, pull: Array, asked: backprop.Avenues) -> Array:
    """Relative error of the sum of a layer's columns against W^T pull."""
    return relative_error(asked.columns.sum(axis=0), layer.weights.T @ pull)


def relative_error(found: PyTree, wanted: PyTree) -> Array:
    """|found - wanted| / |wanted| over all leaves; 0 where both are nothing."""
    distance = optax.tree.norm(jax.tree.map(jnp.subtract, found, wanted))
    return jnp.asarray(distance / jnp.maximum(optax.tree.norm(wanted), jnp.finfo(jnp.float32).tiny))


def share_in_order(requests: Array, activations: Array) -> Array:
    """Share of neighbours, sorted by brightness, of which the brighter has the bigger (or the same) request."""
    sizes = jnp.abs(requests)[:, jnp.argsort(jnp.abs(activations))]
    return jnp.mean(sizes[:, 1:] >= sizes[:, :-1]) if sizes.shape[1] > 1 else jnp.float32(1)


def distance_from_rank_one(requests: ArrayLike) -> float:
    """The second singular value over the first, the largest of all the matrices; 0 where there is no second.

    By numpy: jax's SVD, called from several CPU devices inside one program, can wait for itself for ever.

    >>> distance_from_rank_one(np.outer([1.0, 2.0], [3.0, -4.0])) < 1e-15
    True
    """
    values = np.linalg.svd(np.asarray(requests, float), compute_uv=False)
    return float(np.max(values[..., 1:2] / np.maximum(values[..., :1], np.finfo(np.float32).tiny), initial=0.0))


def strongest_joins_brightest(requests: Array, pull: Array, activations: Array) -> Array:
    """Whether no weight gets more strengthening than that from the brightest neuron to the one pulled up most.

    True too where no neuron of the layer is pulled up, for there is nothing to strengthen there.
    """
    return (pull.max() <= 0) | (requests[jnp.argmax(pull), jnp.argmax(activations)] == requests.max())


def share(among: Array, holds: Array) -> Array:
    """Share of the entries of `among` for which it holds; 1 where there are none."""
    return jnp.where(among.any(), jnp.sum(among & holds) / jnp.maximum(jnp.sum(among), 1), 1.0)


def worst(values: Any) -> Array:
    """The largest of some numbers."""
    return jnp.max(jnp.stack(list(values)))


def cross_entropy(output: Array, target: Array) -> Array:
    """Of one example, on the weighted sums of the outputs: the sum over the outputs of their binary cross-entropies."""
    return jnp.sum(optax.sigmoid_binary_cross_entropy(output, target))


class Distances(NamedTuple):
    """How far the real outputs are from their targets, and how much they want to move; one number an output."""

    distance: Array  # y - a
    wish: Array  # quadratic cost: of the activation
    pull: Array  # quadratic cost: of the weighted sum, hence of bias and weights
    cross_entropy_pull: Array


def measure_distances(activation: Callable, params: list[Layer], example: Examples) -> Distances:
    """The ten outputs of one example in a network with sigmoid outputs, asked by both costs."""
    quadratic = tell(Functions(costs.sum_of_squares, activation, jax.nn.sigmoid), params, example)
    logistic = tell(Functions(cross_entropy, activation, lambda z: z), params, example)
    distance = example.targets - quadratic.activations[-1]
    return Distances(distance, quadratic.nudges[-1], quadratic.pulls[-1], logistic.pulls[-1])


def choose_gallery(labels: np.ndarray, chosen: int) -> np.ndarray:
    """Rows of the training set for the page: the chosen one and two of each class (fewer where there are many)."""
    classes = np.unique(labels)[:GALLERY]
    others = [np.flatnonzero(labels == each)[: max(1, GALLERY // len(classes))] for each in classes]
    rows = np.unique([chosen, *np.concatenate(others)])
    return rows[np.argsort(labels[rows], kind="stable")]


class Network(NamedTuple):
    """One moment of the networks' lives."""

    name: str
    says: str
    params: list[Layer]  # of all seeds, in numpy or jax; the pictures show the first


def make_networks(settings: Settings, problem: Problem, starts: list[Layer]) -> list[Network]:
    """The networks at the start and, if asked for, after some epochs of mini-batches of 100."""
    _, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    start = jax.tree.map(lambda leaf: np.asarray(leaf[: settings.num_seeds]), starts)
    found = [Network(START, "before any training", start)]
    if settings.epochs:
        method = Method(f"batches of {BATCH_SIZE}", BATCH_SIZE, optax.sgd(LEARNING_RATE))
        order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.epochs)
        curve = descents.follow(problem, method, start, order, num_legs=settings.epochs)
        epochs = f"{settings.epochs} {'epoch' if settings.epochs == 1 else 'epochs'}"
        found.append(Network(TRAINED, f"after {epochs} of training", curve.end))
    return found


class Measured(NamedTuple):
    """All that the claims are about; leading axes: networks, seeds, digits."""

    checks: Checks
    distances: Distances
    untrained: np.ndarray  # accuracy on the test set of every start


def measure(
    problem: Problem, functions: Functions, starts: list[Layer], networks: list[Network], digits: Examples
) -> Measured:
    """Examines every digit in every network, and looks at starts with saturated outputs and at untrained ones."""
    examine_all = jax.jit(for_every_digit_and_seed(partial(examine, functions, problem.one)))
    look = jax.jit(for_every_digit_and_seed(partial(measure_distances, functions.activation)))
    accuracy = jax.jit(runs.over_seeds(problem.accuracy, (0, None)))
    checks = [examine_all(network.params, digits) for network in networks]
    return Measured(
        checks=jax.tree.map(lambda *parts: np.stack(parts), *checks),
        distances=jax.tree.map(np.asarray, look(saturated(networks[0].params), digits)),
        untrained=np.asarray(accuracy(starts, problem.test)),
    )


def saturated(params: list[Layer]) -> list[Layer]:
    """The same starts with every weight from N(0, 1), whatever the number of inputs: many outputs are near 0 or 1."""
    return [Layer(layer.weights * layer.weights.shape[-1] ** 0.5, layer.biases) for layer in params]


def for_every_digit_and_seed(fun: Callable) -> Callable:
    """`fun(params, example)` of one network and one digit -> of all seeds' networks and all digits."""
    return runs.over_seeds(jax.vmap(fun, (None, 0)), (0, None))


def is_the_films(settings: Settings) -> bool:
    """Whether cost and outputs are the film's: squared distances of numbers between 0 and 1."""
    return (settings.cost, settings.output_activation) == (Settings.cost, Settings.output_activation)


def make_claims(settings: Settings, measured: Measured, num_classes: int) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run; the worst case counts."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    checks = measured.checks
    chance = 100 / num_classes
    found = [
        claim("T7", "the gradient by hand is the one of jax.grad", float(np.max(checks.by_hand)), 0.0, 0.0, 1e-5,
              "largest relative error"),
        Claim("T14", "before any training the network's answers are no better than chance",
              100 * float(np.mean(measured.untrained)), chance, 0.7 * chance, 1.3 * chance, "% correct, mean",
              len(measured.untrained)),
        claim("T17", "with the slope of the sigmoid on top, no weighted sum is pulled harder than 8/27, "
              "however far from its target", float(np.max(np.abs(measured.distances.pull))), 8 / 27, None,
              8 / 27 + 1e-6, "largest |pull|"),
        claim("T17", "with cross-entropy the pull is the distance itself",
              float(np.max(np.abs(measured.distances.cross_entropy_pull - measured.distances.distance))), 0.0, 0.0,
              1e-6, "largest difference"),
        claim("T19", "the brighter the neuron before, the bigger the request for its weight",
              100 * float(np.min(checks.brightness)), 100.0, 100.0, 100.0, "% in the same order"),
        claim("T19", "no request for a weight behind a dark neuron or pixel", float(np.max(checks.dark)), 0.0, 0.0,
              0.0, "largest |request|"),
        claim("T22", "one digit's requests for a layer's weights are of rank one",
              max(map(distance_from_rank_one, checks.requests)), 0.0, 0.0, 1e-6, "2nd singular value over 1st"),
        claim("T22", "the greatest strengthening joins the brightest neuron and the one that most wants to rise",
              100 * float(np.min(checks.strongest)), 100.0, 100.0, 100.0, "% of layers"),
        claim("T25", "a layer's columns of wishes add up to W^T pull", float(np.max(checks.column_sum)), 0.0, 0.0,
              1e-6, "largest relative error"),
        claim("T26", "the wishes of every layer, pixels included, are those of jax.grad",
              float(np.max(checks.wishes)), 0.0, 0.0, 1e-5, "largest relative error"),
    ]  # fmt: skip
    return found + (films_claims(claim, checks, num_classes) if is_the_films(settings) else [])


def films_claims(claim: Callable[..., Claim], checks: Checks, num_classes: int) -> list[Claim]:
    """The claims that need the film's cost and outputs between 0 and 1."""
    unwanted = 100 * (num_classes - 1) / num_classes
    return [
        claim("T16", "the digit's own output should rise, all others should fall",
              100 * float(np.min(checks.wish_signs)), 100.0, 100.0, 100.0, "% of outputs"),
        claim("T17", "each output's wish is twice its distance from the target, exactly",
              float(np.max(checks.proportional)), 0.0, 0.0, 1e-6, "largest |wish / distance - 2|"),
        claim("T23", "against Hebb: the weights to unwanted outputs are weakened, though both ends fire",
              100 * float(np.mean(checks.weakened)), unwanted, unwanted - 1e-3, unwanted + 1e-3,
              "% of the outputs' weights"),
        claim("T24", "the wanted output asks neurons with a positive weight to rise, with a negative one to fall",
              100 * float(np.min(checks.wanted)), 100.0, 100.0, 100.0, "% of its column"),
        claim("C1", "the columns of the unwanted outputs have the sign opposite to the weight",
              100 * float(np.min(checks.unwanted)), 100.0, 100.0, 100.0, "% of their columns"),
        claim("C5", "as drawn in the film at 7:38, by the sign of the weight alone, these columns point the wrong way",
              100 * float(np.mean(checks.drawn_wrong)), unwanted, unwanted - 1e-3, unwanted + 1e-3, "% of the arrows"),
    ]  # fmt: skip


def choose_index(settings: Settings, train: Examples) -> int:
    """The row that --index names. Raises common.SettingsError if there is none."""
    common.require(
        settings.index < len(train.inputs),
        f"--index is {settings.index}; the training set of {settings.dataset} has the examples 0 to "
        f"{len(train.inputs) - 1}",
    )
    labels = np.argmax(train.targets, axis=1)
    return settings.index if settings.index >= 0 else int(np.argmax(labels == 2))


def choose_layer(settings: Settings, num_layers: int) -> int:
    """The layer that --layer names. Raises common.SettingsError if there is none."""
    common.require(
        settings.layer <= num_layers,
        f"--layer is {settings.layer}; it must be between 1, the first hidden layer, and {num_layers}, the outputs",
    )
    return settings.layer if settings.layer >= 1 else num_layers


def make_functions(settings: Settings) -> Functions:
    """Cost and activations. Raises common.SettingsError for an activation that does not take each number alone."""
    flags = {"--activation": settings.activation, "--output-activation": settings.output_activation}
    chosen = {flag: common.import_function(flag, path, "jax.nn") for flag, path in flags.items()}
    for flag, activation in chosen.items():
        common.require(
            works_number_by_number(activation),
            f"{flag} is {flags[flag]}; backpropagation by hand needs a function of each number alone, such as sigmoid",
        )
    return Functions(common.cost_function(settings), *chosen.values())


def works_number_by_number(activation: Callable) -> bool:
    """Whether the activation of several numbers is the activation of each.

    >>> works_number_by_number(jax.nn.relu), works_number_by_number(jax.nn.softmax)
    (True, False)
    """
    numbers = jnp.linspace(-1, 1, 5)
    try:
        return bool(jnp.allclose(jnp.stack([activation(number) for number in numbers]), activation(numbers)))
    except Exception:  # whatever a user's own function raises
        return False


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    functions = make_functions(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    index, layer = choose_index(settings, train), choose_layer(settings, len(settings.sizes_for(train)) - 1)
    common.require(
        settings.epochs == 0 or len(train.inputs) > BATCH_SIZE,
        f"--epochs is {settings.epochs}, but {settings.dataset} has only {len(train.inputs)} training examples; "
        f"training in batches of {BATCH_SIZE} needs more",
    )
    model = common.make_model(settings, train)
    common.check_cost(functions.cost_fn, model, train)
    problem = descents.make_problem(model, functions.cost_fn, train, test)
    rows = choose_gallery(np.argmax(train.targets, axis=1), index)
    digits = jax.tree.map(lambda leaf: leaf[rows], train)
    init_keys, _ = runs.seed_keys(settings.seed, max(UNTRAINED, settings.num_seeds))
    starts = descents.starts(problem, init_keys)
    networks = make_networks(settings, problem, starts)
    measured = measure(problem, functions, starts, networks, digits)
    claims = make_claims(settings, measured, train.targets.shape[1])
    arrays = arrays_for_figures(problem, functions, networks, digits, measured.distances)
    finding = sentence(settings, measured, networks)
    records.write_run(
        settings.out / NAME, settings, claims, {"rows": rows, **arrays},
        **records.describe_data(settings.dataset, train=train, test=test),
        finding=finding,
        index=index, label=int(np.argmax(train.targets[index])), layer=layer, num_layers=len(networks[0].params),
        networks={network.name: network.says for network in networks},
        image_shape=data.image_shape(settings.dataset, data_dir=settings.data_dir),
        film=is_the_films(settings),
    )  # fmt: skip
    records.print_claims(claims)
    print(finding)


def sentence(settings: Settings, measured: Measured, networks: list[Network]) -> str:
    """What was found, in one sentence."""
    hand, drawn = np.max(measured.checks.by_hand), 100 * np.mean(measured.checks.drawn_wrong)
    where = " and ".join(network.says for network in networks)
    return (
        f"One digit's wishes by hand are those of jax.grad (relative error {hand:.0e}), {where}; drawn by the sign of "
        f"the weight alone, as in the film at 7:38, {drawn:.0f} % of the arrows point the wrong way."
    )


def arrays_for_figures(
    problem: Problem, functions: Functions, networks: list[Network], digits: Examples, distances: Distances
) -> dict[str, np.ndarray]:
    """The digits, the distances and, of the first seed, parameters, average nudges and every digit's story."""
    nudge_of_average = jax.jit(jax.grad(problem.cost))
    story_of_digits = jax.jit(jax.vmap(partial(tell, functions), (None, 0)))
    arrays = {"inputs": digits.inputs, "targets": digits.targets, **distances._asdict()}
    for network in networks:
        params = jax.tree.map(lambda leaf: np.asarray(leaf[0]), network.params)
        average = nudge_of_average(params, problem.train)
        arrays |= numbered(f"{network.name}_weights", [layer.weights for layer in params], first=1)
        arrays |= numbered(f"{network.name}_biases", [layer.biases for layer in params], first=1)
        arrays |= numbered(f"{network.name}_average_weights", [-layer.weights for layer in average], first=1)
        arrays |= numbered(f"{network.name}_average_biases", [-layer.biases for layer in average], first=1)
        for field, values in story_of_digits(params, digits)._asdict().items():
            arrays |= numbered(f"{network.name}_{field}", values, first=0 if field in ("activations", "nudges") else 1)
    return {name: np.asarray(array) for name, array in arrays.items()}


def numbered(name: str, arrays: Sequence, first: int) -> dict[str, Any]:
    """{name_1: ..., name_2: ...}, the number being the layer's."""
    return {f"{name}_{layer}": array for layer, array in enumerate(arrays, first)}


class Picture(NamedTuple):
    """One digit in one network, as the figures need it: lists over layers, None where a layer 0 has no such thing."""

    label: int
    says: str
    shape: tuple[int, int, int]
    weights: list
    activations: list
    nudges: list
    pulls: list
    slopes: list


def read_picture(record: dict, arrays: dict[str, np.ndarray], name: str) -> Picture:
    """The chosen digit in one of the networks."""
    digit = int(np.flatnonzero(arrays["rows"] == record["index"])[0])

    def of_layers(field: str, first: int) -> list:
        layers = range(first, record["num_layers"] + 1)
        return [None] * first + [arrays[f"{name}_{field}_{layer}"][digit] for layer in layers]

    weights = [None, *(arrays[f"{name}_weights_{layer}"] for layer in range(1, record["num_layers"] + 1))]
    return Picture(
        record["label"], record["networks"][name], tuple(record["image_shape"]), weights,
        of_layers("activations", 0), of_layers("nudges", 0), of_layers("pulls", 1), of_layers("slopes", 1),
    )  # fmt: skip


def plot(out: Path) -> None:
    """Draws the figures and the page from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    for name in record["networks"]:
        picture = read_picture(record, arrays, name)
        ending = "" if name == START else "_after_training"
        plots.save(network_figure(picture), out / NAME / f"nudges{ending}.png")
        plots.save(columns_figure(picture, record["layer"]), out / NAME / f"columns{ending}.png")
        plots.save(pixels_and_weights_figure(picture), out / NAME / f"pixels_and_weights{ending}.png")
    plots.save(distance_figure(arrays), out / NAME / "distance_and_slope.png")
    records.write_whole(out / NAME / "nudges.html", lambda file: file.write(page(record, arrays).encode()))
    print(f"figures, nudges.html and run.json are in {out / NAME}")


def network_figure(picture: Picture) -> Figure:
    """The network lit up by the digit, with its strongest weights and every neuron's wish."""
    figure, (sides,) = plots.new_figure(13, 7.5, columns=2, width_ratios=(1, 3.6))
    last = len(picture.activations) - 1
    shown = [strip(picture), *(strongest(picture.nudges[layer], 24) for layer in range(1, last + 1))]
    shown[-1] = np.sort(strongest(picture.pulls[last], 24))
    lit = [picture.activations[layer][rows] for layer, rows in enumerate(shown)]
    weights = [picture.weights[layer][np.ix_(shown[layer], shown[layer - 1])] for layer in range(1, last + 1)]
    heights = plots.network(sides[1], lit, weights)
    for layer, (rows, y) in enumerate(zip(shown, heights, strict=True)):
        plots.wishes(sides[1], layer + 0.09, y, picture.nudges[layer][rows], size=min(150.0, 3200 / len(rows)))
        sides[1].text(layer, 1.02, layer_name(layer, last, len(rows), len(picture.nudges[layer])), ha="center")
    label_outputs(sides[1], picture, shown[-1], heights[-1])
    draw_digit(sides[0], picture, shown[0])
    figure.suptitle(textwrap.fill(network_finding(picture), 110), fontsize=14, fontweight="bold")
    return figure


def network_finding(picture: Picture) -> str:
    """What the picture of the network shows, in a sentence."""
    output, label = picture.activations[-1], picture.label
    answer = int(np.argmax(output))
    verdict = "rightly" if answer == label else "wrongly"
    return (
        f"{picture.says.capitalize()} the network {verdict} calls this {label} a {answer} ({output[answer]:.2f}). "
        f"Output {label} should rise and the others fall: backwards, that makes a wish for every neuron and pixel"
    )


def layer_name(layer: int, last: int, shown: int, of: int) -> str:
    """What stands above a layer of the drawn network."""
    name = "pixels" if layer == 0 else "outputs" if layer == last else f"hidden layer {layer}"
    return f"{shown} of the {of} {name}" if shown < of else f"{of} {name}" if layer in (0, last) else name


def label_outputs(axes: Axes, picture: Picture, rows: np.ndarray, heights: np.ndarray) -> None:
    """Beside each output what it answers and what it should have been."""
    last = len(picture.activations) - 1
    for row, height in zip(rows, heights, strict=True):
        wanted = row == picture.label
        axes.text(
            last + 0.19, height, f"{row}:  {picture.activations[-1][row]:.2f}  →  {int(wanted)}", va="center",
            fontweight="bold" if wanted else "normal",
        )  # fmt: skip
    axes.set_xlim(-0.15, last + 0.62)
    axes.set_ylim(-0.02, 1.08)


def draw_digit(axes: Axes, picture: Picture, pixels: np.ndarray) -> None:
    """The digit with the strip of pixels that the network's first layer shows, and how to read the picture."""
    _, width, channels = picture.shape
    axes.imshow(image(picture, picture.activations[0]), cmap="gray", vmin=0, vmax=1)
    column = pixels[0] // channels % width
    axes.axvspan(column - 0.5, column + 0.5, fill=False, edgecolor=plots.COLOURS[4], linewidth=2)
    axes.set_title(f"the digit, a {picture.label}; framed:\nthe pixels drawn on the right")
    key = (
        "▲ should rise, ▼ should fall:\n-dC/da, area in proportion\nwithin each layer\n\n"
        "discs: activation, black 0, white 1\n\nlines: the strongest weights,\nsolid positive, dashed negative\n\n"
        "outputs:  answer  →  target"
    )
    axes.text(0, -0.08, key, transform=axes.transAxes, va="top", linespacing=1.4)
    axes.set_anchor("N")
    axes.axis("off")


def image(picture: Picture, pixels: np.ndarray) -> np.ndarray:
    """Pixels as rows and columns; colours, if there are three, in a last axis."""
    height, width, channels = picture.shape
    return pixels.reshape(height, width) if channels == 1 else pixels.reshape(height, width, channels)


def strip(picture: Picture) -> np.ndarray:
    """The pixels of the image's brightest column, top to bottom (of a colour image: its first colour)."""
    height, width, channels = picture.shape
    numbers = np.arange(height * width * channels).reshape(height, width, channels)[..., 0]
    return numbers[:, np.argmax(picture.activations[0][numbers].sum(axis=0))]


def strongest(values: np.ndarray, count: int) -> np.ndarray:
    """The places, in order, of at most `count` values: the largest ones by size.

    >>> strongest(np.array([1.0, -3.0, 0.0, 2.0]), 2)
    array([1, 3])
    """
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:count])


def columns_figure(picture: Picture, layer: int) -> Figure:
    """Every neuron's column of wishes for the layer before and their sum; beside it what the film draws at 7:38."""
    neurons = strongest(picture.pulls[layer], MOST_ROWS)
    rows = strongest(picture.nudges[layer - 1], MOST_ROWS)
    weights = picture.weights[layer][np.ix_(neurons, rows)].T
    computed = picture.pulls[layer][neurons] * weights
    drawn = np.abs(computed) * np.sign(weights)
    wrong = np.sign(drawn) != np.sign(computed)
    total = picture.nudges[layer - 1][rows]
    figure, (sides,) = plots.new_figure(14, 7.5, columns=2, width_ratios=(len(neurons) + 2, len(neurons) + 0.5))
    draw_columns(sides[0], computed, neurons, rows, picture.pulls[layer][neurons])
    draw_columns(sides[1], drawn, neurons, rows, np.ones(len(neurons)))
    draw_sum(sides[0], total, len(neurons), float(np.abs(computed).max()))
    sides[1].scatter(*np.nonzero(wrong)[::-1], marker="o", s=230, facecolors="none", edgecolors="0.35", linewidths=1)
    name_columns(sides[0], picture, layer, neurons, rows)
    sides[0].set_title("computed: pull of the neuron x weight (▲ brighter, ▼ dimmer)")
    sides[1].set_title(f"as drawn in the film at 7:38: the weight's sign alone; ringed: wrong, {wrong.sum()}")
    sides[1].set_xlabel("the same neurons; on top, as if each of them should rise", fontsize=9)
    figure.suptitle(textwrap.fill(columns_finding(picture, layer, wrong), 110), fontsize=14, fontweight="bold")
    return figure


def columns_finding(picture: Picture, layer: int, wrong: np.ndarray) -> str:
    """What the picture of the columns shows, in a sentence."""
    share_wrong = 100 * wrong.mean()
    return (
        f"A neuron that should fall wants the opposite of what its weights say: drawn by the weight's sign alone, "
        f"{share_wrong:.0f} % of the arrows point the wrong way (a {picture.label}, {picture.says})"
    )


def draw_columns(axes: Axes, values: np.ndarray, neurons: np.ndarray, rows: np.ndarray, pulls: np.ndarray) -> None:
    """A grid of triangles, a column for every neuron; above each which way the neuron itself should go."""
    height, width = values.shape
    plots.wishes(axes, np.arange(width)[None], np.arange(height)[:, None], values, size=190)
    plots.wishes(axes, np.arange(width), -1.3, np.sign(pulls), size=60)
    axes.set_xticks(range(width), [str(neuron) for neuron in neurons])
    axes.set_yticks(range(height), [str(row) for row in rows])
    axes.set_xlim(-0.7, width - 0.3)
    axes.set_ylim(height - 0.3, -2)
    axes.grid(False)
    axes.axhline(-0.7, color="0.6", linewidth=1)


def draw_sum(axes: Axes, total: np.ndarray, width: int, largest: float) -> None:
    """The sum of the columns, set apart on the right, its triangles in the columns' scale."""
    plots.wishes(axes, width + 0.6, np.arange(len(total)), total, largest=largest, size=190)
    axes.axvline(width - 0.2, color="0.6", linewidth=1)
    axes.set_xlim(-0.7, width + 1.3)
    axes.set_xticks([*range(width), width + 0.6], [*(label.get_text() for label in axes.get_xticklabels()), "sum"])


def name_columns(axes: Axes, picture: Picture, layer: int, neurons: np.ndarray, rows: np.ndarray) -> None:
    """Axis labels that say which neurons ask and which are asked, and how many are left out."""
    last = len(picture.weights) - 1
    asking = layer_name(layer, last, len(neurons), len(picture.pulls[layer]))
    asked = layer_name(layer - 1, last, len(rows), len(picture.nudges[layer - 1]))
    axes.set_xlabel(f"who asks: {asking}; on top, which way it should go itself", fontsize=9)
    axes.set_ylabel(f"who is asked: neurons of {asked}" if layer > 1 else f"who is asked: {asked}")


def pixels_and_weights_figure(picture: Picture) -> Figure:
    """The wishes for the pixels, the requests for the last layer's weights, and what Hebb's rule would ask."""
    figure, (panels,) = plots.new_figure(16, 6.2, columns=3, width_ratios=(1, 1.15, 1))
    draw_pixel_wishes(panels[0], picture)
    draw_requests(panels[1], picture)
    draw_hebb(panels[2], picture)
    weakened = np.mean(np.outer(picture.pulls[-1], picture.activations[-2]) < 0)
    title = (
        f"What one {picture.label} wants, {picture.says}: a wish for every pixel, and for every weight pull x "
        f"activation; against Hebb's rule, {weakened:.0%} of these weights should be weakened, however much both "
        "ends fire"
    )
    figure.suptitle(textwrap.fill(title, 110), fontsize=14, fontweight="bold")
    return figure


def draw_pixel_wishes(axes: Axes, picture: Picture) -> None:
    """A triangle on every pixel: whether it should get lighter or darker."""
    height, width, channels = picture.shape
    axes.imshow(0.6 * image(picture, picture.activations[0]) + 0.4, cmap="gray", vmin=0, vmax=1)
    per_pixel = picture.nudges[0].reshape(height, width, channels).sum(axis=-1)
    rows, columns = np.indices((height, width))
    plots.wishes(axes, columns, rows, per_pixel, size=75)
    axes.set_title("pixels: ▲ lighter, ▼ darker would lower the cost")
    axes.set_xlabel("-dC/da of every pixel; area in proportion")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_requests(axes: Axes, picture: Picture) -> None:
    """The requests for the last layer's weights: pull of the output (right) times activation before (top)."""
    pull, before = picture.pulls[-1], picture.activations[-2]
    order = np.argsort(-before)[:MOST_ROWS]
    requests = np.outer(pull, before[order])
    height, width = requests.shape
    plots.wishes(axes, np.arange(width)[None], np.arange(height)[:, None], requests, size=130)
    plots.wishes(axes, width + 0.5, np.arange(height), pull, size=130)
    axes.scatter(np.arange(width), np.full(width, -1.5), c=before[order], cmap="gray", vmin=0, vmax=1, s=130,
                 edgecolors="0.2")  # fmt: skip
    axes.axhline(-0.75, color="0.6", linewidth=1)
    axes.axvline(width - 0.25, color="0.6", linewidth=1)
    axes.set_xticks([*range(width), width + 0.5], [*map(str, order), "pull"])
    axes.set_yticks(range(height))
    axes.set_ylim(height - 0.4, -2.3)
    axes.set_xlim(-0.6, width + 1.1)
    axes.grid(False)
    axes.set_title("weights into the outputs: request = pull x activation")
    axes.set_xlabel("neuron of the layer before, brightest first; disc: its activation")
    axes.set_ylabel("output")


def draw_hebb(axes: Axes, picture: Picture) -> None:
    """Every request for an output's weight against how much its two ends fire together."""
    together = np.outer(picture.activations[-1], picture.activations[-2])
    requests = np.outer(picture.pulls[-1], picture.activations[-2])
    strengthened = requests > 0
    for chosen, marker, colour, text in (
        (strengthened, "^", plots.COLOURS[0], "strengthened"), (~strengthened, "v", plots.COLOURS[1], "weakened")
    ):  # fmt: skip
        label = f"{text}: {chosen.mean():.0%} of the weights"
        axes.scatter(together[chosen], requests[chosen], marker=marker, color=colour, s=32, label=label)
    axes.axhline(0, color="0.4", linewidth=1)
    axes.set_title("Hebb's asterisk: firing together is not enough")
    axes.set_xlabel(
        "how much both ends fire: product of the two activations\n(Hebb's rule would strengthen in proportion)"
    )
    axes.set_ylabel("request for the weight, -dC/dw")
    axes.legend(fontsize=9.5)


def distance_figure(arrays: dict[str, np.ndarray]) -> Figure:
    """How much an output wants to move against its distance from the target: activation, weights, cross-entropy."""
    figure, (panels,) = plots.new_figure(15, 5.8, columns=3, sharex=True)
    distance = np.linspace(-1, 1, 201)
    lines = [2 * distance, 2 * distance * np.abs(distance) * (1 - np.abs(distance)), distance]
    fields = ("wish", "pull", "cross_entropy_pull")
    titles = (
        "The wish for the activation:\nproportional, exactly 2 (y - a)",
        "What reaches bias and weights: x slope of the sigmoid\nnot proportional, and nothing when saturated",
        "With cross-entropy instead:\nproportional again, exactly y - a",
    )
    for panel, line, field, title in zip(panels, lines, fields, titles, strict=True):
        panel.plot(distance, line, color="0.5", linewidth=1.5, label="theory")
        draw_outputs(panel, arrays["distance"].ravel(), arrays[field].ravel())
        panel.axhline(0, color="0.4", linewidth=0.8)
        panel.set_title(title)
        panel.set_xlabel("distance from the target, y - a")
        panel.set_xticks((-1, -0.5, 0, 0.5, 1))
    panels[0].set_ylabel("-dC/da")
    panels[1].set_ylabel("-dC/dz: the request for the bias")
    panels[2].set_ylabel("-dC/dz: the request for the bias")
    panels[0].legend(loc="upper left", fontsize=9.5)
    mark_saturated(panels[1], arrays["distance"].ravel(), arrays["pull"].ravel())
    num_seeds, num_digits, _ = arrays["distance"].shape
    figure.suptitle(
        "'In proportion to the distance' is exact for the activation; a saturated neuron, however wrong, hardly moves\n"
        f"(every output for {num_digits} digits in {num_seeds} untrained networks with weights from N(0, 1))",
        fontsize=13, fontweight="bold",
    )  # fmt: skip
    return figure


def draw_outputs(axes: Axes, distance: np.ndarray, wish: np.ndarray) -> None:
    """Every real output as a triangle in the direction in which it should go."""
    for marker, colour, chosen, text in (
        ("^", plots.COLOURS[0], distance > 0, "should rise"), ("v", plots.COLOURS[1], distance <= 0, "should fall")
    ):  # fmt: skip
        axes.scatter(distance[chosen], wish[chosen], marker=marker, color=colour, s=18, alpha=0.5, label=text)


def mark_saturated(axes: Axes, distance: np.ndarray, pull: np.ndarray) -> None:
    """An arrow to the output that is most wrong."""
    far = int(np.argmax(np.abs(distance)))
    axes.annotate(
        f"the most wrong output: {abs(distance[far]):.4f} away,\nyet its pull is only {abs(pull[far]):.4f}",
        (distance[far], pull[far]), xytext=(0.03, 0.93), textcoords="axes fraction", va="top", fontsize=9.5,
        arrowprops={"arrowstyle": "->", "color": "0.3"},
    )  # fmt: skip


def page(record: dict, arrays: dict[str, np.ndarray]) -> str:
    """nudges.html: the template with the digits and the networks in it; it asks for nothing outside itself."""
    data_of_page = {
        "dataset": Path(record["dataset"]["name"]).name,
        "trainCount": record["dataset"]["train"]["count"],
        "shape": record["image_shape"],
        "film": record["film"],
        "chosen": record["index"],
        "rows": arrays["rows"].tolist(),
        "labels": arrays["targets"].argmax(axis=1).tolist(),
        "numClasses": arrays["targets"].shape[1],
        "inputs": in_base64(arrays["inputs"]),
        "networks": [page_network(record, arrays, name) for name in record["networks"]],
    }
    text = json.dumps(data_of_page).replace("<", "\\u003c")  # no name can end the script
    return TEMPLATE.read_text().replace('"DATA"', text)


def page_network(record: dict, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """One network and every digit's story in it; item 0 of a list is for layer 1."""
    layers = range(1, record["num_layers"] + 1)
    fields = ("weights", "biases", "average_weights", "average_biases", *Story._fields)
    packed = {field: [in_base64(arrays[f"{name}_{field}_{layer}"]) for layer in layers] for field in fields}
    return {"name": name, "says": record["networks"][name], **packed}


def in_base64(array: np.ndarray) -> str:
    """The array's bytes, little-endian, uint8 or float32, as text."""
    kind = "u1" if array.dtype == np.uint8 else "<f4"
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()


def main() -> None:
    """python -m experiments.nudges"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
