"""Full-batch and mini-batch descents from the same starts, followed to curves: make a Method, and follow it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int

from experiments.common import runs
from experiments.common.problem import Problem
from experiments.common.tune import Tuned
from research import gradients, models, training
from research.data import Examples
from research.training import History, Step, TrainState

TIMED_STEPS = 200  # mini-batch steps that are timed together
STEPS_PER_LEG = 20  # between two observations where methods are compared step by step


class Method(NamedTuple):
    """One way of descending; with a batch of everything it is full-batch descent."""

    label: str
    batch_size: int
    optimizer: optax.GradientTransformation


class Curve(NamedTuple):
    """What was seen of a descent: the cost on the whole training set, the accuracy on the test set."""

    steps: Int[np.ndarray, "points"]  # made when it was looked at
    cost: Float[np.ndarray, "seeds points"]
    accuracy: Float[np.ndarray, "seeds points"]


class Descent(NamedTuple):
    """A curve, and where it ended: every leaf of `end` leads with a seed axis."""

    curve: Curve
    end: models.Params


class Beginning(NamedTuple):
    """What all methods of a comparison share: every seed's start and its order of the examples in every epoch."""

    params: models.Params  # every leaf leads with a seed axis
    order: np.ndarray  # seeds, epochs, examples


def begin(problem: Problem, settings: Any, num_epochs: int) -> Beginning:
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    return Beginning(starts(problem, init_keys), shuffles(shuffle_keys, len(problem.train.inputs), num_epochs))


def look(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array]:
    """(cost on the training set, accuracy on the test set); `shared` is both sets."""
    train, test = shared
    return problem.cost(state.params, train), problem.accuracy(state.params, test)


def make_step(problem: Problem, method: Method) -> Step:
    """The method's step: on the chunked objective where a batch is everything, else on the plain one."""
    whole = method.batch_size == len(problem.train.inputs)
    objective = problem.cost if whole else gradients.mean_over_examples(problem.example_cost)
    return training.make_step(objective, method.optimizer)


