"""One step of descent, and two loops of steps: on mini-batches, and on the full batch.

The schedule, which examples each step sees, is an integer array that is made before training: the loop holds no key.
`*_order` gives each epoch's permutation of the examples, (epochs, examples); `in_batches` cuts it into steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from research.data import Examples
from research.gradients import Scalar

Step = Callable[["TrainState", Examples], tuple["TrainState", Scalar]]
Observe = Callable[["TrainState"], PyTree]
Orders = Int[Array, "epochs examples"]
Schedule = Int[Array, "epochs steps batch"]


class TrainState(NamedTuple):
    """All that the next step needs: arrays only. What the parameters are, only the objective knows."""

    params: PyTree
    opt_state: optax.OptState


class History(NamedTuple):
    """What a loop leaves behind: the cost that every step saw BEFORE it moved, and what was observed."""

    costs: Float[Array, "legs steps"]
    observed: PyTree


def make_step(objective: Callable, optimizer: optax.GradientTransformation) -> Step:
    """One step of descent on `objective(params, examples)`, by any optax optimizer.
    With `optax.sgd(learning_rate)` it is the film's: params - learning_rate * gradient. The second result is the
    objective before the step. Searches along a line (`optax.lbfgs`) get value, gradient and objective.

    >>> step = make_step(lambda params, examples: params * 2.0, optax.sgd(0.1))
    >>> state = TrainState(jnp.float32(1.0), optax.sgd(0.1).init(jnp.float32(1.0)))
    >>> state, cost = step(state, Examples(jnp.zeros((1, 1)), jnp.zeros((1, 1))))
    >>> round(float(state.params), 3), float(cost)
    (0.8, 2.0)
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def step(state: TrainState, examples: Examples) -> tuple[TrainState, Scalar]:
        cost, grads = jax.value_and_grad(objective)(state.params, examples)
        for_search = {"value": cost, "grad": grads, "value_fn": lambda params: objective(params, examples)}
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params, **for_search)
        return TrainState(optax.apply_updates(state.params, updates), opt_state), cost

    return step


def shuffled_order(key: Key[Array, ""], num_examples: int, num_epochs: int) -> Orders:
    """Random reshuffling: a fresh permutation of the examples for every epoch.

    >>> shuffled_order(jax.random.key(0), num_examples=7, num_epochs=2).shape
    (2, 7)
    """
    return jax.lax.map(lambda key: jax.random.permutation(key, num_examples), jax.random.split(key, num_epochs))


def shuffled_once_order(key: Key[Array, ""], num_examples: int, num_epochs: int) -> Orders:
    """One permutation, the same in every epoch.

    >>> order = shuffled_once_order(jax.random.key(0), num_examples=7, num_epochs=2)
    >>> bool((order[0] == order[1]).all())
    True
    """
    return jnp.tile(jax.random.permutation(key, num_examples), (num_epochs, 1))


def cyclic_order(num_examples: int, num_epochs: int) -> Orders:
    """The examples as they are stored, in every epoch.

    >>> cyclic_order(num_examples=3, num_epochs=2).tolist()
    [[0, 1, 2], [0, 1, 2]]
    """
    return jnp.tile(jnp.arange(num_examples), (num_epochs, 1))


def sorted_order(labels: Int[Array, "examples"], num_epochs: int) -> Orders:
    """First all examples of the lowest label, then those of the next, in every epoch: what shuffling is to prevent.

    >>> sorted_order(jnp.array([1, 0, 1, 0]), num_epochs=1).tolist()
    [[1, 3, 0, 2]]
    """
    return jnp.tile(jnp.argsort(labels, stable=True), (num_epochs, 1))


def in_batches(orders: Int[Any, "*lead examples"], batch_size: int) -> Int[Any, "*lead steps batch"]:
    """Divides each order of the examples into mini-batches; what is left at its end sits that epoch out.
    (seeds, epochs, examples) becomes (seeds, epochs, steps, batch). Raises ValueError if batch_size is out of range.

    >>> in_batches(jnp.array([[3, 0, 4, 1, 2]]), 2).tolist()
    [[[3, 0], [4, 1]]]
    """
    _check_batch_size(batch_size, orders.shape[-1])
    steps = orders.shape[-1] // batch_size
    return orders[..., : steps * batch_size].reshape(*orders.shape[:-1], steps, batch_size)


def shuffled_schedule(key: Key[Array, ""], num_examples: int, batch_size: int, num_epochs: int) -> Schedule:
    """Which examples each step sees: every epoch a fresh shuffle, divided into mini-batches.
    Where batch_size does not divide num_examples, the remainder of each shuffle sits that epoch out; it is another one
    in the next. Raises ValueError if batch_size is not in 1..num_examples.
    Source: the film, "randomly shuffle your training data, and then divide it into mini-batches".

    >>> shuffled_schedule(jax.random.key(0), num_examples=7, batch_size=3, num_epochs=2).shape
    (2, 2, 3)
    """
    return in_batches(shuffled_order(key, num_examples, num_epochs), batch_size)


