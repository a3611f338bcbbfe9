"""How many steps, and how many examples, does it take to come down to a given cost, for every batch size?

A small batch needs few examples and many steps, a large one few steps and many examples. McCandlish et al.
(arXiv:1812.06162) expect a hyperbola between the least of both, S_min steps and E_min examples:

    (S / S_min - 1) (E / E_min - 1) = 1,   E = S B,   that is   S = S_min (1 + B_crit / B),   B_crit = E_min / S_min

Well below B_crit a batch of twice the size halves the steps; from B_crit on no size saves more than half of them.
B_crit should be near to the noise scale B_simple = tr Sigma / |G|^2 on the way down, which is measured from single
examples' gradients.

Each batch size has the learning rate of one grid with which starts that are not counted came down soonest (geometric
mean of their steps). "Down" is the first look at which the cost of the first 2,000 training images is at most the
target; a look is taken every 256 examples, or every step where a batch has more.

Run:     python -m experiments.batch_frontier [--quick | --full]
Time:    default 2.8 min, --quick 14 s, --full 8 min, on 2 cores, compilation included
Result:  (8 starts) to come down to 0.5 batches of 1 take 1,664 examples, batches of 16 3,000, the full batch 8 million,
         in 1,664, 192 and 134 steps; a hyperbola with B_crit = 10 explains 99.5 %. One claim does not hold: the noise
         scale on the way, 120, is 12 times B_crit, not within 5. For half of the way the network lies on the plateau
         where all outputs are 0.1: G is small there, hence the noise scale 200 to 460, but the ground is so flat that
         the learning rate, not the noise, limits a step. A second race (--past), begun at 0.8, past the plateau, bears
         this out: B_crit 19, noise scale 56, 2.9 times
"""

import dataclasses
import math
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
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import batch_frontier as figures
from research import gradients, statistics, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
CHECKED = 2000  # training images whose cost says whether the target is reached
LOOK_EVERY = 256  # examples
TUNING_SEEDS = 2  # starts on which rates are chosen, beside those that are counted
PAST_RATE = 2.0  # of the full-batch descent to --past
POINTS = 8  # of the way down at which the noise scale is measured
SMALL = 3  # so many of the smallest batch sizes should halve the steps when they double, and so many of the largest not


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the race; the default takes about 3 minutes on 2 cores."""

    num_seeds: int = 3
    """How many starts are counted, 1 or more; two more, by which rates are chosen, are not."""
    num_examples: int = 60_000
    """Training images, from the first on; the full batch. More than the largest of --batch-sizes."""
    batch_sizes: tuple[int, ...] = (1, 2, 4, 16, 64, 256, 1024, 4096, 16384)
    """Batch sizes, rising, three or more, 1 or more; the full batch comes besides."""
    learning_rates: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    """The grid of learning rates, rising, three or more, above 0; the same for every batch size."""
    target: float = 0.5
    """The cost to come down to, above 0. At the start it is about 2.7; where all outputs are 0.1, it is 0.9."""
    max_steps: int = 400
    """Steps after which a run is given up, 1 or more; small batches may take as many as one pass over the images."""
    past: float = 0.0
    """A second race begins where full-batch descent has brought every start down to this cost, above --target; 0 leaves
    it out."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        common.check_positive("--target", [self.target])
        common.require(
            self.past == 0 or self.past > self.target,
            f"--past is {self.past}; it must be above --target, {self.target}, or 0 for no second race",
        )
        common.require(self.max_steps >= 1, f"--max-steps is {self.max_steps}; it must be 1 or more")
        for flag, values in (("--batch-sizes", self.batch_sizes), ("--learning-rates", self.learning_rates)):
            shown = " ".join(map(str, values))
            common.require(
                len(values) >= SMALL and all(np.diff(values) > 0), f"{flag} is {shown}; give three or more, rising"
            )
        common.require(
            min(self.batch_sizes) >= 1 and max(self.batch_sizes) < self.num_examples,
            f"--batch-sizes is {' '.join(map(str, self.batch_sizes))}; each must be 1 or more and below "
            f"--num-examples, {self.num_examples}",
        )


QUICK = Settings(
    num_seeds=1,
    num_examples=6000,
    batch_sizes=(4, 32, 256),
    learning_rates=(0.25, 1.0, 4.0, 16.0),
    target=0.7,
)
FULL = Settings(num_seeds=8, past=0.8)


