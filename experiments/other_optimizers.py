"""In practice people use conjugate gradients, BFGS, momentum, Adam: do they get down the hill faster?

The film's network and cost on the first images of MNIST. Gradient descent, momentum, Nesterov's momentum, Adam and
L-BFGS of optax, and scipy's nonlinear conjugate gradients, from the same starts: with the full batch, and, but for the
last, which minimises one fixed function, with mini-batches of 100 in the same order. Every method has one number to
choose (a learning rate; for the two that search along a line how exactly, the curvature condition), and chooses it from
a grid of five, by its own median cost at the end. A gradient evaluation is value and gradient on as many images as the
training set has: 50 mini-batches of 100 for 5,000 images; all that a line search asks for is counted.

Run:     python -m experiments.other_optimizers [--quick | --full]
Time:    see Result
Result:  not yet run
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
from research import data, gradients, models, plots, training
from research.data import Examples
from research.training import TrainState

NAME = Path(__file__).stem
RATES = (0.5, 1.0, 2.0, 4.0, 8.0)
CURVATURES = (0.05, 0.1, 0.2, 0.4, 0.8)
FIRST_BUDGET = 10  # evaluations; the claims look at every budget from here on
DIMENSIONS = 10  # of the quadratic


@dataclasses.dataclass(frozen=True)
class Settings(common.CommonSettings):
    """Settings of the comparison."""

    num_seeds: int = 2
    """How many runs, each with its own start and its own shuffles, 1 or more."""
    num_examples: int = 3000
    """How many training images, the first ones, 1 or more; at most all."""
    batch_size: int = 100
    """Examples in a mini-batch, at most --num-examples; 0 leaves the mini-batches out."""
    budget: int = 100
    """Gradient evaluations of every method, 20 or more; of mini-batches as many passes."""

    def check(self) -> None:
        """Raises common.SettingsError for the first field out of its range."""
        super().check()
        for field, low in {"num_examples": 1, "batch_size": 0, "budget": 20}.items():
            value = getattr(self, field)
            common.require(value >= low, f"--{field.replace('_', '-')} is {value}; it must be {low} or more")


QUICK = Settings(num_seeds=1, num_examples=1000, batch_size=0, budget=40)
FULL = Settings(num_seeds=5, num_examples=5000)


class Method(NamedTuple):
    """A family of optimizers with one number to choose."""

    label: str
    chosen: str  # what the number is
    grid: tuple[float, ...]
    make: Callable[[Any], optax.GradientTransformation]  # from that number, which may be traced
    per_step: int = 1  # the fewest gradient evaluations that a step takes


def line_searched(curvature: Any) -> optax.GradientTransformation:
    """optax's L-BFGS, whose line search is content where the slope is `curvature` of that at its beginning."""
    search = optax.scale_by_zoom_linesearch(20, curv_rtol=curvature, initial_guess_strategy="one")
    return optax.lbfgs(linesearch=search)


METHODS = (
    Method("gradient descent", "rate", RATES, optax.sgd),
    Method("momentum 0.9", "rate", tuple(rate / 10 for rate in RATES), partial(optax.sgd, momentum=0.9)),
    Method("Nesterov 0.9", "rate", tuple(rate / 10 for rate in RATES), partial(optax.sgd, momentum=0.9, nesterov=True)),
    Method("Adam", "rate", (0.003, 0.01, 0.03, 0.1, 0.3), optax.adam),
    Method("L-BFGS", "curvature", CURVATURES, line_searched, 2),
)
CONJUGATE = "conjugate gradients"


# Counting.


class Counted(NamedTuple):
    """An optimizer's state, and how many gradients have been evaluated."""

    inner: optax.OptState
    evaluations: Array


