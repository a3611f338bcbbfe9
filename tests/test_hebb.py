"""Rules written out on a small network; theory against drawn networks; and Results on which the claims must hold, and
must fail."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEAN, make_examples, make_params

from experiments.common import hebbian, posing, runs
from experiments.common.tune import Tuned
from experiments.one_example import hebb
from experiments.one_example.hebb import Result, Settings
from research import backprop, costs, data, gradients, models
from research.backprop import Functions

FILMS = Settings(num_seeds=2, num_legs=3, steps_per_leg=5, batch_size=20, learning_rates=(1.0,), num_looked_at=50)
SMALLEST = dataclasses.replace(FILMS, layer_sizes=(784, 3, 10))
FILM = Functions(costs.sum_of_squares, jax.nn.sigmoid, jax.nn.sigmoid)
ONE = gradients.example_cost(models.mlp((12, 5, 6, 4)).apply, costs.sum_of_squares)
GRADIENT, REQUESTS = jax.jit(jax.grad(ONE)), jax.jit(partial(hebbian.requests, FILM))


def network():
    return make_params(jax.random.key(0)), data.take(make_examples(jax.random.key(1), 1), 0)


def close(found, wanted, sign=1.0):
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, sign * other, atol=1e-12), found, wanted)


def test_backwards_through_its_own_weights_it_is_minus_the_gradient(x64):
    params, example = network()
    close(REQUESTS(params, params, example), GRADIENT(params, example), -1.0)


def test_feedback_alignment_changes_what_hidden_layers_are_asked_and_not_the_last(x64):
    params, example = network()
    other = make_params(jax.random.key(2))
    asked = REQUESTS(params, other, example)
    close(asked[-1], GRADIENT(params, example)[-1], -1.0)
    seen = backprop.feed_forward(params, example.inputs, *FILM[1:]).activations
    slopes = [a * (1 - a) for a in seen]
    last = 2 * (example.targets - seen[3]) * slopes[3]
    second = (other[2].weights.T @ last) * slopes[2]
    close(asked[0].biases, (other[1].weights.T @ second) * slopes[1])


def test_hebbs_rule_is_firing_together(x64):
    params, example = network()
    seen = backprop.feed_forward(params, example.inputs, *FILM[1:]).activations
    close(hebbian.hebbs(FILM, params, example)[1].weights, np.outer(seen[2], seen[1]))


def test_the_correlation_is_that_of_all_products_written_out(x64):
    pull, after, before = (jnp.array(np.random.default_rng(size).normal(size=size)) for size in (5, 5, 7))
    after = after + 0.3 * pull**2
    wanted = np.corrcoef(np.outer(pull, before).ravel(), np.outer(after, before).ravel())[0, 1]
    assert float(hebbian.correlation(pull, after, before)) == pytest.approx(wanted)


def test_a_look_is_the_mean_over_examples(x64):
    params, few = make_params(jax.random.key(0)), make_examples(jax.random.key(3), 4)
    other = make_params(jax.random.key(2))
    rule = lambda params, example: hebbian.requests(FILM, params, other, example)
    along, strengthened, aligned = jax.jit(partial(hebb.look, rule, FILM))(params, few)
    grads = jax.vmap(jax.grad(ONE), (None, 0))(params, few)[2].weights
    assert float(strengthened[2]) == pytest.approx(float(np.maximum(-grads, 0).sum() / np.abs(grads).sum()))
    seen = [backprop.feed_forward(params, image, *FILM[1:]).activations for image in few.inputs]
    wanted = [np.corrcoef(np.outer(a[3], a[2]).ravel(), -np.ravel(g))[0, 1] for a, g in zip(seen, grads, strict=True)]
    assert float(along[2]) == pytest.approx(np.mean(wanted))
    assert float(aligned[2]) == pytest.approx(1)
    assert abs(float(aligned[0])) < 0.99


def test_to_first_order_the_correlation_is_that_of_drawn_networks():
    rng = np.random.default_rng(0)
    before = 1 / 2 + rng.normal(size=(2000, 1, 400)) / 8  # wide layers, to leave only the order of the weights
    after = 1 / 2 + rng.normal(size=(2000, 10)) * np.sqrt(1 / 4 + 1 / 64) / 4
    pull = np.where(np.arange(10) == 0, 1, -1) / 4 - (after - 1 / 2) / 2
    asked, together = ((side[:, :, None] * before).ravel() for side in (pull, after))
    assert np.corrcoef(asked, together)[0, 1] == pytest.approx(hebbian.first_order(10), abs=0.01)


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


def test_the_finding_is_of_the_means():
    said = hebb.finding(made_up(end=0.4), SMALLEST)
    assert (
        f"by {EXPECTED:.2f} before training and 0.60 after it; by size 10 % are to be strengthened, then 50 %" in said
    )
    assert (
        "each rule at its own best rate: 95.0 % by backpropagation (at 2), 95.0 % by feedback alignment (at 4, an"
        in said
    )
    assert "10.0 % by Hebb's rule alone (at 1, an end of the grid); means of 2 seeds" in said
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
