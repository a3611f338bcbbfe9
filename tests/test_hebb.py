"""Rules written out in numpy; theory against drawn networks; and Results on which the claims must hold, and
must fail."""

import dataclasses
from functools import partial

import jax
import numpy as np
import plain
import pytest
import threefry
from helpers import LAST_OFF, SAME_MEAN, make_examples, make_params

from experiments.common import hebbian, posing, runs
from experiments.common.tune import Tuned
from experiments.one_example import hebb
from experiments.one_example.hebb import Result, Settings
from research import costs
from research.backprop import Functions
from research.models import Layer

FILMS = Settings(num_seeds=2, num_legs=3, steps_per_leg=5, batch_size=20, learning_rates=(1.0,), num_looked_at=50)
SMALLEST = dataclasses.replace(
    FILMS, num_seeds=3, num_legs=2, learning_rates=(0.02, 1.0), num_looked_at=30, layer_sizes=(784, 3, 10)
)


def pulled(params, backwards, examples):
    """(pull, activations before) of every layer for all examples, wishes going back through weights of `backwards`."""
    reached, found = plain.activations(params, examples.inputs), []
    wish = 2 * (examples.targets - reached[-1])
    for layer, before, after in zip(backwards[::-1], reached[-2::-1], reached[:0:-1], strict=True):
        pull = wish * after * (1 - after)
        found.insert(0, (pull, before))
        wish = pull @ layer.weights
    return found


def fired(params, _, examples):
    reached = plain.activations(params, examples.inputs)
    return list(zip(reached[1:], reached[:-1], strict=True))


RULES = (lambda params, _, examples: pulled(params, params, examples), pulled, fired)


def looks(rule, backwards, settings, train, schedule, start, rate):
    """The parameters before the first step and after every leg of a descent by this rule."""
    params, passed = start, [start]
    for number, batch in enumerate(schedule, 1):
        asked = rule(params, backwards, plain.rows(train, batch))
        by = [Layer(pull.T @ before / len(batch), pull.mean(axis=0)) for pull, before in asked]
        params = jax.tree.map(lambda old, nudge: old + rate * nudge, params, by)
        passed += [params] * (number % settings.steps_per_leg == 0)
    return passed


def seen(rule, params, backwards, few):
    """(correlations with Hebb's rule, shares that strengthen, cosines with backpropagation) of all layers."""
    each = zip(pulled(params, params, few), rule(params, backwards, few), fired(params, None, few), strict=True)
    found = []
    for (pull, before), (other, _), (after, _) in each:
        asked, together = (side[:, :, None] * before[:, None] for side in (pull, after))
        along = [np.corrcoef(one.ravel(), both.ravel())[0, 1] for one, both in zip(asked, together, strict=True)]
        true, learned = pull.T @ before, other.T @ before
        cosine = (true * learned).sum() / np.linalg.norm(true) / np.linalg.norm(learned)
        found.append((np.mean(along), np.maximum(asked, 0).sum() / np.abs(asked).sum(), cosine))
    return np.transpose(found)


def test_every_rule_learns_at_every_rate_and_is_looked_at_where_its_best_rate_led_the_median_seed_lowest(ran):
    run, _ = ran("hebb")
    settings, (train, test, starts, _) = run.settings, plain.begin(run.settings)
    few, result = plain.rows(train, range(settings.num_looked_at)), run.result
    keys = [threefry.split(key) for _, key in threefry.seed_keys(settings.seed, settings.num_seeds)]
    num_steps = settings.num_legs * settings.steps_per_leg
    schedules = [threefry.shuffles(key, 600, 1).reshape(-1, settings.batch_size)[:num_steps] for key, _ in keys]
    backwards = [plain.start(key, settings.layer_sizes) for _, key in keys]
    for index, rule in enumerate(RULES):
        passed = [
            [looks(rule, backwards[seed], settings, train, schedules[seed], start, rate)
             for seed, start in enumerate(starts)] for rate in settings.learning_rates
        ]  # fmt: skip
        ends = [np.median([plain.costs(each[-1], few).mean() for each in of_rate]) for of_rate in passed]
        np.testing.assert_allclose(result.tuned[index].costs, ends, rtol=1e-4)
        for seed, of_seed in enumerate(passed[np.argmin(ends)]):
            accuracy = [plain.accuracy(params, test) for params in of_seed]
            np.testing.assert_allclose(result.accuracy[index, seed], accuracy, atol=0.006)
            found = np.stack([each[index, seed] for each in result[2:]], axis=1)
            wanted = [seen(rule, params, backwards[seed], few) for params in of_seed]
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_wishes_go_back_through_the_other_weights_however_many_layers_there_are(x64):
    params, backwards = make_params(jax.random.key(0)), make_params(jax.random.key(2))
    given = jax.device_get((params, backwards, make_examples(jax.random.key(1), 3)))
    film = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
    asked = jax.jit(jax.vmap(partial(hebbian.requests, film), (None, None, 0)))(*given)
    for found, (pull, before) in zip(asked, pulled(*given), strict=True):
        np.testing.assert_allclose(found.biases, pull, rtol=1e-9)
        np.testing.assert_allclose(found.weights, pull[:, :, None] * before[:, None], rtol=1e-9)


def test_to_first_order_the_correlation_is_that_of_drawn_networks():
    rng = np.random.default_rng(0)
    before = 1 / 2 + rng.normal(size=(2000, 400)) / 8  # wide layers, to leave only the order of the weights
    after = 1 / 2 + rng.normal(size=(2000, 10)) * np.sqrt(1 / 4 + 1 / 64) / 4
    pull = np.where(np.arange(10) == 0, 1, -1) / 4 - (after - 1 / 2) / 2
    square, mean = (before**2).mean(axis=1), before.mean(axis=1)

    def covariance(one, other):
        """Of all products with what is before, over the weights of all networks."""
        means = [(side.mean(axis=1) * mean).mean() for side in (one, other)]
        return ((one * other).mean(axis=1) * square).mean() - np.prod(means)

    found = covariance(pull, after) / np.sqrt(covariance(pull, pull) * covariance(after, after))
    assert found == pytest.approx(hebbian.first_order(10), abs=0.01)


