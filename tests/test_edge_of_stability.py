"""The edge of stability on few images: the theory holds on any data; what is known of MNIST is claimed there alone."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import edge_of_stability as edge
from experiments.common.records import Claim
from experiments.common.runs import Diverged
from experiments.common.settings import SettingsError
from experiments.edge_of_stability import NAME, Curve, Look, Settings

SMALL = Settings(
    num_seeds=2, num_examples=40, num_steps=20, batch_sizes=(10,), network_learning_rates=(1.0,), num_looks=5,
    layer_sizes=(784, 10),
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "ITERATIONS", 5)
        edge.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=out))
    edge.plot(out)
    return out / NAME


def curve(rate, sharpness, cost=None):
    """One seed's path, looked at after every step."""
    sharpness = np.array([sharpness], float)
    cost = np.array([cost], float) if cost else np.ones_like(sharpness)
    return Curve("", rate, np.arange(sharpness.shape[1]), (), Look(cost, sharpness, np.zeros_like(sharpness)))


def test_on_other_data_only_the_parabola_is_claimed_and_its_claims_hold(finished):
    record = json.loads((finished / "run.json").read_text())
    assert [claim["id"] for claim in record["claims"]] == ["E11", "E11"]
    assert all("parabola" in claim["says"] or "steepest axis" in claim["says"] for claim in record["claims"])
    assert [claim["says"] for claim in record["claims"] if not claim["holds"]] == []


def test_it_leaves_two_figures_and_every_path_begins_at_the_same_place(finished):
    assert {path.name for path in finished.glob("*.png")} == {"edge_of_stability.png", "parabola.png"}
    with np.load(finished / "arrays.npz") as arrays:
        starts = [arrays[f"{name}_cost"][:, 0] for name in ("careful0", "careful1", "careful2", "drunk0")]
        assert arrays["careful0_sharpness"].shape == (2, 6)
        assert arrays["careful0_steps"].tolist() == [0, 4, 8, 12, 16, 20]
    np.testing.assert_allclose(starts, np.broadcast_to(starts[0], (4, 2)), rtol=1e-5)


def test_the_learning_rate_in_the_state_is_the_one_that_is_followed(finished):
    """After few and small steps the fall of the cost is proportional to the learning rate."""
    with np.load(finished / "arrays.npz") as arrays:
        falls = [(arrays[f"careful{at}_cost"][:, :2] @ [1, -1]).mean() for at in range(3)]
    assert falls[0] < falls[1] < falls[2]


def test_on_the_parabola_every_axis_shrinks_by_its_own_factor():
    far = np.asarray(jax.jit(edge.on_a_parabola)(jnp.ones(len(edge.CURVATURES))), float)
    rates = edge.FACTORS.astype(float) * 2 / edge.CURVATURES[-1]
    wanted = np.abs(1 - rates[:, None] * edge.CURVATURES.astype(float)[None])[:, None] ** np.arange(10)[None, :, None]
    np.testing.assert_allclose(far[:, :10], wanted, rtol=1e-5)


def test_equal_times_are_compared_up_to_the_edge_and_no_further():
    slow = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
    fast = curve(0.2, [1.0, 2.2, 3.0, 9.5, 1.0])  # the edge is at 10: the fourth look is above nine tenths of it
    np.testing.assert_allclose(edge.apart_before_the_edge(slow, fast), [0.2 / 2.2])
    assert np.isnan(edge.apart_before_the_edge(slow, curve(0.17, [1.0, 2.0]))).all()


def test_where_no_common_look_lies_before_the_edge_nothing_is_said():
    slow, at_once = curve(0.1, [1.0, 1.5, 2.0, 2.5, 3.0]), curve(0.2, [1.0, 9.5, 2.0])
    assert np.isnan(edge.apart_before_the_edge(slow, at_once)).all()
    claim = Claim("E11", "", float(edge.apart_before_the_edge(slow, at_once)[0]), 0.0, 0.0, 1.0, "", 1)
    assert not claim.holds


@pytest.mark.parametrize("size", [edge.QUICK, Settings(), edge.FULL])
def test_the_first_two_rates_are_compared_early_in_every_size(size):
    """Within the first three looks of the faster one."""
    looks = size.num_steps // size.num_looks * np.arange(1, size.num_looks + 1)
    slow, fast = size.learning_rates[:2]
    assert np.isclose(slow * looks[:, None], fast * looks[None, :3]).any()


def test_a_run_that_diverges_is_written_down_as_such(small_mnist, tmp_path, monkeypatch):
    def diverge(*_):
        raise Diverged("full batch", 7)

    monkeypatch.setattr(edge, "measure", diverge)
    with pytest.raises(Diverged):
        edge.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=tmp_path))
    record = json.loads((tmp_path / NAME / "run.json").read_text())
    assert record["status"].startswith("diverged: full batch: ")
    assert record["claims"] == []


def test_at_equal_cost_each_is_taken_where_it_first_came_down_so_far():
    drunk, careful = curve(1.0, [1.0, 2.0, 3.0], [9.0, 5.0, 4.0]), curve(1.0, [1.0, 4.0, 8.0], [9.0, 4.0, 1.0])
    np.testing.assert_allclose(edge.ratio_at_equal_cost(drunk, careful), [3.0 / 4.0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learning_rates": (0.2, 0.1, 0.4)}, "--learning-rates .* three or more, rising"),
        ({"network_learning_rates": ()}, "--network-learning-rates is empty"),
        ({"num_looks": 7}, "--num-looks is 7; it must be a multiple of 5"),
        ({"num_steps": 21}, "--num-steps is 21; it must be a multiple of --num-looks, 5"),
        ({"batch_sizes": (10, 20)}, "--batch-sizes .* falling"),
        ({"batch_sizes": (40,)}, "--batch-sizes .* less than --num-examples, 40"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        dataclasses.replace(SMALL, **changes).check()


def test_more_images_than_there_are_is_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match=r"--num-examples is 601; .* has 600 training images, so give 2 up to 600"):
        edge.run(dataclasses.replace(SMALL, dataset=str(small_mnist), num_examples=601, out=tmp_path))
