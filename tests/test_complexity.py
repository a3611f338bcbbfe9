"""Time, operations, memory: the formula by counting multiplications, XLA's count of a product, and a small run."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_average_of_nudges import small_digits

from experiments import complexity as experiment
from experiments.common.settings import SettingsError

SMALL = dataclasses.replace(
    experiment.QUICK, num_seeds=1, layer_sizes=(30, 4, 3), widths=(2, 4), depths=(1,), depth_width=4,
    batch_sizes=(1, 64), num_examples=64,
)  # fmt: skip


@pytest.mark.parametrize("sizes", [(784, 16, 16, 10), (5, 3), (4, 3, 2)])
def test_the_formula_counts_every_product_of_backpropagation_written_out(sizes):
    additions_and_products = 0
    for layer in range(1, len(sizes)):
        for _ in range(sizes[layer]):
            for _ in range(sizes[layer - 1]):
                additions_and_products += 2  # w a, added to the weighted sum
                additions_and_products += 2  # delta a, added to the slope of w over the examples
                additions_and_products += 2 * (layer > 1)  # delta w, added to the wish of a; pixels have none
    assert experiment.flops_by_formula(sizes) == additions_and_products


def test_xla_counts_a_matrix_product_as_the_formula_does():
    shapes = (jax.ShapeDtypeStruct((50, 60), jnp.float32), jax.ShapeDtypeStruct((60, 70), jnp.float32))
    assert experiment.count(jnp.matmul, *shapes).flops == pytest.approx(2 * 50 * 60 * 70, rel=1e-3)


def arrays_with(power, chunked_bytes, factor):
    x = np.array([7000, 15_000, 30_000, 60_000, 16])
    own, ones = x[:4], np.ones(2)
    return {
        "sweep": np.array(["examples"] * 4 + ["width"]),
        "x": x,
        "seconds": x[None] ** float(power),
        "at_once_bytes": own**power,
        "chunked_bytes": chunked_bytes,
        "network_formula": 52_672 * ones,
        "network_flops": factor * 52_672 * ones,
        "examples_formula": own,
        "examples_flops": own,
    }


def test_the_claims_tell_proportional_from_not():
    good = experiment.make_claims(experiment.FULL, arrays_with(1, np.full(4, 3.0), 1.05))
    assert [claim.holds for claim in good] == [True] * 5
    bad = experiment.make_claims(experiment.FULL, arrays_with(2, np.arange(1, 5), 1.2))
    assert [claim.holds for claim in bad] == [False] * 5
    np.testing.assert_allclose([bad[0].measured, bad[1].measured, bad[4].measured], [2, 2, 1.2], rtol=1e-6)
    other = SimpleNamespace(**{**dataclasses.asdict(experiment.FULL), "dataset": "kmnist"})
    assert experiment.make_claims(other, arrays_with(1, np.ones(4), 1)) == []


@pytest.mark.parametrize(
    ("field", "value"), [("halvings", 2), ("widths", ()), ("depths", (0,)), ("batch_sizes", (65,)), ("num_examples", 0)]
)
def test_settings_out_of_range_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        dataclasses.replace(SMALL, out=tmp_path, **{field: value}).check()


def test_a_run_times_everything_and_counts_within_reach_of_the_formula(tmp_path):
    experiment.run(dataclasses.replace(SMALL, dataset=str(small_digits(tmp_path / "digits")), out=tmp_path))
    experiment.plot(tmp_path)
    folder = tmp_path / "complexity"
    record = json.loads((folder / "run.json").read_text())
    assert record["claims"] == []
    assert record["networks"] == [[30, 4, 3], [30, 2, 3]]
    with np.load(folder / "arrays.npz") as arrays:
        assert arrays["x"].tolist() == [16, 32, 65, 130, 2, 4, 1, 1, 64]
        assert arrays["seconds"].shape == (1, 9)
        assert arrays["seconds"].min() > 0
        formula = 4 * 30 * 4 + 6 * 4 * 3
        assert arrays["flops"].tolist() == [n * formula for n in (16, 32, 65, 130)] + [
            64 * (4 * 30 * 2 + 6 * 2 * 3), *[64 * formula] * 4
        ]  # fmt: skip
        assert (arrays["network_flops"] >= arrays["network_formula"]).all()  # activations and pixels come on top
        assert np.diff(arrays["at_once_bytes"]).min() > 0
    assert (folder / "complexity.png").stat().st_size > 10_000