# The race: one batch size, one start.


def steps_to_target(
    settings: Settings,
    problem: Problem,
    batch_size: int,
    start: list,
    rows: Array,
    train: Examples,
    rate: Array,
    cap: Array,
) -> Array:
    """Steps until the target is reached with one learning rate, or `cap` where it is not reached before.

    `rows` (looks, steps, batch) are the examples of every step; ignored where a batch is everything.
    """
    whole = batch_size == settings.num_examples
    optimizer, checked = optax.sgd(rate), common.first(train, CHECKED)
    step = training.make_step(problem.cost if whole else gradients.mean_over_examples(problem.example_cost), optimizer)
    steps_per_look = 1 if whole else rows.shape[1]

    def down_to_the_next_look(carry: tuple[TrainState, Array, Array]) -> tuple[TrainState, Array, Array]:
        state, looks, _ = carry

        def look(state: TrainState) -> Array:
            return problem.cost(state.params, checked)

        if whole:
            state, history = training.full_batch_descent(step, state, train, 1, 1, look)
        else:
            state, history = training.minibatch_descent(step, state, train, rows[looks][None], look)
        return state, looks + 1, history.observed[0]

    def goes_on(carry: tuple[TrainState, Array, Array]) -> Array:
        _, looks, cost = carry
        return ~(cost <= settings.target) & (looks * steps_per_look < cap) & ~jnp.isnan(cost)

    carry = TrainState(start, optimizer.init(start)), jnp.zeros((), jnp.int32), jnp.full((), jnp.inf)
    _, looks, cost = jax.lax.while_loop(goes_on, down_to_the_next_look, carry)
    return jnp.where(cost <= settings.target, jnp.minimum(looks * steps_per_look, cap), cap)


