"""Optimizers beside plain descent: their grids, and their ways down from one start, counted in gradient evaluations."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from jax import Array
from jax.flatten_util import ravel_pytree

from experiments.common import hills, resume, runs
from experiments.common.problem import CHUNK, Problem
from research import data, gradients, training
from research.data import Examples
from research.training import TrainState

GROUP = 4  # runs that are compiled together
MEMORY = 10  # differences of gradients that L-BFGS remembers


class Method(NamedTuple):
    """One optimizer and the grid on which it is tuned."""

    label: str
    make: Callable[[Any], Any]  # what is tuned, a number -> an optax optimizer
    grid: tuple[float, ...]


def l_bfgs(exactness: Any) -> Any:
    """optax's, with its own line search; a smaller c2 searches longer along each line."""
    search = optax.scale_by_zoom_linesearch(20, curv_rtol=exactness, initial_guess_strategy="one")
    return optax.lbfgs(memory_size=MEMORY, linesearch=search)


MOMENTUM = partial(optax.sgd, momentum=0.9)
NESTEROV = partial(optax.sgd, momentum=0.9, nesterov=True)
PLAIN = (
    Method("plain descent", optax.sgd, (1.0, 2.0, 4.0, 8.0)),
    Method("momentum 0.9", MOMENTUM, (0.03, 0.1, 0.3, 1.0)),
    Method("Nesterov 0.9", NESTEROV, (0.1, 0.3, 1.0, 3.0)),
    Method("Adam", optax.adam, (0.003, 0.01, 0.03, 0.1)),
)
BFGS = Method("L-BFGS", l_bfgs, (0.1, 0.3, 0.6, 0.9))
CONJUGATE = Method("conjugate gradients", lambda exactness: None, (0.1, 0.3, 0.5, 0.7, 0.9))  # scipy's own loop
BEGUN_LATER = (  # of PLAIN, with grids for the place where they begin
    Method("momentum 0.9", MOMENTUM, (1.0, 3.0, 10.0, 30.0)),
    Method("Nesterov 0.9", NESTEROV, (0.3, 1.0, 3.0, 10.0)),
    Method("Adam", optax.adam, (0.003, 0.01, 0.03, 0.1)),
)
MINIBATCH = (
    Method("SGD", optax.sgd, (2.0, 4.0, 8.0, 16.0)),
    Method("SGD, momentum 0.9", MOMENTUM, (0.05, 0.1, 0.2, 0.4)),
    Method("SGD, Nesterov 0.9", NESTEROV, (0.2, 0.4, 0.8, 1.6)),
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
    look = lambda state: problem.cost(state.params, train)
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
        line = {"value": cost, "grad": grads, "value_fn": lambda params: problem.cost(params, examples)}
        updates, opt_state = optimizer.update(grads, opt_state, state.params, **line)
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
    `hill(point)` is (cost, gradient) of a flat point."""
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


Way = Callable[[tuple, np.ndarray], list[Descent]]  # (what starts are given, numbers of a grid), pairwise -> descents


def compiled(problem: Problem, way: Callable) -> Way:
    """`way(*of one start, train, number)` for many pairs, always GROUP at a time: it is compiled once."""

    every_pair = runs.over_seeds(lambda given, train, number: way(*given, train, number), (0, None, 0))

    def of_pairs(given: tuple, numbers: np.ndarray) -> list[Descent]:
        count, found = len(numbers), []
        filled = np.minimum(np.arange(-(-count // GROUP) * GROUP), count - 1)  # the last one again, to fill up
        for rows in np.split(filled, len(filled) // GROUP):
            group = every_pair(data.take(given, rows), problem.train, numbers[rows].astype(np.float32))
            found += [Descent(*each) for each in zip(*jax.tree.map(np.asarray, group), strict=True)]
        return found[:count]

    return of_pairs


def one_by_one(problem: Problem, budget: int) -> Way:
    """Conjugate gradients for many pairs, one after the other: scipy's loop is not JAX's."""
    train, unravel = jax.device_put(problem.train, jax.local_devices()[0]), hills.unravel_of(problem)
    both = resume.kept(jax.jit(jax.value_and_grad(lambda point, train: problem.cost(unravel(point), train))))
    flat = jax.jit(jax.vmap(lambda start: ravel_pytree(start)[0]))

    def of_pairs(given: tuple, numbers: np.ndarray) -> list[Descent]:
        pairs = zip(np.asarray(flat(given[0])), numbers, strict=True)
        return [conjugate(lambda point: both(point, train), budget, start, number) for start, number in pairs]

    return of_pairs


def silence(problem: Problem) -> Callable[[np.ndarray], Array]:
    """Flat point -> the number of outputs that are never above 1/2 on an image of their own class: digits never said.
    Each of them costs about its share of the images, 0.1: all its own are missed by 1."""
    unravel = hills.unravel_of(problem)

    @jax.jit
    def silent(point: Array, train: Examples) -> Array:
        def loudest(example: Examples) -> Array:
            return problem.model.apply(unravel(point), data.unit_interval(example.inputs)) * example.targets

        return jnp.sum(jax.lax.map(loudest, train, batch_size=CHUNK).max(axis=0) < 0.5)

    train = jax.device_put(problem.train, jax.local_devices()[0])
    return lambda point: silent(point, train)
