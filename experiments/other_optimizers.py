"""Readers of the film ask: in practice, is it not conjugate gradients, BFGS, momentum or Adam that are used?

All go down the same hill, the film's network and cost on some images of MNIST, from the same starts. On the full batch:
plain descent, momentum, Nesterov's momentum, Adam, L-BFGS (optax) and nonlinear conjugate gradients (Polak and Ribiere,
scipy). On mini-batches of 100: the first four. What is equal is the number of gradient evaluations, in passes over the
images: a step along a line that is searched costs every gradient that the search asks for. Each is tuned on a grid of
four or five, on starts that are not counted: by the learning rate, or, where it searches along lines, by how exactly
(Wolfe's second condition, c2). Seconds are those of one run on one device, compilation apart. As a control of why
momentum and Adam fail on the full batch, --full lets them begin once more after 20 plain steps.

Run:     python -m experiments.other_optimizers [--quick | --full]
Time:    default 45 s, --quick 13 s, --full 10 min, on 2 cores, compilation included
Result:  (5 starts, 10,000 images) with 400 gradients of the full batch L-BFGS comes down to 0.038, conjugate gradients
         to 0.051, plain descent to 0.14; L-BFGS is lower at every budget from 10 on (on 6,000 images one start of five
         gets stuck 3 % above plain descent). SGD on mini-batches comes to 0.012. Momentum, Nesterov's and Adam on the
         full batch end higher than plain descent (0.50, 0.21, 0.34), though with the best rates of their grids: these
         claims do not hold. The first steps, carried on, drive outputs to 0, where a sigmoid has no slope, and several
         digits are never said. Begun after 20 plain steps the three come down to 0.028, 0.040, 0.020; but in one start
         of five momentum still loses digits and ends 3 times as high as plain descent
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

from experiments.common import descents, hills, plots, records, runs
from experiments.common import settings as common
from experiments.common.descents import Problem
from experiments.common.records import Claim
from experiments.figures import other_optimizers as figures
from research import data, gradients, training
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
    head_start: int = 0
    """Plain steps after which momentum, Nesterov's and Adam begin, in three more runs; 0 leaves these out."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        common.require(
            self.num_evaluations >= BUDGETS[0],
            f"--num-evaluations is {self.num_evaluations}; it must be {BUDGETS[0]} or more",
        )
        common.require(
            0 <= self.head_start < self.num_evaluations,
            f"--head-start is {self.head_start}; it must be 0 or more and below --num-evaluations, "
            f"{self.num_evaluations}",
        )
        common.require(
            1 <= self.batch_size < self.num_examples,
            f"--batch-size is {self.batch_size}; it must be 1 or more and below --num-examples, {self.num_examples}",
        )


QUICK = Settings(num_seeds=1, num_examples=1000, num_evaluations=20)
FULL = Settings(num_seeds=5, num_examples=10_000, num_evaluations=400, head_start=20)


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
CONJUGATE = Method("conjugate gradients", lambda exactness: None, (0.1, 0.3, 0.5, 0.7, 0.9))  # scipy's own loop
BEGUN_LATER = (  # of PLAIN, with grids for the place where they begin
    Method("momentum 0.9", PLAIN[1].make, (1.0, 3.0, 10.0, 30.0)),
    Method("Nesterov 0.9", PLAIN[2].make, (0.3, 1.0, 3.0, 10.0)),
    Method("Adam", PLAIN[3].make, (0.003, 0.01, 0.03, 0.1)),
)
MINIBATCH = (
    Method("SGD", optax.sgd, (2.0, 4.0, 8.0, 16.0)),
    Method("SGD, momentum 0.9", partial(optax.sgd, momentum=0.9), (0.05, 0.1, 0.2, 0.4)),
    Method("SGD, Nesterov 0.9", partial(optax.sgd, momentum=0.9, nesterov=True), (0.2, 0.4, 0.8, 1.6)),
    Method("Adam, mini-batches", optax.adam, (0.0003, 0.001, 0.003, 0.01)),
)


