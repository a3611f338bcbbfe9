"""Readers of the film ask: in practice, is it not conjugate gradients, BFGS, momentum or Adam that are used?

All go down the same hill, the film's network and cost on some images of MNIST, from the same starts. On the full batch:
plain descent, momentum, Nesterov's momentum, Adam, L-BFGS (optax) and nonlinear conjugate gradients (Polak and Ribiere,
scipy). On mini-batches of 100: the first four. What is equal is the number of gradient evaluations, in passes over the
images: a step along a line that is searched costs every gradient that the search asks for. Each is tuned on a grid of
four, on starts that are not counted: the first four by their learning rate, the two that search along lines by how
exactly they search (Wolfe's second condition, c2). Seconds are those of one run on one device, compilation apart.

Run:     python -m experiments.other_optimizers [--quick | --full]
Time:    default 56 s, --quick 19 s, --full 9 min, on 2 cores, compilation included
Result:  (5 starts, 10,000 images) with 400 gradients of the full batch L-BFGS comes down to 0.038, conjugate gradients
         to 0.051, plain descent to 0.14; L-BFGS is lower at every budget from 10 on. Plain SGD on mini-batches is lower
         than all of them, by passes and by the clock. Three claims do not hold: momentum, Nesterov's momentum and Adam
         on the full batch end higher than plain descent (0.50, 0.21, 0.34), though with the best rate of their grids:
         the first steepest steps, carried on, seem to drive sigmoids into saturation, where the gradient is small.
         Conjugate gradients take the loosest search of their grid
"""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import descents, hills, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import other_optimizers as figures
from research import data, gradients, plots, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
TUNING_SEEDS = 2  # starts on which the four of a grid are compared, beside those that are counted
GROUP = 4  # runs that are compiled together
BUDGETS = np.array([10, 20, 50, 100, 200, 400])  # evaluations at which descents are compared
MEMORY = 10  # differences of gradients that L-BFGS remembers
QUADRATIC_SIZE = 20  # dimensions of the quadratic on which conjugate gradients end

Optimizer = Callable[[Any], Any]  # what is tuned, a number -> an optax optimizer


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the race; the default takes about 60 s on 2 cores."""

    num_seeds: int = 3
    """How many starts are counted, 1 or more; two more, on which all are tuned, are not."""
    num_examples: int = 5000
    """Training images, from the first on; more than --batch-size."""
    num_evaluations: int = 100
    """Gradients of the full batch, or passes over the images, that each may take, 10 or more."""
    batch_size: int = 100
    """Examples in a mini-batch, 1 or more."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(
            self.num_evaluations >= BUDGETS[0],
            f"--num-evaluations is {self.num_evaluations}; it must be {BUDGETS[0]} or more",
        )
        common.require(
            1 <= self.batch_size < self.num_examples,
            f"--batch-size is {self.batch_size}; it must be 1 or more and below --num-examples, {self.num_examples}",
        )


QUICK = Settings(num_seeds=1, num_examples=2000, num_evaluations=30)
FULL = Settings(num_seeds=5, num_examples=10_000, num_evaluations=400)


class Method(NamedTuple):
    """One optimizer and the grid on which it is tuned."""

    label: str
    make: Optimizer
    grid: tuple[float, ...]


def l_bfgs(exactness: Any) -> Any:
    """optax's, with its own line search; a smaller c2 searches longer along each line."""
    search = optax.scale_by_zoom_linesearch(20, curv_rtol=exactness, initial_guess_strategy="one")
    return optax.lbfgs(memory_size=MEMORY, linesearch=search)


