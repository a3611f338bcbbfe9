"""k steps on B examples against one on k B: against Hessians written out and a parabola."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import LAST_OFF, SAME_MEDIAN

from experiments.common import descents, runs
from experiments.mini_batches import linear_scaling as experiment
from research import gradients
from research.data import Examples
from research.models import Model

SMALLEST = experiment.Settings(
    num_seeds=2, batch_size=10, num_batches=(2,), training_batch_size=50, num_epochs=1, layer_sizes=(784, 10)
)


def test_the_second_order_is_that_of_hessians_written_out(x64):
    rng = np.random.default_rng(0)
    x, y, at = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 1)), rng.normal(size=5)
    objective = gradients.mean_over_examples(lambda params, one: (params @ one.inputs - one.targets[0]) ** 2 / 2)
    slopes = np.mean(x * (x @ at[:, None] - y), axis=1)
    hessians = np.mean(x[..., None] * x[..., None, :], axis=1)
    expected = hessians[1] @ slopes[0] + hessians[2] @ (slopes[0] + slopes[1])
    batches = Examples(jnp.asarray(x), jnp.asarray(y))
    found = jax.jit(partial(experiment.second_order, objective))(jnp.asarray(at), batches)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.fixture
def in_parabola(x64):
    """(Local of one seed in a parabola, its steepness, |sum_j H_j sum_{i<j} g_i|, the height of its bottom)."""
    x, steepness, theta = np.array([1.0, 3.0, -2.0, 0.5]), 1.6, 4.0
    examples = Examples(jnp.asarray(x)[:, None], jnp.zeros((4, 1)))
    found = jax.jit(partial(experiment.compare, lambda at, example: steepness / 2 * (at - example.inputs[0]) ** 2, 2))(
        jnp.asarray(theta), examples, jax.random.key(0)
    )
    term = steepness**2 * (theta - x[:2].mean())
    height = np.mean(steepness / 2 * (x.mean() - x) ** 2)
    return experiment.Local(*(np.asarray(leaf)[None] for leaf in found)), steepness, term, height


def test_in_a_parabola_everything_is_known(in_parabola):
    found, steepness, term, height = in_parabola
    np.testing.assert_allclose(found.sharpness, steepness)
    np.testing.assert_allclose(found.theory, term)
    np.testing.assert_allclose(found.distance[0], (experiment.XS / (2 * steepness)) ** 2 * term, rtol=1e-6)
    np.testing.assert_allclose(
        found.after_one[0] - height, (1 - experiment.XS) ** 2 * (found.start - height), rtol=1e-9, atol=1e-12
    )
    assert experiment.slopes(found) == pytest.approx(2, abs=1e-6)
    assert experiment.first_rise(found) == experiment.XS[experiment.XS > 2][0] / 2


def made_up(power=2.0, error=0.0, rise=2.0):
    """Three seeds and two k; in the last seed of the last k the distance goes as this power of the rate, the theory's
    vector is so far off at first, and the cost rises from this k eta lambda on."""
    xs, last = experiment.XS, LAST_OFF[:, None]

    def local(power, error, rise):
        distance = xs ** (2 + (power - 2) * last)
        errors = np.broadcast_to(error * last + (xs > xs[0]), distance.shape)
        after_one = np.where(xs > 2 + (rise - 2) * last, 2.0, 0.5)
        theory = (1 + 0.1 * SAME_MEDIAN) / 2
        return experiment.Local(
            distance, errors, theory, np.ones(3), np.ones(3), np.full(distance.shape, 0.5), after_one
        )

    return local(2.0, 0.0, 2.0), local(power, error, rise)


TWO_K = experiment.Settings(num_seeds=3, num_batches=(2, 8))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, []), ({"power": 2.095}, []), ({"power": 2.105}, [0]), ({"power": 1.905}, []), ({"power": 1.895}, [0]),
     ({"error": 9.5e-4}, []), ({"error": 1.05e-3}, [1]), ({"rise": 1.5}, []), ({"rise": 1.4}, [2]),
     ({"rise": 20.0}, [])],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1])
def test_each_claim_fails_where_one_seed_of_one_k_is_off(changes, failing, place):
    places = [made_up(), made_up()]
    places[place] = made_up(**changes)
    found = list(experiment.claims(experiment.Result(*places), TWO_K))
    assert [index for index, claim in enumerate(found) if not claim.holds] == [3 * place + each for each in failing]
    assert list(experiment.claims(experiment.Result(*places), experiment.Settings(dataset="kmnist"))) == []


def test_the_finding_is_of_the_median_slope():
    said = experiment.finding(experiment.Result(made_up(power=2.5), made_up()), TWO_K)
    assert "goes as the rate to the power 2.00. Theory's length" in said


def test_the_claims_hold_in_a_parabola(in_parabola):
    found, *_ = in_parabola
    settings = experiment.Settings(num_seeds=1, num_batches=(2,))
    assert all(claim.holds for claim in experiment.claims(experiment.Result((found,), (found,)), settings))


def test_more_examples_than_there_are_are_refused_before_any_work():
    train = Examples(np.zeros((130, 4), np.uint8), np.zeros((130, 2)))
    problem = experiment.Problem(None, None, train, train, (2, 2, 1))
    with pytest.raises(ValueError, match="--batch-size times --num-batches comes to 140 examples; there are 130"):
        experiment.measure(problem, experiment.Settings(batch_size=10, num_batches=(2, 14)))


def test_every_seed_compares_on_the_first_images_of_its_own_shuffle(monkeypatch):
    """Which images they are, and in which order, a sum with weights tells."""

    def see(one, num_batches, params, examples, key):
        ones = jnp.ones_like(jnp.asarray(experiment.XS))
        told = jnp.sum(examples.inputs[:, 0] * jnp.arange(1.0, len(examples.inputs) + 1))
        return ones, ones, told, told, told, ones, ones

    monkeypatch.setattr(experiment, "compare", see)
    train = Examples(jnp.arange(20.0)[:, None], jnp.zeros((20, 2)))
    model = Model(lambda key: jnp.zeros(2), lambda params, x: params)
    problem = experiment.Problem(model, lambda output, target: jnp.sum(output**2), train, train, (1, 1, 1))
    settings = experiment.Settings(num_seeds=3, batch_size=3, num_batches=(2, 4), num_epochs=1)
    order = np.asarray(descents.shuffles(runs.seed_keys(settings.seed, 3)[1], 20, 1))[:, 0]
    expected = [order[:, : 3 * k] @ np.arange(1, 3 * k + 1) for k in (2, 4)]
    for place in experiment.measure(problem, settings).places.values():
        np.testing.assert_array_equal([local.theory for local in place], expected)


def test_steps_that_lead_nowhere_are_stuck(monkeypatch):
    """Where there is no gradient, no step goes anywhere."""
    train = Examples(np.zeros((20, 4), np.uint8), np.zeros((20, 2), np.float32))
    model = Model(lambda key: jnp.zeros(2), lambda params, x: params)
    problem = experiment.Problem(model, lambda output, target: 0 * jnp.sum(output), train, train, (2, 2, 1))
    with pytest.raises(runs.Stuck, match="after 0 epochs"):
        experiment.measure(problem, experiment.Settings(batch_size=5, num_batches=(2,), num_seeds=1))