def after_plain_steps(method: Method, rate: float, num_steps: int) -> Method:
    """The same, but its first steps are plain ones with this rate; only then it begins, with nothing remembered."""

    def from_number(number: Any) -> optax.GradientTransformation:
        inner = method.make(number)

        def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
            done, before = state
            changes, after = inner.update(updates, before, params)
            chosen = partial(jnp.where, done < num_steps)
            changes = jax.tree.map(lambda slope, change: chosen(-rate * slope, change), updates, changes)
            return changes, (done + 1, jax.tree.map(chosen, before, after))

        return optax.GradientTransformation(lambda params: (jnp.int32(0), inner.init(params)), update)

    return Method(f"{method.label} after {num_steps} plain steps", from_number, method.grid)


def begun_later(settings: Settings, rate: float) -> list[Method]:
    """The control: those that remember, without the first steps down from the start."""
    methods = BEGUN_LATER if settings.head_start else ()
    return [after_plain_steps(method, rate, settings.head_start) for method in methods]


class Descent(NamedTuple):
    """One way down: the cost on all images after some gradient evaluations, and where it ended."""

    evaluations: Any  # points
    cost: Any  # points
    end: Any  # the parameters, flat


# The ways down, each for one start and one number from its grid.


def plain(problem: Problem, method: Method, num_steps: int, start: list, train: Examples, rate: Array) -> Descent:
    """A step, an evaluation; on the full batch."""
    optimizer = method.make(rate)
    step, state = training.make_step(problem.cost, optimizer), TrainState(start, optimizer.init(start))
    end, history = training.full_batch_descent(step, state, train, 1, num_steps, lambda state: ())
    cost = jnp.append(history.costs[0], problem.cost(end.params, train))
    return Descent(jnp.arange(num_steps + 1), cost, ravel_pytree(end.params)[0])


def in_minibatches(problem: Problem, method: Method, start: list, rows: Array, train: Examples, rate: Array) -> Descent:
    """A pass over the images, an evaluation; `rows` (passes, steps, batch)."""
    optimizer = method.make(rate)
    step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)
    state = TrainState(start, optimizer.init(start))
    look = lambda state: problem.cost(state.params, train)  # noqa: E731
    end, history = training.minibatch_descent(step, state, train, rows, look)
    cost = jnp.append(problem.cost(start, train), history.observed)
    return Descent(jnp.arange(len(rows) + 1), cost, ravel_pytree(end.params)[0])


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
    cost = jnp.append(history.costs[:, 0], problem.cost(end.params, train))
    return Descent(evaluations, cost, ravel_pytree(end.params)[0])