def counted(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimizer, which counts one evaluation a step and one for every point that its line search tries."""
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: models.Params) -> Counted:
        return Counted(optimizer.init(params), jnp.int32(0))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Counted]:
        updates, inner = optimizer.update(updates, state.inner, params, **extra)
        tried = optax.tree.get(inner, "num_linesearch_steps", 0)
        return updates, Counted(inner, state.evaluations + 1 + jnp.asarray(tried, jnp.int32))

    return optax.GradientTransformationExtraArgs(init, update)


class Curve(NamedTuple):
    """What one method found with every number of its grid."""

    cost: np.ndarray  # grid, seeds, budgets: the lowest that was seen by then
    seconds: np.ndarray  # grid, seeds: of the whole run, compilation apart


def at_budgets(evaluations: np.ndarray, costs: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """The lowest cost seen by every budget; infinity before the first. `evaluations` (points) rise.

    >>> at_budgets(np.array([1, 3, 5]), np.array([9.0, 2.0, 4.0]), np.array([0, 2, 4, 6])).tolist()
    [inf, 9.0, 2.0, 2.0]
    """
    lowest = np.minimum.accumulate(np.where(np.isfinite(costs), costs, np.inf))
    seen = np.searchsorted(evaluations, budgets, side="right")
    return np.concatenate([[np.inf], lowest])[seen]


# The full batch.


def full_batch(
    settings: Settings, problem: Problem, method: Method, params: models.Params, budgets: np.ndarray
) -> Curve:
    """One method of optax on the full batch, with every number of its grid, from every seed's start."""
    num_steps = settings.budget // method.per_step

    def descend(number: Array, params: models.Params, train: Examples) -> tuple[Array, Array]:
        optimizer = counted(method.make(number))
        step = training.make_step(problem.cost, optimizer)
        state = TrainState(params, optimizer.init(params))
        _, history = training.full_batch_descent(step, state, train, num_steps, 1, evaluations_of)
        return history.observed, history.costs[:, 0]

    (after, costs), seconds = on_the_grid(descend, method, params, (problem.train,))
    before = np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1) + 1  # with this step's own
    cost = [[at_budgets(*each, budgets) for each in zip(*of_number, strict=True)]
            for of_number in zip(before, costs, strict=True)]  # fmt: skip
    return Curve(np.array(cost), seconds)


def evaluations_of(state: TrainState) -> Array:
    """What the counter reads."""
    opt_state: Any = state.opt_state
    return opt_state.evaluations


def on_the_grid(
    descend: Callable, method: Method, params: models.Params, shared: tuple, schedule: np.ndarray | None = None
) -> tuple[Any, np.ndarray]:
    """(what `descend(number, params, *shared, rows)` returns for (grid, seeds), seconds (grid, seeds) of each run).

    All runs are one compiled call; the seconds are its time, shared out evenly over runs that had a device each.
    """
    num_seeds, grid = len(jax.tree.leaves(params)[0]), len(method.grid)
    numbers = np.repeat(np.asarray(method.grid, np.float32), num_seeds)
    every = jax.tree.map(lambda leaf: np.tile(leaf, (grid,) + (1,) * (np.ndim(leaf) - 1)), params)
    rows = () if schedule is None else (np.tile(schedule, (grid, 1, 1, 1)),)
    axes = (0, 0, *(None for _ in shared), *(0 for _ in rows))
    compiled = jax.jit(runs.over_seeds(descend, axes)).lower(numbers, every, *shared, *rows).compile()
    began = time.perf_counter()
    found = jax.block_until_ready(compiled(numbers, every, *shared, *rows))
    at_once = min(jax.device_count(), len(numbers))
    seconds = (time.perf_counter() - began) * at_once / len(numbers)
    shaped = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(grid, num_seeds, *leaf.shape[1:]), found)
    return shaped, np.full((grid, num_seeds), seconds)


class Spent(Exception):
    """The budget is used up."""


def conjugate_gradients(settings: Settings, problem: Problem, params: models.Params, budgets: np.ndarray) -> Curve:
    """scipy's nonlinear conjugate gradients (Polak and Ribiere) on the full batch, with every curvature of the grid."""
    unravel = hills.unravel_of(problem)
    train = jax.device_put(problem.train, jax.devices()[0])
    both = jax.jit(jax.value_and_grad(lambda point, train: problem.cost(unravel(point), train)))
    starts = np.asarray(jax.jit(jax.vmap(lambda params: ravel_pytree(params)[0]))(params))
    jax.block_until_ready(both(starts[0], train))
    cost, seconds = [], []
    for curvature in CURVATURES:
        for start in starts:
            began = time.perf_counter()
            seen = costs_seen(lambda point: both(point.astype(np.float32), train), start, curvature, settings.budget)
            seconds.append(time.perf_counter() - began)
            cost.append(at_budgets(1 + np.arange(len(seen)), np.array(seen), budgets))
    shape = (len(CURVATURES), len(starts))
    return Curve(np.reshape(cost, (*shape, -1)), np.reshape(seconds, shape))


def costs_seen(both: Callable, start: np.ndarray, curvature: float, budget: int) -> list[float]:
    """The cost at every point at which scipy's conjugate gradients ask for it, `budget` of them at most."""
    seen: list[float] = []

    def asked(point: np.ndarray) -> tuple[float, np.ndarray]:
        if len(seen) == budget:
            raise Spent
        cost, gradient = both(point)
        seen.append(float(cost))
        return float(cost), np.asarray(gradient, float)

    try:
        minimize = partial(scipy.optimize.minimize, method="CG", jac=True)
        minimize(asked, start.astype(float), options={"gtol": 0.0, "c1": min(1e-4, curvature / 2), "c2": curvature})
    except Spent:
        pass
    return seen


