"""The race of the optimizers: evaluations are counted by the function that is evaluated, ways down against by hand."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
import pytest
from helpers import SAME_MEDIAN, goes_on

from experiments.common import descents, optimizers
from experiments.common.bounds import SettingsError
from experiments.common.tune import Tuned
from experiments.networks import other_optimizers
from experiments.networks.other_optimizers import FULL, Outcome, Result
from research import models
from research.data import Examples

SMALLEST = dataclasses.replace(
    other_optimizers.QUICK, num_seeds=2, num_examples=100, num_evaluations=10, batch_size=40, layer_sizes=(784, 10)
)
AROUND = partial(jax.numpy_dtype_promotion, "standard")  # as optax's line search wants
STEEPNESS = np.array([4.0, 1.0, 0.25])
TRAIN = Examples(jnp.zeros((4, 1)), jnp.zeros((4, 1)))


class Posed(NamedTuple):
    """All that the ways down ask of a problem."""

    cost: Any
    train: Examples = TRAIN
    model: Any = None


def problem_of(cost):
    return Posed(cost)


def bowl(params, examples):
    return jnp.sum(jnp.asarray(STEEPNESS) / 2 * (params - 1) ** 2) + jnp.sum(0.1 * (params - 1) ** 4)


def test_plain_descent_uses_a_gradient_a_step_as_by_hand(x64):
    found = jax.jit(partial(optimizers.plain, problem_of(bowl), optimizers.PLAIN[0], 5))(jnp.zeros(3), TRAIN, 0.1)
    params, costs = np.zeros(3), []
    for _ in range(6):
        costs.append((STEEPNESS / 2 * (params - 1) ** 2 + 0.1 * (params - 1) ** 4).sum())
        params = params - 0.1 * (STEEPNESS * (params - 1) + 0.4 * (params - 1) ** 3)
    assert found.evaluations.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(found.cost, costs, rtol=1e-12)


def carried(kind, slope, kept, number):
    """(what the rate multiplies in step `number`, what is carried on) of optax's sgd, its momenta, and adam."""
    if kind == 3:
        first, second = 0.9 * kept[0] + 0.1 * slope, 0.999 * kept[1] + 0.001 * slope**2
        return first / (1 - 0.9**number) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8), (first, second)
    velocity = slope + 0.9 * kept[0]
    return (slope, velocity, slope + 0.9 * velocity)[kind], (velocity, velocity)


def slopes(weights, inputs, targets):
    """(mean cost, its gradient) of many networks (networks, 785, 10) without hidden layer, biases behind the pixels."""
    outputs = plain.sigmoid(inputs @ weights)
    deltas = 2 * (outputs - targets) * outputs * (1 - outputs) / inputs.shape[-2]
    return np.sum((outputs - targets) ** 2, axis=(-2, -1)) / inputs.shape[-2], np.swapaxes(inputs, -2, -1) @ deltas


def way_down(kind, weights, rates, inputs, targets, batches):
    """(costs before and after every pass, ends); `batches` (networks, passes, steps, batch)."""
    costs, kept = [slopes(weights, inputs, targets)[0]], (np.zeros_like(weights),) * 2
    for number, rows in enumerate(np.moveaxis(batches.reshape(len(weights), -1, batches.shape[-1]), 0, 1), 1):
        move, kept = carried(kind, slopes(weights, inputs[rows], targets[rows])[1], kept, number)
        weights = weights - rates[:, None, None] * move
        if number % batches.shape[2] == 0:
            costs.append(slopes(weights, inputs, targets)[0])
    return np.stack(costs, axis=1), weights


