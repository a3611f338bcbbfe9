"""The main job on a small folder of real digits: its theory holds, its files are there, and it can be drawn again."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import full_batch_vs_sgd
from experiments.common import runs
from experiments.full_batch_vs_sgd import Settings

SMALL = Settings(
    num_seeds=2, batch_sizes=(10, 100), learning_rates=(1.0, 4.0), num_steps=40, num_epochs=5, nielsen_epochs=0
)


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    full_batch_vs_sgd.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=out))
    full_batch_vs_sgd.plot(out)
    return out / full_batch_vs_sgd.NAME


def test_it_leaves_a_record_and_figures(finished):
    assert {path.name for path in finished.iterdir()} == {
        "run.json", "arrays.npz", "full_batch_vs_sgd.png", "falling_learning_rate.png",
    }  # fmt: skip
    record = json.loads((finished / "run.json").read_text())
    assert record["dataset"]["train"]["count"] == 600
    assert [method["batch_size"] for method in record["methods"]] == [600, 10, 100]
    assert all(method["seconds_per_step"] > 0 for method in record["methods"])


def test_what_is_theory_holds_on_any_data(finished):
    claims = json.loads((finished / "run.json").read_text())["claims"]
    assert {claim["id"] for claim in claims} == {"T30", "T31", "T32", "T33", "T34", "T38"}
    exact = [claim for claim in claims if claim["id"] in ("T31", "T32", "T33") and "step for step" not in claim["says"]]
    assert len(exact) == 7
    cosines = [claim for claim in exact if "cosine" in claim["says"]]
    assert all(claim["holds"] for claim in exact if "scatter" not in claim["says"])  # six batches scatter by chance
    assert len(cosines) == 2


def test_every_bound_admits_what_is_expected(finished):
    for claim in json.loads((finished / "run.json").read_text())["claims"]:
        if claim["expected"] is not None:
            assert claim["low"] is None or claim["low"] <= claim["expected"]
            assert claim["high"] is None or claim["expected"] <= claim["high"]


def test_it_can_be_drawn_again_without_running(finished):
    figure = finished / "full_batch_vs_sgd.png"
    before = figure.read_bytes()
    figure.unlink()
    full_batch_vs_sgd.plot(finished.parent)
    assert figure.read_bytes() == before


def test_a_cost_from_a_users_own_file_runs_with_nothing_edited(small_mnist, tmp_path, monkeypatch):
    (tmp_path / "my_costs.py").write_text(
        "import jax.numpy as jnp\n\ndef seven(output, target):\n    return 7 + 1e-12 * jnp.sum(output - target)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = dataclasses.replace(SMALL, dataset=str(small_mnist), cost="my_costs:seven", out=tmp_path, num_epochs=4)
    full_batch_vs_sgd.run(settings)
    with np.load(tmp_path / full_batch_vs_sgd.NAME / "arrays.npz") as arrays:
        np.testing.assert_allclose(arrays["0_cost"], 7, rtol=1e-6)
        np.testing.assert_allclose(arrays["1_cost"], 7, rtol=1e-6)


def test_a_run_that_diverges_says_so_in_its_record(small_mnist, tmp_path, monkeypatch):
    (tmp_path / "steep_costs.py").write_text(
        "import jax.numpy as jnp\n\ndef steep(output, target):\n    return jnp.exp(jnp.sum((output - target) ** 2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = dataclasses.replace(
        SMALL, dataset=str(small_mnist), cost="steep_costs:steep", full_batch_learning_rate=1e38, out=tmp_path,
        output_activation="identity",
    )  # fmt: skip
    with pytest.raises(runs.Diverged):
        full_batch_vs_sgd.run(settings)
    record = json.loads((tmp_path / full_batch_vs_sgd.NAME / "run.json").read_text())
    assert record["status"].startswith("diverged: full batch: the cost was no longer a finite number at step")


def test_equal_steps_are_equal():
    def curve(*steps):
        return full_batch_vs_sgd.Curve(np.array(steps), np.array([steps], float), *[None] * 4)

    found = full_batch_vs_sgd.costs_at_equal_steps([curve(20, 40), curve(20, 40, 600), curve(20, 30)], 40)
    assert [one.tolist() for one in found] == [[20], [20], [20]]


def test_the_first_point_at_or_below_the_target_counts():
    curve = full_batch_vs_sgd.Curve(np.array([1, 2, 3]), np.array([[3.0, 2.0, 1.0], [3.0, 2.5, 2.4]]), *[None] * 4)
    target = np.array([2.0, 2.0])
    reached = full_batch_vs_sgd.steps_to(curve, target)
    np.testing.assert_array_equal(reached, [2.0, np.nan])


def test_predicted_cosine_is_exact_where_all_examples_want_the_same():
    inputs = jnp.ones((12, 784), jnp.uint8)
    examples = full_batch_vs_sgd.Examples(inputs, jnp.eye(10)[jnp.zeros(12, int)])
    problem = full_batch_vs_sgd.descents.make_problem(
        full_batch_vs_sgd.models.mlp(), full_batch_vs_sgd.costs.sum_of_squares, examples, examples
    )
    params = problem.model.init(jax.random.key(0))
    quality = full_batch_vs_sgd.batch_quality(problem, params, examples, jnp.arange(12).reshape(3, 4))
    assert float(quality.cosine) == pytest.approx(1, abs=1e-5)
    assert float(quality.predicted) == pytest.approx(1, abs=1e-4)
    assert float(quality.mean_error) < 1e-6
