"""A new cost beside the film's: what its outputs ask for, the best rate, and the claims."""

import dataclasses
import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, make_examples, make_params

from experiments.common import cost_looks
from experiments.common.cost_looks import Scatter
from experiments.common.hills import View
from experiments.common.problem import Problem
from experiments.common.runs import Diverged
from experiments.common.tune import Tuned
from experiments.networks import new_cost
from experiments.networks.new_cost import Descended, OfCost, Result, Settings, cross_entropy
from research import costs, models
from research.statistics import Moments

SMALLEST = Settings(
    num_seeds=2, num_examples=120, batch_size=10, num_steps=20, num_epochs=4, resolution=5, learning_rates=(0.5, 2.0),
    layer_sizes=(784, 3, 10),
)  # fmt: skip


def test_cross_entropy_is_the_formula_and_finite_where_an_output_is_saturated():
    output, target = np.array([0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(cross_entropy(output, target), -np.log(0.9 * 0.8 * 0.5), rtol=1e-6)
    assert np.isfinite(cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 0.0])))
    assert cross_entropy(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def test_an_average_that_is_off_is_measured_by_the_root_mean_square_of_the_gradients():
    cost = lambda params, examples: 3 * params[0] + 4 * params[1]  # whose gradient is (3, 4)
    found = Moments(jnp.array([3.0, 10.0]), jnp.zeros(2), jnp.array([2.0, 4.0, 6.0]))
    looked_at = SimpleNamespace(cost=cost, explicit=SimpleNamespace(moments=lambda params, examples: found))
    _, error = cost_looks.scatter(looked_at, jnp.zeros(2), None)
    assert float(error) == pytest.approx(6 / 2)


def test_one_component_that_is_wrong_by_hand_counts_beside_the_largest(monkeypatch):
    examples, params = jax.device_get((make_examples(jax.random.key(0), 9), make_params(jax.random.key(1))))
    sigmoids = (jax.nn.sigmoid, jax.nn.sigmoid)
    problem = Problem(models.mlp((12, 5, 6, 4)), costs.sum_of_squares, examples, examples, (3, 4, 1), sigmoids)
    assert max(cost_looks.check_gradients(problem, params)) < 1e-8
    backpropagate = cost_looks.backprop.backpropagate

    def wrong(*given):
        found = backpropagate(*given)
        *before, last = found.grads
        return found._replace(grads=[*before, last._replace(biases=last.biases.at[0].add(1))])

    monkeypatch.setattr(cost_looks.backprop, "backpropagate", wrong)
    largest = np.abs(plain.flat(plain.gradient(params, examples))).max()
    assert cost_looks.check_gradients(problem, params)[0] == pytest.approx(1 / largest, rel=1e-5)


def entropies(params, examples):
    outputs = plain.activations(params, examples.inputs)[-1]
    return -np.log(np.where(examples.targets > 0, outputs, 1 - outputs)).sum(axis=1)


COSTS = ((entropies, plain.of_cross_entropy), (plain.costs, plain.of_squares))


@functools.cache
def plainly(settings):
    """(training, test images, starts; (cost, method, seed, rate) -> where plain descent is at the start and every look)
    of both costs, the full batch and the mini-batches."""
    train, test, starts, _ = plain.begin(settings)
    train, test = (each._replace(inputs=each.inputs / 255) for each in (train, test))
    count, paths = len(train.inputs), {}
    orders = plain.shuffles(settings, count, settings.num_epochs).reshape(len(starts), -1, settings.batch_size)
    everything = np.tile(np.arange(count), (len(starts), settings.num_steps, 1))
    for (cost, (_, of_outputs)), (method, steps) in itertools.product(
        enumerate(COSTS), enumerate((everything, orders))
    ):
        every = steps.shape[1] // new_cost.LOOKS
        for (seed, start), (index, rate) in itertools.product(enumerate(starts), enumerate(settings.learning_rates)):
            passed = plain.descend(start, train, steps[seed, : every * new_cost.LOOKS], rate, of_outputs=of_outputs)
            paths[cost, method, seed, index] = passed[::every]
    return train, test, starts, paths


def test_both_costs_and_both_methods_go_as_plain_descent_does(ran):
    run, _ = ran("new_cost")
    settings, (train, test, starts, paths) = run.settings, plainly(run.settings)
    for cost, method in np.ndindex(2, 2):
        found, ends = run.result[cost].methods[method], np.empty((len(starts), len(settings.learning_rates)))
        best = list(settings.learning_rates).index(found.tuned.best)
        for seed, rate in np.ndindex(ends.shape):
            looks = paths[cost, method, seed, rate][1:]
            ends[seed, rate] = COSTS[cost][0](looks[-1], train).mean()
            np.testing.assert_allclose(found.by_rate[seed, rate], plain.accuracy(looks[-1], test), atol=0.011)
            if rate == best:
                some = [0, 9, -1]
                costs_there = [COSTS[cost][0](looks[look], train).mean() for look in some]
                np.testing.assert_allclose(found.cost[seed, some], costs_there, rtol=1e-4)
                accuracy = [plain.accuracy(looks[look], test) for look in some]
                np.testing.assert_allclose(found.accuracy[seed, some], accuracy, atol=0.011)  # two of 200
        np.testing.assert_allclose(found.tuned.costs, np.median(ends, axis=0), rtol=1e-4)
        steps = settings.num_epochs * (len(train.inputs) // settings.batch_size) // new_cost.LOOKS
        each = (settings.num_steps // new_cost.LOOKS * len(train.inputs), steps * settings.batch_size)[method]
        np.testing.assert_array_equal(found.read, each * np.arange(1, new_cost.LOOKS + 1))


def of_best(run, cost, method, seed):
    """The plain path with the best rate."""
    best = run.settings.learning_rates.index(run.result[cost].methods[method].tuned.best)
    return plainly(run.settings)[-1][cost, method, seed, best]


def test_what_outputs_ask_for_and_how_examples_scatter_is_looked_at_where_plain_descent_is(ran):
    run, _ = ran("new_cost")
    train, test, starts, _ = plainly(run.settings)
    first_two = plain.rows(train, [list(train.targets.argmax(axis=1)).index(2)])
    for cost, (found, (_, of_outputs)) in enumerate(zip(run.result[:2], COSTS, strict=True)):
        trained = of_best(run, 1, 1, 0)[-1]  # by the film's cost
        for wishes, params, examples in ((found.two, starts[0], first_two), (found.at_end, trained, test)):
            outputs = plain.activations(params, examples.inputs)[-1]
            deltas = of_outputs(outputs, examples.targets)
            nudges = -deltas / (outputs * (1 - outputs))
            for mine, theirs in zip((examples.targets, outputs, nudges, deltas), wishes, strict=True):
                np.testing.assert_allclose(theirs, mine, rtol=1e-3, atol=1e-6)
        for seed, start in enumerate(starts):
            places = start, of_best(run, cost, 1, seed)[-1]
            norms = [np.linalg.norm(plain.flat(plain.gradient(params, train, of_outputs))) for params in places]
            scales = [plain.scatter(params, train, of_outputs) for params in places] / np.square(norms)
            np.testing.assert_allclose(found.scatter.noise_scale[seed], scales, rtol=1e-3)
        assert max(found.by_hand_error / 1e-12, found.difference_error / 1e-6) < 1
        assert found.scatter.average_error.max() < 1e-6


def test_the_hills_are_round_both_paths_of_the_first_seed(ran):
    run, _ = ran("new_cost")
    train, _, starts, _ = plainly(run.settings)
    for cost, found in enumerate(run.result[:2]):
        points = np.array([plain.flat(params) for method in (0, 1) for params in of_best(run, cost, method, 0)])
        _, sizes, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        places = (points - points.mean(axis=0)) @ directions[:2].T
        signs = -np.sign(places[0])  # the start lies on the negative side
        np.testing.assert_allclose(np.concatenate(found.hill.shadows), places * signs, atol=1e-3 * np.ptp(places))
        np.testing.assert_allclose(found.share, np.sum(sizes[:2] ** 2) / np.sum(sizes**2), rtol=1e-4)
        corner = np.array([found.hill.alphas[0], found.hill.betas[-1]])
        there = plain.unflat(points.mean(axis=0) + corner * signs @ directions[:2], starts[0])
        np.testing.assert_allclose(found.hill.surface[0, -1], COSTS[cost][0](there, train).mean(), rtol=1e-3)


TARGETS, OUTPUTS = np.array([[0.0, 1.0]] * 2), np.array([[0.1, 0.8], [0.3, 0.4]])
WRONG = OUTPUTS - TARGETS
ACCURACY = np.array([[0.5, 0.99], [0.5, 0.9], [0.5, 0.88]])  # of three seeds, at two looks


def of_cost(deltas, came_down=950.0, delta=0.0, by_hand=0.0, differences=0.0, average=0.0, ahead=0.0):
    """Three seeds, two looks. The full batch comes to 0.6 with 1,000 examples, mini-batches of the last seed after so
    many, of the others earlier; the last delta, and the last seed's average at the end, are so far off."""
    scatter = Scatter(np.array([[1, 900.0], [1, 20.0], [1, 10.0]]), np.outer(LAST_OFF, (0, average)))
    tuned, view = Tuned(np.array([0.5]), np.array([0.1])), View(np.zeros(2), np.zeros(2), np.ones((2, 2)), (), ())
    mini = np.array([[0.5, 0.4], [0.55, 0.4], [0.9, 0.59 if came_down else 0.61]])
    full, mini = (
        Descended(tuned, read, cost, ACCURACY + more, ACCURACY[:, :1])
        for read, cost, more in (
            (np.array([500.0, 1000.0]), np.array([[0.8, 0.6]] * 3), ahead),
            (np.array([50.0, came_down]), mini, -2 * ahead * np.outer(LAST_OFF, (0, 1))),
        )
    )
    off = np.zeros((2, 2))
    off[-1, -1] = delta
    wishes = cost_looks.Wishes(TARGETS, OUTPUTS, -2 * WRONG, deltas + off)
    return OfCost("a", by_hand, differences, wishes, wishes, scatter, (full, mini), view, 1.0)


def made_up(new=None, film=None):
    slope = OUTPUTS * (1 - OUTPUTS)
    return Result(of_cost(WRONG, **(new or {})), of_cost(2 * WRONG * slope, **(film or {}))._replace(name="b"), True)


@pytest.mark.parametrize(
    ("new", "film", "failing"),
    [({}, {}, []), ({"by_hand": 9.5e-13, "differences": 9.5e-7, "average": 9.5e-7, "delta": 9.5e-7}, {}, []),
     ({"by_hand": 1.05e-12}, {}, [0]), ({}, {"by_hand": 1.05e-12}, [0]), ({"differences": 1.05e-6}, {}, [1]),
     ({}, {"differences": 1.05e-6}, [1]), ({"average": 1.05e-6}, {}, [2]), ({}, {"average": 1.05e-6}, [2]),
     ({}, {"delta": 9.5e-7}, []), ({}, {"delta": 1.05e-6}, [3]), ({"delta": 1.05e-6}, {}, [4]),
     ({}, {"came_down": 1050.0}, [5]), ({"came_down": 1050.0}, {}, [6]), ({"came_down": 0.0}, {}, [6])],
)  # fmt: skip
def test_the_claims_hold_for_the_right_costs_and_fail_for_others(new, film, failing):
    found = list(new_cost.claims(made_up(new, film), Settings()))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_of_a_cost_of_ones_own_and_of_other_outputs_less_is_claimed():
    assert len(list(new_cost.claims(made_up(), Settings(cost="costs:mine")))) == 6
    assert len(list(new_cost.claims(made_up()._replace(sigmoid=False), Settings()))) == 5


def test_examples_to_the_same_cost_are_counted_at_the_looks():
    np.testing.assert_array_equal(new_cost.examples_saved(of_cost(WRONG)), [20, 20, 1000 / 950])
    np.testing.assert_array_equal(new_cost.examples_saved(of_cost(WRONG, came_down=0.0)), [20, 20, np.nan])


def test_the_finding_counts_the_starts_and_gives_the_median_ends():
    said = new_cost.finding(made_up(new={"ahead": 0.01}), Settings())
    assert "a against b: full batch 91.0 % against 90.0 %, mini-batches 90.0 % against 90.0 % (medians)" in said
    assert "3 of 3 starts (by +1.00 points on average) and 0 of 3 starts (by -0.67 points on average)" in said
    assert "at the end of the mini-batches is 20 (10 to 900) against 20 (10 to 900)." in said


def test_the_best_rate_is_the_one_that_ends_lowest_and_one_that_diverged_never_is():
    cost = np.array([[[3.0, 2.0], [3.0, 1.0], [3.0, np.nan]], [[3.0, 2.0], [3.0, 1.5], [np.inf, 0.1]]])
    settings = dataclasses.replace(SMALLEST, learning_rates=(1.0, 2.0, 3.0))
    best, _ = new_cost.best_of(settings, (cost, cost / 10, cost[..., None]), np.ones(2))
    assert best.tuned.best == 2.0
    np.testing.assert_array_equal(best.cost, [[3.0, 1.0], [3.0, 1.5]])
    with pytest.raises(Diverged, match="every learning rate"):
        new_cost.best_of(settings, (cost * np.nan, cost, cost[..., None]), np.ones(2))
