"""What does another cost change, put beside the film's in everything that this codebase looks at?

The cost is the one function `cross_entropy` below; `--cost my_costs:absolute` puts one of yours in its place. The same
starts, the same orders of the examples and the same grid of learning rates for both costs: are the gradients right (by
hand, by jax.grad, by central differences)? What does a real 2 ask for? How far do the examples scatter? How do the
full batch and the mini-batches get on, and what do their hills look like? The best rate is the one with the lowest cost
at the end, for every cost and every method.

Run:     python -m experiments new_cost [--quick | --full] [--cost my_costs:absolute]
Time:    default 55 s, --quick 13 s, --full 100 s on 2 cores, compilation included
Result:  cross-entropy pulls 6,583 times as hard on the most wrong output of 2,000. Each with its best rate, the full
         batch gets further in 200 steps (86.7 % against 81.1 %), the mini-batches hardly in 2,000 (91.8, 91.7 %).
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Gt, Interval, MinLen, MultipleOf
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from experiments.common import cost_looks, descents, experiment, hills, plots, runs
from experiments.common.bounds import BatchSize, Count, of_train, require
from experiments.common.claims import Claims, at_least, at_most, identity, prediction
from experiments.common.cost_looks import BY_HAND, Scatter, Wishes
from experiments.common.descents import Beginning
from experiments.common.problem import Problem, name_of, plain_layers
from experiments.common.tune import Tuned
from experiments.networks import new_cost_figures as drawn
from research import costs, data, gradients, landscape, training
from research.data import Examples
from research.training import TrainState

PULLS = 2000  # test images whose outputs are asked what they want
LOOKS = 20  # how often each descent is looked at
OURS = "experiments.networks.new_cost:cross_entropy"


def cross_entropy(output: Array, target: Array) -> Array:
    """C = -sum_j (y_j ln a_j + (1 - y_j) ln(1 - a_j)), so that behind a sigmoid dC/dz_j = a_j - y_j: wrong outputs are
    pulled however flat their sigmoid. Nielsen, chapter 3, eq. 57. Where a is 0 or 1 to the last bit, ln 1e-30."""
    right, wrong = jnp.maximum(output, 1e-30), jnp.maximum(1 - output, 1e-30)
    return -jnp.sum(target * jnp.log(right) + (1 - target) * jnp.log(wrong))


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    cost: str = OURS
    """The new cost of one example, package.module:function, a pure function (output, target) -> number. Files in the
    current folder count: my_costs:my_cost."""
    num_seeds: Count = 6
    """How many runs, each with its own start and its own shuffles."""
    num_examples: Annotated[int | None, Ge(1), of_train] = 5000
    """Training images, from the first on."""
    batch_size: BatchSize = 100
    """Examples in a mini-batch."""
    num_epochs: Annotated[int, Ge(1)] = 10
    """Passes of the mini-batches over the training images, 20 steps or more in all."""
    num_steps: Annotated[int, Ge(LOOKS), MultipleOf(LOOKS)] = 100
    """Full-batch steps."""
    resolution: Annotated[int, Interval(ge=2, le=1001)] = 41
    """Points of the surface along each direction."""
    learning_rates: Annotated[tuple[float, ...], Gt(0), MinLen(1)] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    """The grid of learning rates, tried for both costs and both methods."""


QUICK = Settings(num_seeds=2, num_examples=2000, num_steps=40, num_epochs=8, resolution=21, learning_rates=(1.0, 4.0))
FULL = Settings(num_examples=10_000, num_steps=200, num_epochs=20)


class Descended(NamedTuple):
    tuned: Tuned
    read: Float[np.ndarray, "looks"]  # examples, at every look
    cost: Float[np.ndarray, "seeds looks"]
    accuracy: Float[np.ndarray, "seeds looks"]  # on the test set
    by_rate: Float[np.ndarray, "seeds rates"]  # accuracy at the end


class OfCost(NamedTuple):
    name: str
    by_hand_error: float  # of jax.grad against backpropagation by hand, over the largest component, in float64
    difference_error: float  # and against central differences, over a typical slope
    two: Wishes  # what a real 2 asks for at the start
    at_end: Wishes  # what test images ask for in the network that the film's cost has trained
    scatter: Scatter
    methods: tuple[Descended, Descended]  # the full batch, the mini-batches
    hill: hills.View  # of the first seed, on the principal plane of both paths
    share: float  # of the paths' variance that lies in this plane


class Result(NamedTuple):
    new: OfCost
    film: OfCost
    sigmoid: bool  # whether the last activation is one


def measure(problem: Problem, settings: Settings) -> Result:
    _, last = plain_layers(problem, BY_HAND)
    steps = settings.num_epochs * (len(problem.train.inputs) // settings.batch_size)
    require(steps >= LOOKS, f"--num-epochs is {settings.num_epochs}, which makes {steps} steps; {LOOKS} are needed")
    beginning = descents.begin(problem, settings, settings.num_epochs)
    names = (name_of(problem.cost_fn), "the film's cost")
    problems = (problem, problem._replace(cost_fn=costs.sum_of_squares))
    descended = [descend(name, posed, settings, beginning) for name, posed in zip(names, problems, strict=True)]
    _, (_, films_path) = descended[1]
    trained = hills.unravel_of(problem)(jnp.asarray(films_path[0, -1]))
    new, film = (
        of_cost(name, posed, settings, beginning.params, found, trained)
        for name, posed, found in zip(names, problems, descended, strict=True)
    )
    return Result(new, film, last is jax.nn.sigmoid)


def of_cost(name: str, problem: Problem, settings: Settings, starts: list, found: list, trained: list) -> OfCost:
    """What test images want is asked of the network `trained`."""
    methods, paths = zip(*found, strict=True)
    ends = jax.vmap(hills.unravel_of(problem))(jnp.asarray(paths[1][:, -1]))
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    start = np.asarray(ravel_pytree(first)[0])
    return OfCost(
        name,
        *cost_looks.check_gradients(problem, first),
        cost_looks.wishes(problem, first, cost_looks.a_real_two(problem.train)),
        cost_looks.wishes(problem, trained, data.take(problem.test, slice(PULLS))),
        cost_looks.scatters(problem, (starts, ends), problem.train),
        methods,
        *hill_of(problem, settings.resolution, [np.concatenate([start[None], path[0]]) for path in paths]),
    )


def descend(
    name: str, problem: Problem, settings: Settings, beginning: Beginning
) -> list[tuple[Descended, np.ndarray]]:
    """The full batch, then the mini-batches, each with its best rate; and the path of it (seeds, looks, params)."""
    runs.console.print(f"{name}: {len(settings.learning_rates)} learning rates for both methods")
    steps = settings.num_steps // LOOKS
    rows = descents.in_equal_legs(descents.in_batches(beginning.order, settings.batch_size), LOOKS)
    full = on_grid(problem, problem.cost, partial(training.full_batch_descent, num_legs=LOOKS, steps_per_leg=steps))
    mini = on_grid(problem, gradients.mean_over_examples(problem.example_cost), training.minibatch_descent)
    given = (beginning.params, (problem.train, problem.test), jnp.array(settings.learning_rates))
    found = (runs.over_seeds(full, (0, None, None))(*given), runs.over_seeds(mini, (0, None, None, 0))(*given, rows))
    read = (steps * len(problem.train.inputs), rows.shape[2] * settings.batch_size)  # examples between two looks
    looks = 1 + np.arange(LOOKS, dtype=float)
    return [best_of(settings, each, looks * size) for each, size in zip(found, read, strict=True)]


def on_grid(problem: Problem, objective: Callable, loop: Callable) -> Callable:
    """Of one seed: (cost, accuracy, point) at every look, for each learning rate in turn: (rates, looks, ...)."""

    def of_seed(start: list, shared: tuple[Examples, Examples], rates: Array, *schedule: Array) -> tuple:
        train, test = shared

        def look(state: TrainState) -> tuple[Array, Array, Array]:
            point = ravel_pytree(state.params)[0]
            return problem.cost(state.params, train), problem.accuracy(state.params, test), point

        def with_rate(rate: Array) -> tuple[Array, Array, Array]:
            optimizer = optax.sgd(rate)
            step, state = training.make_step(objective, optimizer), TrainState(start, optimizer.init(start))
            return loop(step, state, train, *schedule, observe=look)[1].observed

        return jax.lax.map(with_rate, rates)

    return of_seed


def best_of(settings: Settings, found: tuple, read: np.ndarray) -> tuple[Descended, np.ndarray]:
    """The rate with the lowest median cost at the end; one that diverged costs infinity."""
    cost, accuracy, path = map(np.asarray, found)
    ends = np.median(np.where(np.isfinite(cost).all(axis=2), cost[..., -1], np.inf), axis=0)
    best = int(ends.argmin())
    if not np.isfinite(ends[best]):
        raise runs.Diverged("every learning rate of the grid", settings.num_steps)
    tuned = Tuned(np.array(settings.learning_rates), ends.astype(float))
    return Descended(tuned, read, cost[:, best], accuracy[:, best], accuracy[..., -1]), path[:, best]


def hill_of(problem: Problem, resolution: int, paths: list[np.ndarray]) -> tuple[hills.View, float]:
    """The exact cost round both paths, on the plane nearest to them; and the share of variance that it explains."""
    union = np.concatenate(paths)
    plane = jax.jit(landscape.principal_plane)(union)
    view = hills.look_down(hills.surface_of(problem), plane, paths, resolution=resolution)
    hidden = sum(float((distances**2).sum()) for distances in view.off_plane)
    return view, 1 - hidden / float(((union - union.mean(axis=0)) ** 2).sum())


def claims(result: Result, settings: Settings) -> Claims:
    new, film, sigmoid = result
    by_hand, differences = (max(errors) for errors in zip(new[1:3], film[1:3], strict=True))
    averages = max(each.scatter.average_error.max() for each in (new, film))
    yield identity("E17", "backpropagation by hand is jax.grad, for both costs, in float64", by_hand, at_most(1e-12),
                   "of the largest component", "chain rule")  # fmt: skip
    yield identity("E17", "backpropagation's slopes are those of central differences, for both costs",
                   differences, at_most(1e-6), "of a typical slope", "Taylor, float64")  # fmt: skip
    yield identity("T28", "the average of all examples' gradients is the gradient of the mean, at the start and at the "
                   "end", averages, at_most(1e-6), "of a typical |g_i|", "linearity, float32")  # fmt: skip
    targets, outputs, _, deltas = film.at_end
    wrong = outputs - targets
    if sigmoid:
        off = abs(deltas - 2 * wrong * outputs * (1 - outputs)).max()
        yield identity("E17", "of the film's cost dC/dz = 2 (a - y) sigma'(z): a flat sigmoid mutes it", off,
                       at_most(1e-6), "largest difference", "chain rule")  # fmt: skip
    if sigmoid and settings.cost == OURS:
        off = abs(new.at_end.deltas - wrong).max()
        yield identity("E17", "of cross-entropy dC/dz = a - y: a flat sigmoid does not mute it", off, at_most(1e-6),
                       "largest difference", "Nielsen, chapter 3")  # fmt: skip
    if dataclasses.replace(settings, cost=experiment.Settings.cost).is_the_films:
        for name, each in (("the film's cost", film), ("the new cost", new)):
            yield prediction("T34", f"{name}: the full batch reads as many times more examples to come as low",
                             examples_saved(each).min(), at_least(1), "times at least (20 looks), least of all seeds",
                             "the film")  # fmt: skip


def examples_saved(found: OfCost) -> np.ndarray:
    """Of every seed: examples of the full-batch run over those in which mini-batches came as low; NaN if never."""
    full, mini = found.methods
    lower = mini.cost <= full.cost[:, -1:]
    return np.where(lower.any(axis=1), full.read[-1] / mini.read[lower.argmax(axis=1)], np.nan)


def finding(result: Result, settings: Settings) -> str:
    parts = []  # paired: the same start, the same order
    for mine, films in zip(result.new.methods, result.film.methods, strict=True):
        ahead = 100 * (mine.accuracy[:, -1] - films.accuracy[:, -1])
        parts.append(f"{(ahead > 0).sum()} of {len(ahead)} starts (by {ahead.mean():+.2f} points on average)")
    return (
        f"{drawn.on_top(result)} (medians); the first is ahead in {' and '.join(parts)}. The noise scale at the end of "
        f"the mini-batches is {drawn.scale_at_end(result.new)} against {drawn.scale_at_end(result.film)}."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    race = drawn.race(result, settings.batch_size, is_ours=settings.cost == OURS)
    return {"new_cost": race, "new_cost_hills": drawn.hills(result)}
