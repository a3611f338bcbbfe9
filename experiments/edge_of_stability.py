"""How steep is the valley that each man walks in, and why just so steep?

Gradient descent on a parabola diverges exactly where the curvature is above 2/eta, eta the learning rate: shown first.
Then the sharpness, the largest eigenvalue of the cost's Hessian, is followed along descents on a few hundred images.

- A network that is known for it (Cohen et al., arXiv:2103.00065): tanh, linear outputs, half the sum of squares. Full
  batch, three learning rates, from small weights: the sharpness rises to 2/eta and hovers there, though the cost still
  falls. Mini-batches at the same learning rate, with the batch sharpness beside it (arXiv:2412.20553).
- The film's network and cost, or yours (--cost, --activation, ...): its sigmoid outputs flatten where they come near
  their targets, and with them the cost.

Run:     python -m experiments.edge_of_stability [--quick | --full]
Time:    default 45 s, --quick 15 s, --full 2 min, on 2 cores, compilation included
Result:  tanh: over the last third of the path the sharpness is 1.00 (eta 0.2) and 1.03 (0.4) of 2/eta, in each of 10
         seeds within 5 % of it; with batches of 50 and 10 it is 0.63 and 0.31, and their batch sharpness 0.33: in 2,000
         steps that does not come to 2/eta. The film's network starts at 0.87 (eta 2) and 1.73 (eta 4), falls, rises
         again to 0.71 and 1.28 and ends at 0.06 and 0.05.
"""

import dataclasses
import math
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

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.records import Claim
from experiments.figures import edge_of_stability as figures
from research import curvature, data, gradients, models, sharding, training
from research.data import Examples, unit_interval
from research.models import Model
from research.training import History, TrainState

NAME = Path(__file__).stem
CURVATURES = np.geomspace(0.04, 4.0, 20, dtype=np.float32)  # of the parabola, along its axes
FACTORS = np.array([0.9, 0.99, 1.0, 1.01, 1.1], np.float32)  # learning rates on the parabola, in units of 2/lambda
PARABOLA_STEPS = 200
SMALL_WEIGHTS = jax.nn.initializers.variance_scaling(0.25, "fan_in", "normal", in_axis=-1, out_axis=-2)
BEFORE = 0.9  # of 2/eta: up to there a path counts as before the edge
ITERATIONS = 40  # of Lanczos; at the edge several eigenvalues lie close together, and 30 do not part them
CHUNKS = 5  # of every descent, for the progress bar


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the descents; the default takes about 45 s on 2 cores."""

    num_examples: int = 500
    """How many training images the cost is the mean over, from the first on."""
    learning_rates: tuple[float, ...] = (0.1, 0.2, 0.4)
    """Of full-batch descent with tanh and linear outputs, rising, three or more: the first two are compared where
    both are looked at after equal times; all but the first should reach the edge."""
    num_steps: int = 2000
    """Steps of every descent, a multiple of --num-looks."""
    batch_sizes: tuple[int, ...] = (50, 10)
    """Mini-batch sizes, falling, each at the second learning rate; less than --num-examples."""
    network_learning_rates: tuple[float, ...] = (2.0, 4.0)
    """Of full-batch descent with the network and cost of --layer-sizes, --activation, --cost, ...; above 0."""
    num_looks: int = 40
    """At how many points of each path the sharpness is measured, besides the start; a multiple of 5."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        for flag in ("learning_rates", "network_learning_rates"):
            common.check_positive(f"--{flag.replace('_', '-')}", getattr(self, flag))
        common.require(
            len(self.learning_rates) >= 3 and all(np.diff(self.learning_rates) > 0),
            f"{common.typed('--learning-rates', self.learning_rates)}: give three or more, rising, such as 0.1 0.2 0.4",
        )
        common.require(
            len(self.network_learning_rates) >= 1, "--network-learning-rates is empty; give one or more, such as 2 4"
        )
        common.require(
            self.num_looks >= CHUNKS and self.num_looks % CHUNKS == 0,
            f"--num-looks is {self.num_looks}; it must be a multiple of {CHUNKS}, above 0",
        )
        common.require(
            self.num_steps >= 1 and self.num_steps % self.num_looks == 0,
            f"--num-steps is {self.num_steps}; it must be a multiple of --num-looks, {self.num_looks}, above 0",
        )
        common.require(
            len(self.batch_sizes) >= 1 and all(np.diff(self.batch_sizes) < 0) and min(self.batch_sizes) >= 1,
            f"{common.typed('--batch-sizes', self.batch_sizes)}: give one or more, falling, each 1 or more, "
            "such as 50 10",
        )
        common.require(
            max(self.batch_sizes) < self.num_examples,
            f"{common.typed('--batch-sizes', self.batch_sizes)}: each must be less than --num-examples, "
            f"{self.num_examples}",
        )


