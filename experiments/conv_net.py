"""Does all this hold for a convolutional network too, and does it beat the film's?

A reader asked about convolutional networks. Here is a small one in flax (8 and 16 filters of 5 x 5, stride 2, relu;
5,994 parameters, fewer than half of the film's 13,002) beside the film's network: the same cost (cross-entropy on
logits, unless --cost says otherwise), the same mini-batches in the same order, for each its own learning rate, which
falls to zero in the second half; --full chooses it: the one of five with which two starts that are not counted come
down lowest on the training images in three epochs. Then the suite, which knows nothing of layers: every image's own
gradient by vmap(grad), their mean, their scatter and noise scale B_simple, before and after training; and the hill
along the way.

Run:     python -m experiments.conv_net [--quick | --full] [--module my_nets:my_net]
Time:    default 38 s, --quick 13 s, --full 2.5 min on 2 cores, compilation included
Result:  98.83 % of the test images (median of 5 seeds), 3.5 points or more above the film's network in every seed,
         after 8 epochs, 11 s a seed against half a second; B_simple goes from 83 to 85,000. Of their grids the rates
         0.4 and 3.2 are best, for the film's network hardly better than 1.6
"""

import dataclasses
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Method, Problem
from experiments.common.records import Claim
from experiments.figures import conv_net as figures
from research import data, flax_models, gradients, landscape, models, statistics, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
NAMES = ("convolutional", "plain")
LEGS_PER_EPOCH = 5  # looks at accuracy and place
TUNING_SEEDS = 2  # starts on which learning rates are compared, beside those that are counted
CHECKED = 10  # points of the surface that are computed once more
SIDE, STRIDE, FILTERS = 5, 2, (8, 16)


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison. --layer-sizes and --activation are those of the plain network."""

    cost: str = "research.costs:softmax_cross_entropy"
    """The cost of one example for both networks, package.module:function; this one takes weighted sums for output."""
    output_activation: str = "jax.nn:identity"
    """Activation of the last layer of both networks; a cost of outputs between 0 and 1 wants jax.nn:sigmoid."""
    module: str = "experiments.conv_net:network"
    """What makes the flax.nnx module, package.module:function (rngs, image_shape, num_classes) -> module; the module
    turns the flat pixels of ONE image into one weighted sum a class."""
    num_seeds: int = 2
    """How many runs, each with its own start and its own shuffles, 1 or more; the hill is that of the first."""
    batch_size: int = 50
    """Examples in a mini-batch, 1 or more."""
    learning_rates: tuple[float, ...] = ()
    """Learning rates of the convolutional network at first, above 0; of several the best is chosen. Empty means 0.4,
    which --full chose; for another cost or output activation, 0.003 0.03 0.3 3."""
    plain_learning_rates: tuple[float, ...] = ()
    """Learning rates of the plain network at first, likewise; empty means 3.2, or those four."""
    tuning_epochs: int = 3
    """Passes over the training set with each of several learning rates, 1 or more."""
    num_epochs: int = 5
    """Passes over the training set, 1 or more."""
    statistics_examples: int = 60_000
    """Of how many training images the single gradients are looked at, 2 or more; at most all."""
    surface_examples: int = 2000
    """Over how many training images the cost of the hill is averaged, 1 or more; at most all."""
    resolution: int = 21
    """Points of the hill along each direction, 2 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        common.check_positive("--plain-learning-rates", self.plain_learning_rates)
        least = {
            "batch_size": 1,
            "num_epochs": 1,
            "tuning_epochs": 1,
            "statistics_examples": 2,
            "surface_examples": 1,
            "resolution": 2,
        }
        for field, low in least.items():
            value = getattr(self, field)
            common.require(value >= low, f"--{field.replace('_', '-')} is {value}; it must be {low} or more")