def with_replacement_schedule(key: Key[Array, ""], num_examples: int, batch_size: int, num_epochs: int) -> Schedule:
    """Every place of every batch drawn from all examples, whatever was drawn before: the sampling of most theorems.
    An epoch has as many steps as that of `shuffled_schedule`, but misses about 1/e of the examples.

    >>> with_replacement_schedule(jax.random.key(0), num_examples=7, batch_size=3, num_epochs=2).shape
    (2, 2, 3)
    """
    _check_batch_size(batch_size, num_examples)
    return jax.random.randint(key, (num_epochs, num_examples // batch_size, batch_size), 0, num_examples)


def all_ways(
    key: Key[Array, ""], labels: Int[Array, "examples"], batch_size: int, num_epochs: int
) -> tuple[Schedule, ...]:
    """Five schedules: random reshuffling, shuffled once, with replacement, as stored (cyclic), sorted by label.

    >>> [schedule.shape for schedule in all_ways(jax.random.key(0), jnp.array([1, 0, 1]), 1, 2)] == [(2, 3, 1)] * 5
    True
    """
    anew, once, by_lot = jax.random.split(key, 3)
    num_examples = len(labels)
    return (
        shuffled_schedule(anew, num_examples, batch_size, num_epochs),
        in_batches(shuffled_once_order(once, num_examples, num_epochs), batch_size),
        with_replacement_schedule(by_lot, num_examples, batch_size, num_epochs),
        in_batches(cyclic_order(num_examples, num_epochs), batch_size),
        in_batches(sorted_order(labels, num_epochs), batch_size),
    )


def _check_batch_size(batch_size: int, num_examples: int) -> None:
    if not 1 <= batch_size <= num_examples:
        raise ValueError(f"batch_size is {batch_size}; it must be between 1 and the number of examples, {num_examples}")


def minibatch_descent(
    step: Step, state: TrainState, examples: Examples, schedule: Int[Array, "legs steps batch"], observe: Observe
) -> tuple[TrainState, History]:
    """Mini-batch descent: one step for every row of the schedule; `observe(state)` after every leg.
    A leg is what the schedule's leading axis says: an epoch as it comes from `shuffled_schedule`, fewer steps if the
    caller reshapes it. Indices are as numpy's; those beyond the ends are taken as the nearest that exists.
    Source: the film, "compute a step according to the mini-batch".

    >>> step = lambda state, batch: (TrainState(state.params - jnp.mean(batch.inputs), ()), state.params)
    >>> examples = Examples(jnp.arange(4.0)[:, None], jnp.zeros((4, 1)))
    >>> state, history = minibatch_descent(
    ...     step, TrainState(jnp.float32(0.0), ()), examples, jnp.array([[[0, 1], [2, 3]]]), lambda state: state.params)
    >>> float(state.params), history.costs.tolist(), history.observed.tolist()
    (-3.0, [[0.0, -0.5]], [-3.0])
    """

    def step_on(state: TrainState, rows: Int[Array, "batch"]) -> tuple[TrainState, Scalar]:
        return step(state, jax.tree.map(lambda leaf: leaf.at[rows].get(mode="clip"), examples))

    def leg(state: TrainState, leg_rows: Int[Array, "steps batch"]) -> tuple[TrainState, History]:
        state, costs = jax.lax.scan(step_on, state, leg_rows)
        return state, History(costs, observe(state))

    return jax.lax.scan(leg, state, schedule)


def full_batch_descent(
    step: Step, state: TrainState, examples: Examples, num_legs: int, steps_per_leg: int, observe: Observe
) -> tuple[TrainState, History]:
    """Full-batch descent: every step on all the examples, in their order; `observe(state)` after every leg.
    The same path as `minibatch_descent` with one batch of everything, but nothing is gathered.

    >>> step = lambda state, batch: (TrainState(state.params - jnp.mean(batch.inputs), ()), state.params)
    >>> examples = Examples(jnp.arange(4.0)[:, None], jnp.zeros((4, 1)))
    >>> state, history = full_batch_descent(
    ...     step, TrainState(jnp.float32(0.0), ()), examples, 1, 2, lambda state: state.params)
    >>> float(state.params), history.costs.tolist()
    (-3.0, [[0.0, -1.5]])
    """

    def leg(state: TrainState, _: None) -> tuple[TrainState, History]:
        state, costs = jax.lax.scan(lambda state, _: step(state, examples), state, length=steps_per_leg)
        return state, History(costs, observe(state))

    return jax.lax.scan(leg, state, length=num_legs)