def follow(
    problem: Problem, method: Method, params: models.Params, order: np.ndarray, num_steps: int = 0, num_legs: int = 20
) -> Descent:
    """Descends by one method, every seed from its own `params`. Full-batch descent makes `num_steps`, observed every
    20. Mini-batch descent goes through `order` (seeds, epochs, examples), each epoch's shuffle, the same for every
    batch size: it too is observed every 20 steps for the first `num_steps`, then `num_legs` times to the end."""
    if method.batch_size == len(problem.train.inputs):
        loop, chunks = full_batch_leg(problem, method), [()] * (num_steps // STEPS_PER_LEG)
    else:
        loop = minibatch_legs(problem, method)
        chunks = in_legs(in_batches(order, method.batch_size), num_steps, num_legs)
    state = TrainState(params, jax.vmap(method.optimizer.init)(params))
    run = runs.descend(method.label, loop, state, (problem.train, problem.test), chunks)
    cost, accuracy = run.history.observed
    if not np.isfinite(cost).all():  # the last step of all is seen here only
        raise runs.Diverged(method.label, int(run.steps[~np.isfinite(cost).all(axis=0)][0]))
    return Descent(Curve(run.steps, cost, accuracy), run.state.params)


def full_batch_leg(
    problem: Problem, method: Method, observe: Callable = look, steps_per_leg: int = STEPS_PER_LEG
) -> Callable:
    """One leg of full-batch descent, for `runs.descend`; `observe(problem, shared, state)` looks after it."""
    step = make_step(problem, method)

    def loop(state: TrainState, shared: tuple[Examples, Examples]) -> tuple[TrainState, History]:
        return training.full_batch_descent(step, state, shared[0], 1, steps_per_leg, partial(observe, problem, shared))

    return loop


def minibatch_legs(problem: Problem, method: Method, observe: Callable = look) -> Callable:
    """Legs of mini-batch descent, for `runs.descend`; `observe(problem, shared, state)` looks after each."""
    step = make_step(problem, method)

    def loop(state: TrainState, shared: tuple[Examples, Examples], schedule: Array) -> tuple[TrainState, History]:
        return training.minibatch_descent(step, state, shared[0], schedule, partial(observe, problem, shared))

    return loop


class Trained(NamedTuple):
    """What became of a network with the best of several rates."""

    rate: float
    tuned: Tuned
    train_accuracy: Float[np.ndarray, "seeds"]  # at the end
    test_accuracy: Float[np.ndarray, "seeds epochs"]


def train(label: str, problem: Problem, rates: Sequence[float], init_keys: Array, rows: np.ndarray) -> Trained:
    """Trains with every rate, all seeds, and keeps the rate with the lowest median cost at the end.
    `rows` (seeds, epochs, steps, batch) are each epoch's mini-batches. All rates are one compiled program. Raises
    Diverged if every rate does."""

    def of_seed(init_key: Array, rows: Array, rates: Array, shared: tuple[Examples, Examples]) -> tuple:
        train, test = shared
        start = problem.model.init(init_key)

        def with_rate(rate: Array) -> tuple[Array, Array, Array]:
            optimizer = optax.sgd(rate)
            step = training.make_step(gradients.mean_over_examples(problem.example_cost), optimizer)
            look = lambda state: problem.accuracy(state.params, test)
            state = TrainState(start, optimizer.init(start))
            state, history = training.minibatch_descent(step, state, train, rows, look)
            return problem.cost(state.params, train), problem.accuracy(state.params, train), history.observed

        return jax.lax.map(with_rate, rates)

    run = runs.over_seeds(of_seed, (0, 0, None, None))
    shared = problem.train, problem.test
    cost, train_accuracy, test_accuracy = jax.device_get(run(init_keys, rows, np.array(rates, np.float32), shared))
    ends = np.median(np.where(np.isfinite(cost), cost, np.inf), axis=0)
    best = int(ends.argmin())
    if not np.isfinite(ends[best]):
        raise runs.Diverged(f"{label}, every learning rate of the grid", rows.shape[1] * rows.shape[2])
    tuned = Tuned(np.array(rates, float), ends.astype(float))
    return Trained(rates[best], tuned, train_accuracy[:, best], test_accuracy[:, best])


def falling(rate: float, num_steps: int) -> optax.Schedule:
    """A learning rate that is constant in the first half of the steps and falls linearly to zero in the second.

    >>> [float(falling(1.0, 4)(step)) for step in range(5)]
    [1.0, 1.0, 1.0, 0.5, 0.0]
    """
    half = num_steps // 2
    return optax.linear_schedule(rate, 0.0, transition_steps=half, transition_begin=half)


def in_equal_legs(rows: np.ndarray, num_legs: int) -> np.ndarray:
    """(seeds, steps, batch) -> (seeds, legs, steps, batch): equal legs; steps that fill no leg are left out.

    >>> in_equal_legs(np.zeros((2, 7, 5)), 3).shape
    (2, 3, 2, 5)
    """
    length = rows.shape[1] // num_legs
    return rows[:, : num_legs * length].reshape(len(rows), num_legs, length, *rows.shape[2:])


def in_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Each epoch's shuffle divided into mini-batches: (seeds, epochs, examples) -> (seeds, steps, batch)."""
    return training.in_batches(order, batch_size).reshape(len(order), -1, batch_size)


def in_legs(rows: np.ndarray, opening: int, num_legs: int) -> list[tuple[np.ndarray]]:
    """Schedules (seeds, legs, steps, batch): first legs of 20 steps for at most `opening` steps, all in one schedule,
    then `num_legs` equal legs, one by one; the last is shorter where they do not divide what is left."""
    num_seeds, num_steps, batch_size = rows.shape
    opening = min(opening, num_steps) // STEPS_PER_LEG * STEPS_PER_LEG
    first = rows[:, :opening].reshape(num_seeds, -1, STEPS_PER_LEG, batch_size)
    length = max(1, -(-(num_steps - opening) // num_legs))
    rest = [rows[:, None, at : at + length] for at in range(opening, num_steps, length)]
    return [(schedule,) for schedule in ([first] if opening else []) + rest]


def starts(problem: Problem, init_keys: Array) -> models.Params:
    """One start for every seed; every leaf leads with a seed axis."""
    return runs.over_seeds(problem.model.init, (0,))(init_keys)


def shuffles(shuffle_keys: Array, num_examples: int, num_epochs: int) -> np.ndarray:
    """Each seed's order of the examples in every epoch: (seeds, epochs, examples)."""
    order = partial(training.shuffled_order, num_examples=num_examples, num_epochs=num_epochs)
    return np.asarray(runs.over_seeds(order, (0,))(shuffle_keys))


def seconds_per_step(
    problem: Problem, methods: list[Method], params: models.Params, shuffle: np.ndarray
) -> list[float]:
    """Seconds of one step of each method: one run alone on one device, compiled before, nothing observed, in turn.
    `params` are of one seed; `shuffle` (examples) is the order in which mini-batches are taken, for one epoch."""
    train, params = jax.device_put((problem.train, jax.tree.map(np.asarray, params)), jax.local_devices()[0])
    calls, num_steps = {}, []
    for method in methods:
        step, state = make_step(problem, method), TrainState(params, method.optimizer.init(params))
        if method.batch_size == len(shuffle):
            call, steps = partial(jax.jit(step), state, train), 1
        else:
            schedule = in_batches(shuffle[None, None], method.batch_size)[:, :TIMED_STEPS]
            loop = jax.jit(partial(training.minibatch_descent, step, observe=lambda state: ()))
            call, steps = partial(loop, state, train, schedule), schedule.shape[1]
        calls[str(len(calls))] = call  # two methods may share a label
        num_steps.append(steps)
    return [seconds / steps for seconds, steps in zip(runs.seconds_each(calls).values(), num_steps, strict=True)]


def flops_per_example(problem: Problem) -> float:
    """Floating point operations of the gradient of one example, as XLA counts them in a batch of 100.
    For plain layers: 4 for every weight, and 2 more for every weight behind the first layer, since no gradient is
    taken with respect to the pixels: 52,672 for 784-16-16-10, plus some for the activations."""
    batch = jax.tree.map(lambda leaf: leaf[:100], problem.train)
    gradient = jax.jit(jax.grad(gradients.mean_over_examples(problem.example_cost)))
    counted = gradient.lower(jax.eval_shape(problem.model.init, jax.random.key(0)), batch).compile().cost_analysis()
    return counted["flops"] / len(batch.inputs)  # pyright: ignore[reportOptionalSubscript]