QUICK = Settings(  # one seed needs one device only
    num_seeds=1,
    num_epochs=1,
    tuning_epochs=1,
    statistics_examples=3000,
    surface_examples=500,
    resolution=11,
    cpu_devices=1,
)
FULL = Settings(
    num_seeds=5,
    num_epochs=8,
    resolution=31,
    learning_rates=(0.05, 0.1, 0.2, 0.4, 0.8),
    plain_learning_rates=(0.4, 0.8, 1.6, 3.2, 6.4),
)


CHOSEN = ((0.4,), (3.2,))  # by --full
COARSE = (0.003, 0.03, 0.3, 3.0)  # where nothing is known


def grids(settings: Settings) -> dict[str, tuple[float, ...]]:
    """The learning rates that are tried, of each network.

    >>> grids(Settings(plain_learning_rates=(1.0, 2.0)))
    {'convolutional': (0.4,), 'plain': (1.0, 2.0)}
    """
    known = (settings.cost, settings.output_activation) == (Settings.cost, Settings.output_activation)
    given = (settings.learning_rates, settings.plain_learning_rates)
    usual = CHOSEN if known else (COARSE, COARSE)
    return {name: own or other for name, own, other in zip(NAMES, given, usual, strict=True)}


# The network.


def network(rngs: nnx.Rngs, image_shape: tuple[int, int, int], num_classes: int) -> nnx.Module:
    """Two layers of filters and a layer of weighted sums: 28 x 28 -> 12 x 12 x 8 -> 4 x 4 x 16 -> 10 for MNIST."""
    height, width, channels = image_shape
    layers: list[Any] = [lambda pixels: pixels.reshape(image_shape)]
    for before, after in zip((channels, *FILTERS), FILTERS, strict=False):
        filters = nnx.Conv(
            before,
            after,
            (SIDE, SIDE),
            STRIDE,
            padding="VALID",
            rngs=rngs,
            conv_general_dilated=convolve,
            kernel_init=as_matrix,
        )
        layers += [filters, jax.nn.relu]
        height, width = (size_after(size) for size in (height, width))
    if min(height, width) < 1:
        raise ValueError(
            f"images of {image_shape[0]} x {image_shape[1]} pixels are too small for two layers of filters"
        )
    return nnx.Sequential(*layers, jnp.ravel, nnx.Linear(height * width * FILTERS[-1], num_classes, rngs=rngs))


def size_after(size: int) -> int:
    """Places of a filter along one side.

    >>> size_after(28), size_after(12)
    (12, 4)
    """
    return (size - SIDE) // STRIDE + 1


def as_matrix(key: Array, shape: Sequence[int], dtype: Any) -> Array:
    """flax's own start, drawn as a matrix: the same numbers, but half the time to compile.

    >>> found = as_matrix(jax.random.key(0), (2, 2, 3, 4), jnp.float32)
    >>> bool((found == jax.nn.initializers.lecun_normal()(jax.random.key(0), (2, 2, 3, 4))).all())
    True
    """
    flat = jax.nn.initializers.lecun_normal()(key, (math.prod(shape[:-1]), shape[-1]), dtype)
    return flat.reshape(shape)


def convolve(images: Array, kernel: Array, strides: tuple[int, int], padding: Any, **_: Any) -> Array:
    """`jax.lax.conv_general_dilated` of images (n, height, width, channels), no padding, as one matrix product.

    Groups and dilations are not looked at. Three times as fast on a CPU, there and back, as XLA's own convolution,
    which does badly with few channels.
    """
    if padding != "VALID":
        raise ValueError(f"the padding is {padding}; only VALID, none, can be had")
    places = [
        (size - side) // step + 1 for size, side, step in zip(images.shape[1:3], kernel.shape, strides, strict=False)
    ]
    ends = [step * (count - 1) + 1 for step, count in zip(strides, places, strict=True)]
    down = [images[:, row : row + ends[0] : strides[0]] for row in range(kernel.shape[0])]
    bands = jnp.concatenate(down, axis=-1)
    along = [bands[:, :, column : column + ends[1] : strides[1]] for column in range(kernel.shape[1])]
    patches = jnp.concatenate(along, axis=-1)  # by column, row, channel: fewer slices, so less to compile, than at once
    return patches @ kernel.swapaxes(0, 1).reshape(-1, kernel.shape[-1])


