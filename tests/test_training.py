"""Descent: one step by formula, the schedule's laws, and two loops that agree where they must."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import make_examples, make_params
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from research import costs, gradients, training
from research.models import mlp
from research.training import TrainState

MODEL = mlp((12, 5, 6, 4))
OBJECTIVE = gradients.mean_over_examples(gradients.example_cost(MODEL.apply, costs.sum_of_squares))


def start(key, optimizer):
    params = make_params(key)
    return TrainState(params, optimizer.init(params))


def watch(examples):
    return lambda state: OBJECTIVE(state.params, examples)


def assert_equal_trees(found, wanted, rtol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol), found, wanted)


def test_a_step_of_sgd_is_params_minus_learning_rate_times_gradient(x64):
    examples = make_examples(jax.random.key(0), 9)
    state = start(jax.random.key(1), optax.sgd(0.7))
    moved, cost = jax.jit(training.make_step(OBJECTIVE, optax.sgd(0.7)))(state, examples)
    value, grads = jax.jit(jax.value_and_grad(OBJECTIVE))(state.params, examples)
    assert_equal_trees(moved.params, jax.tree.map(lambda p, g: p - 0.7 * g, state.params, grads), 1e-15)
    assert float(cost) == pytest.approx(float(value), rel=1e-15)


def test_going_on_until_the_gradient_is_small_stops_where_a_parabola_says(x64):
    # C = theta^2: the gradient is 2 theta and shrinks by the factor 1 - 2 * 0.1 in every step
    examples, small = make_examples(jax.random.key(21), 1), 1e-3
    step = training.make_step(lambda theta, examples: theta**2, optax.sgd(0.1))
    state = TrainState(jax.numpy.asarray(3.0), optax.sgd(0.1).init(0.0))
    slope = lambda state: abs(2 * state.params)
    _, history = training.full_batch_descent(step, state, examples, 60, 1, slope)
    first_below = 1 + int(np.argmax(np.asarray(history.observed) < small))
    stopped = jax.lax.while_loop(lambda state: slope(state) >= small, lambda state: step(state, examples)[0], state)
    steps = math.ceil(math.log(small / 6) / math.log(0.8))
    assert first_below == steps
    assert float(slope(stopped)) == pytest.approx(6 * 0.8**steps)


def test_optimizers_that_search_along_a_line_descend_too():
    examples = make_examples(jax.random.key(2), 9)
    optimizer = optax.lbfgs()
    step, state = training.make_step(OBJECTIVE, optimizer), start(jax.random.key(3), optimizer)
    with jax.numpy_dtype_promotion("standard"):  # optax's own code mixes integer widths
        _, history = training.full_batch_descent(step, state, examples, 1, 8, lambda state: ())
    assert (np.diff(history.costs[0]) < 0).all()


@hypothesis_settings(max_examples=100, deadline=None)
@given(num_examples=st.integers(1, 40), batch_size=st.integers(1, 40), num_epochs=st.integers(1, 4))
def test_an_epoch_sees_no_example_twice_and_leaves_out_only_the_remainder(num_examples, batch_size, num_epochs):
    batch_size = min(batch_size, num_examples)
    orders = np.random.default_rng(4).permuted(np.tile(np.arange(num_examples), (num_epochs, 1)), axis=1)
    schedule = training.in_batches(orders, batch_size)
    assert schedule.shape == (num_epochs, num_examples // batch_size, batch_size)
    for epoch in schedule:
        assert len(np.unique(epoch)) == epoch.size == num_examples - num_examples % batch_size
        assert epoch.min() >= 0
        assert epoch.max() < num_examples


def test_every_epoch_is_shuffled_afresh_and_its_remainder_is_another():
    schedule = np.asarray(training.shuffled_schedule(jax.random.key(5), 100, 30, 3))
    left_out = [set(range(100)) - set(epoch.ravel().tolist()) for epoch in schedule]
    assert all(len(rest) == 10 for rest in left_out)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert (schedule[a] != schedule[b]).mean() > 0.9
        assert left_out[a] != left_out[b]


def test_every_example_is_equally_likely_in_every_place():
    firsts = jax.vmap(lambda key: training.shuffled_schedule(key, 5, 2, 1)[0, 0, 0])(
        jax.random.split(jax.random.key(6), 5000)
    )
    counts = np.bincount(np.asarray(firsts), minlength=5)
    chi_square = float(((counts - 1000) ** 2 / 1000).sum())
    assert chi_square < 18.5  # 0.1 % quantile of four degrees of freedom


SCHEDULES = {
    "shuffled": lambda num, size, epochs: training.shuffled_schedule(jax.random.key(0), num, size, epochs),
    "shuffled once": lambda num, size, epochs: training.in_batches(
        training.shuffled_once_order(jax.random.key(0), num, epochs), size
    ),
    "with replacement": lambda num, size, epochs: training.with_replacement_schedule(
        jax.random.key(0), num, size, epochs
    ),
    "cyclic": lambda num, size, epochs: training.in_batches(training.cyclic_order(num, epochs), size),
    "sorted": lambda num, size, epochs: training.in_batches(training.sorted_order(jnp.zeros(num, int), epochs), size),
}


@pytest.mark.parametrize("batch_size", [0, -1, 11])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_an_impossible_batch_size_is_refused(schedule, batch_size):
    with pytest.raises(ValueError, match="batch_size is"):
        schedule(10, batch_size, 1)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_order_of_sampling_is_an_array_of_the_same_shape(schedule):
    found = np.asarray(schedule(17, 5, 3))
    assert found.shape == (3, 3, 5)
    assert found.dtype == np.int32
    assert found.min() >= 0
    assert found.max() < 17


def test_one_shuffle_is_repeated_and_is_a_shuffle():
    found = np.asarray(training.shuffled_once_order(jax.random.key(1), 40, 3))
    np.testing.assert_array_equal(found[1:], found[:2])
    assert sorted(found[0].tolist()) == list(range(40))
    assert (found[0] != np.arange(40)).mean() > 0.8


def test_sorted_examples_come_class_by_class_each_in_its_own_order():
    labels = jnp.array([2, 0, 1, 0, 2, 1])
    assert training.sorted_order(labels, 1).ravel().tolist() == [1, 3, 2, 5, 0, 4]


def test_orders_of_all_seeds_are_cut_as_each_alone():
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(7), (2, 3, 1)), axis=-1)
    together = training.in_batches(orders, 3)
    assert together.shape == (2, 3, 2, 3)
    for seed, epoch in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[seed, epoch], training.in_batches(orders[seed, epoch], 3))


# The laws of sampling: scalars x_1 .. x_8 stand for gradients; g_B is the mean over a batch of B of them.

VALUES = np.random.default_rng(3).normal(size=8)
PERMUTATIONS = np.array(list(itertools.permutations(range(8))))
BATCHES = {size: training.in_batches(PERMUTATIONS, size) for size in range(1, 9)}


@pytest.mark.parametrize("size", range(1, 9))
def test_without_replacement_the_variance_is_that_of_a_finite_population(size):
    means = VALUES[BATCHES[size]].mean(axis=-1)  # permutations, steps
    expected = VALUES.var() / size * (8 - size) / 7
    np.testing.assert_allclose(means.var(axis=0), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_two_batches_of_one_shuffle_pull_in_opposite_directions(size):
    means = VALUES[BATCHES[size]].mean(axis=-1)
    covariances = np.cov(means.T, bias=True)
    apart = covariances[~np.eye(len(covariances), dtype=bool)]
    np.testing.assert_allclose(apart, -VALUES.var() / 7, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_with_replacement_the_variance_is_that_of_independent_draws(size):
    draws = np.array(list(itertools.product(range(8), repeat=size)))
    assert VALUES[draws].mean(axis=1).var() == pytest.approx(VALUES.var() / size, rel=1e-12)


def assert_equally_likely(outcomes, num_outcomes):
    """Chi square of the counts below its 0.1 % quantile, by Wilson and Hilferty's cube."""
    counts = np.bincount(outcomes, minlength=num_outcomes)
    expected, freedom = len(outcomes) / num_outcomes, num_outcomes - 1
    assert len(counts) == num_outcomes
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * np.sqrt(2 / (9 * freedom))) ** 3
    assert ((counts - expected) ** 2 / expected).sum() < limit


