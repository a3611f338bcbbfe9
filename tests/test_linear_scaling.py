"""k steps on B examples against one on k B: by plain steps, and the second order by differences of gradients."""

import jax.numpy as jnp
import numpy as np
import plain
import pytest
from helpers import LAST_OFF, SAME_MEDIAN

from experiments.common import descents, runs
from experiments.mini_batches import linear_scaling as experiment
from research.data import Examples
from research.models import Layer, Model

SMALLEST = experiment.Settings(
    num_seeds=2, batch_size=10, num_batches=(3,), training_batch_size=50, num_epochs=3, layer_sizes=(784, 10)
)


def moved(params, way, rate):
    return [
        Layer(at.weights + rate * by.weights, at.biases + rate * by.biases) for at, by in zip(params, way, strict=True)
    ]


def second_order_by_hand(params, batches):
    """sum_j H_j sum_{i<j} g_i, by differences of gradients."""
    so_far, term = moved(params, params, -1.0), 0.0
    for batch in batches:
        above, below = (plain.flat(plain.gradient(moved(params, so_far, h), batch)) for h in (1e-4, -1e-4))
        so_far, term = moved(so_far, plain.gradient(params, batch), 1.0), term + (above - below) / 2e-4
    return term


def compared_by_hand(params, train, rows, xs):
    """The fields of Local of one seed; rows: k, batch."""
    few, term = plain.rows(train, rows.ravel()), second_order_by_hand(params, [plain.rows(train, row) for row in rows])
    steep, fields = plain.sharpness(params, few), []
    for rate in xs / (len(rows) * steep):
        many, one = plain.descend(params, train, rows, rate)[-1], plain.step(params, few, len(rows) * rate)
        apart = plain.flat(many) - plain.flat(one)
        error = np.linalg.norm(apart - rate**2 * term) / np.linalg.norm(rate**2 * term)
        fields.append((np.linalg.norm(apart), error, plain.costs(many, few).mean(), plain.costs(one, few).mean()))
    distance, error, after_many, after_one = np.transpose(fields)
    start = plain.costs(params, few).mean()
    return experiment.Local(distance, error, np.linalg.norm(term), steep, start, after_many, after_one)


def test_both_places_are_compared_as_plain_steps_are(ran):
    run, _ = ran("linear_scaling")
    settings, (train, _, starts, _), xs = run.settings, plain.begin(run.settings), slice(20, None, 5)
    orders = plain.shuffles(settings, len(train.inputs), settings.num_epochs)
    batches = descents.in_batches(orders, settings.training_batch_size)
    for seed, start in enumerate(starts):
        end = plain.descend(start, train, batches[seed], settings.training_rate)[-1]
        rows = orders[seed, 0, :30].reshape(3, 10)
        for (local,), params in zip(run.result.places.values(), (start, end), strict=True):
            by_hand = compared_by_hand(params, train, rows, experiment.XS[xs])
            for found, expected in zip(local, by_hand, strict=True):
                np.testing.assert_allclose(found[seed, xs] if found.ndim > 1 else found[seed], expected, rtol=1e-4)


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
