"""repair: Results on which the claims must hold, and must fail."""

import dataclasses

import numpy as np
import plain
import pytest
import threefry

from experiments.common import posing, runs
from experiments.one_example import repair
from experiments.one_example.repair import Result, Settings
from research.models import Layer

SMALLEST = Settings(num_seeds=2, num_legs=4, steps_per_leg=5, batch_size=20, repair_steps=3, num_looked_at=200)


def test_a_case_is_the_largest_of_its_own_row_or_above_zero():
    matrix = np.array([[[2.0, 1.0], [3.0, 2.0]]])
    rises, most, best, first = repair.cases(made_up(blame=matrix, repaired=matrix - 2.5, patched=matrix / 3))
    np.testing.assert_array_equal(rises, [[True, True]])
    np.testing.assert_array_equal(most, [[True, False]])
    np.testing.assert_array_equal(best, [[True, False]])
    np.testing.assert_array_equal(first, [[True, False]])


BEYOND = np.array([9.0, 0.0, 0.0, -0.5])[:, None, None]  # four seeds whose median is 0


def made_up(apart=0.05, **changed):
    """Four seeds of two layers: the damaged one's share grows most, and it repairs itself best; after training all
    layers the cost is 1, and in the last seed so much more with the last layer alone."""
    costs = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.5]]) + np.zeros((4, 1, 1))
    costs[-1, 1, -1] = 1 + apart
    own = np.stack([np.array([[2.0, -1.0], [-1.0, 2.0]])] * 4)
    patched = np.stack([np.array([[1.0, 1.0], [0.0, 1.0]])] * 4)
    return Result(costs, own, own, patched, True)._replace(**changed)


def free_step(params, batch, rate, free):
    """A step of the layers that are free."""
    moved = plain.step(params, batch, rate)
    return [new if layer in free else old for layer, (old, new) in enumerate(zip(params, moved, strict=True))]


def descend(params, train, batches, rate, free):
    passed = [params]
    for batch in batches:
        passed.append(free_step(passed[-1], plain.rows(train, batch), rate, free))
    return passed


def shares(params, few):
    """Of |G|^2, each layer's."""
    squares = np.array([(plain.flat([layer]) ** 2).sum() for layer in plain.gradient(params, few)])
    return squares / squares.sum()


def patched(broken, whole, few):
    """The broken network's cost with each layer's activations in turn those of the whole one."""
    reached = plain.activations(whole, few.inputs)
    answers = [plain.activations(broken[layer:], reached[layer])[-1] for layer in (1, 2)]
    return [((answer - few.targets) ** 2).sum(axis=1).mean() for answer in (*answers, reached[-1])]


def check_seed(found, start, key, settings, train):
    """Holds one seed's (costs, blame, repaired, patched) against a plain network that is damaged and repaired."""
    few = plain.rows(train, range(settings.num_looked_at))
    cost_of, rate = lambda params: plain.costs(params, few).mean(), settings.learning_rate
    shuffle_key, blame_key = threefry.split(key)
    damage_key, repair_key = threefry.split(blame_key)
    batches, repairs = (
        threefry.shuffles(each, 600, 1).reshape(-1, settings.batch_size) for each in (shuffle_key, repair_key)
    )
    ways = [descend(start, train, batches[:20], rate, free) for free in ((0, 1, 2), (2,))]
    costs = [[cost_of(params) for params in passed[:: settings.steps_per_leg]] for passed in ways]
    np.testing.assert_allclose(found[0], costs, rtol=1e-4)
    whole = ways[0][-1]
    for layer, (weights, biases) in enumerate(whole):
        order = threefry.permutation(threefry.fold_in(damage_key, layer), weights.size)
        mixed = Layer(weights.ravel()[order].reshape(weights.shape), biases)
        broken = [*whole[:layer], mixed, *whole[layer + 1 :]]
        np.testing.assert_allclose(found[1][layer], np.log2(shares(broken, few) / shares(whole, few)), atol=1e-3)
        ends = [descend(broken, train, repairs[: settings.repair_steps], rate, (free,))[-1] for free in range(3)]
        for undone, better in zip(found[2:], (list(map(cost_of, ends)), patched(broken, whole, few)), strict=True):
            wanted = (cost_of(broken) - better) / (cost_of(broken) - cost_of(whole))
            np.testing.assert_allclose(undone[layer], wanted, rtol=1e-3, atol=1e-3)