def steps_on_a_quadratic(seed: int) -> tuple[int, float]:
    """(steps, |gradient| at the end over that at the start) of scipy's conjugate gradients on x.Ax/2 - b.x.

    In exact arithmetic and with exact line searches it ends in at most as many steps as there are dimensions.
    """
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(DIMENSIONS, DIMENSIONS)))
    bends = (axes * np.linspace(1, 10, DIMENSIONS)) @ axes.T
    pull = rng.normal(size=DIMENSIONS)
    found = scipy.optimize.minimize(
        lambda x: (x @ bends @ x / 2 - pull @ x, bends @ x - pull), np.zeros(DIMENSIONS), jac=True, method="CG",
        options={"gtol": 1e-8 * np.abs(pull).max(), "c1": 1e-9, "c2": 1e-6},
    )  # fmt: skip
    return found.nit, float(np.linalg.norm(bends @ found.x - pull) / np.linalg.norm(pull))


def plain_step_error(problem: Problem, params: models.Params) -> float:
    """Largest difference between a step of optax.sgd and params - rate gradient."""

    def difference(params: models.Params, train: Examples) -> Array:
        step = training.make_step(problem.cost, optax.sgd(2.0))
        state, _ = step(TrainState(params, optax.sgd(2.0).init(params)), train)
        plain = jax.tree.map(lambda leaf, grad: leaf - 2.0 * grad, params, jax.grad(problem.cost)(params, train))
        apart = jax.tree.map(lambda one, other: jnp.abs(one - other).max(), state.params, plain)
        return jax.tree.reduce(jnp.maximum, apart)

    return float(np.max(jax.jit(runs.over_seeds(difference, (0, None)))(params, problem.train)))


# Mini-batches.