QUICK = Settings(
    num_seeds=2,
    num_examples=300,
    learning_rates=(0.2, 0.3, 0.4),
    num_steps=500,
    batch_sizes=(10,),
    network_learning_rates=(4.0,),
    num_looks=10,
)
FULL = Settings(num_seeds=10)


# The parabola, where all is known.


def on_a_parabola(start: Array) -> Array:
    """Distances from the bottom (factors, steps + 1, axes), along descents from `start` at every factor of 2/lambda."""
    nothing = Examples(jnp.zeros((0, 1)), jnp.zeros((0, 1)))

    def height(params: Array, examples: Examples) -> Array:
        return jnp.sum(CURVATURES * params**2) / 2

    def far(state: TrainState) -> Array:
        return jnp.abs(state.params)

    def distances(rate: Array) -> Array:
        step = training.make_step(height, optax.sgd(rate))
        state = TrainState(start, optax.sgd(rate).init(start))
        _, history = training.full_batch_descent(step, state, nothing, PARABOLA_STEPS, 1, far)
        return jnp.concatenate([far(state)[None], history.observed])

    return jax.lax.map(distances, FACTORS * (2 / CURVATURES[-1]))


# Descents of networks.


class Network(NamedTuple):
    """What descends, and on what."""

    one: Callable  # the cost of one example
    objective: Callable  # its mean over the examples, in bounded memory
    start: PyTree  # parameters; every leaf leads with a seed axis
    look: Callable  # (path, examples) -> Look: compiled once for all the paths of this network
    train: Examples


class Look(NamedTuple):
    """What is seen along a path: every array (seeds, points)."""

    cost: Any
    sharpness: Any
    residual: Any  # |H v - lambda v| / lambda of the pair that the sharpness belongs to


class Curve(NamedTuple):
    """One method's paths, and what is seen there."""

    label: str
    learning_rate: float
    steps: np.ndarray  # points
    path: PyTree  # seeds, points, ...: the parameters
    seen: Look


def half_sum_of_squares(output: Array, target: Array) -> Array:
    """1/2 sum_j (a_j - y_j)^2, for which the edge of stability is known; half the film's."""
    return jnp.sum((output - target) ** 2) / 2


def make_network(model: Model, cost_fn: Callable, train: Examples, init_keys: Array) -> Network:
    """The objective of this model and cost, and a start for every key; the data on every device."""
    one = gradients.example_cost(model.apply, cost_fn)
    chunk_size = descents.CHUNK if len(train.inputs) > descents.CHUNK else None
    objective = gradients.mean_over_examples(one, chunk_size=chunk_size)
    start = jax.jit(runs.over_seeds(model.init, (0,)))(init_keys)
    look = jax.jit(runs.over_seeds(partial(look_along, objective), (0, None)))
    return Network(one, objective, start, look, sharding.on_every_device(train))


