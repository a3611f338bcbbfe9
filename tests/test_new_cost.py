"""A new cost beside the film's: what its outputs want, its statistics, and a whole run, with a cost of a user's own."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from conftest import make_examples, make_params
from test_average_of_nudges import small_digits

from experiments import new_cost as experiment
from experiments.common.settings import SettingsError
from experiments.new_cost import cross_entropy
from research import costs

SMALL = dataclasses.replace(
    experiment.QUICK, num_seeds=2, num_examples=120, batch_size=10, num_steps=40, num_epochs=4, resolution=5,
    learning_rates=(0.5, 2.0), layer_sizes=(30, 3),
)  # fmt: skip


SAMPLES = make_examples(jax.random.key(1), 20, 12, 4)
PARAMS = make_params(jax.random.key(0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The record, arrays and folder of a run with a cost from a user's own file; drawn once."""
    out = tmp_path_factory.mktemp("results")
    (out / "own_costs.py").write_text(
        "import jax.numpy as jnp\n\ndef absolute(output, target):\n    return jnp.sum(jnp.abs(output - target))\n"
    )
    settings = dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), cost="own_costs:absolute", out=out)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(out)
        experiment.run(settings)
    experiment.plot(out)
    with np.load(out / "new_cost" / "arrays.npz") as arrays:
        return json.loads((out / "new_cost" / "run.json").read_text()), dict(arrays), out / "new_cost"


def test_cross_entropy_is_the_formula_and_finite_where_an_output_is_saturated():
    output, target = np.array([0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(cross_entropy(output, target), -np.log(0.9 * 0.8 * 0.5), rtol=1e-6)
    assert np.isfinite(cross_entropy(np.array([0.0, 1.0]), np.array([1.0, 0.0])))
    assert cross_entropy(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def test_what_the_outputs_want_is_what_the_formulas_say_and_the_claims_are_about_it():
    found = [experiment.wishes(SMALL, cost_fn, PARAMS, SAMPLES) for cost_fn in (cross_entropy, costs.sum_of_squares)]
    outputs, targets = found[0].outputs, np.asarray(SAMPLES.targets)
    slopes, wrong = outputs * (1 - outputs), outputs - targets
    np.testing.assert_allclose(found[0].nudges * slopes, -wrong, atol=1e-6)
    np.testing.assert_allclose(found[0].deltas, wrong, atol=1e-6)
    np.testing.assert_allclose(found[1].nudges, -2 * wrong, atol=1e-6)
    np.testing.assert_allclose(found[1].deltas, 2 * wrong * slopes, atol=1e-6)
    still = experiment.Scatter(*np.zeros((3, 1)))
    new, film = (SimpleNamespace(checks=(0.0, 0.0), start=still, end=still, at_end=each) for each in found)
    claims = experiment.make_claims(SMALL, new, film)
    assert [claim.holds for claim in claims] == [True] * 5
    swapped = experiment.make_claims(SMALL, film, new)
    assert [claim.holds for claim in swapped] == [True] * 3 + [False] * 2


def test_every_claim_of_a_users_own_cost_holds(finished):
    record, _, folder = finished
    assert [claim["says"] for claim in record["claims"] if not claim["holds"]] == []
    assert [claim["id"] for claim in record["claims"]] == ["E17", "E17", "T28", "E17"]  # T34 is about MNIST
    assert record["names"]["new"] == "absolute"
    assert (folder / "new_cost.png").stat().st_size > 10_000


def test_both_costs_began_at_the_same_start_and_read_as_many_examples(finished):
    _, arrays, _ = finished
    np.testing.assert_array_equal(arrays["new_two_outputs"], arrays["film_two_outputs"])
    np.testing.assert_array_equal(arrays["new_wishes_outputs"], arrays["film_wishes_outputs"])
    assert arrays["film_0_read"][-1] == 40 * 120
    assert arrays["film_1_read"][-1] == 40 * 10  # 48 steps, in 20 equal legs of 2
    for kind in experiment.figures.KINDS:
        for man in "01":
            assert arrays[f"{kind}_{man}_accuracy"].shape == (2, 20)
            assert arrays[f"{kind}_{man}_shadow"].shape == (21, 2)
        np.testing.assert_allclose(arrays[f"{kind}_0_shadow"][0], arrays[f"{kind}_1_shadow"][0], atol=1e-5)


def test_the_best_rate_is_the_one_that_ends_lowest_and_one_that_diverged_never_is():
    cost = np.array([[[3.0, 2.0], [3.0, 1.0], [3.0, np.nan]], [[3.0, 2.0], [3.0, 1.5], [np.inf, 0.1]]])
    settings = dataclasses.replace(SMALL, learning_rates=(1.0, 2.0, 3.0))
    best = experiment.best_of(settings, (cost, cost / 10, cost[..., None]))
    assert best.rate == 2.0
    np.testing.assert_array_equal(best.cost, [[3.0, 1.0], [3.0, 1.5]])
    with pytest.raises(experiment.runs.Diverged, match="every learning rate"):
        experiment.best_of(settings, (cost * np.nan, cost, cost[..., None]))


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_steps", 30), ("num_epochs", 1), ("batch_size", 120), ("learning_rates", ()), ("resolution", 1)],
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()