def conjugate(hill: Callable, num_evaluations: int, start: np.ndarray, exactness: float) -> Descent:
    """scipy's nonlinear conjugate gradients, until the evaluations are used up or no line leads further down.

    `hill(point)` is (cost, gradient) of a flat point.
    """
    counted, found, end = [0], [(0, float(hill(start)[0]))], [start]

    def fun(point: np.ndarray) -> tuple[float, np.ndarray]:
        counted[0] += 1
        cost, gradient = hill(point.astype(start.dtype))
        return float(cost), np.asarray(gradient, float)

    def after_a_step(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        found.append((counted[0], float(intermediate_result.fun)))
        end[0] = intermediate_result.x.astype(start.dtype)
        if counted[0] >= num_evaluations:
            raise StopIteration

    options = {"c2": exactness, "gtol": 0.0, "maxiter": num_evaluations}
    scipy.optimize.minimize(fun, start.astype(float), jac=True, method="CG", callback=after_a_step, options=options)
    evaluations, cost = np.array(found).T
    return Descent(evaluations.astype(int), cost, end[0])


def at_budgets(descent: Descent, budgets: np.ndarray) -> np.ndarray:
    """The cost of one start when it has used at most so many evaluations: that of its last point until then.

    >>> at_budgets(Descent(np.array([0, 3, 5]), np.array([9.0, 4.0, 1.0]), ()), np.array([0, 2, 3, 4, 7])).tolist()
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
    silent: np.ndarray  # seeds; how many outputs never exceed 1/2 on an image of their own class, at the end


def compare(settings: Settings, problem: Problem) -> list[Result]:
    """All methods, from the same starts, in the same orders of the examples."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds + TUNING_SEEDS)
    starts = jax.tree.map(np.asarray, descents.starts(problem, init_keys))
    order = descents.shuffles(shuffle_keys, settings.num_examples, settings.num_evaluations)
    steps = settings.num_examples // settings.batch_size
    rows = order[..., : steps * settings.batch_size].reshape(*order.shape[:2], steps, settings.batch_size)
    tuned = partial(tune, settings, silence(problem))
    budget = settings.num_evaluations
    full = [tuned(method, compiled(problem, partial(plain, problem, method, budget)), (starts,)) for method in PLAIN]
    later = begun_later(settings, full[0].tuned)
    return [
        *full,
        tuned(BFGS, compiled(problem, partial(searching, problem, BFGS, budget)), (starts,)),
        tuned(CONJUGATE, one_by_one(problem, budget), (starts,)),
        *(tuned(method, compiled(problem, partial(plain, problem, method, budget)), (starts,)) for method in later),
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


def silence(problem: Problem) -> Callable[[np.ndarray], Array]:
    """Flat point -> the number of outputs that are never above 1/2 on an image of their own class: digits never said.

    Each of them costs about its share of the images, 0.1: all its own are missed by 1.
    """
    unravel = hills.unravel_of(problem)

    @jax.jit
    def silent(point: Array, train: Examples) -> Array:
        def loudest(example: Examples) -> Array:
            return problem.model.apply(unravel(point), data.unit_interval(example.inputs)) * example.targets

        return jnp.sum(jax.lax.map(loudest, train, batch_size=descents.CHUNK).max(axis=0) < 0.5)

    train = jax.device_put(problem.train, jax.devices()[0])
    return lambda point: silent(point, train)


def tune(settings: Settings, silent: Callable, method: Method, way: Way, given: tuple) -> Result:
    """Chooses the number with which the tuning starts end lowest (mean of the logarithms), then counts the others."""
    budgets, grid = np.arange(settings.num_evaluations + 1), np.array(method.grid)

    def descend(starts: np.ndarray, numbers: np.ndarray) -> tuple[list[Descent], np.ndarray]:
        found = way(jax.tree.map(lambda leaf: leaf[starts], given), numbers)
        return found, np.array([at_budgets(descent, budgets) for descent in found])

    _, tried = descend(np.repeat(np.arange(TUNING_SEEDS), len(grid)), np.tile(grid, TUNING_SEEDS))
    ends = np.log(tried[:, -1]).reshape(TUNING_SEEDS, -1).mean(axis=0)
    tuned = float(grid[np.argmin(np.where(np.isfinite(ends), ends, np.inf))])
    began = time.perf_counter()
    found, cost = descend(TUNING_SEEDS + np.arange(settings.num_seeds), np.full(settings.num_seeds, tuned))
    seconds = time.perf_counter() - began
    runs.console.print(f"{method.label}: {tuned:g} suits best, cost {np.median(cost[:, -1]):.4f}")
    if not np.isfinite(cost).all():
        raise runs.Diverged(method.label, int(np.argwhere(~np.isfinite(cost))[0][1]))
    silent_digits = np.array([int(silent(descent.end)) for descent in found])
    return Result(method.label, tuned, cost, seconds / one_after_the_other(method, found), silent_digits)


def one_after_the_other(method: Method, found: list[Descent]) -> float:
    """How many evaluations one device made for these descents, those that fill up a group included."""
    evaluations = [int(descent.evaluations[-1]) for descent in found]
    if method is CONJUGATE:
        return sum(evaluations)
    filled = -(-len(found) // GROUP) * GROUP - len(found)
    return (sum(evaluations) + filled * evaluations[-1]) / min(GROUP, jax.device_count())


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

        @jax.jit
        def after(steps: int, hessian: np.ndarray, right: np.ndarray) -> Array:
            return jax.scipy.sparse.linalg.cg(hessian, right, tol=0.0, maxiter=steps)[0]

        for steps in (QUADRATIC_SIZE - 1, QUADRATIC_SIZE):
            found = np.asarray(after(steps, hessian, right))
            errors.append(float(np.linalg.norm(found - solution) / np.linalg.norm(solution)))
    return errors[0], errors[1]


def sgd_against_the_plain_step(problem: Problem) -> float:
    """Where optax.sgd steps to less where the plain step leads: largest component over the largest parameter."""
    rate = 2.0
    optimizer = optax.sgd(rate)

    def both(start: list, train: Examples) -> tuple[Array, Array]:
        state, _ = training.make_step(problem.cost, optimizer)(TrainState(start, optimizer.init(start)), train)
        by_hand = jax.tree.map(lambda leaf, slope: leaf - rate * slope, start, jax.grad(problem.cost)(start, train))
        return ravel_pytree(state.params)[0], ravel_pytree(by_hand)[0]

    start = jax.device_put(common.random_parameters(problem.model), jax.devices()[0])
    found, by_hand = map(np.asarray, jax.jit(both)(start, jax.device_put(problem.train, jax.devices()[0])))
    return float(abs(found - by_hand).max() / abs(by_hand).max())


def make_claims(settings: Settings, results: list[Result]) -> list[Claim]:
    """Every claim about the network; its bounds come from theory and the literature and do not look at the run.

    Those about methods that begin later were added when the same without a head start had failed, to see why.
    """
    claim = partial(Claim, num_seeds=settings.num_seeds)
    by_label = {result.label: result.cost for result in results}
    budgets = BUDGETS[settings.num_evaluations >= BUDGETS]
    gd, bfgs = by_label[PLAIN[0].label][:, budgets], by_label[BFGS.label][:, budgets]
    listed = " ".join(map(str, budgets))
    later = begun_later(settings, 0.0)
    claims = [
        claim("E15", f"L-BFGS is below plain descent at every budget ({listed} gradients of the full batch)",
              float((bfgs / gd).max()), None, None, 1.0, "cost / its cost, largest"),
        *(claim("C20", f"{method.label} gets lower than plain descent with as many gradients of the full batch",
                float((by_label[method.label][:, -1] / gd[:, -1]).max()), None, None, 1.0, "cost / its cost, largest")
          for method in (*PLAIN[1:], BFGS, CONJUGATE, *later)),
    ]  # fmt: skip
    if settings.num_evaluations >= BUDGETS[-1]:  # for so many the grids were made
        claims.append(claim("C20", "every number that was tuned lies inside its grid", inside_the_grid(results, later),
                            1.0, 1.0, None, "share of the methods"))  # fmt: skip
    return claims


def inside_the_grid(results: list[Result], later: list[Method]) -> float:
    """The share of methods whose best number is neither the least nor the largest that was tried."""
    grids = {method.label: method.grid for method in (*PLAIN, BFGS, CONJUGATE, *later, *MINIBATCH)}
    return float(np.mean([min(grids[each.label]) < each.tuned < max(grids[each.label]) for each in results]))


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
    later = [f"{method.label} {ends[method.label]:.2g}" for method in begun_later(settings, 0.0)]
    return (
        f"With {settings.num_evaluations} gradients of the full batch L-BFGS comes down to {ends[BFGS.label]:.2g}, "
        f"conjugate gradients to {ends[CONJUGATE.label]:.2g}, Adam to {ends['Adam']:.2g}, plain descent to "
        f"{ends[PLAIN[0].label]:.2g}{''.join(', ' + each for each in later)}; plain SGD with as many passes to "
        f"{ends['SGD']:.2g}, and in the seconds of L-BFGS to {float(np.median(sgd.cost[:, at_equal])):.2g} "
        f"({at_equal} passes)."
    )


def in_short(settings: Settings, results: list[Result]) -> str:
    """The best of the full batch, and the best of the mini-batches."""
    ends = {result.label: float(np.median(result.cost[:, -1])) for result in results}
    full, mini = (min(methods, key=lambda method: ends[method.label]).label
                  for methods in ((*PLAIN, BFGS, CONJUGATE, *begun_later(settings, 0.0)), MINIBATCH))  # fmt: skip
    return (
        f"After {settings.num_evaluations} passes over the images the best on the full batch, {full}, is at cost "
        f"{ends[full]:.2g}, the best on mini-batches, {mini.removesuffix(', mini-batches')}, at {ends[mini]:.2g}"
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
        methods=[{"label": result.label, "tuned": result.tuned, "seconds": result.seconds,
                  "silent": result.silent.tolist()} for result in results],
        num_full_batch=len(results) - len(MINIBATCH),
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
