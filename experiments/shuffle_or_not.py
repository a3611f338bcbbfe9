"""Does it matter how the mini-batches are drawn: shuffled anew in every epoch, once, never, or by lot?

First a convex cost whose optimum is known: least squares with a ridge, C_i = (theta . x_i - y_i)^2 / 2 + ridge/2
|theta|^2, on 30 images, x_i their first principal components, scaled so that the Hessian is h times the identity; y_i
says whether image i is of the lowest class (a 0). One image a step, constant rate eta, float64. At the ends of epochs,
after a burn-in, how far is theta from the optimum? With A_i = x_i x_i^T + ridge and g_i the slopes there:

    drawn by lot       M = E (1 - eta A_i) M (1 - eta A_i) + eta^2 E g_i g_i^T, exact: E |e|^2 = tr M, about eta^1
    shuffled anew      an epoch moves by xi = eta^2 sum_(i<j) A_j g_i beyond its contraction r = (1 - eta h)^N, so that
                       E |e|^2 = |E xi|^2 / (1 - r)^2 + tr cov xi / (1 - r^2), small steps: about eta^2, then eta^3
    a fixed order      comes to rest where an epoch leads back to where it began, exact; about eta^2

(Ying et al., "Stochastic learning under random reshuffling"; the second line is worked out here.) Then the network's
cost after every epoch, from the same starts.

Run:     python -m experiments.shuffle_or_not [--quick | --full]
Time:    default 50 s on busy cores, --quick 15 s, --full 55 s on 2 cores, compilation included; 1.2 GB
Result:  slopes 1.01 by lot, 2.05 shuffled anew, each on theory's line (shuffled anew at small rates only, which that
         theory is for: at the largest it is 3.6 times too high); a fixed order comes to rest as far off as it
         must, sorted by label farthest (where the class asked for comes first: for 5s, in the middle, sorting does no
         harm). The network's cost is 3 % higher by lot, 7 % shuffled once, and 21 times as high sorted by label (8
         seeds). All claims hold.
"""

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments.common import descents, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Curve, Method, Problem
from experiments.common.records import Claim, worst
from experiments.figures import shuffle_or_not as figures
from research import data, gradients, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
NUM_IMAGES, NUM_FEATURES, RIDGE = 30, 6, 0.1
STEEPNESS = 1 + RIDGE  # h: the Hessian is h times the identity
RATES = 2.5e-4 * 2.0 ** np.arange(9)
SMALL = 4  # of the rates, for the slopes: there the variance of reshuffling, about eta^3, is below its eta^2
FOLDS = 6  # the burn-in forgets e^-6 of the start with the smallest rate; as many epochs again are looked at
DRAWN_ORDERS = 10_000  # for the mean and the variance of xi
ANEW, ONCE, BY_LOT, AS_STORED, SORTED = range(5)
NAMES = ("shuffled anew", "shuffled once", "drawn by lot", "as stored", "sorted by label")


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison; every seed has its own start and its own draws."""

    chains: int = 32
    """Independent runs of the convex case for every seed, 1 or more."""
    batch_size: int = 100
    """Batch size for the network, 1 or more, at most the training examples."""
    learning_rate: float = 4.0
    """Its learning rate, above 0; 4 was the best of full_batch_vs_sgd --tune for batches of 100."""
    num_epochs: int = 8
    """Its passes over the training set, 2 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rate", [self.learning_rate])
        for flag, value in (("--chains", self.chains), ("--batch-size", self.batch_size)):
            common.require(value >= 1, f"{flag} is {value}; it must be 1 or more")
        common.require(self.num_epochs >= 2, f"--num-epochs is {self.num_epochs}; it must be 2 or more")


QUICK = Settings(num_seeds=2, chains=16, num_epochs=2)
FULL = Settings(num_seeds=8, num_epochs=20)


def schedules(key: Array, labels: Array, batch_size: int, num_epochs: int) -> tuple[Array, ...]:
    """Which examples each step sees (epochs, steps, batch), drawn in the ways of NAMES."""
    anew, once, lot = jax.random.split(key, 3)
    size = (len(labels), batch_size, num_epochs)
    return (
        training.shuffled_schedule(anew, *size),
        training.shuffled_once_schedule(once, *size),
        training.with_replacement_schedule(lot, *size),
        training.cyclic_schedule(*size),
        training.sorted_schedule(labels, batch_size, num_epochs),
    )