@pytest.mark.parametrize("order", [training.shuffled_order, training.shuffled_once_order])
def test_every_permutation_is_equally_likely(order):
    keys = jax.random.split(jax.random.key(7), 6000)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: order(key, 4, 1)))(keys)).reshape(6000, 4)
    numbers = {order: index for index, order in enumerate(itertools.permutations(range(4)))}
    assert_equally_likely([numbers[tuple(order)] for order in orders.tolist()], 24)


def test_every_draw_with_replacement_is_equally_likely_whatever_came_before():
    pairs = np.asarray(training.with_replacement_schedule(jax.random.key(8), 5, 2, 3000)).reshape(-1, 2)
    assert_equally_likely(pairs @ np.array([5, 1]), 25)


def test_one_batch_of_everything_is_full_batch_descent(x64):
    examples, optimizer = make_examples(jax.random.key(7), 8), optax.sgd(0.5)
    step, state = training.make_step(OBJECTIVE, optimizer), start(jax.random.key(8), optimizer)
    schedule = training.shuffled_schedule(jax.random.key(9), 8, 8, 6)
    by_batches, batch_history = training.minibatch_descent(step, state, examples, schedule, lambda state: ())
    by_all, history = training.full_batch_descent(step, state, examples, 6, 1, lambda state: ())
    assert_equal_trees(by_batches.params, by_all.params, 1e-13)
    np.testing.assert_allclose(batch_history.costs, history.costs, rtol=1e-13)


