"""The edge of stability: what is compared along descents, and the claims on made-up ones."""

from functools import partial
from unittest import mock

import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEDIAN
from scipy.sparse.linalg import LinearOperator, eigsh

from experiments.common import descents, valleys
from experiments.common.bounds import SettingsError
from experiments.common.valleys import Curve
from experiments.hill import edge_of_stability as experiment
from experiments.hill.edge_of_stability import Settings
from research.models import Layer

SMALLEST = Settings(
    num_seeds=2, num_examples=40, num_steps=10, batch_sizes=(10,), edge_learning_rates=(0.4,), num_edge_steps=20,
    network_learning_rates=(1.0,), num_looks=5, layer_sizes=(784, 10),
)  # fmt: skip
AROUND = partial(mock.patch.object, valleys, "ITERATIONS", 20)  # of Lanczos: enough where no edge is reached
TWO_SIZES = Settings(learning_rates=(0.1, 0.2, 0.4), network_learning_rates=(2.0,))


def test_every_descent_has_the_rate_and_the_steps_that_are_meant_for_it(ran):
    run, _ = ran("edge_of_stability")
    result, settings = run.result, run.settings
    for curves, rates, num_steps in (
        (result.full_batch, settings.learning_rates, settings.num_steps),
        (result.minibatch, settings.learning_rates[1:2] * len(settings.batch_sizes), settings.num_steps),
        (result.edge, settings.edge_learning_rates, settings.num_edge_steps),
        (result.network, settings.network_learning_rates, settings.num_steps),
    ):
        assert tuple(each.learning_rate for each in curves) == rates
        for each in curves:
            np.testing.assert_array_equal(each.steps, np.linspace(0, num_steps, settings.num_looks + 1))


def tanh_slopes(params, examples):
    """(mean cost, its gradient) of tanh, tanh, linear with half the sum of squares."""
    reached, slopes = [examples.inputs], []
    for layer in params[:-1]:
        reached.append(np.tanh(reached[-1] @ layer.weights.T + layer.biases))
    error = reached[-1] @ params[-1].weights.T + params[-1].biases - examples.targets
    cost = np.mean(np.sum(error**2, axis=1)) / 2
    for layer, before in zip(params[::-1], reached[::-1], strict=True):
        slopes.insert(0, Layer(error.T @ before / len(before), error.mean(axis=0)))
        error = error @ layer.weights * (1 - before**2)
    return cost, plain.flat(slopes)


def own_slopes(params, examples):
    return plain.costs(params, examples).mean(), plain.flat(plain.gradient(params, examples))


def on_their_span(images, train, starts):
    """Images and first weights laid on the span of the images, where all slopes lie."""
    basis = np.linalg.qr(images.T)[0]
    laid = [[Layer(start[0].weights @ basis, start[0].biases), *start[1:]] for start in starts]
    return train._replace(inputs=images @ basis), laid


def passed(slopes, params, examples, schedule, rate):
    """The points of a descent, from its start on."""
    yield params
    for batch in schedule:
        down = slopes(params, plain.rows(examples, batch))[1]
        params = plain.unflat(plain.flat(params) - rate * down, params)
        yield params


def curved(slopes, params, examples, along):
    """The Hessian times a direction of length 1."""
    ends = (plain.unflat(plain.flat(params) + by * along, params) for by in (1e-4, -1e-4))
    there, back = (slopes(end, examples)[1] for end in ends)
    return (there - back) / 2e-4


def along_its_own(slopes, params, batch):
    """How much a batch's cost curves along its gradient."""
    down = slopes(params, batch)[1]
    down /= np.linalg.norm(down)
    return down @ curved(slopes, params, batch, down)


