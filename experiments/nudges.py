"""What does this one digit want: of the outputs, of every neuron, of every pixel, of every weight?

One image, the film's network (784-16-16-10) and one way backwards, at the start and after some training: the wishes of
the outputs, the three avenues of a neuron, the columns of wishes and their sum, and so on down to the pixels. Next to
the columns stands what the film draws at 7:38, where the arrows follow the sign of the weight alone. Every number is
checked on some twenty digits in several networks, and a page, nudges.html, goes through them one click at a time.

Run:     python -m experiments.nudges [--quick | --full] [--index 5] [--layer 3] [--epochs 2]
Time:    default 11 s, --quick 7 s, --full 14 s on 2 cores, compilation included
Result:  by hand = jax.grad to 3e-8, down to the pixels; the columns of unwanted outputs have the sign opposite to the
         weight without exception, so that 90 % of the arrows at 7:38 point the wrong way, before training and after;
         wishes are exactly 2 (y - a), but a saturated output, wrong by 0.9999, is pulled with 0.0003 only
"""

import dataclasses
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
from numpy.typing import ArrayLike

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem
from experiments.common.records import Claim
from experiments.figures import nudges as figures
from research import backprop, costs, data
from research.data import Examples
from research.models import Layer

NAME = Path(__file__).stem
START, TRAINED = "start", "trained"
BATCH_SIZE, LEARNING_RATE = 100, 4.0  # as in full_batch_vs_sgd, which found them
GALLERY = 20  # digits on the page, besides the chosen one
UNTRAINED = 32  # starts whose accuracy is averaged: one start says nearly always the same, right or wrong


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of one digit's story; the default takes about 11 s on 2 cores."""

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


def make_networks(settings: Settings, problem: Problem, starts: list[Layer], shuffle_keys: Array) -> list[Network]:
    """The networks at the start and, if asked for, after some epochs of mini-batches of 100."""
    start = jax.tree.map(lambda leaf: np.asarray(leaf[: settings.num_seeds]), starts)
    found = [Network(START, "before any training", start)]
    if settings.epochs:
        method = Method(f"batches of {BATCH_SIZE}", BATCH_SIZE, optax.sgd(LEARNING_RATE))
        order = descents.shuffles(shuffle_keys[: settings.num_seeds], len(problem.train.inputs), settings.epochs)
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
    examine_all = jax.jit(for_every_digit_and_seed(partial(examine, functions, problem.example_cost)))
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
    return common.cost_function(settings) is costs.sum_of_squares and common.activations(settings)[1] is jax.nn.sigmoid


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


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    functions = Functions(common.cost_function(settings), *common.activations_by_hand(settings))
    train, test = common.load(settings)
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
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, max(UNTRAINED, settings.num_seeds))
    starts = descents.starts(problem, init_keys)
    networks = make_networks(settings, problem, starts, shuffle_keys)
    measured = measure(problem, functions, starts, networks, digits)
    claims = make_claims(settings, measured, train.targets.shape[1])
    arrays = arrays_for_figures(problem, functions, networks, digits, measured.distances)
    finding = sentence(settings, measured, networks)
    records.conclude(
        settings.out / NAME, settings, claims, {"rows": rows, **arrays},
        **records.describe_data(settings.dataset, train=train, test=test),
        finding=finding,
        index=index, label=int(np.argmax(train.targets[index])), layer=layer, num_layers=len(networks[0].params),
        networks={network.name: network.says for network in networks},
        image_shape=data.image_shape(settings.dataset, data_dir=settings.data_dir),
        film=is_the_films(settings),
    )  # fmt: skip


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


def plot(out: Path) -> None:
    """Draws the figures and the page from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    for name in record["networks"]:
        picture = figures.read_picture(record, arrays, name)
        ending = "" if name == START else "_after_training"
        plots.save(figures.network_figure(picture), out / NAME / f"nudges{ending}.png")
        plots.save(figures.columns_figure(picture, record["layer"]), out / NAME / f"columns{ending}.png")
        plots.save(figures.pixels_and_weights_figure(picture), out / NAME / f"pixels_and_weights{ending}.png")
    plots.save(figures.distance_figure(arrays), out / NAME / "distance_and_slope.png")
    records.write_whole(out / NAME / "nudges.html", lambda file: file.write(figures.page(record, arrays).encode()))
    print(f"figures, nudges.html and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.nudges"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