PLAIN = (
    Method("plain descent", optax.sgd, (1.0, 2.0, 4.0, 8.0)),
    Method("momentum 0.9", partial(optax.sgd, momentum=0.9), (0.03, 0.1, 0.3, 1.0)),
    Method("Nesterov 0.9", partial(optax.sgd, momentum=0.9, nesterov=True), (0.1, 0.3, 1.0, 3.0)),
    Method("Adam", optax.adam, (0.003, 0.01, 0.03, 0.1)),
)
BFGS = Method("L-BFGS", l_bfgs, (0.1, 0.3, 0.6, 0.9))
CONJUGATE = Method("conjugate gradients", lambda exactness: None, (0.1, 0.3, 0.5, 0.7))  # scipy's own loop
MINIBATCH = (
    Method("SGD", optax.sgd, (2.0, 4.0, 8.0, 16.0)),
    Method("SGD, momentum 0.9", partial(optax.sgd, momentum=0.9), (0.05, 0.1, 0.2, 0.4)),
    Method("SGD, Nesterov 0.9", partial(optax.sgd, momentum=0.9, nesterov=True), (0.1, 0.2, 0.4, 0.8)),
    Method("Adam, mini-batches", optax.adam, (0.0003, 0.001, 0.003, 0.01)),
)


class Descent(NamedTuple):
    """One way down: the cost on all images after some gradient evaluations; leaves lead with seeds."""

    evaluations: Any  # points
    cost: Any  # points


# The ways down, each for one start and one number from its grid.


def plain(problem: Problem, method: Method, num_steps: int, start: list, train: Examples, rate: Array) -> Descent:
    """A step, an evaluation; on the full batch."""
    optimizer = method.make(rate)
    step, state = training.make_step(problem.cost, optimizer), TrainState(start, optimizer.init(start))
    end, history = training.full_batch_descent(step, state, train, 1, num_steps, lambda state: ())
    return Descent(jnp.arange(num_steps + 1), jnp.append(history.costs[0], problem.cost(end.params, train)))


def in_minibatches(problem: Problem, method: Method, start: list, rows: Array, train: Examples, rate: Array) -> Descent:
    """A pass over the images, an evaluation; `rows` (passes, steps, batch)."""
    optimizer = method.make(rate)
    step = training.make_step(gradients.mean_over_examples(problem.one), optimizer)
    state = TrainState(start, optimizer.init(start))
    look = lambda state: problem.cost(state.params, train)  # noqa: E731
    _, history = training.minibatch_descent(step, state, train, rows, look)
    return Descent(jnp.arange(len(rows) + 1), jnp.append(problem.cost(start, train), history.observed))


def searching(
    problem: Problem, method: Method, num_steps: int, start: list, train: Examples, exactness: Array
) -> Descent:
    """A step asks for one gradient at every place on the line that it tries; the last of them serves the next step."""
    optimizer = method.make(exactness)
    value_and_grad = optax.value_and_grad_from_state(problem.cost)

    def step(state: TrainState, examples: Examples) -> tuple[TrainState, Array]:
        opt_state: Any = state.opt_state
        cost, grads = value_and_grad(state.params, examples, state=opt_state)
        updates, opt_state = optimizer.update(
            grads,
            opt_state,
            state.params,
            value=cost,
            grad=grads,
            value_fn=lambda params: problem.cost(params, examples),
        )
        return TrainState(optax.apply_updates(state.params, updates), opt_state), jnp.asarray(cost)

    def trials(state: TrainState) -> Array:
        opt_state: Any = state.opt_state
        return opt_state[-1].info.num_linesearch_steps

    state = TrainState(start, optimizer.init(start))
    end, history = training.full_batch_descent(step, state, train, num_steps, 1, trials)
    evaluations = jnp.append(0, 1 + jnp.cumsum(history.observed))
    return Descent(evaluations, jnp.append(history.costs[:, 0], problem.cost(end.params, train)))


