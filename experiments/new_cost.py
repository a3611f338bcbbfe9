"""What does another cost change, put beside the film's in everything that this codebase looks at?

The cost is the one function `cross_entropy` below; `--cost my_costs:absolute` puts one of yours in its place. The same
starts, the same orders of the examples and the same grid of learning rates for both costs: are the gradients right (by
hand, by jax.grad, by central differences)? What does a real 2 ask for? How far do the examples scatter? How do the
careful man and the drunk man get on, and what do their hills look like? The best rate is the one with the lowest cost
at the end, for every cost and every man.

Run:     python -m experiments.new_cost [--quick | --full] [--cost my_costs:absolute]
Time:    default 55 s, --quick 13 s, --full 2.6 min on 2 cores, compilation included
Result:  behind a sigmoid cross-entropy pulls by a - y, the film's cost by 2 (a - y) a (1 - a), thousands of times more
         weakly on the most wrong output; so the careful man gets further in 200 steps (87.9 % against 80.6 %), the
         drunk man hardly (91.8 % against 91.7 %, +0.4 points paired, 4 of 6 seeds), each with its best rate (--full)
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import new_cost as figures
from research import backprop, costs, data, gradients, landscape, statistics, training
from research.data import Examples

NAME = Path(__file__).stem
CHECKED = 100  # examples over which gradients are checked, in float64
DIRECTIONS = 20  # random directions of the central differences
EPSILON = 1e-5  # and their step
PULLS = 2000  # test images whose outputs are asked what they want
LOOKS = 20  # how often each man stops to look round


def cross_entropy(output: Array, target: Array) -> Array:
    """C = -sum_j (y_j ln a_j + (1 - y_j) ln(1 - a_j)), so that behind a sigmoid dC/dz_j = a_j - y_j: wrong outputs are
    pulled however flat their sigmoid. Nielsen, chapter 3, eq. 57. Where a is 0 or 1 to the last bit, ln 1e-30."""
    right, wrong = jnp.maximum(output, 1e-30), jnp.maximum(1 - output, 1e-30)
    return -jnp.sum(target * jnp.log(right) + (1 - target) * jnp.log(wrong))


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison."""

    cost: str = f"experiments.{NAME}:cross_entropy"
    """The new cost of one example, package.module:function, a pure function (output, target) -> number. Files in the
    current folder count: my_costs:my_cost."""
    num_seeds: int = 6
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    num_examples: int = 5000
    """Training images, from the first on; more than --batch-size, up to all of them."""
    batch_size: int = 100
    """The drunk man's examples a step, 1 or more."""
    num_epochs: int = 10
    """His passes over the training images, 20 steps or more in all."""
    num_steps: int = 100
    """The careful man's steps, a multiple of 20, above 0."""
    resolution: int = 41
    """Points of the hill along each direction, 2 or more."""
    learning_rates: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    """The grid of learning rates, above 0, tried for both costs and both men."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.check_positive("--learning-rates", self.learning_rates)
        common.require(len(self.learning_rates) > 0, "--learning-rates is empty; give one or more, such as 0.5 1 2")
        common.require(self.resolution >= 2, f"--resolution is {self.resolution}; it must be 2 or more")
        common.require(
            1 <= self.batch_size < self.num_examples,
            f"--batch-size is {self.batch_size}; it must be 1 or more and below --num-examples, {self.num_examples}",
        )
        drunk_steps = self.num_epochs * (self.num_examples // self.batch_size)
        common.require(
            drunk_steps >= LOOKS,
            f"--num-epochs is {self.num_epochs}, which makes {drunk_steps} steps; at least {LOOKS} are needed",
        )
        common.require(
            self.num_steps >= LOOKS and self.num_steps % LOOKS == 0,
            f"--num-steps is {self.num_steps}; it must be a multiple of {LOOKS}, above 0",
        )


QUICK = Settings(num_seeds=2, num_examples=2000, num_steps=40, num_epochs=8, resolution=21, learning_rates=(1.0, 4.0))
FULL = Settings(num_examples=10_000, num_steps=200, num_epochs=20)
FILM = common.CommonSettings.cost
METHODS = ("full batch", "mini-batches")


# 1. Are the gradients right?


def check_gradients(settings: Settings, problem: Problem, cost_fn: Callable, params: list) -> tuple[float, float]:
    """In float64: largest deviation of jax.grad from backpropagation by hand over the largest component, and of its
    slopes along random directions from central differences over their root mean square."""
    functions = (cost_fn, *common.activations(settings))

    def three_ways(params: list, ways: Array, examples: Examples) -> tuple[Array, Array, Array]:
        point, unravel = ravel_pytree(params)

        def hill(point: Array) -> Array:
            return gradients.mean_over_examples(problem.example_cost)(unravel(point), examples)

        one_by_one = jax.vmap(lambda example: backprop.backpropagate(params, example, *functions).grads)
        ends = jax.lax.map(
            lambda step: hill(point + step), EPSILON * jnp.stack([ways, -ways], axis=1).reshape(-1, len(point))
        )
        return (
            jax.grad(hill)(point),
            ravel_pytree(gradients.average(one_by_one(examples)))[0],
            (ends[::2] - ends[1::2]) / (2 * EPSILON),
        )

    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, float), params)
        few = jax.tree.map(lambda leaf: jnp.asarray(leaf[:CHECKED]), problem.train)
        few = Examples(data.unit_interval(few.inputs).astype(float), few.targets.astype(float))
        num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
        ways = np.random.default_rng(0).standard_normal((DIRECTIONS, num_parameters)) / num_parameters**0.5
        grad, by_hand, rises = map(np.asarray, jax.jit(three_ways)(params, ways, few))
    off = abs(rises - ways @ grad).max() / (rises**2).mean() ** 0.5
    return float(abs(grad - by_hand).max() / abs(grad).max()), float(off)


# 2. What does an example ask for?


class Wishes(NamedTuple):
    """What the outputs of some examples want; examples, classes."""

    targets: Array
    outputs: Array
    nudges: Array  # -dC/da
    deltas: Array  # dC/dz


def wishes(settings: Settings, cost_fn: Callable, params: list, examples: Examples) -> Wishes:
    """Every example's outputs, nudges and deltas, by backpropagation by hand."""
    functions = common.activations(settings)

    def of_one(example: Examples) -> Wishes:
        backward = backprop.backpropagate(params, example, cost_fn, *functions)
        outputs = backprop.feed_forward(params, example.inputs, *functions).activations[-1]
        return Wishes(example.targets, outputs, backward.nudges[-1], backward.grads[-1].biases)

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(of_one))(examples))


