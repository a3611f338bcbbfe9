"""Descents from one start: the careful man on the full batch, the drunk man on mini-batches, observed on the way.

An experiment makes a Problem and a Method, asks for its stretches, and follows them to a Curve.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from experiments.common import runs
from research import costs, gradients, models, sharding, training
from research.data import Examples
from research.models import Model
from research.training import History, Step, TrainState

CHUNK = 1000  # examples a full gradient takes at a time: their images, as float32, fit into a core's cache
NUM_CHUNKS = 20  # at most so often a run comes back to show progress
TIMED_STEPS = 200  # mini-batch steps that are timed together
STEPS_PER_LEG = 20  # between two observations where methods are compared step by step


class Problem(NamedTuple):
    """One network with one cost on one data set: all that a descent needs to know."""

    model: Model
    one: Callable  # the cost of one example
    cost: Callable  # its mean over examples, in bounded memory
    accuracy: Callable
    train: Examples
    test: Examples


class Method(NamedTuple):
    """One way down the hill; with a batch of everything it is full-batch descent."""

    label: str
    batch_size: int
    optimizer: optax.GradientTransformation


class Stretch(NamedTuple):
    """A part of a descent with one distance between its observations."""

    loop: Callable  # one seed's loop, for runs.descend
    chunks: list[tuple]  # what the loop is given in turn, besides state and data
    steps_per_leg: int


class Curve(NamedTuple):
    """What one method did; every array but `steps` leads with a seed axis."""

    steps: np.ndarray  # points; steps made when cost and accuracy were observed
    cost: np.ndarray  # seeds, points; on the whole training set
    accuracy: np.ndarray  # seeds, points; on the test set
    end: models.Params
    compile_seconds: float
    run_seconds: float


def make_problem(model: Model, cost_fn: Callable, train: Examples, test: Examples) -> Problem:
    """The film's objective, and the accuracy, for this model and cost; the data on every device."""
    one = gradients.example_cost(model.apply, cost_fn)
    correct = gradients.example_cost(model.apply, costs.is_correct)
    cost = gradients.mean_over_examples(one, chunk_size=CHUNK)
    accuracy = gradients.mean_over_examples(correct, chunk_size=CHUNK)
    return Problem(model, one, cost, accuracy, *sharding.on_every_device((train, test)))


def look(problem: Problem, params: models.Params, shared: tuple[Examples, Examples]) -> tuple[jax.Array, jax.Array]:
    """(cost on the training set, accuracy on the test set)"""
    train, test = shared
    return problem.cost(params, train), problem.accuracy(params, test)


def make_step(problem: Problem, method: Method) -> Step:
    """The method's step: on the chunked objective where a batch is everything, else on the plain one."""
    whole = method.batch_size == len(problem.train.inputs)
    objective = problem.cost if whole else gradients.mean_over_examples(problem.one)
    return training.make_step(objective, method.optimizer)


def stretches(
    problem: Problem, method: Method, order: np.ndarray, num_steps: int, legs_per_epoch: int = 4
) -> list[Stretch]:
    """The careful man's `num_steps` where a batch is everything, else the drunk man's way through `order`."""
    if method.batch_size == len(problem.train.inputs):
        return careful_man(problem, method, num_steps)
    return drunk_man(problem, method, order, num_steps, legs_per_epoch)


