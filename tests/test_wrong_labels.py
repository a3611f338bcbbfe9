"""Wrong labels: as many as said, found or not, by scores held against formulas; and the claims."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax
import plain
import pytest
from helpers import SAME_MEAN, SAME_MEDIAN

from experiments.common import teaching
from experiments.common.bounds import SettingsError
from experiments.common.descents import Method
from experiments.common.problem import Problem
from experiments.labels import wrong_labels
from experiments.labels.wrong_labels import FALSE_ALARMS, Learned, Result, Settings
from research import costs, fits, models
from research.data import Examples

SMALLEST = Settings(num_seeds=2, num_examples=300, shares=(0, 0.2), num_epochs=3, layer_sizes=(784, 10))


def test_the_area_is_that_under_the_curve():
    rng = np.random.default_rng(0)
    wrong = np.arange(3000) < 1000
    scores = rng.normal(size=3000) + wrong
    curve = wrong_labels.caught(scores[wrong], scores[~wrong])
    assert (np.diff(curve) >= 0).all()
    assert np.trapezoid(curve, FALSE_ALARMS) == pytest.approx(fits.auroc(scores[wrong], scores[~wrong]), abs=0.01)


def test_wrong_labels_are_as_many_as_said_nested_and_wrong():
    labels = np.arange(1000) % 7
    given = wrong_labels.with_wrong_labels(labels, (0, 0.25, 0.6), 7, [3])
    wrong = given != labels
    assert wrong.sum(axis=1).tolist() == [0, 250, 600]
    assert (wrong[2] | ~wrong[1]).all()
    assert (given[1] == given[2])[wrong[1]].all()
    assert set(((given - labels) % 7)[2].tolist()) == set(range(7))


def test_the_expected_agreement_of_one_who_goes_by_the_truth():
    labels, answers = np.arange(70_000) % 7, (np.arange(70_000) // 7) % 10 == 0
    answers = np.where(answers, (labels + 1) % 7, labels)  # right in 9 of 10
    given = wrong_labels.with_wrong_labels(labels, (0.3,), 7, [4])[0]
    theory = wrong_labels.by_the_truth(np.array([0.3]), np.array([[0.9]]), 7)
    assert np.mean(given == answers) == pytest.approx(theory.item(), abs=0.01)


def test_what_a_point_costs():
    shares = np.array([0.0, 0.2, 0.4])
    assert wrong_labels.bearable(shares, np.array([95.0, 95.0, 93.0])) == (0.2, 0.4)
    assert wrong_labels.bearable(shares, np.array([95.0, 95.5, 94.5])) == (0.4, 0.4)


def test_wrong_labels_are_sought_with_the_network_that_learned_them_after_the_first_and_the_last_epoch(monkeypatch):
    """Networks are numbers: 100 for each share, 10 for each seed, and 1 for each epoch."""
    networks = np.add.outer(np.add.outer([0.0, 100.0, 200.0, 300.0], [0.0, 10.0]), [0.0, 1.0, 2.0])
    labels = np.arange(8) % 3
    given = np.tile(labels, (4, 2, 1)) + (np.arange(8) < np.array([0, 1, 3, 5])[:, None])[:, None]

    def see(found, wrong):
        return np.stack([found[0][:, 0], wrong.sum(axis=1)], axis=1), np.zeros((len(wrong), 2, 1))

    monkeypatch.setattr(wrong_labels, "learn", lambda *_: (networks,) * 4)
    monkeypatch.setattr(
        wrong_labels, "scores", lambda problem, network, train, given: (jnp.full(given.shape, network),) * 2
    )
    monkeypatch.setattr(wrong_labels, "areas_and_curves", see)
    train = Examples(jnp.zeros((8, 6)), jnp.zeros((8, 3)))
    problem = Problem(models.mlp((6, 3)), costs.sum_of_squares, train, train, (2, 3, 1))
    recipe = teaching.Recipe(problem, Method("any", 10, optax.sgd(1.0)), [])
    found = wrong_labels.outcome(recipe, given, labels, np.zeros((2, 3, 8), int)).areas
    np.testing.assert_array_equal(found[..., 0], [[[100, 110], [102, 112]], [[200, 210], [202, 212]]])
    np.testing.assert_array_equal(found[..., 1], [[[1, 1]] * 2, [[3, 3]] * 2])


def cross_entropies(params, examples):
    """Nielsen's cost of every example, from the sums z of the outputs."""
    sums = plain.activations(params, examples.inputs)[-2] @ params[-1].weights.T + params[-1].biases
    return (np.logaddexp(0, sums) - examples.targets * sums).sum(axis=1)


def scores_of(params, examples, of_outputs, cost):
    """(|g_i|, C_i) of every example."""
    errors = plain.errors(params, examples, of_outputs)
    squares = [(error**2).sum(axis=1) * (1 + (before**2).sum(axis=1)) for error, before in errors]
    return np.sqrt(sum(squares)), cost(params, examples)