# 3. How far do the examples scatter?


class Scatter(NamedTuple):
    """Numbers of one seed, from the gradients of all training examples."""

    noise_scale: Array  # tr Sigma / |G|^2: the batch size at which noise and signal are equal
    cosine: Array  # expected between the gradient of a mini-batch and that of all
    average_error: Array  # |average of all examples' gradients - gradient of the mean| over an example's |g_i|


def scatter(problem: Problem, batch_size: int, params: list, train: Examples) -> Scatter:
    """All examples' gradients at once, in chunks: `research.statistics` works for any cost."""
    found = statistics.moments(problem.example_cost)(params, train)
    gradient = jax.grad(problem.cost)(params, train)
    scale, size = statistics.noise_scale(found), jnp.sqrt(jnp.mean(found.squared_norms))
    error = jnp.sqrt(statistics.squared_norm(jax.tree.map(jnp.subtract, found.mean, gradient)))
    return Scatter(scale, statistics.expected_cosine(scale, batch_size, len(train.inputs)), error / size)


# 4. The careful man and the drunk man, each with every learning rate


class Tuned(NamedTuple):
    """What one man did on one cost's hill with the best learning rate of the grid."""

    rate: float
    by_rate: np.ndarray  # seeds, rates; accuracy on the test set at the end
    cost: np.ndarray  # seeds, looks
    accuracy: np.ndarray  # seeds, looks; on the test set
    path: np.ndarray  # seeds, looks, params