# The convex case, and what theory says of it, in numpy.


class Quadratic(NamedTuple):
    """A mean of parabolas, C_i = (e - e_i)^T A_i (e - e_i) / 2, seen from its optimum."""

    features: np.ndarray  # N, d
    targets: np.ndarray  # N
    optimum: np.ndarray  # d
    curvatures: np.ndarray  # N, d, d: A_i
    slopes: np.ndarray  # N, d: g_i, each example's gradient at the optimum


def make_quadratic(examples: Examples) -> Quadratic:
    """Least squares with a ridge on the principal components of the images, all of the same spread."""
    pixels = np.asarray(data.unit_interval(jnp.asarray(examples.inputs)), np.float64)
    left, strength, _ = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    enough = len(strength) >= NUM_FEATURES and strength[NUM_FEATURES - 1] > 1e-6 * strength[0]
    common.require(enough, f"the first images vary in fewer than {NUM_FEATURES} directions; take another data set")
    features = left[:, :NUM_FEATURES] * np.sqrt(len(pixels))
    labels = np.asarray(examples.targets).argmax(axis=1)
    targets = (labels == labels.min()).astype(float)
    curvatures = features[:, :, None] * features[:, None] + RIDGE * np.eye(NUM_FEATURES)
    optimum = np.linalg.solve(curvatures.mean(axis=0), features.T @ targets / len(targets))
    return Quadratic(features, targets, optimum, curvatures, curvatures @ optimum - features * targets[:, None])


def by_lot_theory(quadratic: Quadratic, rate: float) -> float:
    """tr M, with M = E (1 - eta A_i) M (1 - eta A_i) + eta^2 E g_i g_i^T: one linear equation, solved."""
    same = np.eye(quadratic.optimum.size)
    carried = np.mean([np.kron(step, step) for step in same - rate * quadratic.curvatures], axis=0)
    kicks = rate**2 * quadratic.slopes.T @ quadratic.slopes / len(quadratic.slopes)
    return float(np.trace(np.linalg.solve(np.eye(len(carried)) - carried, kicks.ravel()).reshape(same.shape)))


def excess(quadratic: Quadratic, orders: np.ndarray) -> np.ndarray:
    """xi / eta^2 = sum_(i<j) A_j g_i for every order, a row of `orders`: how far the j-th step is led astray by those
    before it."""
    so_far = np.zeros((len(orders), quadratic.optimum.size))
    total = np.zeros_like(so_far)
    for column in orders.T:
        total += np.einsum("nij,nj->ni", quadratic.curvatures[column], so_far)
        so_far += quadratic.slopes[column]
    return total