EXPECTED = hebb.hebbian.first_order(10)


def made_up(*, start=0.0, hidden=0.0, tenth=0.1, half=0.5, end=0.7, behind=0.0, aligned=0.5, chance=0.1):
    """Three rules, three seeds, two looks, three layers: the means of backpropagation's numbers, so far from theory at
    the start; the last seed's correlation of the outputs at the end and, of feedback alignment, cosine in one layer."""
    along, strengthened, cosines = np.full((3, 3, 2, 3), 0.3), np.full((3, 3, 2, 3), 0.3), np.full((3, 3, 2, 3), 0.5)
    along[0, :, 0] = np.array([0, hidden, EXPECTED + start]) + 0.05 * SAME_MEAN[:, None]
    along[0, :, 1, 2] = 0.7 + (end - 0.7) * LAST_OFF
    strengthened[0, :, :, 2] = np.array([tenth, half]) + 0.005 * SAME_MEAN[:, None]
    cosines[1, -1, 1, 1] = aligned
    ends = np.array([0.95, 0.95 - behind, chance])[:, None] + np.outer([0, 0.005, 0.01], SAME_MEAN)
    tuned = [Tuned(np.array([1.0, 2.0, 4.0]), np.array(costs)) for costs in ([2.0, 1.0, 3.0], [3, 2, 1], [1, 2, 3])]
    return Result(tuple(tuned), np.stack([np.full((3, 3), 0.1), ends], axis=-1), along, strengthened, cosines)


@pytest.mark.parametrize(
    ("changed", "failing"),
    [({}, []), *[({"start": off}, []) for off in (0.095, -0.095)], *[({"start": off}, [0]) for off in (0.105, -0.105)],
     *[({"hidden": off}, []) for off in (0.57, -0.57)], *[({"hidden": off}, [1]) for off in (0.62, -0.62)],
     *[({"tenth": share}, []) for share in (0.119, 0.081)], *[({"tenth": share}, [2]) for share in (0.121, 0.079)],
     *[({"half": share}, []) for share in (0.547, 0.453)], *[({"half": share}, [3]) for share in (0.553, 0.447)],
     ({"end": 0.05}, []), ({"end": -0.05}, [4]), *[({"behind": off}, []) for off in (0.019, -0.019)],
     *[({"behind": off}, [5]) for off in (0.021, -0.021)], ({"aligned": 0.05}, []), ({"aligned": -0.05}, [6]),
     *[({"chance": share}, []) for share in (0.128, 0.072)], *[({"chance": share}, [7]) for share in (0.132, 0.068)]],
)  # fmt: skip
def test_the_claims_tell_good_from_bad(changed, failing):
    claims = list(hebb.claims(made_up(**changed), FILMS))
    assert [index for index, claim in enumerate(claims) if not claim.holds] == failing
    assert len(claims) == 8


def test_with_more_seeds_the_mean_must_lie_nearer_to_what_is_expected():
    few = made_up(hidden=0.57)
    more = few._replace(accuracy=np.repeat(few.accuracy, 2, axis=1), along_hebb=np.repeat(few.along_hebb, 2, axis=1))
    assert [list(hebb.claims(result, FILMS))[1].holds for result in (few, more)] == [True, False]


def test_the_finding_is_of_the_means():
    said = hebb.finding(made_up(end=0.4), SMALLEST)
    assert (
        f"by {EXPECTED:.2f} before training and 0.60 after it; by size 10 % are to be strengthened, then 50 %" in said
    )
    assert (
        "each rule at its own best rate: 95.0 % by backpropagation (at 2), 95.0 % by feedback alignment (at 4, an"
        in said
    )
    assert "10.0 % by Hebb's rule alone (at 1, an end of the grid); means of 3 seeds" in said
    alike = made_up().tuned[2]._replace(costs=np.full(3, 9.0))
    said = hebb.finding(made_up()._replace(tuned=(*made_up().tuned[:2], alike)), SMALLEST)
    assert "10.0 % by Hebb's rule alone (all rates alike); " in said


def test_of_other_networks_and_costs_nothing_is_claimed():
    for changed in ({"cost": "absolute"}, {"activation": "tanh"}):
        assert list(hebb.claims(made_up(), dataclasses.replace(FILMS, **changed))) == []


@pytest.mark.parametrize(("rule", "name"), list(enumerate(hebb.RULES)))
def test_a_rule_whose_rates_all_diverge_says_so(small_mnist, monkeypatch, rule, name):
    """Of each rule the cost and four more of 1 seed, 2 rates, 2 looks: one end that is finite is enough."""
    found = [[np.array([[[1.0, np.inf], [1.0, 0.5]]]), *np.zeros((4, 1, 2, 2))] for _ in hebb.RULES]
    monkeypatch.setattr(runs, "over_seeds", lambda *_: lambda *_: found)
    settings = dataclasses.replace(SMALLEST, dataset=str(small_mnist), num_seeds=1, learning_rates=(1.0, 2.0))
    problem = posing.pose(settings)
    assert [tuned.costs.tolist() for tuned in hebb.measure(problem, settings).tuned] == [[np.inf, 0.5]] * 3
    found[rule][0][0, 1, 1] = np.nan
    with pytest.raises(runs.Diverged, match=f"{name}, every learning rate"):
        hebb.measure(problem, settings)