def on_grid(
    problem: Problem, objective: Callable, loop: Callable, start: list, shared: tuple[Examples, Examples], rates: Array
) -> tuple[Array, Array, Array]:
    """(cost, accuracy, point) at every look round, for each learning rate in turn: (rates, looks, ...)."""
    train, test = shared

    def look(state: training.TrainState) -> tuple[Array, Array, Array]:
        return problem.cost(state.params, train), problem.accuracy(state.params, test), ravel_pytree(state.params)[0]

    def with_rate(rate: Array) -> tuple[Array, Array, Array]:
        optimizer = optax.sgd(rate)
        state = training.TrainState(start, optimizer.init(start))
        return loop(training.make_step(objective, optimizer), state, train, observe=look)[1].observed

    return jax.lax.map(with_rate, rates)


def descend(settings: Settings, problem: Problem, starts: list, order: np.ndarray) -> list[Tuned]:
    """The careful man, then the drunk man, each with his best rate."""
    steps = settings.num_steps // LOOKS
    all_at_once = partial(training.full_batch_descent, num_legs=LOOKS, steps_per_leg=steps)
    plain = gradients.mean_over_examples(problem.example_cost)

    def careful(start: list, shared: tuple, rates: Array) -> tuple:
        return on_grid(problem, problem.cost, all_at_once, start, shared, rates)

    def drunk(start: list, shared: tuple, rates: Array, rows: Array) -> tuple:
        return on_grid(problem, plain, partial(training.minibatch_descent, schedule=rows), start, shared, rates)

    given = (starts, (problem.train, problem.test), jnp.array(settings.learning_rates))
    found = [
        jax.jit(runs.over_seeds(careful, (0, None, None)))(*given),
        jax.jit(runs.over_seeds(drunk, (0, None, None, 0)))(*given, schedules(settings, order)),
    ]
    return [best_of(settings, each) for each in found]