def careful_man(problem: Problem, method: Method, num_steps: int) -> list[Stretch]:
    """Full-batch descent, observed every 20 steps."""
    step = make_step(problem, method)
    num_chunks = _divisor(num_steps // STEPS_PER_LEG, at_most=NUM_CHUNKS)
    num_legs = num_steps // STEPS_PER_LEG // num_chunks

    def loop(state: TrainState, shared: tuple[Examples, Examples]) -> tuple[TrainState, History]:
        observe = partial(_look_at_state, problem, shared)
        return training.full_batch_descent(step, state, shared[0], num_legs, STEPS_PER_LEG, observe)

    return [Stretch(loop, [()] * num_chunks, STEPS_PER_LEG)]


def drunk_man(problem: Problem, method: Method, order: np.ndarray, opening: int, legs_per_epoch: int) -> list[Stretch]:
    """Mini-batch descent, observed every 20 steps for the first `opening`, then `legs_per_epoch` times an epoch.

    `order` (seeds, epochs, examples) holds each epoch's shuffle, the same for every batch size.
    """
    step = make_step(problem, method)

    def loop(state: TrainState, shared: tuple[Examples, Examples], schedule: Array) -> tuple[TrainState, History]:
        observe = partial(_look_at_state, problem, shared)
        return training.minibatch_descent(step, state, shared[0], schedule, observe)

    rows = in_batches(order, method.batch_size)
    opening = min(opening, rows.shape[1]) // STEPS_PER_LEG * STEPS_PER_LEG
    steps_per_leg = max(1, rows.shape[1] // order.shape[1] // legs_per_epoch)
    return [
        Stretch(loop, in_legs(rows[:, :opening], STEPS_PER_LEG, num_chunks=1), STEPS_PER_LEG),
        Stretch(loop, in_legs(rows[:, opening:], steps_per_leg, NUM_CHUNKS), steps_per_leg),
    ]


def in_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Each epoch's shuffle divided into mini-batches: (seeds, epochs, examples) -> (seeds, steps, batch)."""
    num_seeds, num_epochs, num_examples = order.shape
    steps = num_examples // batch_size
    return order[:, :, : steps * batch_size].reshape(num_seeds, num_epochs * steps, batch_size)


def in_legs(rows: np.ndarray, steps_per_leg: int, num_chunks: int) -> list[tuple[np.ndarray]]:
    """Schedules (seeds, legs, steps, batch), at most num_chunks, all of one shape; a shorter leg is left out."""
    num_seeds, num_steps, batch_size = rows.shape
    num_legs = num_steps // steps_per_leg
    if num_legs == 0:
        return []
    num_chunks = _divisor(num_legs, at_most=num_chunks)
    legs = rows[:, : num_legs * steps_per_leg].reshape(num_seeds, num_legs, steps_per_leg, batch_size)
    return [(chunk,) for chunk in np.split(legs, num_chunks, axis=1)]


def follow(problem: Problem, method: Method, stretches: list[Stretch], params: models.Params) -> Curve:
    """Descends through the stretches, every seed from its own `params`."""
    shared = (problem.train, problem.test)
    state = TrainState(params, jax.vmap(method.optimizer.init)(params))
    observed, steps, steps_done, compile_seconds, run_seconds = [], [], 0, 0.0, 0.0
    for stretch in stretches:
        if stretch.chunks:
            run = runs.descend(method.label, stretch.loop, state, shared, stretch.chunks)
            state, num_legs = run.state, run.history.costs.shape[1]
            steps.append(steps_done + stretch.steps_per_leg * np.arange(1, num_legs + 1))
            observed.append(run.history.observed)
            steps_done = steps[-1][-1]
            compile_seconds, run_seconds = compile_seconds + run.compile_seconds, run_seconds + run.run_seconds
    cost, accuracy = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *observed)
    return Curve(np.concatenate(steps), cost, accuracy, state.params, compile_seconds, run_seconds)


def starts(problem: Problem, init_keys: Array) -> models.Params:
    """One start for every seed; every leaf leads with a seed axis."""
    return jax.jit(runs.over_seeds(problem.model.init, (0,)))(init_keys)


def _look_at_state(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array]:
    return look(problem, state.params, shared)


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of `number` that is not above `at_most`."""
    return max(divisor for divisor in range(1, at_most + 1) if number % divisor == 0)


def shuffles(shuffle_keys: Array, num_examples: int, num_epochs: int) -> np.ndarray:
    """Each seed's order of the examples in every epoch: (seeds, epochs, examples)."""
    schedule = partial(training.shuffled_schedule, num_examples=num_examples, batch_size=1, num_epochs=num_epochs)
    return np.asarray(jax.jit(runs.over_seeds(schedule, (0,)))(shuffle_keys))[..., 0]


def seconds_per_step(
    problem: Problem, methods: list[Method], params: models.Params, shuffle: np.ndarray
) -> list[float]:
    """Seconds of one step of each method: one run alone on one device, compiled before, nothing observed, in turn.

    `params` are of one seed; `shuffle` (examples) is the order in which mini-batches are taken, for one epoch.
    """
    train, params = jax.device_put((problem.train, jax.tree.map(np.asarray, params)), jax.devices()[0])
    calls, num_steps = {}, []
    for method in methods:
        step = make_step(problem, method)
        state = TrainState(params, method.optimizer.init(params))
        if method.batch_size == len(shuffle):
            calls[method.label] = partial(jax.jit(step), state, train)
            num_steps.append(1)
        else:
            schedule = in_batches(shuffle[None, None], method.batch_size)[:, :TIMED_STEPS]
            loop = jax.jit(partial(training.minibatch_descent, step, observe=lambda state: ()))
            calls[method.label] = partial(loop, state, train, schedule)
            num_steps.append(schedule.shape[1])
    return [seconds / steps for seconds, steps in zip(runs.seconds_each(calls).values(), num_steps, strict=True)]


def flops_per_example(problem: Problem) -> float:
    """Floating point operations of the gradient of one example, as XLA counts them in a batch of 100.

    For plain layers: 4 for every weight, and 2 more for every weight behind the first layer, since no gradient is
    taken with respect to the pixels: 52,672 for 784-16-16-10, plus some for the activations.
    """
    batch = jax.tree.map(lambda leaf: leaf[:100], problem.train)
    gradient = jax.jit(jax.grad(gradients.mean_over_examples(problem.one)))
    counted = gradient.lower(jax.eval_shape(problem.model.init, jax.random.key(0)), batch).compile().cost_analysis()
    return counted["flops"] / len(batch.inputs)  # pyright: ignore[reportOptionalSubscript]