def conv_model(settings: Settings, train: Examples) -> models.Model:
    """The flax module of the settings as a model, the output activation behind it."""
    make = common.import_function("--module", settings.module, "experiments.conv_net")
    shape = data.image_shape(settings.dataset, data_dir=settings.data_dir)
    try:
        inner = flax_models.from_nnx(lambda rngs: make(rngs, shape, train.targets.shape[-1]))
    except Exception as error:  # whatever a user's own module raises
        raise common.SettingsError(f"--module is {settings.module}, but: {error}; give another") from error
    _, output_activation = common.activations(settings)
    return models.Model(inner.init, lambda params, inputs: output_activation(inner.apply(params, inputs)))


# The suite.


class Scatter(NamedTuple):
    """The gradients of the single images, at one place; arrays (seeds,)."""

    mean_error: Any  # largest difference between their mean and the gradient of the mean cost
    squared_norm: Any  # |G|^2
    trace: Any  # tr Sigma


class Trained(NamedTuple):
    """One network's way; every array but `epochs` leads with seeds."""

    epochs: np.ndarray  # looks
    accuracy: np.ndarray  # seeds, looks; on the test set
    places: np.ndarray  # seeds, looks + 1, parameters; the start is the first
    start: Scatter
    end: Scatter
    seconds: float  # of training, all seeds, compilation apart
    compile_seconds: float


def train_and_look(
    settings: Settings, problem: Problem, rate: float, name: str, start: models.Params, order: np.ndarray
) -> Trained:
    """Trains from every seed's start and looks at the single gradients before and after."""
    legs = in_equal_legs(descents.in_batches(order, settings.batch_size), LEGS_PER_EPOCH * settings.num_epochs)
    half = legs.shape[1] * legs.shape[2] // 2
    optimizer = falling(rate, 2 * half)
    method = Method(name, settings.batch_size, optimizer)
    loop = descents.drunk_man(problem, method, look)
    chunks = [(chunk,) for chunk in np.split(legs, settings.num_epochs, axis=1)]
    state = TrainState(start, jax.vmap(optimizer.init)(start))
    run = runs.descend(name, loop, state, (problem.train, problem.test), chunks)
    accuracy, places = run.history.observed
    runs.console.print(f"{name}: the gradients of single images ...")
    few = jax.tree.map(lambda leaf: leaf[: settings.statistics_examples], problem.train)
    scatter_of = jax.jit(runs.over_seeds(partial(scatter, problem), (0, None)))
    first = np.asarray(jax.jit(jax.vmap(lambda params: ravel_pytree(params)[0]))(start))
    return Trained(
        epochs=run.steps * settings.batch_size / order.shape[-1],
        accuracy=accuracy,
        places=np.concatenate([first[:, None], places], axis=1),
        start=jax.tree.map(np.asarray, scatter_of(start, few)),
        end=jax.tree.map(np.asarray, scatter_of(run.state.params, few)),
        seconds=run.run_seconds,
        compile_seconds=run.compile_seconds,
    )


def falling(rate: Any, num_steps: int) -> optax.GradientTransformation:
    """Descent with a learning rate that falls to zero in the second half of the steps."""
    half = num_steps // 2
    return optax.sgd(optax.linear_schedule(rate, 0.0, max(half, 1), half))