def mini_batches(
    settings: Settings, problem: Problem, method: Method, params: models.Params, order: np.ndarray, budgets: np.ndarray
) -> Curve:
    """One method of optax on mini-batches; the cost of all images is looked at after every few passes, uncounted."""
    num_examples, size = order.shape[-1], settings.batch_size
    rows = descents.in_batches(order, size)
    rows = rows[:, : rows.shape[1] // method.per_step]
    length = max(1, rows.shape[1] * size // num_examples // 20) * (num_examples // size)  # steps in a leg of passes
    legs = rows[:, : rows.shape[1] // length * length].reshape(len(rows), -1, length, size)
    objective = gradients.mean_over_examples(problem.one)

    def descend(number: Array, params: models.Params, train: Examples, legs: Array) -> tuple[Array, Array]:
        optimizer = counted(method.make(number))
        step = training.make_step(objective, optimizer)
        state = TrainState(params, optimizer.init(params))
        observe = lambda state: (evaluations_of(state), problem.cost(state.params, train))  # noqa: E731
        return training.minibatch_descent(step, state, train, legs, observe)[1].observed

    (after, costs), seconds = on_the_grid(descend, method, params, (problem.train,), legs)
    passes = after * (size / num_examples)
    cost = [[at_budgets(*each, budgets) for each in zip(*of_number, strict=True)]
            for of_number in zip(passes, costs, strict=True)]  # fmt: skip
    return Curve(np.array(cost), seconds)


# The run.


class Best(NamedTuple):
    """A method with the number of its grid that it chose."""

    number: float
    cost: np.ndarray  # seeds, budgets
    seconds: np.ndarray  # seeds


def best_of(grid: tuple[float, ...], curve: Curve) -> Best:
    """The number with the lowest median cost at the end."""
    chosen = int(np.argmin(np.median(curve.cost[:, :, -1], axis=1)))
    return Best(grid[chosen], curve.cost[chosen], curve.seconds[chosen])


class Measured(NamedTuple):
    """All that claims and figures are about."""

    budgets: np.ndarray
    full: dict[str, Best]
    mini: dict[str, Best]
    quadratic: np.ndarray  # (several problems, 2): steps and remaining gradient
    plain_error: float


def measure(settings: Settings, problem: Problem) -> Measured:
    """Every method with every number of its grid, from the same starts, on the same mini-batches."""
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    params = descents.starts(problem, init_keys)
    order = descents.shuffles(shuffle_keys, len(problem.train.inputs), settings.budget)
    budgets = np.arange(1, settings.budget + 1)
    full, mini = {}, {}
    for method in METHODS:
        runs.console.print(f"{method.label} ...")
        full[method.label] = best_of(method.grid, full_batch(settings, problem, method, params, budgets))
        if settings.batch_size:
            found = mini_batches(settings, problem, method, params, order, budgets)
            mini[method.label] = best_of(method.grid, found)
    runs.console.print(f"{CONJUGATE} ...")
    full[CONJUGATE] = best_of(CURVATURES, conjugate_gradients(settings, problem, params, budgets))
    quadratic = np.array([steps_on_a_quadratic(settings.seed + index) for index in range(5)])
    return Measured(budgets, full, mini, quadratic, plain_step_error(problem, params))


def make_claims(settings: Settings, measured: Measured) -> list[Claim]:
    """Every claim with its bounds, which come from theory or from claims.md and do not look at the run."""
    claim = partial(Claim, num_seeds=settings.num_seeds)
    steps, remaining = measured.quadratic.T
    found = [
        Claim("E15", f"on a quadratic of {DIMENSIONS} dimensions conjugate gradients end in as many steps",
              float(steps.max()), DIMENSIONS, 1, DIMENSIONS, "steps, most of all problems", len(steps)),
        Claim("E15", "and there the gradient is zero", float(remaining.max()), 0.0, 0.0, 1e-8,
              "|gradient| over that at the start, largest", len(steps)),
        claim("E15", "a step of optax.sgd is params - rate * gradient", measured.plain_error, 0.0, 0.0, 1e-7,
              "max abs difference"),
    ]  # fmt: skip
    if not common.is_the_films(settings):
        return found
    late = measured.budgets >= FIRST_BUDGET
    plain = measured.full[METHODS[0].label].cost
    over = {label: best.cost / plain for label, best in measured.full.items() if label != METHODS[0].label}
    return [
        *found,
        claim("E15", f"full batch: L-BFGS is below gradient descent at every budget from {FIRST_BUDGET} evaluations on",
              float(np.max(np.median(over["L-BFGS"], axis=0)[late])), None, 0.0, 1.0,
              "ratio of costs, median of the seeds, largest of all budgets"),
        *(claim("C20", f"full batch, after {settings.budget} evaluations: {label} is below gradient descent",
                float(np.median(ratio[:, -1])), None, 0.0, 1.0, "ratio of costs, median")
          for label, ratio in over.items()),
    ]  # fmt: skip


def sentence(settings: Settings, measured: Measured) -> str:
    """What was found, in one sentence."""
    plain = METHODS[0].label
    first, cost = lowest(measured.full)
    found = (
        f"After {settings.budget} gradient evaluations the lowest full-batch cost is that of {first}, {cost:.3g} "
        f"({plain} {np.median(measured.full[plain].cost[:, -1]):.3g})"
    )
    if not measured.mini:
        return f"{found}."
    first, cost = lowest(measured.mini)
    return (
        f"{found}; with mini-batches of {settings.batch_size} it is that of {first}, {cost:.3g} "
        f"({plain} {np.median(measured.mini[plain].cost[:, -1]):.3g})."
    )


def lowest(found: dict[str, Best]) -> tuple[str, float]:
    """The method with the lowest median cost at the end, and that cost."""
    ends = {label: float(np.median(best.cost[:, -1])) for label, best in found.items()}
    return min(ends.items(), key=lambda item: item[1])


def run(settings: Settings) -> None:
    """Checks first, then computes, and leaves run.json and arrays.npz behind."""
    began = time.perf_counter()
    cost_fn = common.cost_function(settings)
    train, test = (data.load(settings.dataset, split, data_dir=settings.data_dir) for split in ("train", "test"))
    train = jax.tree.map(lambda leaf: leaf[: settings.num_examples], train)
    common.require(
        settings.batch_size <= len(train.inputs),
        f"--batch-size is {settings.batch_size}; there are only {len(train.inputs)} training images",
    )
    model = common.make_model(settings, train)
    common.check_cost(cost_fn, model, train)
    measured = measure(settings, descents.make_problem(model, cost_fn, train, test))
    claims, finding = make_claims(settings, measured), sentence(settings, measured)
    arrays = {"budgets": measured.budgets}
    for kind, found in (("full", measured.full), ("mini", measured.mini)):
        for label, best in found.items():
            arrays |= {f"{kind}_{label}_cost": best.cost, f"{kind}_{label}_seconds": best.seconds}
    chosen = {method.label: method.chosen for method in METHODS} | {CONJUGATE: "curvature"}
    records.write_run(
        settings.out / NAME,
        settings,
        claims,
        arrays,
        **records.describe_data(settings.dataset, train=train),
        finding=finding,
        layer_sizes=settings.sizes_for(train),
        full={label: {"chosen": chosen[label], "number": best.number} for label, best in measured.full.items()},
        mini={label: {"chosen": chosen[label], "number": best.number} for label, best in measured.mini.items()},
        seconds=time.perf_counter() - began,
    )
    records.print_claims(claims)
    print(finding)


def plot(out: Path) -> None:
    """Draws the figure from what a run left behind."""
    record, arrays = records.read_run(out / NAME)
    plots.save(figures.compare_figure(record, arrays), out / NAME / f"{NAME}.png")
    print(f"figure and run.json are in {out / NAME}")


def main() -> None:
    """python -m experiments.other_optimizers"""
    common.command(run, plot, Settings(), QUICK, FULL, __doc__)


if __name__ == "__main__":
    main()