def test_every_seed_is_trained_damaged_and_repaired_as_a_plain_network_is(ran):
    run, _ = ran("repair")
    train, _, starts, _ = plain.begin(run.settings)
    for seed, (_, key) in enumerate(threefry.seed_keys(run.settings.seed, run.settings.num_seeds)):
        check_seed([each[seed] for each in run.result[:4]], starts[seed], key, run.settings, train)


def turned(num_cases):
    """The last of eight cases turned into their opposites, the last seed's second layer first."""
    whose = np.where(np.arange(8) >= 8 - num_cases, -1.0, 1.0).reshape(4, 2, 1)
    return whose * made_up().blame


@pytest.mark.parametrize(
    ("changed", "verdicts"),
    [
        ({}, [True, True, True, True, True]),
        ({"blame": turned(1), "repaired": turned(1)}, [True, True, True, True, True]),  # 88 %
        ({"blame": turned(2)}, [False, False, True, True, True]),  # 75 %
        ({"blame": made_up().blame + 5 * np.array([0, 1])}, [True, False, True, True, True]),
        ({"repaired": turned(2)}, [True, True, False, True, True]),
        ({"patched": made_up().patched * [1, 0.99]}, [True, True, True, False, True]),
        ({"apart": -0.05}, [True, True, True, True, False]),
    ],
)
def test_the_claims_tell_good_from_bad(changed, verdicts):
    claims = list(repair.claims(made_up(**changed), SMALLEST))
    assert [claim.holds for claim in claims] == verdicts
    assert all(claim.holds or claim.why for claim in claims[:3])


def test_the_finding_counts_the_last_layer_and_every_layers_own_repair():
    said = repair.finding(made_up(blame=turned(3), repaired=turned(1), costs=made_up().costs + BEYOND), SMALLEST)
    assert "grows by the largest factor, in 3 of 8 cases" in said
    assert "its own best repair in 4 (layer 1), 3 (layer 2) of 4 seeds" in said
    assert "finds it in 8 of 8 cases" in said
    assert "the last layer alone ends at a cost of 1.50, all layers at 1.00 (medians)" in said


def test_of_another_cost_and_other_neurons_nothing_is_claimed():
    assert list(repair.claims(made_up(sigmoids=False), SMALLEST)) == []
    assert list(repair.claims(made_up(), dataclasses.replace(SMALLEST, cost="absolute"))) == []


@pytest.fixture
def found(monkeypatch):
    """What every seed's descents are said to have found; it can be changed."""
    arrays = np.ones((2, 2, 5)), *np.ones((3, 2, 3, 3))
    monkeypatch.setattr(runs, "over_seeds", lambda *_: lambda *_: arrays)
    return arrays


@pytest.mark.parametrize(
    ("words", "sigmoids"),
    [({}, True), ({"activation": "jax.nn:tanh"}, False), ({"output_activation": "jax.nn:tanh"}, False)],
)
def test_the_result_says_whether_all_neurons_are_sigmoids(found, small_mnist, words, sigmoids):
    settings = dataclasses.replace(SMALLEST, dataset=str(small_mnist), **words)
    assert repair.measure(posing.pose(settings), settings).sigmoids == sigmoids


def test_a_descent_that_diverges_says_so(found, small_mnist):
    settings = dataclasses.replace(SMALLEST, dataset=str(small_mnist))
    problem, (costs, _, repaired, _) = posing.pose(settings), found
    repaired[1, 0, 2] = np.nan
    with pytest.raises(runs.Diverged, match="repair: the cost was no longer a finite number at step 3"):
        repair.measure(problem, settings)
    costs[1, 1, 2:] = np.inf
    with pytest.raises(runs.Diverged, match="training: the cost was no longer a finite number at step 10"):
        repair.measure(problem, settings)