def best_rate(
    settings: Settings, problem: Problem, grid: tuple[float, ...], name: str, start: models.Params, order: np.ndarray
) -> float:
    """The learning rate with which starts that are not counted come down lowest on the training images.

    Lowest in the mean of the logarithms of the cost after --tuning-epochs; no test image is looked at.
    """
    rows = descents.in_batches(order, settings.batch_size)[:, None]
    objective = gradients.mean_over_examples(problem.example_cost)

    def end_of(start: models.Params, rows: Array, rate: Array, train: Examples) -> Array:
        optimizer = falling(rate, rows.shape[1])
        state = TrainState(start, optimizer.init(start))
        step = training.make_step(objective, optimizer)
        state, _ = training.minibatch_descent(step, state, train, rows, lambda state: ())
        return problem.cost(state.params, train)

    ends_of = jax.jit(runs.over_seeds(end_of, (0, 0, None, None)))
    ends = []
    for rate in grid:
        costs = np.asarray(ends_of(start, rows, jnp.float32(rate), problem.train))
        ends.append(float(np.exp(np.log(costs).mean())) if np.isfinite(costs).all() else np.inf)
        runs.console.print(f"{name}, learning rate {rate:g}: cost {ends[-1]:.4f} after {settings.tuning_epochs} epochs")
    if not np.isfinite(min(ends)):
        raise runs.Diverged(f"{name}, every learning rate of the grid", rows.shape[2])
    return grid[int(np.argmin(ends))]


def best_rates(settings: Settings, problems: dict[str, Problem], starts: dict, order: np.ndarray) -> dict[str, float]:
    """The learning rate of each network, chosen where its grid has more than one; all seeds' starts and shuffles."""
    held_out = slice(settings.num_seeds, None)
    starts, order = jax.tree.map(lambda leaf: leaf[held_out], starts), order[held_out, : settings.tuning_epochs]
    return {
        name: grid[0] if len(grid) == 1 else best_rate(settings, problems[name], grid, name, starts[name], order)
        for name, grid in grids(settings).items()
    }


def in_equal_legs(rows: np.ndarray, num_legs: int) -> np.ndarray:
    """Schedules (seeds, num_legs, steps, batch) from rows (seeds, steps, batch); steps that fill no leg are left out.

    >>> in_equal_legs(np.zeros((2, 11, 5)), 3).shape
    (2, 3, 3, 5)
    """
    num_seeds, num_steps, batch_size = rows.shape
    length = num_steps // num_legs
    return rows[:, : num_legs * length].reshape(num_seeds, num_legs, length, batch_size)


def look(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array]:
    """(accuracy on the test set, the flat point)."""
    return problem.accuracy(state.params, shared[1]), ravel_pytree(state.params)[0]


def scatter(problem: Problem, params: models.Params, examples: Examples) -> Scatter:
    """The mean of all single gradients against the gradient of the mean cost, and how they scatter."""
    found = statistics.moments(problem.example_cost)(params, examples)
    apart = jax.tree.map(
        lambda one, other: jnp.abs(one - other).max(), found.mean, jax.grad(problem.cost)(params, examples)
    )
    return Scatter(
        mean_error=jax.tree.reduce(jnp.maximum, apart),
        squared_norm=statistics.squared_norm(found.mean),
        trace=statistics.total_variance(found),
    )


def noise_scale(found: Scatter) -> np.ndarray:
    """B_simple of every seed."""
    return found.trace / found.squared_norm