def test_every_optimizer_is_tuned_and_counted_as_by_numpy(ran):
    run, _ = ran("other_optimizers")
    settings = dataclasses.replace(run.settings, num_seeds=run.settings.num_seeds + 2)  # two are for tuning
    train, _, starts, _ = plain.begin(settings)
    inputs, targets = np.hstack([train.inputs / 255, np.ones((100, 1))]), np.asarray(train.targets, float)
    weights = np.stack([np.hstack([layer.weights, layer.biases[:, None]]).T.astype(float) for [layer] in starts])
    lit = inputs.any(axis=0)  # behind the other pixels nothing moves
    inputs, weights, shuffles = inputs[:, lit], weights[:, lit], plain.shuffles(settings, 100, 10)
    whole = np.tile(np.arange(100), (4, 10, 1, 1))
    parts = shuffles[..., :80].reshape(4, 10, 2, 40)
    both = ((run.result.full[:4], optimizers.PLAIN, whole), (run.result.mini, optimizers.MINIBATCH, parts))
    for outcomes, methods, batches in both:
        for kind, (outcome, method) in enumerate(zip(outcomes, methods, strict=True)):
            grid = np.array(method.grid)
            of, rates = np.repeat([0, 1], len(grid)), np.tile(grid, 2)
            tried = way_down(kind, weights[of], rates, inputs, targets, batches[of])[0][:, -1].reshape(2, -1)
            np.testing.assert_allclose(outcome.tried, tried, rtol=1e-3)
            middle = np.sqrt(tried[0] * tried[1])
            np.testing.assert_allclose(outcome.tuned.costs, middle, rtol=1e-3)
            assert outcome.label == method.label
            assert outcome.tuned.best == grid[middle.argmin()]
            best = np.full(2, outcome.tuned.best)
            cost, ends = way_down(kind, weights[2:], best, inputs, targets, batches[2:])
            np.testing.assert_allclose(outcome.cost, cost, rtol=1e-3)
            loudest = np.max(plain.sigmoid(inputs @ ends) * targets, axis=1)
            np.testing.assert_array_equal(outcome.silent, np.sum(loudest < 0.5, axis=1))


def test_those_that_search_along_lines_begin_at_the_same_starts_and_only_go_down(ran):
    run, _ = ran("other_optimizers")
    plainly, *_, bfgs, conjugate = run.result.full
    for outcome in (bfgs, conjugate):
        np.testing.assert_allclose(outcome.cost[:, 0], plainly.cost[:, 0], rtol=1e-5)
        assert (np.diff(outcome.cost, axis=1) <= 0).all()
        np.testing.assert_allclose(outcome.tuned.costs, np.sqrt(outcome.tried[0] * outcome.tried[1]), rtol=1e-5)


def test_the_second_race_is_on_fewer_images_and_who_begins_later_does_so_after_the_best_plain_steps(monkeypatch):
    train = Examples(jnp.zeros((9, 1)), jnp.zeros((9, 1)))
    problem, asked, begun = Posed(None, train), [], []
    monkeypatch.setattr(descents, "starts", lambda posed, keys: np.arange(len(keys)))
    monkeypatch.setattr(descents, "shuffles", lambda keys, *lengths: np.zeros((len(keys), 10, 9), int))
    monkeypatch.setattr(optimizers, "silence", lambda problem: len(problem.train.inputs))
    monkeypatch.setattr(optimizers, "compiled", lambda problem, way: (len(problem.train.inputs), *way.args[:1]))
    monkeypatch.setattr(optimizers, "one_by_one", lambda problem, budget: (len(problem.train.inputs), problem))
    monkeypatch.setattr(optimizers, "after_plain_steps", lambda method, *how: begun.append(how) or method)

    def tune(settings, silent, method, way, given):
        asked.append((method.label, silent, way[0], len(way[1].train.inputs)))
        return Outcome(method.label, Tuned(np.array([1.0 * len(asked)]), np.zeros(1)), None, None, 0.0, None)

    monkeypatch.setattr(other_optimizers, "tune", tune)
    settings = dataclasses.replace(SMALLEST, batch_size=2, head_start=3, fewer_examples=4)
    result = other_optimizers.measure(problem, settings)
    assert begun == [(1.0, 3)] * 3 + [(14.0, 3)] * 3  # of the first method in each race
    assert [label for label, *_ in asked] == [each.label for each in (*result.full, *result.mini, *result.fewer)]
    assert [sizes for _, *sizes in asked] == [[9] * 3] * 13 + [[4] * 3] * 9


def test_a_search_along_a_line_counts_every_gradient_it_asks_for(x64):
    asked = []

    @jax.custom_vjp
    def counted(params):
        return bowl(params, ())

    def forward(params):
        jax.debug.callback(lambda: asked.append(1))
        return bowl(params, ()), params

    counted.defvjp(forward, lambda params, slope: (slope * jax.grad(bowl)(params, ()),))
    with jax.numpy_dtype_promotion("standard"):
        way = partial(optimizers.searching, problem_of(lambda params, examples: counted(params)), optimizers.BFGS, 6)
        found = jax.block_until_ready(jax.jit(way)(jnp.zeros(3), TRAIN, jnp.asarray(0.5)))
        jax.effects_barrier()
    assert len(asked) == found.evaluations[-1] > 6
    assert (np.diff(found.cost) <= 0).all()