def test_the_loop_equals_steps_made_one_by_one(x64):
    examples, optimizer = make_examples(jax.random.key(10), 12), optax.sgd(0.5, momentum=0.9)
    step, state = jax.jit(training.make_step(OBJECTIVE, optimizer)), start(jax.random.key(11), optimizer)
    schedule = training.shuffled_schedule(jax.random.key(12), 12, 5, 3)
    looped, history = training.minibatch_descent(step, state, examples, schedule, lambda state: state.params[0].biases)
    for epoch, rows_of_epoch in enumerate(schedule):
        for index, rows in enumerate(rows_of_epoch):
            state, cost = step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], examples))
            assert float(history.costs[epoch, index]) == pytest.approx(float(cost), rel=1e-13)
        np.testing.assert_allclose(history.observed[epoch], state.params[0].biases, rtol=1e-12)
    assert_equal_trees(looped, state, 1e-13)


def test_looking_more_often_changes_nothing(x64):
    examples, optimizer = make_examples(jax.random.key(13), 12), optax.sgd(0.5)
    step, state = training.make_step(OBJECTIVE, optimizer), start(jax.random.key(14), optimizer)
    schedule = training.shuffled_schedule(jax.random.key(15), 12, 2, 2)
    rarely, _ = training.minibatch_descent(step, state, examples, schedule, watch(examples))
    often, _ = training.minibatch_descent(step, state, examples, schedule.reshape(6, 2, 2), watch(examples))
    assert_equal_trees(rarely.params, often.params, 1e-15)


def test_resuming_from_a_leg_is_going_on(x64):
    examples, optimizer = make_examples(jax.random.key(16), 12), optax.sgd(0.5, momentum=0.9)
    step, state = training.make_step(OBJECTIVE, optimizer), start(jax.random.key(17), optimizer)
    schedule = training.shuffled_schedule(jax.random.key(18), 12, 3, 4)
    whole, _ = training.minibatch_descent(step, state, examples, schedule, lambda state: ())
    half, _ = training.minibatch_descent(step, state, examples, schedule[:2], lambda state: ())
    resumed, _ = training.minibatch_descent(step, half, examples, schedule[2:], lambda state: ())
    assert_equal_trees(resumed, whole, 1e-15)


def test_seeds_by_vmap_equal_seeds_in_a_loop_and_the_same_seed_gives_the_same_bits():
    examples, optimizer = make_examples(jax.random.key(19), 12), optax.sgd(0.5)
    step = training.make_step(OBJECTIVE, optimizer)

    @jax.jit
    def run(key):
        init_key, shuffle_key = jax.random.split(key)
        params, schedule = MODEL.init(init_key), training.shuffled_schedule(shuffle_key, 12, 4, 3)
        state = TrainState(params, optimizer.init(params))
        return training.minibatch_descent(step, state, examples, schedule, lambda state: ())

    keys, all_seeds = jax.random.split(jax.random.key(20), 3), jax.jit(jax.vmap(run))
    together = all_seeds(keys)
    for index, key in enumerate(keys):
        assert_equal_trees(jax.tree.map(lambda leaf, index=index: leaf[index], together), run(key), 1e-5)
    again = all_seeds(keys)
    jax.tree.map(np.testing.assert_array_equal, again, together)


def test_each_way_draws_as_its_name_says():
    labels = np.array([2, 0, 1, 0, 2, 1])
    ways = jax.jit(lambda key: training.all_ways(key, jnp.asarray(labels), 2, 3))(jax.random.key(0))
    anew, once, by_lot, as_stored, by_label = (np.asarray(way).reshape(3, 6) for way in ways)
    for way in (anew, once, as_stored, by_label):
        assert (np.sort(way, axis=1) == np.arange(6)).all()
    assert (once == once[0]).all()
    assert not (anew == anew[0]).all()
    assert (by_lot < 6).all()
    assert (as_stored == np.arange(6)).all()
    assert (np.diff(labels[by_label], axis=1) >= 0).all()


def test_no_way_draws_with_the_key_of_another():
    labels = jnp.array([2, 0, 1, 0, 2, 1])
    with jax.debug_key_reuse(True):  # JAX raises where a key is used twice
        ways = jax.jit(lambda key: training.all_ways(key, labels, 2, 3))(jax.random.key(0))
    assert len(ways) == 5