def hill(settings: Settings, problem: Problem, path: np.ndarray) -> tuple[hills.View, float]:
    """The hill on the plane nearest to a path (points, parameters), by a surface that knows nothing of layers.

    And the largest relative difference between CHECKED of its points and the same cost, all images at once.
    """
    few = jax.tree.map(lambda leaf: leaf[: settings.surface_examples], problem.train)
    few = jax.device_put(few, jax.devices()[0])
    unravel, plain = hills.unravel_of(problem), gradients.mean_over_examples(problem.example_cost)

    @jax.jit
    def on_grid(plane: landscape.Plane, examples: Examples, alphas: Array, betas: Array) -> Array:
        return landscape.surface(lambda point: problem.cost(unravel(point), examples), plane, alphas, betas)

    @jax.jit
    def at_places(plane: landscape.Plane, examples: Examples, places: Array) -> Array:
        point_at = partial(landscape.point_at, plane)
        return jax.lax.map(lambda place: plain(unravel(point_at(place)), examples), places)

    plane = jax.jit(landscape.principal_plane)(path)
    surface = lambda plane, alphas, betas: on_grid(plane, few, alphas, betas)  # noqa: E731
    view = hills.look_down(surface, plane, [path], resolution=settings.resolution)
    rows, columns = np.random.default_rng(settings.seed).integers(0, settings.resolution, (2, CHECKED))
    wanted = np.asarray(at_places(plane, few, np.stack([view.alphas[rows], view.betas[columns]], axis=1)))
    return view, float(np.max(np.abs(view.surface[rows, columns] - wanted) / np.abs(wanted)))


# The run.


class Measured(NamedTuple):
    """All that claims and figures are about."""

    trained: dict[str, Trained]
    view: hills.View  # of the convolutional network, first seed
    surface_error: float
    filters: np.ndarray  # (side, side, filters) of the first layer, first seed, first channel; empty if there is none
    num_parameters: dict[str, int]
    rates: dict[str, float]


def measure(settings: Settings, problems: dict[str, Problem]) -> Measured:
    """Trains both networks on the same batches, then looks at the hill of the convolutional one."""
    several = max(map(len, grids(settings).values())) > 1
    num_starts = settings.num_seeds + (TUNING_SEEDS if several else 0)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, num_starts)
    num_epochs = max(settings.num_epochs, settings.tuning_epochs) if several else settings.num_epochs
    order = descents.shuffles(shuffle_keys, len(problems[NAMES[0]].train.inputs), num_epochs)
    starts = {name: descents.starts(problem, init_keys) for name, problem in problems.items()}
    rates = best_rates(settings, problems, starts, order)
    counted = slice(settings.num_seeds)
    starts, order = jax.tree.map(lambda leaf: leaf[counted], starts), order[counted, : settings.num_epochs]
    trained = {
        name: train_and_look(settings, problem, rates[name], name, starts[name], order)
        for name, problem in problems.items()
    }
    runs.console.print("computing the hill ...")
    path = trained[NAMES[0]].places[0]
    view, surface_error = hill(settings, problems[NAMES[0]], path)
    kernels = [
        np.asarray(leaf) for leaf in jax.tree.leaves(hills.unravel_of(problems[NAMES[0]])(jnp.asarray(path[-1])))
    ]
    filters = next((leaf[:, :, 0] for leaf in kernels if leaf.ndim == 4), np.zeros((0, 0, 0), np.float32))
    return Measured(
        trained, view, surface_error, filters, {name: each.places.shape[-1] for name, each in trained.items()}, rates
    )


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or were asked for, and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    conv = measured.trained[NAMES[0]]
    error = max(float(np.max(each.mean_error)) for each in (conv.start, conv.end))
    found = [
        claim("C9", "the mean of all images' own gradients is the gradient of the mean cost, before and after training",
              error, 0.0, 0.0, 1e-6, "max abs difference"),
        Claim("C9", f"the hill is the cost itself: {CHECKED} points of it, all images at once", measured.surface_error,
              0.0, 0.0, 1e-6, "largest relative error", 1),
    ]  # fmt: skip
    asked_for = ("dataset", "cost", "layer_sizes", "activation", "output_activation", "module")
    if any(getattr(settings, field) != getattr(Settings, field) for field in asked_for):
        return found
    ends = [100 * measured.trained[name].accuracy[:, -1] for name in NAMES]
    growth = noise_scale(conv.end) / noise_scale(conv.start)
    return [
        *found,
        claim("C9", "it is right about at least 98.5 % of the test images",
              float(np.median(ends[0])), None, 98.5, 100.0, "% correct, median"),
        claim("C9", "and beats the film's network, same cost, same batches, in every seed",
              float(np.min(ends[0] - ends[1])), None, 0.0, None, "% points, least of all seeds"),
        *rates_claims(settings, measured.rates),
        claim("E5", "B_simple grows at least tenfold in training, as for the film's network",
              float(np.min(growth)), None, 10.0, None, "times, least of all seeds"),
    ]  # fmt: skip