def tanh_network(train: Examples, init_keys: Array) -> Network:
    """tanh, tanh, linear, from weights half as large as usual; the mean image is taken off every image.

    With the mean image left in, or with larger weights, the start is sharper already than most 2/eta.
    """
    sizes = train.inputs.shape[1], 16, 16, train.targets.shape[1]
    model = models.mlp(sizes, jnp.tanh, lambda z: z, init_weights=SMALL_WEIGHTS)
    images = np.asarray(unit_interval(jnp.asarray(train.inputs)))
    centred: Any = images - images.mean(axis=0, keepdims=True)
    return make_network(model, half_sum_of_squares, train._replace(inputs=centred), init_keys)


def look_along(objective: Callable, path: PyTree, train: Examples) -> Look:
    """Cost and sharpness at the points of one seed's path, one after the other."""

    def look(params: PyTree) -> Look:
        top = curvature.top_eigenvalues(objective, params, train, jax.random.key(0), num_iterations=ITERATIONS)
        residual = curvature.residuals(objective, params, train, top)[0]
        return Look(objective(params, train), top.values[0], residual / top.values[0])

    return jax.lax.map(look, path)


def batch_sharpness_along(network: Network, curve: Curve, batches: np.ndarray) -> np.ndarray:
    """(seeds, points): the mean over `batches` (seeds, batches, batch), on which no step was made."""
    objective = gradients.mean_over_examples(network.one)

    def along(path: PyTree, train: Examples, batches: Array) -> Array:
        return jax.lax.map(lambda params: curvature.batch_sharpness(objective, params, train, batches), path)

    return np.asarray(jax.jit(runs.over_seeds(along, (0, None, 0)))(curve.path, network.train, batches))


def follow(network: Network, label: str, rates: Sequence[float], loop: Callable, chunks: list) -> list[Curve]:
    """Every seed's path at every rate, all of them together, remembered after every leg; then looked at, rate by rate.

    The learning rate is a number in the state of the optimizer, so that one compiled loop serves all rates.
    """
    num_seeds = len(jax.tree.leaves(network.start)[0])
    start = jax.tree.map(lambda leaf: np.concatenate([leaf] * len(rates)), network.start)
    every_rate = jnp.repeat(jnp.asarray(rates, jnp.float32), num_seeds)
    state = TrainState(start, jax.vmap(lambda rate, params: descent(rate).init(params))(every_rate, start))
    run = runs.descend(label, loop, state, network.train, chunks)
    path = jax.tree.map(lambda at, then: np.concatenate([at[:, None], then], axis=1), start, run.history.observed)
    of_rate = [
        jax.tree.map(lambda leaf, at=at: leaf[at * num_seeds : (at + 1) * num_seeds], path) for at in range(len(rates))
    ]
    seen = [jax.tree.map(np.asarray, network.look(path, network.train)) for path in of_rate]  # one shape, one program
    steps = np.concatenate([[0], run.steps])
    return [Curve(label, rate, steps, *found) for rate, *found in zip(rates, of_rate, seen, strict=True)]


def descent(rate: float | Array) -> optax.GradientTransformation:
    """Gradient descent with its learning rate in its state."""
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


def careful_man(settings: Settings, network: Network, rates: Sequence[float]) -> list[Curve]:
    """Full-batch descent at every rate."""
    step = training.make_step(network.objective, descent(rates[0]))
    legs = settings.num_looks // CHUNKS, settings.num_steps // settings.num_looks

    def loop(state: TrainState, train: Examples) -> tuple[TrainState, History]:
        return training.full_batch_descent(step, state, train, *legs, lambda state: state.params)

    return follow(network, "full batch", rates, loop, [()] * CHUNKS)


def drunk_man(settings: Settings, network: Network, rate: float, batch_size: int, order: np.ndarray) -> Curve:
    """Mini-batch descent through `order` (seeds, epochs, examples)."""
    step = training.make_step(gradients.mean_over_examples(network.one), descent(rate))
    rows = descents.in_batches(order, batch_size)[:, : settings.num_steps]
    rows = rows.reshape(len(order), settings.num_looks, -1, batch_size)

    def loop(state: TrainState, train: Examples, schedule: Array) -> tuple[TrainState, History]:
        return training.minibatch_descent(step, state, train, schedule, lambda state: state.params)

    chunks = [(schedule,) for schedule in np.split(rows, CHUNKS, axis=1)]
    return follow(network, f"batches of {batch_size}", [rate], loop, chunks)[0]