def test_what_is_learned_and_what_stands_out_is_that_of_plain_descent_on_the_labels_given(ran):
    run, _ = ran("wrong_labels")
    settings, (train, test, starts, _) = run.settings, plain.begin(run.settings)
    orders, labels = plain.shuffles(settings, 300, 3).reshape(2, 90, 10), train.targets.argmax(axis=1)
    nielsens = plain.normal_starts(settings, (784, 30, 10)), 0.5, 1e-4, plain.of_cross_entropy, cross_entropies
    films = starts, 1.5, 0.0, plain.of_squares, plain.costs
    for (starts, rate, decay, slope, cost), learned in zip((nielsens, films), run.result.recipes, strict=True):
        for share, seed in np.ndindex(2, 2):
            given = wrong_labels.with_wrong_labels(labels, settings.shares, 10, [settings.seed, seed])[share]
            taught, wrong = train._replace(targets=np.eye(10)[given]), given != labels
            passed = plain.descend(starts[seed], taught, orders[seed], rate, decay=decay, of_outputs=slope)
            found = [of[share, seed] for of in (learned.test, learned.given, learned.true)]
            wanted = [plain.accuracy(passed[-1], examples) for examples in (test, taught, train)]
            np.testing.assert_allclose(found, wanted, atol=0.011)
            for epoch, score in np.ndindex(2, 2 * share):  # the first and the last; sought where some are wrong
                values = scores_of(passed[(30, 90)[epoch]], taught, slope, cost)[score]
                bad, good = values[wrong], values[~wrong]
                area, curve = np.mean(bad[:, None] > good), wrong_labels.caught(bad, good)
                assert learned.areas[0, epoch, seed, score] == pytest.approx(area, abs=3e-3)  # some are hardly apart
                assert np.abs(learned.curves[epoch, seed, score] - curve).mean() < 5e-3


SHARES = Settings(shares=(0, 0.25, 0.5), num_epochs=5)


def made_up(by_heart=0.0, area=0.95):
    """Two recipes, three seeds; where half of the labels are wrong a share is learned by heart beyond the truth, and in
    the first recipe's last seed they are found as well as `area` says."""
    true = np.array([0.95, 0.9, 0.8])[:, None] + 0.01 * SAME_MEDIAN / 9
    given = wrong_labels.by_the_truth(np.array(SHARES.shares), true, 10) + 0.01 * SAME_MEAN
    given[-1] += by_heart
    areas = np.full((2, 2, 3, 2), 0.95)
    areas[-1, -1, -1], areas[..., 1] = area, 0.5
    learned = Learned("a", true, given, true, areas, np.zeros((2, 3, 2, 101)))
    return Result((learned, learned._replace(label="b", areas=np.where(areas == area, 0.95, areas))), 10)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"by_heart": 0.0195}, []), ({"by_heart": 0.0205}, [0, 3]), ({"by_heart": -0.0195}, []),
     ({"by_heart": -0.0205}, [0, 3]), ({"area": 0.905}, []), ({"area": 0.895}, [2])],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changes, failing):
    found = list(wrong_labels.claims(made_up(**changes), SHARES))
    assert [index for index, claim in enumerate(found) if not claim.holds] == failing


def test_a_network_that_goes_by_the_truth_agrees_as_often_as_it_is_right_or_wrong_in_the_same_way():
    found = wrong_labels.by_the_truth(np.array([0, 0.5]), np.full((2, 1), 0.9), 11)
    np.testing.assert_allclose(found[:, 0], [0.9, 0.45 + 0.005])  # one wrong answer in ten is the wrong label


def test_the_finding_is_of_the_medians_beside_the_means_and_of_the_last_look():
    first, second = made_up().recipes
    areas = np.array([[0.6, 0.9, 0.8]]).T + np.array([0.0, 0.05])
    apart = 0.01 * np.outer((0.5, 1, 1, 1), SAME_MEDIAN)  # the means of the later ones are higher by 1.33 points
    apart[2] = np.roll(apart[2], 1)  # so that the median of the falls is another than the fall of the medians
    ends = (np.array(ends)[:, None] + apart for ends in ((0.97, 0.965, 0.94, 0.93), (0.95, 0.935, 0.9, 0.96)))
    first, second = (each._replace(test=end) for each, end in zip((first, second), ends, strict=True))
    second.areas[-1, -1] = areas
    said = wrong_labels.finding(Result((first, second), 10), dataclasses.replace(SHARES, shares=(0, 0.25, 0.4, 0.5)))
    assert "40% wrong labels cost a and b 3.00 and 5.00 points" in said
    assert "the mean falls by 1.67 and 3.67), 50% 4.00 and -1.00. b, 40% wrong, after 5 epochs: they come" in said
    assert "before right ones with probability 0.80 if sorted by |g_i|, 0.85 if sorted by the cost." in said


def test_shares_that_begin_with_wrong_labels_are_refused():
    with pytest.raises(SettingsError, match=r"--shares 0\.1 0\.2: the first must be 0"):
        dataclasses.replace(SMALLEST, shares=(0.1, 0.2)).check()
