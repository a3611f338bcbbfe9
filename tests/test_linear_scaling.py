"""k steps on B examples against one on k B: against Hessians written out and a parabola, and a run on a few digits."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_average_of_nudges import small_digits

from experiments import linear_scaling as experiment
from experiments.common.settings import SettingsError
from research import gradients
from research.data import Examples

SMALL = dataclasses.replace(
    experiment.QUICK,
    local_batch_size=10,
    num_batches=(2,),
    batch_sizes=(5, 10),
    learning_rates=(0.5, 1.0),
    num_epochs=4,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(out / "digits")), out=out))
    experiment.plot(out)
    return out / experiment.NAME


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


def test_in_a_parabola_everything_is_known(x64):
    x, steepness, theta = np.array([1.0, 3.0, -2.0, 0.5]), 1.6, 4.0
    examples = Examples(jnp.asarray(x)[:, None], jnp.zeros((4, 1)))
    found = jax.jit(partial(experiment.compare, lambda at, example: steepness / 2 * (at - example.inputs[0]) ** 2, 2))(
        jnp.asarray(theta), examples, jax.random.key(0)
    )
    slopes = steepness * np.array([theta - x[:2].mean(), theta - x[2:].mean()])
    np.testing.assert_allclose([found.sharpness, found.along_gradient], steepness)
    np.testing.assert_allclose(found.rates * 2 * steepness, experiment.XS)
    np.testing.assert_allclose(found.theory, steepness * slopes[0])
    np.testing.assert_allclose(found.distance, np.asarray(found.rates) ** 2 * steepness * slopes[0], rtol=1e-6)
    height = np.mean(steepness / 2 * (x.mean() - x) ** 2)
    np.testing.assert_allclose(
        found.after_one - height, (1 - experiment.XS) ** 2 * (float(found.start) - height), rtol=1e-9, atol=1e-12
    )
    every_seed = jax.tree.map(lambda leaf: np.asarray(leaf)[None], found)
    assert experiment.slopes(every_seed) == pytest.approx(2, abs=1e-6)
    assert experiment.first_rise(every_seed) == experiment.XS[experiment.XS > 2][0] / 2


def test_diagonals_are_the_rates_that_can_be_scaled_with_every_batch_size():
    settings = dataclasses.replace(SMALL, batch_sizes=(10, 20, 80), learning_rates=(0.3, 0.5, 0.6, 1.0, 2.4, 4.0))
    assert experiment.diagonals(settings) == [[0, 2, 4], [1, 3, 5]]


def test_claims_of_trainings_that_behave_as_in_a_parabola():
    settings = dataclasses.replace(SMALL, batch_sizes=(1, 2, 4, 8), learning_rates=(0.5, 1.0, 2.0, 4.0))
    grid = experiment.Grid(np.ones((2, 4, 4)), np.ones((2, 4, 4)), ())
    grid.cost[:, 2, 2], grid.cost[:, 3, 3] = 1.21, np.nan
    measured = experiment.Measured(
        {}, grid, [[0, 1, 2, 3]], np.full((1, 2, 4), 0.25)
    )  # the rates are 1/16, ... 1/2 of 2/0.25
    units, ratios = experiment.cost_ratios(settings, measured)
    np.testing.assert_allclose(units, [[1 / 16, 1 / 8, 1 / 4, 1 / 2]])
    np.testing.assert_allclose(ratios, [[1, 1, 1.21, np.inf]])
    assert experiment.breaks(units[0], ratios[0]) == pytest.approx(2 ** (-3 + 0.1 / 0.21))
    assert np.isnan(experiment.breaks(units[0], np.ones(4)))
    claim = partial(experiment.Claim, num_seeds=2)
    (found,) = experiment.training_claims(settings, measured, claim)  # nothing else below a tenth, nothing beyond 1
    assert found.measured == pytest.approx(1 / 8)
    wide = dataclasses.replace(settings, batch_sizes=(1, 2, 8, 64), learning_rates=(0.5, 1.0, 4.0, 32.0))
    for ratio, expected in ((1.21, [True, True, True, True]), (1.0, [True, False, False, False])):
        grid.cost[:, 3, 3] = ratio
        grid.cost[:, 2, 2] = ratio
        spread = measured._replace(sharpness=np.full((1, 2, 4), 0.2))  # 1/20, 1/10, 4/10, 32/10
        holds = [found.holds for found in experiment.training_claims(wide, spread, claim)]
        assert holds == expected


def test_a_run_finds_the_slope_and_makes_no_claim_about_other_data(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["claims"] == []
    assert record["base_rates"] == [0.5]
    np.testing.assert_allclose([of_k for place in record["slopes"].values() for of_k in place], 2, atol=0.1)
    with np.load(finished / "arrays.npz") as arrays:
        for place in (0, 1):
            np.testing.assert_allclose(arrays[f"{place}_2_distance"][:, 0], experiment.XS[0] ** 2, rtol=1e-3)
        assert arrays["accuracy"].shape == (2, 2, 2)
    assert {path.name for path in finished.glob("*.png")} == {"linear_scaling.png", "k_steps_and_one.png"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch_sizes", (10,)), ("batch_sizes", (20, 10)), ("learning_rates", (0.5, 0.7)), ("num_batches", (1,)),
     ("num_batches", ()), ("local_batch_size", 0), ("num_epochs", 0)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


@pytest.mark.parametrize(("field", "value"), [("batch_sizes", (100, 200)), ("num_batches", (14,))])
def test_more_examples_than_there_are_are_refused(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        experiment.check_sizes(dataclasses.replace(SMALL, **{field: value}), 130)


@pytest.mark.parametrize("distance", [0.0, np.nan])
def test_steps_that_lead_nowhere_are_stuck(distance):
    local = experiment.Local(*[np.ones((1, len(experiment.XS)))] * len(experiment.Local._fields))
    stuck = local._replace(distance=np.full((1, len(experiment.XS)), distance))
    with pytest.raises(experiment.runs.Stuck, match="after 4 epochs"):
        experiment.stop_if_stuck(SMALL, {"at the start": [local], "after training": [stuck]})