def test_conjugate_gradients_count_every_gradient_and_stop_when_they_are_used_up(x64):
    asked = []

    def hill(point):
        asked.append(1)
        return bowl(point, ()), jax.grad(bowl)(point, ())

    found = optimizers.conjugate(hill, 8, np.zeros(3), 0.1)
    assert len(asked) - 1 == found.evaluations[-1] >= 8  # the first look at the start is no step
    assert found.evaluations[-2] < 8
    assert (np.diff(found.cost) < 0).all()


def test_a_run_that_goes_on_evaluates_what_is_left(x64, tmp_path):
    problem = Posed(bowl, model=models.Model(lambda key: jnp.zeros(3), lambda params, x: params))
    starts, numbers = jnp.array([[3.0, 3.0, 3.0], [0.0, 2.0, 5.0]]), np.array([0.1, 0.5])
    whole = optimizers.one_by_one(problem, 8)((starts,), numbers)
    found, made = goes_on(lambda: optimizers.one_by_one(problem, 8)((starts,), numbers), 11, tmp_path / "name")
    assert [descent.cost.tolist() for descent in found] == [descent.cost.tolist() for descent in whole]
    assert made[0] == 12
    assert len(made) < sum(descent.evaluations[-1] for descent in whole)


def test_pairs_come_out_in_their_order_however_they_are_grouped():
    way = optimizers.compiled(
        problem_of(bowl), lambda start, train, number: optimizers.Descent(start, start * number, start)
    )
    numbers = np.arange(1.0, 7.0, dtype=np.float32)
    found = way((np.arange(6.0, dtype=np.float32),), numbers)
    assert [float(each.cost) for each in found] == [0, 2, 6, 12, 20, 30]


def test_the_number_is_chosen_on_starts_that_are_not_counted():
    ends = {0: [9, 1, 5, 9], 1: [9, 4, 1, 9], 2: [7, 7, 7, 7]}  # geometric means of 0 and 1: 9, 2, 2.2, 9

    def way(given, numbers):
        pairs = zip(given[0].tolist(), numbers.tolist(), strict=True)
        return [
            optimizers.Descent(np.array([0, 1]), np.array([10.0, ends[start][int(x)]]), start) for start, x in pairs
        ]

    method = optimizers.Method("any", lambda number: None, (0, 1, 2, 3))
    settings = dataclasses.replace(SMALLEST, num_seeds=1, num_evaluations=1)
    result = other_optimizers.tune(settings, lambda end: end + 1, method, way, (np.arange(3),))
    assert result.tuned.best == 1
    assert result.silent.tolist() == [3]  # of start 2, the only one that is counted
    assert result.cost.tolist() == [[10, 7]]
    np.testing.assert_allclose(result.tried, [ends[0], ends[1]])
    assert result.swapped == 5  # start 0 with the 2 that start 1 would choose; start 1 with 1: 4 times


def test_the_evaluations_of_a_group_are_counted_with_those_that_fill_it_up():
    found = [optimizers.Descent(np.array([0, last]), None, None) for last in (5, 7, 9, 11, 13)]
    assert other_optimizers.one_after_the_other(optimizers.CONJUGATE, found) == 45
    assert other_optimizers.one_after_the_other(optimizers.BFGS, found) == (45 + 3 * 13) / min(4, jax.device_count())


def test_a_method_that_begins_later_goes_as_a_plain_descent_and_then_as_itself(x64):
    momentum = optimizers.Method("momentum", partial(optax.sgd, momentum=0.9), ())
    later = optimizers.after_plain_steps(momentum, 0.2, 3)
    found = jax.jit(partial(optimizers.plain, problem_of(bowl), later, 6))(jnp.zeros(3), TRAIN, 0.05)
    params, velocity = np.zeros(3), np.zeros(3)
    for step in range(6):
        slope = STEEPNESS * (params - 1) + 0.4 * (params - 1) ** 3
        velocity = 0.9 * velocity + slope if step >= 3 else velocity
        params = params - (0.05 * velocity if step >= 3 else 0.2 * slope)
    np.testing.assert_allclose(found.end, params, rtol=1e-12)