def test_all_curves_are_those_of_plain_descent(ran):
    run, _ = ran("edge_of_stability")
    result, settings, (train, _, starts, _) = run.result, run.settings, plain.begin(run.settings)
    images, count = train.inputs / 255, len(train.inputs)
    usual, _ = plain.starts_and_keys(settings.seed, settings.num_seeds, (784, 16, 16, 10))
    halves = [[Layer(layer.weights / 2, layer.biases) for layer in start] for start in usual]
    tanh = tanh_slopes, *on_their_span(images - images.mean(axis=0), train, halves)
    own = own_slopes, *on_their_span(images, train, starts)
    order = plain.shuffles(settings, count, 6)  # five are walked
    batches, held = descents.in_batches(order[:, :5], 10), descents.in_batches(order[:, 5:], 10)
    whole = np.broadcast_to(np.arange(count), (settings.num_seeds, 10, count))
    for (slopes, examples, begun), curves, schedules in (
        (tanh, result.full_batch, whole),
        (tanh, result.minibatch, batches[:, :10]),
        (tanh, result.edge, batches),
        (own, result.network, whole),
    ):
        for index, found in enumerate(curves):
            for seed, (start, schedule) in enumerate(zip(begun, schedules, strict=True)):
                path = list(passed(slopes, start, examples, schedule, found.learning_rate))
                seen = [path[step] for step in found.steps]
                np.testing.assert_allclose(found.cost[seed], [slopes(at, examples)[0] for at in seen], rtol=1e-4)
                bends = LinearOperator([plain.flat(start).size] * 2, partial(curved, slopes, seen[-1], examples))
                top = eigsh(bends, 1, which="LA", tol=1e-3, v0=plain.flat(start), return_eigenvectors=False)
                np.testing.assert_allclose(found.sharpness[seed, -1:], top, rtol=1e-3)
                if curves is result.edge:
                    parts = [plain.rows(examples, batch) for batch in held[seed]]
                    along = [np.mean([along_its_own(slopes, at, part) for part in parts]) for at in seen]
                    np.testing.assert_allclose(result.batch_sharpness[index, seed], along, rtol=1e-3)


def curve(rate, sharpness, cost=None):
    """The path of one seed, or of several, looked at after every step."""
    values = np.atleast_2d(np.array(sharpness, float))
    costs = np.tile(np.array(cost or range(values.shape[1], 0, -1), float), (len(values), 1))
    return Curve(rate, np.arange(values.shape[1]), costs, values, np.zeros_like(values))


def test_equal_times_are_compared_up_to_the_edge_and_no_further():
    slow = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
    fast = curve(0.2, [1.0, 2.2, 3.0, 9.5, 1.0])  # the edge is at 10: the fourth look is above nine tenths of it
    np.testing.assert_allclose(valleys.apart_before_the_edge(slow, fast), [0.2 / 2.2])
    assert np.isnan(valleys.apart_before_the_edge(slow, curve(0.17, [1.0, 2.0]))).all()


def test_where_no_common_look_lies_before_the_edge_nothing_is_compared():
    slow, at_once = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0]), curve(0.2, [1.0, 9.5, 2.0])
    assert np.isnan(valleys.apart_before_the_edge(slow, at_once)).all()


@pytest.mark.parametrize("size", [experiment.QUICK, Settings(), experiment.FULL])
def test_the_first_two_rates_are_compared_early_in_every_size(size):
    """Within the first three looks of the faster one."""
    looks = size.num_steps // size.num_looks * np.arange(1, size.num_looks + 1)
    slow, fast = size.learning_rates[:2]
    assert np.isclose(slow * looks[:, None], fast * looks[None, :3]).any()


def test_at_equal_cost_each_is_taken_where_it_first_came_down_so_far():
    minibatch, full_batch = curve(1.0, [1.0, 2.0, 3.0], [9.0, 5.0, 4.0]), curve(1.0, [1.0, 4.0, 8.0], [9.0, 4.0, 1.0])
    np.testing.assert_allclose(valleys.ratio_at_equal_cost(minibatch, full_batch), [3.0 / 4.0])


def made_up(*, levels=(1.0, 1.0), sizes=(6.0, 3.0), slow=2.0, network=0.1, residual=0.0, along=(1.0, 1.0), edge=0.7):
    """Paths of 13 points and three seeds, of which the last ends at `levels` of 2/eta with the rates 0.2 and 0.4, with
    batches at sharpness `sizes`, and with the network at `network` of 2/eta; `slow` is what it has with the rate 0.1.
    With the rates 0.6 and 0.8 it has the sharpness `edge` of 2/eta; the batch sharpness of the median seed is `along`
    of it."""
    early, tail = np.array([1.0, 2.0]), np.array([*[1.0] * 7, 0.4, 1.2, 1.2, 1.2])  # the last third's mean is 1

    def path(level, usual):
        ends = np.where(LAST_OFF, level, usual)
        return np.concatenate([np.tile(early, (3, 1)), np.outer(ends, tail)], axis=1)

    first = np.concatenate([np.ones((3, 1)), np.repeat(np.where(LAST_OFF, slow, 2.0)[:, None], 12, axis=1)], axis=1)
    full_batch = curve(0.1, first), curve(0.2, path(10 * levels[0], 10)), curve(0.4, path(5 * levels[1], 5))
    minibatch = [curve(0.2, path(size, usual)) for size, usual in zip(sizes, (6, 3), strict=True)]
    minibatch[-1].residual[-1, -1] = residual
    films = curve(2.0, path(network, 0.05))
    edges = [2 / rate for rate in (0.6, 0.8)]
    ends = tuple(curve(2 / at, path(edge * at, 0.7 * at)) for at in edges)
    own = [
        np.outer(at * (level + 0.2 * SAME_MEDIAN), [*[1.0] * 9, *tail[-4:]])
        for level, at in zip(along, edges, strict=True)
    ]
    return experiment.Result(full_batch, tuple(minibatch), ends, np.array(own), (films,))