def race(
    settings: Settings,
    problem: Problem,
    batch_size: int,
    start: list,
    rows: Array,
    train: Examples,
    rates: Array,
    cap: Array,
) -> Array:
    """Steps to the target for every rate in turn; one that takes half as long again as the best is left.

    `cap` is how many steps any may take; one that was left counts as the steps after which it was.
    """

    cap = jnp.asarray(cap, jnp.int32)

    def with_rate(best: Array, rate: Array) -> tuple[Array, Array]:
        patience = jnp.minimum(cap, best + best // 2)
        steps = steps_to_target(settings, problem, batch_size, start, rows, train, rate, patience)
        return jnp.minimum(best, steps), steps

    return jax.lax.scan(with_rate, cap, rates)[1]


def looks_of(settings: Settings, order: np.ndarray, batch_size: int) -> np.ndarray:
    """Each seed's steps, divided into looks: (seeds, looks, steps, batch); at most as many as a run may take."""
    rows = descents.in_batches(order, batch_size)
    steps = max(1, LOOK_EVERY // batch_size)
    num_looks = most_steps(settings, batch_size) // steps
    return rows[:, : num_looks * steps].reshape(len(rows), num_looks, steps, batch_size)


def most_steps(settings: Settings, batch_size: int) -> int:
    """After so many steps a run is given up: --max-steps, or one pass where that is more; a whole number of looks."""
    steps = max(settings.max_steps, settings.num_examples // batch_size)
    per_look = max(1, LOOK_EVERY // batch_size)
    return steps // per_look * per_look


# All batch sizes, each with the rate that suits it.


class Frontier(NamedTuple):
    """Steps to the target, and how they were found."""

    sizes: np.ndarray  # sizes: of the batches, the full one last
    steps: np.ndarray  # sizes, seeds; NaN where the target was not reached
    rates: np.ndarray  # sizes: the learning rate that was chosen
    tuning: np.ndarray  # sizes, rates: geometric mean of the tuning starts' steps, at least


def find_frontier(settings: Settings, problem: Problem, starts: list, shuffle_keys: Array) -> Frontier:
    """From the largest batch to the smallest: choose a rate on the first two starts, count on the others.

    The rate of the batch size before is tried first, so that slower ones are soon stopped.
    """
    tuning = jax.tree.map(lambda leaf: leaf[:TUNING_SEEDS], starts)
    counted = jax.tree.map(lambda leaf: leaf[TUNING_SEEDS:], starts)
    grid, guess = np.array(settings.learning_rates, np.float32), 4.0
    sizes = [*settings.batch_sizes, settings.num_examples]
    found = []
    for size in reversed(sizes):
        rows, cap = rows_of(settings, shuffle_keys, size), most_steps(settings, size)
        every_start = jax.jit(runs.over_seeds(partial(race, settings, problem, size), (0, 0, None, None, None)))
        nearest_first = np.argsort(abs(np.log(grid / guess)), kind="stable")
        took = np.asarray(every_start(tuning, rows[:TUNING_SEEDS], problem.train, grid[nearest_first], cap))
        by_rate = np.exp(np.log(took).mean(axis=0))[np.argsort(nearest_first)]
        best = int(by_rate.argmin())
        guess = float(grid[best])
        steps = np.asarray(every_start(counted, rows[TUNING_SEEDS:], problem.train, grid[[best]], cap))[:, 0]
        found.append((np.where(steps < cap, steps, np.nan), guess, by_rate))
        runs.console.print(f"batches of {size:,}: rate {guess:g}, {np.median(steps):,.0f} steps")
    steps, rates, by_rate = (np.stack(each) for each in zip(*reversed(found), strict=True))
    return Frontier(np.array(sizes), steps, rates, by_rate)


def rows_of(settings: Settings, shuffle_keys: Array, size: int) -> np.ndarray:
    """Every start's mini-batches (starts, looks, steps, batch); nothing is drawn for the full batch."""
    if size == settings.num_examples:
        return np.zeros((len(shuffle_keys), 1, 1, 1), np.int32)
    num_epochs = math.ceil(most_steps(settings, size) * size / (settings.num_examples // size * size))
    return looks_of(settings, descents.shuffles(shuffle_keys, settings.num_examples, num_epochs), size)


# The noise scale on the way down, and the hyperbola.


def noise_on_the_way(
    settings: Settings, problem: Problem, steps: int, rate: float, start: list, rows: Array, train: Examples
) -> Array:
    """B_simple at the start and at POINTS places, equally many steps apart, of one way down; `rows` (steps, batch)."""
    optimizer = optax.sgd(rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)
    moments = statistics.moments(problem.example_cost)
    some = common.first(train, CHECKED)

    def scale(state: TrainState) -> Array:
        return statistics.noise_scale(moments(state.params, some))

    state = TrainState(start, optimizer.init(start))
    legs = rows[: steps // POINTS * POINTS].reshape(POINTS, -1, rows.shape[-1])
    _, history = training.minibatch_descent(step, state, train, legs, scale)
    return jnp.concatenate([scale(state)[None], history.observed])


def middle_size(settings: Settings) -> int:
    """Of the batch size in the middle of the list: the way down on which noise is measured."""
    return settings.batch_sizes[len(settings.batch_sizes) // 2]


def noise_scales(
    settings: Settings, problem: Problem, frontier: Frontier, starts: list, shuffle_keys: Array
) -> np.ndarray:
    """B_simple (seeds, points) along the way down of the middle batch size, with its rate, in its median of steps."""
    size = middle_size(settings)
    row = settings.batch_sizes.index(size)
    took = frontier.steps[row]
    steps = max(POINTS, int(np.nanmedian(took)) if np.isfinite(took).any() else most_steps(settings, size))
    rows = rows_of(settings, shuffle_keys, size)
    rows = rows.reshape(len(rows), -1, size)[TUNING_SEEDS:]
    counted = jax.tree.map(lambda leaf: leaf[TUNING_SEEDS:], starts)
    measure = partial(noise_on_the_way, settings, problem, steps, float(frontier.rates[row]))
    return np.asarray(jax.jit(runs.over_seeds(measure, (0, 0, None)))(counted, rows, problem.train))


class Hyperbola(NamedTuple):
    """S = S_min (1 + B_crit / B), and how much of the variance of log S it explains."""

    least_steps: float
    critical: float
    explained: float

    def steps(self, sizes: np.ndarray) -> np.ndarray:
        """What it says for these batch sizes."""
        return self.least_steps * (1 + self.critical / sizes)


def fit_hyperbola(sizes: np.ndarray, steps: np.ndarray) -> Hyperbola:
    """Least squares in log S. For each B_crit of a fine grid the best S_min is known: the mean of what is left.

    >>> sizes = np.array([1.0, 10.0, 100.0, 1000.0])
    >>> found = fit_hyperbola(sizes, 7 * (1 + 40 / sizes))
    >>> round(found.least_steps, 2), round(found.critical, 1), round(found.explained, 6)
    (7.0, 40.0, 1.0)
    """
    grid = np.geomspace(sizes.min() / 100, sizes.max() * 100, 20_001)
    left = np.log(steps) - np.log1p(grid[:, None] / sizes)
    squares = ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    best = int(squares.argmin())
    total = ((np.log(steps) - np.log(steps).mean()) ** 2).sum()
    return Hyperbola(float(np.exp(left[best].mean())), float(grid[best]), float(1 - squares[best] / total))


class Race(NamedTuple):
    """All that is found from one kind of start."""

    frontier: Frontier
    hyperbola: Hyperbola
    noise: np.ndarray  # seeds, points

    def over_critical(self) -> float:
        """B_simple, the mean of the way, median of the seeds, over B_crit."""
        return float(np.median(self.noise.mean(axis=1)) / self.hyperbola.critical)


def hold(settings: Settings, problem: Problem, starts: list, shuffle_keys: Array) -> Race:
    """The race from these starts, and what it says."""
    frontier = find_frontier(settings, problem, starts, shuffle_keys)
    require_several_looks(settings, frontier)
    hyperbola = fit_hyperbola(*medians(frontier))
    return Race(frontier, hyperbola, noise_scales(settings, problem, frontier, starts, shuffle_keys))


def require_several_looks(settings: Settings, frontier: Frontier) -> None:
    """Raises common.SettingsError where every mini-batch size is down at its first look: nobody saw when."""
    first_looks = np.maximum(1, LOOK_EVERY // frontier.sizes[:-1])
    common.require(
        bool((frontier.steps[:-1] > first_looks[:, None]).any()) or not np.isfinite(frontier.steps[:-1]).all(),
        f"--target is {settings.target:g}, to which every batch size has come down at the first look, after "
        f"{LOOK_EVERY} examples or a step; give a lower --target",
    )


def past_the_plateau(settings: Settings, problem: Problem, starts: list) -> list:
    """Where full-batch descent is once the cost of the first 2,000 images is at most --past, or after 1,000 steps."""
    step = training.make_step(problem.cost, optax.sgd(PAST_RATE))

    def descend(start: list, train: Examples) -> list:
        checked = common.first(train, CHECKED)

        def goes_on(carry: tuple[TrainState, Array]) -> Array:
            state, steps = carry
            return (problem.cost(state.params, checked) > settings.past) & (steps < 1000)

        def go(carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            return step(carry[0], train)[0], carry[1] + 1

        state = TrainState(start, optax.sgd(PAST_RATE).init(start))
        return jax.lax.while_loop(goes_on, go, (state, jnp.zeros((), jnp.int32)))[0].params

    return jax.tree.map(np.asarray, jax.jit(runs.over_seeds(descend, (0, None)))(starts, problem.train))


def slope(sizes: np.ndarray, steps: np.ndarray) -> float:
    """Of log S against log B."""
    return float(np.polyfit(np.log(sizes), np.log(steps), 1)[0])


def medians(frontier: Frontier) -> tuple[np.ndarray, np.ndarray]:
    """(sizes, median steps) of those batch sizes that reached the target from every start.

    Raises common.SettingsError where these are too few for a curve.
    """
    reached = np.isfinite(frontier.steps).all(axis=1)
    common.require(
        int(reached.sum()) > SMALL,
        f"too few batch sizes came down to --target from every start ({', '.join(map(str, frontier.sizes[reached]))}: "
        f"{int(reached.sum())}, more than {SMALL} are needed); give a higher --target, more --max-steps or other "
        "--learning-rates",
    )
    return frontier.sizes[reached], np.median(frontier.steps[reached], axis=1)


def make_claims(settings: Settings, race: Race, past: Race | None) -> list[Claim]:
    """Every claim with its bounds, from McCandlish et al. and Shallue et al., which do not look at the run."""
    claim, (frontier, hyperbola, _) = partial(Claim, num_seeds=settings.num_seeds), race
    sizes, steps = medians(frontier)
    grid = np.array(settings.learning_rates, np.float32)  # as it was tried
    inside = (frontier.rates > grid.min()) & (frontier.rates < grid.max())
    return [
        claim("E9", "steps against batch size lie on a hyperbola, (S/S_min - 1)(E/E_min - 1) = 1", hyperbola.explained,
              1.0, 0.95, 1.0, "share of the variance of log S, medians"),
        claim("E9", f"small batches: twice the size, half the steps (slope of the {SMALL} smallest)",
              slope(sizes[:SMALL], steps[:SMALL]), -1.0, -1.2, -0.8, "slope of log S against log B"),
        claim("E9", f"large batches: twice the size, as many steps (slope of the {SMALL} largest)",
              slope(sizes[-SMALL:], steps[-SMALL:]), 0.0, -0.2, 0.2, "slope of log S against log B"),
        claim("E9", "the batch size at which this changes is the noise scale, within a factor of 5: B_simple on the "
              "way down over B_crit", race.over_critical(), 1.0, 0.2, 5.0, "ratio; B_simple: mean of the way, median"),
        claim("E9", "every batch size has its best learning rate inside the grid", float(np.mean(inside)), 1.0, 1.0,
              None, "share of the batch sizes"),
        *(past_claims(settings, past) if past else []),
    ]  # fmt: skip


def past_claims(settings: Settings, past: Race) -> list[Claim]:
    """The same two of a race that begins past the plateau, by the same bounds."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    return [
        claim("E9", f"begun at cost {settings.past:g}, past the plateau: a hyperbola", past.hyperbola.explained,
              1.0, 0.95, 1.0, "share of the variance of log S, medians"),
        claim("E9", f"begun at cost {settings.past:g}, past the plateau: B_simple over B_crit within a factor of 5",
              past.over_critical(), 1.0, 0.2, 5.0, "ratio; B_simple: mean of the way, median"),
    ]  # fmt: skip


def sentence(settings: Settings, race: Race, past: Race | None) -> str:
    """What was found, in one sentence."""
    (sizes, steps), hyperbola, ratio = medians(race.frontier), race.hyperbola, race.over_critical()
    and_past = f"; {past.over_critical():.1f} times, begun past the plateau at cost {settings.past:g}" if past else ""
    return (
        f"Down to cost {settings.target:g}, looked at every {LOOK_EVERY} examples, batches of {sizes[0]:,} take "
        f"{steps[0] * sizes[0]:,.0f} examples in {steps[0]:,.0f} steps, the full batch {steps[-1] * sizes[-1]:,.0f} in "
        f"{steps[-1]:,.0f}; from batches of {hyperbola.critical:,.0f} on no larger one saves more than half of the "
        f"steps. The noise scale is {ratio:.1f} times that{and_past}."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    train, test = common.load(settings)
    common.require_images(settings, "--num-examples", settings.num_examples, train)
    train = common.first(train, settings.num_examples)
    problem = descents.problem_of(settings, train, test)
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS)
    starts = jax.tree.map(np.asarray, descents.starts(problem, init_keys))
    race = hold(settings, problem, starts, shuffle_keys)
    past = None
    if settings.past:
        runs.console.print(f"once more, from cost {settings.past:g} on")
        past = hold(settings, problem, past_the_plateau(settings, problem, starts), shuffle_keys)
    is_films = common.is_the_films(settings) and settings.num_examples == Settings.num_examples
    claims = make_claims(settings, race, past) if is_films else []
    races = {"from_the_start": race} | ({"past_the_plateau": past} if past else {})
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {f"{name}_{field}": array for name, each in races.items() for field, array in arrays_of(each).items()},
        **records.describe_data(settings.dataset, train=train),
        finding=sentence(settings, race, past),
        layer_sizes=settings.sizes_for(train),
        hyperbolas={name: each.hyperbola._asdict() for name, each in races.items()},
    )


def arrays_of(race: Race) -> dict[str, np.ndarray]:
    """What the figures draw, field by field."""
    return {**race.frontier._asdict(), "noise": race.noise}


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.frontier_figure(record, arrays, "from_the_start"), out / NAME / f"{NAME}.png")
    if "past_the_plateau" in record["hyperbolas"]:
        plots.save(figures.frontier_figure(record, arrays, "past_the_plateau"), out / NAME / "past_the_plateau.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.batch_frontier"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