def schedules(settings: Settings, order: np.ndarray) -> np.ndarray:
    """Every seed's mini-batches, a leg between two looks: (seeds, legs, steps, batch)."""
    rows = descents.in_batches(order, settings.batch_size)
    return rows[:, : rows.shape[1] // LOOKS * LOOKS].reshape(len(rows), LOOKS, -1, settings.batch_size)


def best_of(settings: Settings, found: tuple[Array, Array, Array]) -> Tuned:
    """The rate with the lowest median cost at the end; one that diverged costs infinity."""
    cost, accuracy, path = map(np.asarray, found)
    ends = np.median(np.where(np.isfinite(cost).all(axis=2), cost[..., -1], np.inf), axis=0)
    best = int(ends.argmin())
    if not np.isfinite(ends[best]):
        raise runs.Diverged("every learning rate of the grid", settings.num_steps)
    return Tuned(settings.learning_rates[best], accuracy[..., -1], cost[:, best], accuracy[:, best], path[:, best])


class Battery(NamedTuple):
    """All that is measured of one cost."""

    checks: tuple[float, float]
    of_two: Wishes  # what the real 2 asks for at the start; one example
    at_end: Wishes  # what test images ask for in the network that the film's cost has trained
    start: Scatter
    end: Scatter
    men: list[Tuned]
    hill: hills.View  # of the first seed, on the principal plane of both paths
    share: float  # of the paths' variance that lies in this plane


def hill_of(settings: Settings, problem: Problem, start: np.ndarray, men: list[Tuned]) -> tuple[hills.View, float]:
    """5. The exact cost round both men's paths, on the plane nearest to them; and the share that it explains."""
    paths = [np.concatenate([start[None], man.path[0]]) for man in men]
    union = np.concatenate(paths)
    plane = jax.jit(landscape.principal_plane)(union)
    view = hills.look_down(hills.surface_of(settings, problem), plane, paths, resolution=settings.resolution)
    hidden = sum(float((distances**2).sum()) for distances in view.off_plane)
    return view, 1 - hidden / float(((union - union.mean(axis=0)) ** 2).sum())


def measure(
    settings: Settings, problem: Problem, cost_fn: Callable, men: list[Tuned], starts: list, trained: list
) -> Battery:
    """The whole battery for one cost, whose descents are given; `trained` are parameters that all costs share."""
    of_seeds = jax.jit(runs.over_seeds(partial(scatter, problem, settings.batch_size), (0, None)))
    unravel = hills.unravel_of(problem)
    ends = jax.tree.map(np.asarray, jax.vmap(unravel)(jnp.asarray(men[1].path[:, -1])))
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    hill, share = hill_of(settings, problem, np.asarray(ravel_pytree(first)[0]), men)
    return Battery(
        checks=check_gradients(settings, problem, cost_fn, first),
        of_two=wishes(settings, cost_fn, first, a_real_two(problem.train)),
        at_end=wishes(settings, cost_fn, trained, jax.tree.map(lambda leaf: leaf[:PULLS], problem.test)),
        start=of_seeds(starts, problem.train),
        end=of_seeds(ends, problem.train),
        men=men,
        hill=hill,
        share=share,
    )


def a_real_two(train: Examples) -> Examples:
    """The first 2 of the training images (of the last class where there are fewer than three): one row."""
    labels = np.asarray(train.targets).argmax(axis=1)
    row = int(np.argmax(labels == min(2, train.targets.shape[-1] - 1)))
    return jax.tree.map(lambda leaf: leaf[row : row + 1], train)


def make_claims(settings: Settings, new: Battery, film: Battery) -> list[Claim]:
    """Every claim with its bounds, which come from theory and do not look at the run."""
    both = (new, film)
    claim = partial(Claim, num_seeds=1)
    error = max(float(each.average_error.max()) for battery in both for each in (battery.start, battery.end))
    found = [
        claim("E17", "backpropagation by hand is jax.grad, for both costs, in float64",
              max(battery.checks[0] for battery in both), 0.0, 0.0, 1e-12, "of the largest component"),
        claim("E17", "and its slopes are those of central differences",
              max(battery.checks[1] for battery in both), 0.0, 0.0, 1e-6, "of a typical slope"),
        claim("T28", "the average of all examples' gradients is the gradient of the mean, at the start and at the end",
              error, 0.0, 0.0, 1e-6, "of a typical |g_i|", num_seeds=settings.num_seeds),
    ]  # fmt: skip
    targets, outputs, _, deltas = film.at_end
    if sigmoid := settings.output_activation == Settings.output_activation:
        error = float(abs(deltas - 2 * (outputs - targets) * outputs * (1 - outputs)).max())
        says = "of the film's cost dC/dz = 2 (a - y) sigma'(z): a flat sigmoid mutes it"
        found.append(claim("E17", says, error, 0.0, 0.0, 1e-6, "largest difference"))
    if sigmoid and settings.cost == Settings.cost:
        error = float(abs(new.at_end.deltas - (outputs - targets)).max())
        says = "of cross-entropy dC/dz = a - y: a flat sigmoid does not mute it"
        found.append(claim("E17", says, error, 0.0, 0.0, 1e-6, "largest difference"))
    if common.is_the_films(dataclasses.replace(settings, cost=FILM)):
        found += [
            claim("T34", f"{name}: times more examples that the full batch reads to come down to the same cost",
                  float(examples_saved(settings, battery).min()), None, 1.0, None, "times, least of all seeds",
                  num_seeds=settings.num_seeds)
            for name, battery in (("the film's cost", film), ("the new cost", new))
        ]  # fmt: skip
    return found


def examples_read(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Of the careful man and of the drunk man, up to every look."""
    looks = 1 + np.arange(LOOKS)
    drunk_steps = settings.num_epochs * (settings.num_examples // settings.batch_size) // LOOKS
    return looks * (settings.num_steps // LOOKS) * settings.num_examples, looks * drunk_steps * settings.batch_size


def examples_saved(settings: Settings, battery: Battery) -> np.ndarray:
    """Of every seed: examples of the full-batch run over those in which mini-batches came as low; NaN if never."""
    careful, drunk = battery.men
    careful_read, drunk_read = examples_read(settings)
    lower = drunk.cost <= careful.cost[:, -1:]
    return np.where(lower.any(axis=1), careful_read[-1] / drunk_read[lower.argmax(axis=1)], np.nan)


def sentence(settings: Settings, name: str, new: Battery, film: Battery) -> str:
    """What was found, in one sentence; differences are paired: the same start, the same order."""
    parts = []
    for method, mine, films in zip(METHODS, new.men, film.men, strict=True):
        ends = [100 * man.accuracy[:, -1] for man in (mine, films)]
        ahead = ends[0] - ends[1]
        parts.append(
            f"{method} {np.median(ends[0]):.1f} % against {np.median(ends[1]):.1f} %, on average {ahead.mean():+.2f} "
            f"points ({(ahead > 0).sum()} of {settings.num_seeds} seeds ahead)"
        )
    scales = [np.median(battery.end.noise_scale) for battery in (new, film)]
    return (
        f"{name} beside the film's cost, each with its best rate: {'; '.join(parts)}; noise scale at the end of the "
        f"mini-batches {scales[0]:,.0f} against {scales[1]:,.0f}."
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    cost_fn, films_fn = common.cost_function(settings), costs.sum_of_squares
    common.activations_by_hand(settings)
    train, test = common.load(settings)
    common.require_images(settings, "--num-examples", settings.num_examples, train)
    train = common.first(train, settings.num_examples)
    model = common.make_model(settings, train)
    for each in (cost_fn, films_fn):
        common.check_cost(each, model, train)
    name = common.name_of(cost_fn)
    new, film = compare(
        settings, [descents.make_problem(model, each, train, test) for each in (cost_fn, films_fn)], [cost_fn, films_fn]
    )
    claims, finding = make_claims(settings, new, film), sentence(settings, name, new, film)
    records.conclude(
        settings.out / NAME,
        settings,
        claims,
        {**arrays_of("new", new, settings), **arrays_of("film", film, settings)},
        **records.describe_data(settings.dataset, train=train, test=test),
        layer_sizes=settings.sizes_for(train),
        names={"new": name, "film": "the film's cost"},
        rates={kind: [man.rate for man in battery.men] for kind, battery in (("new", new), ("film", film))},
        checks={kind: battery.checks for kind, battery in (("new", new), ("film", film))},
        shares={kind: battery.share for kind, battery in (("new", new), ("film", film))},
        finding=finding,
    )


def compare(settings: Settings, problems: list[Problem], cost_fns: list[Callable]) -> list[Battery]:
    """The battery for every cost: the same starts, the same orders. The last cost's network is asked what all want."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    starts = jax.tree.map(np.asarray, descents.starts(problems[0], init_keys))
    order = descents.shuffles(shuffle_keys, settings.num_examples, settings.num_epochs)
    men = []
    for problem, cost_fn in zip(problems, cost_fns, strict=True):
        runs.console.print(
            f"{common.name_of(cost_fn)}: both men with {len(settings.learning_rates)} learning rates each ..."
        )
        men.append(descend(settings, problem, starts, order))
    trained = hills.unravel_of(problems[-1])(jnp.asarray(men[-1][1].path[0, -1]))
    runs.console.print("gradients, wishes, statistics, hills ...")
    return [
        measure(dataclasses.replace(settings, cost=path), problem, cost_fn, each, starts, trained)
        for path, problem, cost_fn, each in zip((settings.cost, FILM), problems, cost_fns, men, strict=True)
    ]


def arrays_of(kind: str, battery: Battery, settings: Settings) -> dict[str, np.ndarray]:
    """What the figures need, by name."""
    found = {f"two_{field}": value for field, value in battery.of_two._asdict().items()}
    found |= {f"wishes_{field}": value for field, value in battery.at_end._asdict().items()}
    for field in ("noise_scale", "cosine"):
        found[field] = np.stack([getattr(battery.start, field), getattr(battery.end, field)], axis=1)
    found |= {"alphas": battery.hill.alphas, "betas": battery.hill.betas, "surface": battery.hill.surface}
    for index, (man, read) in enumerate(zip(battery.men, examples_read(settings), strict=True)):
        found |= {f"{index}_read": read, f"{index}_accuracy": man.accuracy, f"{index}_cost": man.cost}
        found |= {f"{index}_by_rate": man.by_rate, f"{index}_shadow": battery.hill.shadows[index]}
    return {f"{kind}_{name}": np.asarray(value) for name, value in found.items()}


def plot(out: Path) -> None:
    """Draws the page from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.page(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.new_cost"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