def rates_claims(settings: Settings, rates: dict[str, float]) -> list[Claim]:
    """Were the grids wide enough? Only where something was chosen."""
    if min(map(len, grids(settings).values())) < 3:
        return []
    inside = [min(grid) < rates[name] < max(grid) for name, grid in grids(settings).items()]
    return [Claim("C9", "both networks' best learning rates lie inside their grids", float(np.mean(inside)), 1.0, 1.0,
                  None, "share of the networks", TUNING_SEEDS)]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    accuracies = [100 * float(np.median(measured.trained[name].accuracy[:, -1])) for name in NAMES]
    counts = [measured.num_parameters[name] for name in NAMES]
    seconds = [measured.trained[name].seconds for name in NAMES]
    epochs = f"{settings.num_epochs} epoch{'' if settings.num_epochs == 1 else 's'}"
    seeds = f"{settings.num_seeds} seed{'' if settings.num_seeds == 1 else 's'}"
    return (
        f"After {epochs} the convolutional network with {counts[0]:,} parameters is right about {accuracies[0]:.2f} % "
        f"of the test images, the plain one with {counts[1]:,} about {accuracies[1]:.2f} %; {seeds} took "
        f"{seconds[0]:.0f} s and {seconds[1]:.0f} s of training."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    cost_fn = common.cost_function(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    num_steps, num_legs = settings.num_epochs * (len(train.inputs) // settings.batch_size), LEGS_PER_EPOCH
    common.require(
        num_steps >= num_legs * settings.num_epochs,
        f"--batch-size is {settings.batch_size}, too large for {len(train.inputs)} images; {num_legs} batches or more "
        "are needed",
    )
    problems = {}
    for name, model in zip(NAMES, (conv_model(settings, train), common.make_model(settings, train)), strict=True):
        common.check_cost(cost_fn, model, train)
        problems[name] = descents.make_problem(model, cost_fn, train, test)
    folder, facts = settings.out / NAME, records.describe_data(settings.dataset, train=train, test=test)
    try:
        measured = measure(settings, problems)
    except runs.Diverged as error:
        records.write_run(folder, settings, [], {}, status=f"diverged: {error}", **facts)
        raise
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    records.write_run(
        folder,
        settings,
        claims,
        arrays_for_figures(measured),
        **facts,
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        num_parameters=measured.num_parameters,
        rates=measured.rates,
        seconds_of_training={name: each.seconds for name, each in measured.trained.items()},
        seconds_of_compiling={name: each.compile_seconds for name, each in measured.trained.items()},
        seconds=time.perf_counter() - began,
    )
    records.print_claims(claims)
    print(finding)


def arrays_for_figures(measured: Measured) -> dict[str, np.ndarray]:
    """By name: NETWORK_accuracy, NETWORK_noise_scale (seeds, start and end), and the view of the hill."""
    view = measured.view
    arrays = {"alphas": view.alphas, "betas": view.betas, "surface": view.surface, "shadow": view.shadows[0]}
    arrays |= {"off_plane": view.off_plane[0], "filters": measured.filters}
    for name, each in measured.trained.items():
        arrays |= {f"{name}_epochs": each.epochs, f"{name}_accuracy": each.accuracy}
        arrays[f"{name}_noise_scale"] = np.stack([noise_scale(each.start), noise_scale(each.end)], axis=1)
    return arrays


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.conv_figure(record, arrays, NAMES), out / NAME / f"{NAME}.png")
    print(f"figure and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.conv_net"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
