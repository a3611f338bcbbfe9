"""The convolutional network: its convolution is flax's own, and a whole run on a small folder of real digits."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import conv_net as experiment
from experiments.common.settings import SettingsError
from research import flax_models

SMALL = dataclasses.replace(
    experiment.QUICK, num_seeds=2, statistics_examples=100, surface_examples=50, resolution=5, cpu_devices=2,
    plain_learning_rates=(1e-6, 0.5, 1e30), tuning_epochs=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    experiment.run(dataclasses.replace(SMALL, dataset=str(small_mnist), out=out))
    return out / experiment.NAME


def test_its_convolution_is_that_of_jax_forward_and_backward(x64):
    rng = np.random.default_rng(0)
    images, kernel = rng.normal(size=(3, 9, 8, 2)), rng.normal(size=(5, 3, 2, 4))

    def plain(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (2, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def ours(images, kernel):
        return experiment.convolve(images, kernel, (2, 1), "VALID")

    def all_of(fun):
        value, pull = jax.vjp(fun, images, kernel)
        return value, *pull(jnp.cos(value))

    for found, wanted in zip(jax.jit(lambda: all_of(ours))(), jax.jit(lambda: all_of(plain))(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="only VALID"):
        experiment.convolve(images, kernel, (2, 1), "SAME")


def test_it_has_5994_parameters_and_answers_with_a_number_a_class():
    model = flax_models.from_nnx(lambda rngs: experiment.network(rngs, (28, 28, 1), 10))
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 5994  # 8 (25+1) + 16 (200+1) + 10 (256+1)
    assert jax.eval_shape(model.apply, params, jnp.zeros(784)).shape == (10,)


def test_what_is_theory_holds_on_any_data(finished):
    record = json.loads((finished / "run.json").read_text())
    assert [claim["holds"] for claim in record["claims"]] == [True, True]  # accuracy and growth are about MNIST
    assert record["rates"] == {"convolutional": 0.4, "plain": 0.5}  # the others stand still, or lead astray
    assert record["num_parameters"] == {"convolutional": 5994, "plain": 13002}
    with np.load(finished / "arrays.npz") as arrays:
        assert arrays["convolutional_accuracy"].shape == arrays["plain_accuracy"].shape == (2, 5)
        assert arrays["filters"].shape == (5, 5, 8)
        assert (arrays["plain_noise_scale"] > 0).all()


def test_its_figure_is_drawn_from_the_files(finished):
    experiment.plot(finished.parent)
    assert (finished / "conv_net.png").stat().st_size > 20_000


def test_a_module_with_dropout_is_refused_before_anything_is_written(small_mnist, tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(
        "from flax import nnx\n\ndef forgetful(rngs, image_shape, num_classes):\n"
        "    return nnx.Sequential(nnx.Linear(784, num_classes, rngs=rngs), nnx.Dropout(0.5))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = dataclasses.replace(SMALL, dataset=str(small_mnist), module="my_nets:forgetful", out=tmp_path / "out")
    with pytest.raises(SettingsError, match="holds Dropout besides its parameters"):
        experiment.run(settings)
    assert not (tmp_path / "out").exists()


def test_for_a_cost_of_ones_own_the_learning_rates_are_searched_for():
    settings = dataclasses.replace(SMALL, plain_learning_rates=(), cost="my_costs:cubic")
    assert experiment.grids(settings) == dict.fromkeys(experiment.NAMES, experiment.COARSE)
    assert experiment.grids(experiment.Settings()) == {"convolutional": (0.4,), "plain": (3.2,)}
    assert {len(grid) for grid in experiment.grids(experiment.FULL).values()} == {5}


@pytest.mark.parametrize("field", ["batch_size", "num_epochs", "resolution", "tuning_epochs"])
def test_impossible_settings_are_refused(field):
    with pytest.raises(SettingsError, match=f"--{field.replace('_', '-')} is 0"):
        dataclasses.replace(SMALL, **{field: 0}).check()


def test_too_large_batches_are_refused(small_mnist, tmp_path):
    with pytest.raises(SettingsError, match="--batch-size is 200, too large for 600 images"):
        experiment.run(dataclasses.replace(SMALL, dataset=str(small_mnist), batch_size=200, out=tmp_path))