def anew_theory(quadratic: Quadratic, rates: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(squared bias, variance) for small steps: |E xi|^2 / (1 - r)^2 and tr cov xi / (1 - r^2); xi of drawn orders.

    E xi is exact: a pair of different images has E A_j g_i = -mean(A_i g_i)/(N - 1), and there are N (N - 1)/2.
    """
    num = len(quadratic.slopes)
    mean = -np.einsum("nij,nj->i", quadratic.curvatures, quadratic.slopes) / 2
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(num), (DRAWN_ORDERS, 1)), axis=1)
    variance = np.mean(np.sum((excess(quadratic, orders) - mean) ** 2, axis=1))
    left = (1 - rates * STEEPNESS) ** num
    return rates**4 * (mean @ mean) / (1 - left) ** 2, rates**4 * variance / (1 - left**2)


def resting_place(quadratic: Quadratic, order: np.ndarray, rate: float) -> np.ndarray:
    """Where an epoch in this order leads back to where it began, seen from the optimum."""
    same = np.eye(quadratic.optimum.size)
    carried, moved = same, np.zeros(len(same))
    for step, slope in zip(same - rate * quadratic.curvatures[order], quadratic.slopes[order], strict=True):
        carried, moved = step @ carried, step @ moved - rate * slope
    return np.linalg.solve(same - carried, moved)


# The convex case run, by the library's own loop.


def ridge_cost(theta: Array, example: Examples) -> Array:
    """(theta . x - y)^2 / 2 + ridge/2 |theta|^2"""
    return (jnp.vdot(theta, example.inputs) - example.targets[0]) ** 2 / 2 + RIDGE / 2 * jnp.vdot(theta, theta)


def burn_in(num_images: int) -> int:
    """Epochs after which the start is forgotten with the smallest rate."""
    return int(np.ceil(FOLDS / (num_images * RATES[0] * STEEPNESS)))


def squared_distances(schedule: Array, examples: Examples, optimum: Array, rates: Array) -> Array:
    """(rates): mean |theta - optimum|^2 at the ends of the second half of the epochs, over chains; `schedule` (chains,
    epochs, steps, batch)."""

    def chain(rate: Array, rows: Array) -> Array:
        optimizer = optax.sgd(rate)
        step = training.make_step(gradients.mean_over_examples(ridge_cost), optimizer)
        state, away = TrainState(optimum, optimizer.init(optimum)), lambda state: jnp.sum((state.params - optimum) ** 2)
        history = training.minibatch_descent(step, state, examples, rows, away)[1]
        return jnp.mean(history.observed[len(rows) // 2 :])

    return jnp.mean(jax.vmap(jax.vmap(chain, (None, 0)), (0, None))(rates, schedule), axis=1)


def convex_distances(settings: Settings, quadratic: Quadratic, labels: np.ndarray, keys: Array) -> np.ndarray:
    """(ways of drawing, seeds, rates): the mean squared distance to the optimum, measured in float64."""
    epochs = 2 * burn_in(len(labels))

    def draw(key: Array, labels: Array) -> tuple[Array, ...]:
        chains = jax.random.split(key, settings.chains)
        return jax.vmap(lambda key: schedules(key, labels, 1, epochs))(chains)

    orders = jax.tree.map(np.asarray, jax.jit(runs.over_seeds(draw, (0, None)))(keys, labels))
    with jax.enable_x64(True):
        examples = Examples(jnp.asarray(quadratic.features), jnp.asarray(quadratic.targets)[:, None])
        measure = jax.jit(runs.over_seeds(squared_distances, (0, None, None, None)))
        found = [measure(order, examples, jnp.asarray(quadratic.optimum), jnp.asarray(RATES)) for order in orders]
        return np.stack([np.asarray(distances) for distances in found])


# The network.


def train(settings: Settings, problem: Problem, init_keys: Array, keys: Array) -> Curve:
    """All ways of drawing from every seed's start; arrays lead with (ways of drawing, seeds)."""
    labels, ways = jnp.argmax(problem.train.targets, axis=1), len(NAMES)
    draw = partial(schedules, batch_size=settings.batch_size, num_epochs=settings.num_epochs)
    drawn = jax.jit(runs.over_seeds(draw, (0, None)))(keys, labels)
    order = np.concatenate([np.asarray(each) for each in drawn])  # ways x seeds, epochs, steps, batch
    starts = jax.tree.map(lambda leaf: np.concatenate([leaf] * ways), descents.starts(problem, init_keys))
    method = Method("all ways of drawing", settings.batch_size, optax.sgd(settings.learning_rate))
    curve = descents.follow(problem, method, starts, order.reshape(*order.shape[:2], -1), num_legs=settings.num_epochs)
    cost, accuracy = (each.reshape(ways, settings.num_seeds, -1) for each in (curve.cost, curve.accuracy))
    return curve._replace(cost=cost, accuracy=accuracy)


# What comes of it.


class Measured(NamedTuple):
    """All that the claims are about."""

    distance: np.ndarray  # ways of drawing, seeds, rates; squared, mean over chains and ends of epochs
    by_lot: np.ndarray  # rates: theory
    anew: np.ndarray  # 2, rates: squared bias and variance, theory
    resting: np.ndarray  # 2, rates: squared distances of the resting places of the last two ways
    curve: Curve


def measure(settings: Settings, problem: Problem) -> Measured:
    """The convex case with its theory, and the network."""
    few = jax.tree.map(lambda leaf: np.asarray(leaf[:NUM_IMAGES]), problem.train)
    labels, quadratic = few.targets.argmax(axis=1), make_quadratic(few)
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    runs.console.print(f"the convex case: {settings.chains} chains a seed, {2 * burn_in(len(labels)):,} epochs ...")
    distance = convex_distances(settings, quadratic, labels, jax.vmap(partial(jax.random.fold_in, data=1))(keys))
    fixed = (np.arange(len(labels)), np.argsort(labels, kind="stable"))
    return Measured(
        distance,
        np.array([by_lot_theory(quadratic, rate) for rate in RATES]),
        np.stack(anew_theory(quadratic, RATES, settings.seed)),
        np.array([[np.sum(resting_place(quadratic, order, rate) ** 2) for rate in RATES] for order in fixed]),
        train(settings, problem, init_keys, keys),
    )


def slopes(measured: Measured) -> np.ndarray:
    """(ways of drawing): of the logarithms, through the SMALL rates, of the means over seeds."""
    means = measured.distance.mean(axis=1)[:, :SMALL]
    return np.array([np.polyfit(np.log(RATES[:SMALL]), np.log(mean), 1)[0] for mean in means])


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory and the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    found, mean, cost = slopes(measured), measured.distance.mean(axis=1), measured.curve.cost
    where, others = f"for rates from {RATES[0]:g} to {RATES[SMALL - 1]:g}", mean[[ANEW, ONCE, AS_STORED]].max(axis=0)
    return [
        claim("E19", f"convex: the squared distance to the optimum goes as the rate if drawn by lot, {where}",
              float(found[BY_LOT]), 1.0, 0.8, 1.2, "slope"),
        claim("E19", f"and as its square if shuffled anew in every epoch, {where}", float(found[ANEW]), 2.0, 1.8, 2.2,
              "slope"),
        claim("E19", "drawn by lot it is as the exact formula says, for every rate",
              1 + worst(mean[BY_LOT] / measured.by_lot - 1), 1.0, 0.95, 1.05, "ratio, mean of the seeds, worst rate"),
        claim("E19", "shuffled anew it is as theory for small steps says, for the smallest rate",
              float(mean[ANEW, 0] / measured.anew.sum(axis=0)[0]), 1.0, 0.9, 1.1, "ratio, mean of the seeds"),
        claim("E19", "of the orders that see every image once an epoch, sorted by label ends farthest off",
              float(np.min(mean[SORTED] / others)), None, 1.0, None, "least ratio to the next, of all rates"),
        claim("E19", "the network: sorted by label its cost is the highest after every epoch",
              float(np.min(cost[SORTED] / np.max(cost[:SORTED], axis=0))), None, 1.0, None,
              "least ratio to the next, of all seeds and epochs"),
        claim("E19", "shuffled anew the network's cost ends no higher than drawn by lot",
              float(np.median(later(cost)[ANEW] / later(cost)[BY_LOT])), None, None, 1.0,
              "ratio, second half of the epochs, median of the seeds"),
    ]  # fmt: skip


def later(cost: np.ndarray) -> np.ndarray:
    """(ways, seeds): geometric mean over the second half of the epochs."""
    return np.exp(np.log(cost[..., cost.shape[-1] // 2 :]).mean(axis=-1))


def sentence(measured: Measured) -> str:
    """What was found, in one sentence."""
    found, cost = slopes(measured), later(measured.curve.cost)
    ratios = np.median(cost / cost[[ANEW]], axis=1)
    return (
        "Shuffled anew it comes nearer to the optimum than drawn by lot: squared distance as η to the power "
        f"{found[ANEW]:.2f}, drawn by "
        f"lot {found[BY_LOT]:.2f}; the network's cost is {ratios[BY_LOT]:.2f} times as high drawn by lot, "
        f"{ratios[ONCE]:.2f} shuffled once, {ratios[SORTED]:.0f} sorted by label."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    train_set, test = common.load(settings)
    check_sizes(settings, len(train_set.inputs))
    problem = descents.problem_of(settings, train_set, test)
    facts = records.describe_data(settings.dataset, train=train_set, test=test)
    with records.divergence_recorded(settings.out / NAME, settings, **facts):
        measured = measure(settings, problem)
    claims = make_claims(settings, measured) if common.is_the_films(settings) else []
    finding, arrays = sentence(measured), measured._asdict()
    curve = arrays.pop("curve")
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {"rates": RATES, "cost": curve.cost, "accuracy": curve.accuracy, **arrays},
        **facts,
        finding=finding,
        layer_sizes=settings.sizes_for(train_set),
        names=NAMES,
        slopes=slopes(measured).tolist(),
        num_images=NUM_IMAGES,
        seconds=time.perf_counter() - began,
    )


def check_sizes(settings: Settings, num_examples: int) -> None:
    """Raises common.SettingsError unless a batch, and the convex case, fit into the data."""
    for what, size in (("--batch-size is", settings.batch_size), ("the convex case takes", NUM_IMAGES)):
        common.require(size <= num_examples, f"{what} {size}; {settings.dataset} has {num_examples} for training")


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.comparison_figure(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.shuffle_or_not"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