def verdicts(result, settings=TWO_SIZES):
    return [claim.holds for claim in experiment.claims(result, settings)]


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, []),
        *[({"levels": levels}, []) for levels in ((1.0, 1.095), (0.905, 1.0))],
        *[({"levels": levels}, [0]) for levels in ((1.0, 1.105), (1.0, 0.895), (1.105, 1.0))],
        *[({"slow": slow}, []) for slow in (2.019, 1.981)],
        *[({"slow": slow}, [1]) for slow in (2.021, 1.979)],
        ({"sizes": (9.5, 9.0)}, []),
        ({"sizes": (2.8, 3.0)}, [2]),
        ({"sizes": (10.5, 3.0)}, [2, 3]),
        ({"sizes": (6.0, 10.5)}, [2, 3]),
        ({"residual": 0.0095}, []),
        ({"residual": 0.0105}, [4]),
        *[({"along": along}, []) for along in ((1.0, 1.095), (0.905, 1.0))],
        *[({"along": along}, failing) for along, failing in (((1.0, 1.105), [6]), ((0.895, 1.0), [5]))],
        ({"edge": 0.99}, []),
        ({"edge": 1.01}, [7]),
        ({"network": 0.89}, []),
        ({"network": 0.91}, [8]),
    ],
)
def test_each_claim_fails_where_one_seed_is_not_so(change, failing):
    found = list(experiment.claims(made_up(**change), TWO_SIZES))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_where_the_batch_sharpness_still_grows_nothing_is_said_of_where_it_ends():
    result = made_up(along=(0.3, 1.0))
    growing = result._replace(batch_sharpness=result.batch_sharpness * np.linspace(0.8, 1.0, 13))
    assert verdicts(growing) == [True] * 7
    assert "still growing" in experiment.finding(growing, TWO_SIZES)
    assert "still growing" not in experiment.finding(result, TWO_SIZES)


def test_rest_takes_more_than_one_seed_and_more_than_chance():
    flat = np.ones((4, 16))
    assert experiment.at_rest(flat)
    assert not experiment.at_rest(flat[:1])
    noisy = flat + np.array([0.2, -0.2, 0.2, -0.2])[:, None] * (np.arange(16) >= 8)
    assert not experiment.at_rest(noisy)  # 0 on average, give or take 0.23


def test_nothing_is_claimed_of_other_data_and_of_another_network_less():
    assert verdicts(made_up(), Settings(dataset="kmnist")) == []
    assert len(verdicts(made_up(), Settings(layer_sizes=(784, 10)))) == 8


def test_the_finding_says_where_each_one_ends():
    said = experiment.finding(made_up(levels=(1.5, 1.5), sizes=(9, 9), along=(1.1, 0.9)), TWO_SIZES)
    assert "1.00 at rate 0.2, 1.00 at rate 0.4, at rate 0.2 0.60" in said
    assert "at rate 0.2 0.60 by batches of 50, 0.30 by batches of 10" in said
    assert "batches of 10 1.10 at rate 0.6, at rest, sharpness 0.70; 0.90 at rate 0.8, at rest, sharpness 0.70." in said
    assert "the film's network: 0.05 at rate 2." in said


def test_steps_that_the_looks_do_not_divide_are_refused():
    with pytest.raises(SettingsError, match="--num-steps is 21; it must be a multiple of --num-looks, 5"):
        Settings(num_steps=21, num_looks=5).check()
    with pytest.raises(SettingsError, match="--num-edge-steps is 21; it must be a multiple of --num-looks, 5"):
        Settings(num_steps=20, num_edge_steps=21, num_looks=5).check()