def made_up(changes=(), at=slice(None), tuned=1, head_start=0, swapped=1.9, fewer=()):
    """Three seeds. After 1 to 400 evaluations plain descent is at 2 in the median one, the others at half of it, but
    `changes`, there and then; of the last method the best number is that of three, and its tuning starts end `swapped`
    times as high with each other's. `fewer`: the order in which the first end on fewer images, 0, 1, 2, ... on all."""
    plain = np.where(np.arange(401), 2.0, 6.0) + 0.1 * SAME_MEDIAN[:, None]

    def outcome(label, best=1):
        relative = np.full((3, 401), 1.0 if label == "plain descent" else 0.5)
        relative[:, at] = np.reshape(dict(changes).get(label, relative[:, at]), (3, -1))
        tuned = Tuned(np.arange(3.0), np.where(np.arange(3) == best, 0.1, 0.2))
        tried = np.array([[1, 9, 1.5], [swapped, 9, 1.0]]) if label == "Adam, mini-batches" else np.ones((2, 3))
        return Outcome(label, tuned, tried, relative * plain, 0.2 if label == "SGD" else 0.1, np.zeros(3))

    labels = [method.label for method in (*optimizers.PLAIN, optimizers.BFGS, optimizers.CONJUGATE)]
    labels += [f"{method.label} later" for method in optimizers.BEGUN_LATER if head_start]
    mini = [outcome(method.label) for method in optimizers.MINIBATCH[:-1]]
    full = tuple(map(outcome, labels))
    if fewer:
        full = tuple(each._replace(cost=each.cost - 0.01 * rank) for rank, each in enumerate(full))
    ends = tuple(each._replace(cost=each.cost * 0 + 9 - rank) for each, rank in zip(full, fewer, strict=False))
    return Result(full, (*mini, outcome("Adam, mini-batches", tuned)), ends)


def last(label, relative):
    return {"changes": {label: (0.5, 0.5, relative)}}


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), (last("L-BFGS", 0.95), []), (last("L-BFGS", 1.05), [0, 4]), (last("L-BFGS", 1.05) | {"at": [20]}, [0]),
     (last("L-BFGS", 1.05) | {"at": [21]}, []), (last("Adam", 0.95), []), (last("Adam", 1.05), [3]),
     (last("Adam", 1.05) | {"at": [0]}, []), ({"tuned": 0}, [7]), ({"tuned": 2}, [7]), ({"swapped": 2.1}, [6]),
     ({"fewer": (0, 1, 2, 3, 4, 5)}, []), ({"fewer": (1, 0, 2, 3, 5, 4)}, []), ({"fewer": (5, 1, 2, 3, 4, 0)}, [7])],
)  # fmt: skip
def test_the_claims_fail_where_the_last_seed_is_higher(changes, failing):
    found = list(other_optimizers.claims(made_up(**changes), dataclasses.replace(FULL, head_start=0, fewer_examples=0)))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_what_is_tuned_on_fewer_images_is_to_lie_inside_its_grid_too():
    result = made_up(fewer=(0, 1, 2, 3, 4, 5))
    at_the_end = result.fewer[4]._replace(tuned=made_up(tuned=0).mini[-1].tuned)
    outside = result._replace(fewer=(*result.fewer[:4], at_the_end, *result.fewer[5:]))
    settings = dataclasses.replace(FULL, head_start=0, fewer_examples=0)
    verdicts = [[claim.holds for claim in other_optimizers.claims(each, settings)][-1] for each in (result, outside)]
    assert verdicts == [True, False]


def test_who_begins_later_is_a_follow_up_and_few_evaluations_say_nothing_of_grids():
    kinds = [claim.kind for claim in other_optimizers.claims(made_up(head_start=20), FULL)]
    assert kinds == ["prediction"] * 6 + ["follow-up"] * 3 + ["prediction"] * 2
    few = list(other_optimizers.claims(made_up(), dataclasses.replace(FULL, num_evaluations=50, head_start=0)))
    assert len(few) == 7
    assert "(10 20 50 gradients" in few[0].says


def test_the_finding_is_of_the_medians_and_of_equal_seconds():
    result = made_up({"L-BFGS": (0.1,) * 3, "conjugate gradients": (0.2,) * 3, "Adam": (0.3,) * 3}, head_start=20)
    result.mini[0].cost[:, 200] = 0.7 + 0.1 * SAME_MEDIAN  # an evaluation of L-BFGS takes half as long
    said = other_optimizers.finding(result, FULL)
    assert "400 gradients of the full batch L-BFGS comes down to 0.2, conjugate gradients to 0.4, Adam to 0.6" in said
    assert "plain descent to 2, momentum 0.9 later 1, Nesterov 0.9 later 1, Adam later 1; plain SGD with as" in said
    assert "as many passes to 1, and in the seconds of L-BFGS (one timing, 200 passes) to 0.7." in said
    assert said.endswith("other of two tuning starts a start ends up to 1.9 times as high.")


def test_a_head_start_as_long_as_the_race_is_refused():
    with pytest.raises(SettingsError, match="--head-start is 10; it must be below --num-evaluations, 10"):
        dataclasses.replace(SMALLEST, head_start=10).check()