def conjugate(hill: Callable, num_evaluations: int, start: np.ndarray, exactness: float) -> Descent:
    """scipy's nonlinear conjugate gradients, until the evaluations are used up or no line leads further down.

    `hill(point)` is (cost, gradient) of a flat point.
    """
    counted, found = [0], [(0, float(hill(start)[0]))]

    def fun(point: np.ndarray) -> tuple[float, np.ndarray]:
        counted[0] += 1
        cost, gradient = hill(point.astype(start.dtype))
        return float(cost), np.asarray(gradient, float)

    def after_a_step(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        found.append((counted[0], float(intermediate_result.fun)))
        if counted[0] >= num_evaluations:
            raise StopIteration

    options = {"c2": exactness, "gtol": 0.0, "maxiter": num_evaluations}
    scipy.optimize.minimize(fun, start.astype(float), jac=True, method="CG", callback=after_a_step, options=options)
    evaluations, cost = np.array(found).T
    return Descent(evaluations.astype(int), cost)


def at_budgets(descent: Descent, budgets: np.ndarray) -> np.ndarray:
    """The cost of one start when it has used at most so many evaluations: that of its last point until then.

    >>> at_budgets(Descent(np.array([0, 3, 5]), np.array([9.0, 4.0, 1.0])), np.array([0, 2, 3, 4, 7])).tolist()
    [9.0, 9.0, 4.0, 4.0, 1.0]
    """
    return np.asarray(descent.cost)[np.searchsorted(descent.evaluations, budgets, side="right") - 1]


# Tuning and counting.


class Result(NamedTuple):
    """What one method did with the number of its grid that suits it."""

    label: str
    tuned: float
    cost: np.ndarray  # seeds, evaluations + 1: after 0, 1, 2, ... of them
    seconds: float  # of one evaluation, what goes with it included


def compare(settings: Settings, problem: Problem) -> list[Result]:
    """All methods, from the same starts, in the same orders of the examples."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS)
    starts = jax.tree.map(np.asarray, descents.starts(problem, init_keys))
    order = descents.shuffles(shuffle_keys, settings.num_examples, settings.num_evaluations)
    steps = settings.num_examples // settings.batch_size
    rows = order[..., : steps * settings.batch_size].reshape(*order.shape[:2], steps, settings.batch_size)
    tuned = partial(tune, settings)
    budget = settings.num_evaluations
    return [
        *(tuned(method, compiled(problem, partial(plain, problem, method, budget)), (starts,)) for method in PLAIN),
        tuned(BFGS, compiled(problem, partial(searching, problem, BFGS, budget)), (starts,)),
        tuned(CONJUGATE, one_by_one(problem, budget), (starts,)),
        *(tuned(each, compiled(problem, partial(in_minibatches, problem, each)), (starts, rows)) for each in MINIBATCH),
    ]


Way = Callable[[tuple, np.ndarray], list[Descent]]  # (what starts are given, numbers of a grid), pairwise -> descents


def compiled(problem: Problem, way: Callable) -> Way:
    """`way(*of one start, train, number)` for many pairs, always GROUP at a time: it is compiled once."""

    def of_pair(given: tuple, train: Examples, number: Array) -> Descent:
        return way(*given, train, number)

    every_pair = jax.jit(runs.over_seeds(of_pair, (0, None, 0)))

    def of_pairs(given: tuple, numbers: np.ndarray) -> list[Descent]:
        count = len(numbers)
        filled = np.minimum(np.arange(-(-count // GROUP) * GROUP), count - 1)  # the last one again, to fill up
        found = []
        for rows in np.split(filled, len(filled) // GROUP):
            part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], given)
            group = jax.tree.map(np.asarray, every_pair(part, problem.train, numbers[rows].astype(np.float32)))
            found += [Descent(*each) for each in zip(*group, strict=True)]
        return found[:count]

    return of_pairs


def one_by_one(problem: Problem, budget: int) -> Way:
    """Conjugate gradients for many pairs, one after the other: scipy's loop is not JAX's."""
    train, unravel = jax.device_put(problem.train, jax.devices()[0]), hills.unravel_of(problem)
    both = jax.jit(jax.value_and_grad(lambda point, train: problem.cost(unravel(point), train)))
    flat = jax.jit(jax.vmap(lambda start: ravel_pytree(start)[0]))

    def of_pairs(given: tuple, numbers: np.ndarray) -> list[Descent]:
        starts = np.asarray(flat(given[0]))
        pairs = zip(starts, numbers, strict=True)
        return [conjugate(lambda point: both(point, train), budget, start, number) for start, number in pairs]

    return of_pairs


def tune(settings: Settings, method: Method, way: Way, given: tuple) -> Result:
    """Chooses the number with which the tuning starts end lowest (mean of the logarithms), then counts the others."""
    budgets, grid = np.arange(settings.num_evaluations + 1), np.array(method.grid)

    def costs(starts: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        found = way(jax.tree.map(lambda leaf: leaf[starts], given), numbers)
        return np.array([at_budgets(descent, budgets) for descent in found])

    tried = costs(np.repeat(np.arange(TUNING_SEEDS), len(grid)), np.tile(grid, TUNING_SEEDS))
    ends = np.log(tried[:, -1]).reshape(TUNING_SEEDS, -1).mean(axis=0)
    tuned = float(grid[np.argmin(np.where(np.isfinite(ends), ends, np.inf))])
    cost = costs(TUNING_SEEDS + np.arange(settings.num_seeds), np.full(settings.num_seeds, tuned))
    runs.console.print(f"{method.label}: {tuned:g} suits best, cost {np.median(cost[:, -1]):.4f}")
    if not np.isfinite(cost).all():
        raise runs.Diverged(method.label, int(np.argwhere(~np.isfinite(cost))[0][1]))
    at_once = 1 if method is CONJUGATE else min(GROUP, jax.device_count())
    return Result(method.label, tuned, cost, seconds_of_one(way, given, tuned, at_once))


def seconds_of_one(way: Way, given: tuple, number: float, at_once: int) -> float:
    """Of one evaluation: GROUP runs from the first start, `at_once` side by side, compilation apart."""
    same = jax.tree.map(lambda leaf: np.repeat(leaf[:1], GROUP, axis=0), given)
    began = time.perf_counter()
    found = way(same, np.full(GROUP, number))
    return (time.perf_counter() - began) * at_once / GROUP / float(found[0].evaluations[-1])


# What is exact.


def conjugate_gradients_on_a_quadratic() -> tuple[float, float]:
    """|x - x*| / |x*| after d - 1 and after d steps of linear conjugate gradients on a quadratic of d dimensions."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        turned = np.linalg.qr(rng.standard_normal((QUADRATIC_SIZE, QUADRATIC_SIZE)))[0]
        hessian = turned @ np.diag(np.linspace(1, 100, QUADRATIC_SIZE)) @ turned.T
        right = rng.standard_normal(QUADRATIC_SIZE)
        solution = np.linalg.solve(hessian, right)
        errors = []
        for steps in (QUADRATIC_SIZE - 1, QUADRATIC_SIZE):
            found, _ = jax.scipy.sparse.linalg.cg(jnp.asarray(hessian), jnp.asarray(right), tol=0.0, maxiter=steps)
            errors.append(float(np.linalg.norm(found - solution) / np.linalg.norm(solution)))
    return errors[0], errors[1]


def sgd_against_the_plain_step(problem: Problem) -> float:
    """Where optax.sgd steps to less where the plain step leads: largest component over the largest parameter."""
    rate = 2.0
    optimizer = optax.sgd(rate)

    def both(key: Array, train: Examples) -> tuple[list, list]:
        start = problem.model.init(key)
        state, _ = training.make_step(problem.cost, optimizer)(TrainState(start, optimizer.init(start)), train)
        by_hand = jax.tree.map(lambda leaf, slope: leaf - rate * slope, start, jax.grad(problem.cost)(start, train))
        return state.params, by_hand

    found, by_hand = (np.asarray(ravel_pytree(each)[0]) for each in jax.jit(both)(jax.random.key(0), problem.train))
    return float(abs(found - by_hand).max() / abs(by_hand).max())


def make_claims(settings: Settings, results: list[Result]) -> list[Claim]:
    """Every claim about the network; its bounds come from theory and the literature and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    by_label = {result.label: result.cost for result in results}
    budgets = BUDGETS[settings.num_evaluations >= BUDGETS]
    gd, bfgs = by_label[PLAIN[0].label][:, budgets], by_label[BFGS.label][:, budgets]
    listed = " ".join(map(str, budgets))
    return [
        claim("E15", f"L-BFGS is below plain descent at every budget ({listed} gradients of the full batch)",
              float((bfgs / gd).max()), None, None, 1.0, "cost / its cost, largest"),
        claim("C20", "every best learning rate lies inside its grid", inside_the_grid(results), 1.0, 1.0, None,
              "share of the methods"),
        *(claim("C20", f"{method.label} gets lower than plain descent with as many gradients of the full batch",
                float((by_label[method.label][:, -1] / gd[:, -1]).max()), None, None, 1.0, "cost / its cost, largest")
          for method in (*PLAIN[1:], BFGS, CONJUGATE)),
    ]  # fmt: skip


def inside_the_grid(results: list[Result]) -> float:
    """The share of methods with a learning rate whose best is neither the least nor the largest that was tried."""
    grids = {method.label: method.grid for method in (*PLAIN, *MINIBATCH)}
    found = [(result.tuned, grids[result.label]) for result in results if result.label in grids]
    return float(np.mean([min(grid) < tuned < max(grid) for tuned, grid in found]))


def exact_claims(problem: Problem) -> list[Claim]:
    """What must hold on any data."""
    before, after = conjugate_gradients_on_a_quadratic()
    return [
        Claim("E15", f"conjugate gradients end on a quadratic of {QUADRATIC_SIZE} dimensions after as many steps "
              f"(one step earlier they are off by {before:.1g})", after, 0.0, 0.0, 1e-10, "relative error", 1),
        Claim("E15", "a step of optax.sgd is the plain step", sgd_against_the_plain_step(problem), 0.0, 0.0, 1e-7,
              "of the largest parameter", 1),
    ]  # fmt: skip


def sentence(settings: Settings, results: list[Result]) -> str:
    """What was found, in one sentence."""
    ends = {result.label: float(np.median(result.cost[:, -1])) for result in results}
    by_label = {result.label: result for result in results}
    sgd, bfgs = by_label[MINIBATCH[0].label], by_label[BFGS.label]
    seconds = settings.num_evaluations * bfgs.seconds
    at_equal = min(settings.num_evaluations, int(seconds / sgd.seconds))
    return (
        f"With {settings.num_evaluations} gradients of the full batch L-BFGS comes down to {ends[BFGS.label]:.2g}, "
        f"conjugate gradients to {ends[CONJUGATE.label]:.2g}, Adam to {ends['Adam']:.2g}, plain descent to "
        f"{ends[PLAIN[0].label]:.2g}; plain SGD with as many passes to {ends['SGD']:.2g}, and in the seconds of L-BFGS "
        f"to {float(np.median(sgd.cost[:, at_equal])):.2g} ({at_equal} passes)."
    )


def in_short(settings: Settings, results: list[Result]) -> str:
    """The best of the full batch, and the best of the mini-batches."""
    ends = {result.label: float(np.median(result.cost[:, -1])) for result in results}
    full, mini = (min(methods, key=lambda method: ends[method.label]).label
                  for methods in ((*PLAIN, BFGS, CONJUGATE), MINIBATCH))  # fmt: skip
    return (
        f"After {settings.num_evaluations} passes over the images the best on the full batch, {full}, is at cost "
        f"{ends[full]:.2g}, the best on mini-batches, {mini}, at {ends[mini]:.2g}"
    )


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    cost_fn = common.cost_function(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    common.require(
        settings.num_examples <= len(train.inputs),
        f"--num-examples is {settings.num_examples}; {settings.dataset} has {len(train.inputs)} training images, so "
        "give that many or fewer",
    )
    model = common.make_model(settings, train)
    common.check_cost(cost_fn, model, train)
    train = jax.tree.map(lambda leaf: leaf[: settings.num_examples], train)
    problem = descents.make_problem(model, cost_fn, train, test)
    facts = records.describe_data(settings.dataset, train=train)
    try:
        results = compare(settings, problem)
    except runs.Diverged as error:
        records.write_run(settings.out / NAME, settings, [], {}, status=f"diverged: {error}", **facts)
        raise
    claims = exact_claims(problem)
    if common.is_the_films(settings):
        claims += make_claims(settings, results)
    finding = sentence(settings, results)
    records.write_run(
        settings.out / NAME, settings, claims, {str(row): result.cost for row, result in enumerate(results)},
        **facts, finding=finding, in_short=in_short(settings, results), layer_sizes=settings.sizes_for(train),
        methods=[{"label": result.label, "tuned": result.tuned, "seconds": result.seconds} for result in results],
        num_full_batch=len(PLAIN) + 2,
    )  # fmt: skip
    records.print_claims(claims)
    print(finding)


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.race_figure(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figures and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.other_optimizers"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