class Measured(NamedTuple):
    """All that the claims are about."""

    distances: np.ndarray  # seeds, factors, steps, axes: from the bottom of the parabola
    careful: list[Curve]  # tanh, full batch, one for every learning rate
    drunk: list[Curve]  # tanh, mini-batches, from large to small
    batch_sharpness: list[np.ndarray]  # of each of those: (seeds, points)
    network: list[Curve]  # the film's network and cost, or yours; full batch


def measure(settings: Settings, model: Model, cost_fn: Callable, train: Examples) -> Measured:
    """The parabola, and every descent."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    random_places = jax.vmap(partial(jax.random.normal, shape=CURVATURES.shape))(init_keys)
    tanh = tanh_network(train, init_keys)
    num_examples, rate = len(train.inputs), settings.learning_rates[1]
    num_epochs = math.ceil(settings.num_steps / (num_examples // settings.batch_sizes[0]))
    order = descents.shuffles(shuffle_keys, num_examples, num_epochs + 1)  # the last is only looked at
    drunk = [drunk_man(settings, tanh, rate, size, order[:, :-1]) for size in settings.batch_sizes]
    network = careful_man(settings, make_network(model, cost_fn, train, init_keys), settings.network_learning_rates)
    if any((curve.seen.sharpness[:, -1] == 0).any() for curve in network):  # where no example has a gradient
        raise runs.Stuck(settings.num_steps)
    return Measured(
        distances=np.asarray(jax.jit(runs.over_seeds(on_a_parabola, (0,)))(random_places)),
        careful=careful_man(settings, tanh, settings.learning_rates),
        drunk=drunk,
        batch_sharpness=[
            batch_sharpness_along(tanh, curve, descents.in_batches(order[:, -1:], size))
            for curve, size in zip(drunk, settings.batch_sizes, strict=True)
        ],
        network=network,
    )


# What it says.


def last_third(series: np.ndarray) -> np.ndarray:
    """Mean over the last third of the points, for every seed: (seeds, points) -> (seeds,).

    >>> last_third(np.array([[9.0, 9.0, 9.0, 9.0, 1.0, 3.0]])).tolist()
    [2.0]
    """
    return series[:, -(series.shape[1] // 3) :].mean(axis=1)


def peak(series: np.ndarray) -> np.ndarray:
    """The largest value from where it first rises, for every seed: a fall right from the start is no peak; NaN where it
    only falls.

    >>> peak(np.array([[9.0, 2.0, 1.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0, 1.0]])).tolist()
    [3.0, nan]
    """
    risen = np.cumsum(np.diff(series, axis=1) > 0, axis=1) > 0
    return np.where(risen.any(axis=1), np.max(series[:, 1:], axis=1, where=risen, initial=-np.inf), np.nan)


def of_edge(curve: Curve) -> np.ndarray:
    """The sharpness in units of 2/eta: (seeds, points)."""
    return curve.seen.sharpness * curve.learning_rate / 2


def apart_before_the_edge(slow: Curve, fast: Curve) -> np.ndarray:
    """The largest relative difference of two sharpnesses at equal times, learning rate times steps, for every seed.

    Over the looks at which both had gone equally far, up to the first point where the faster one's sharpness is above
    0.9 of its 2/eta. NaN where the start is the only such look: nothing was compared, and a claim with NaN fails.
    """
    times = [curve.learning_rate * curve.steps for curve in (slow, fast)]
    of_slow, of_fast = np.nonzero(np.isclose(times[0][1:, None], times[1][None, 1:], rtol=1e-6))
    if not of_slow.size:
        return np.full(len(fast.seen.sharpness), np.nan)
    ratios = slow.seen.sharpness[:, 1 + of_slow] / fast.seen.sharpness[:, 1 + of_fast]
    before = np.cumprod(of_edge(fast) <= BEFORE, axis=1).astype(bool)[:, 1 + of_fast]
    apart = np.max(np.abs(ratios - 1), axis=1, where=before, initial=0)
    return np.where(before.any(axis=1), apart, np.nan)


def ratio_at_equal_cost(drunk: Curve, careful: Curve) -> np.ndarray:
    """Sharpness of the first over that of the second, each where it first came down to the lowest cost of both."""
    costs = drunk.seen.cost, careful.seen.cost
    target = np.maximum(*(cost.min(axis=1) for cost in costs))
    points = [np.argmax(cost <= target[:, None], axis=1) for cost in costs]
    seeds = np.arange(len(target))
    return drunk.seen.sharpness[seeds, points[0]] / careful.seen.sharpness[seeds, points[1]]


def parabola_claims(settings: Settings, distances: np.ndarray) -> list[Claim]:
    """On a parabola, whatever the data."""
    claim = partial(Claim, id="E11", expected=0.0, low=0.0, num_seeds=settings.num_seeds)
    length = np.linalg.norm(distances, axis=-1)
    verdicts = length[..., -1] > length[..., -2]  # still going away at the end
    steepest = distances[..., -1].astype(float)
    growth = (steepest[..., -1] / steepest[..., 0]) ** (1 / PARABOLA_STEPS)
    return [
        claim(says="on a parabola gradient descent diverges exactly where eta is above 2/lambda",
              measured=int(np.sum(verdicts != (FACTORS > 1))), high=0.0, unit=f"wrong of {verdicts.size} descents"),
        claim(says="along the steepest axis every step multiplies the distance by |1 - eta lambda|",
              measured=float(np.max(np.abs(growth - np.abs(1 - 2 * FACTORS.astype(float))))), high=1e-6,
              unit="largest difference"),
    ]  # fmt: skip


def tanh_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """About tanh, linear outputs and half the sum of squares on MNIST, with bounds fixed before the run."""
    claim = partial(Claim, id="E11", num_seeds=settings.num_seeds)
    careful, same_rate = measured.careful, [measured.careful[1], *measured.drunk]
    hovering = np.array([last_third(of_edge(curve)) for curve in careful[1:]])
    levels = np.array([last_third(curve.seen.sharpness) for curve in same_rate])
    at_equal_cost = np.array([ratio_at_equal_cost(curve, careful[1]) for curve in measured.drunk])
    largest = max(float(np.max(curve.seen.residual)) for curve in (*careful, *measured.drunk))
    slow, fast = settings.learning_rates[:2]
    return [
        claim(says="tanh, linear outputs: the sharpness hovers at 2/eta (mean of the last third of the path)",
              measured=100 * float(np.max(np.abs(hovering - 1))), expected=0.0, low=0.0, high=10.0,
              unit="% away from 2/eta, largest"),
        claim(says=f"before the edge, learning rates {slow:g} and {fast:g} are as sharp after equal times eta * steps",
              measured=100 * float(np.max(apart_before_the_edge(*careful[:2]))), expected=0.0, low=0.0, high=1.0,
              unit="% apart, largest"),
        claim(says="the smaller the batch, the less sharp, after equally many steps at the same learning rate",
              measured=float(np.max(levels[1:] / levels[:-1])), expected=None, low=0.0, high=1.0,
              unit="sharpness over that of the next larger batch, largest"),
        claim(says="mini-batches are less sharp than the full batch at equal cost too",
              measured=float(np.max(at_equal_cost)), expected=None, low=0.0, high=1.0,
              unit="sharpness over the full batch's, largest"),
        claim(says="the iteration has come to an eigenvalue: |Hv - lambda v| is small beside lambda",
              measured=100 * largest, expected=0.0, low=0.0, high=1.0, unit="%, largest"),
    ]  # fmt: skip


def films_claims(settings: Settings, curves: list[Curve]) -> list[Claim]:
    """About the film's network and cost on MNIST."""
    hovering = np.array([last_third(of_edge(curve)) for curve in curves])
    return [
        Claim("E11", "the film's network does not hover: its sharpness ends below 2/eta (mean of the last third)",
              float(np.max(hovering)), None, 0.0, 0.9, "of 2/eta, largest", settings.num_seeds)
    ]  # fmt: skip


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Theory on any data; what is known of MNIST, on MNIST; of the film's network, with the film's network."""
    found = parabola_claims(settings, measured.distances)
    if settings.dataset == Settings().dataset:
        found += tanh_claims(settings, measured)
    return found + (films_claims(settings, measured.network) if common.is_the_films(settings) else [])


def sentence(measured: Measured) -> str:
    """What was found, in one sentence: medians over the seeds."""
    levels = [np.median(last_third(of_edge(curve))) for curve in measured.careful]
    drunk = [
        f"{curve.label} {np.median(last_third(of_edge(curve))):.2f} (batch sharpness "
        f"{np.median(last_third(batch_sharpness)) * curve.learning_rate / 2:.2f})"
        for curve, batch_sharpness in zip(measured.drunk, measured.batch_sharpness, strict=True)
    ]
    network = [f"at rate {curve.learning_rate:g} it {course(of_edge(curve))}" for curve in measured.network]
    rates = [curve.learning_rate for curve in measured.careful]
    full = ", ".join(f"{level:.2f} at rate {rate:g}" for level, rate in zip(levels, rates, strict=True))
    return (
        f"Sharpness in units of 2/eta, mean of the last third of the path: full batch {full}; at rate {rates[1]:g} "
        f"{', '.join(drunk)}. That of the network of the settings: {'; '.join(network)}."
    )


def course(series: np.ndarray) -> str:
    """How a sharpness (seeds, points) starts, whether it rises again, and how it ends, in words; medians.

    >>> course(np.array([[1.0, 0.2, 0.7, 0.1]]))
    'starts at 1.00, falls, rises again to 0.70 and ends at 0.10'
    """
    start, end = (f"{np.median(series[:, at]):.2f}" for at in (0, -1))
    peaks = peak(series)
    if np.isnan(peaks).any():
        return f"starts at {start} and falls to {end}"
    fall = "falls, rises again" if series[0, 1] < series[0, 0] else "rises"
    return f"starts at {start}, {fall} to {np.median(peaks):.2f} and ends at {end}"


def as_arrays(measured: Measured) -> dict[str, np.ndarray]:
    """Everything that the figures are drawn from, by name."""
    arrays = {"distances": np.linalg.norm(measured.distances, axis=-1), "factors": FACTORS}
    for group in ("careful", "drunk", "network"):
        for index, curve in enumerate(getattr(measured, group)):
            found = {"steps": curve.steps, **curve.seen._asdict()}
            arrays |= {f"{group}{index}_{name}": value for name, value in found.items()}
    for index, curve in enumerate(measured.network):
        arrays[f"network{index}_peak"] = peak(curve.seen.sharpness)
    return arrays | {f"drunk{index}_batch_sharpness": value for index, value in enumerate(measured.batch_sharpness)}


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train = data.load(settings.dataset, "train", data_dir=settings.data_dir)
    common.require_images(settings, "--num-examples", settings.num_examples, train, least=2)
    train = common.first(train, settings.num_examples)
    model, cost_fn = common.model_and_cost(settings, train)
    facts = records.describe_data(settings.dataset, train=train)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, model, cost_fn, train)
    claims, finding = make_claims(settings, measured), sentence(measured)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        as_arrays(measured),
        **facts,
        layer_sizes=settings.sizes_for(train),
        is_the_films=common.is_the_films(settings),
        finding=finding,
    )


def plot(out: Path) -> None:
    """Draws the figures from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.edge_figure(record, arrays), out / NAME / "edge_of_stability.png")
    plots.save(figures.parabola_figure(record, arrays), out / NAME / "parabola.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.edge_of_stability"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
