"""One noisy step: parabolas whose second order is known, and what the claims say of made-up steps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.common.problem import Problem
from experiments.mini_batches import one_noisy_step as experiment
from experiments.mini_batches.one_noisy_step import RATES, SIZES, Result, Settings
from research import sampling
from research.data import Examples
from research.models import Model

SMALLEST = Settings(num_seeds=2, checkpoints=(0.5,), num_looked_at=512, num_batches=3, layer_sizes=(784, 10))
STEEP = np.array([1.0, 4.0])


def test_on_a_mean_of_parabolas_every_step_gains_what_the_formula_says(x64):
    """C_i = sum_k h_k (theta_k - x_ik)^2 / 2: H = diag(h), g_i = h (theta - x_i), and nothing of third order."""
    rng = np.random.default_rng(0)
    x, theta = rng.normal(size=(600, 2)), np.array([3.0, -1.0])
    train = Examples(jnp.asarray(x), jnp.zeros((600, 1)))
    model = Model(lambda key: jnp.zeros(2), lambda params, image: params - image)
    problem = Problem(model, lambda output, _: jnp.sum(STEEP * output**2) / 2, train, train, (1, 2, 1))
    look = jax.jit(partial(experiment.try_steps, problem, 400))
    found = look(jnp.asarray(theta), train, jax.random.key(0))
    result = Result(np.zeros(1), np.array([*SIZES, 600]), *(np.asarray(each)[None, None] for each in found))
    slope, covariance = STEEP * (theta - x.mean(axis=0)), np.cov((STEEP * x).T, bias=True)
    known = {
        "cost": np.mean((theta - x) ** 2 @ STEEP) / 2, "squared_norm": slope @ slope, "along": slope @ (STEEP * slope),
        "total_variance": np.trace(covariance),
    }  # fmt: skip
    for name, number in known.items():
        assert getattr(result, name).item() == pytest.approx(number, rel=1e-9)
    scatter = STEEP @ np.diag(covariance)
    assert abs(result.scatter.item() - scatter) < 4 * result.scatter_error.item() < scatter
    exact = result._replace(scatter=np.array([[scatter]]))
    bent = known["along"] + scatter * np.asarray(sampling.finite_population(result.sizes, 600)) / result.sizes
    np.testing.assert_allclose(exact.bent[0, 0, -1], bent[-1], rtol=1e-5)  # rates of 1/500: ten digits are left of 16
    assert (np.abs(exact.bent[0, 0] - bent) <= 4 * exact.bent_error[0, 0] + 1e-4).all()
    gains = RATES * known["squared_norm"] - RATES**2 / 2 * bent[:, None]
    np.testing.assert_allclose(exact.foretold(RATES)[0, 0], gains, rtol=1e-9)
    error = exact.bent_error[0, 0, :, None] * RATES**2 / 2
    assert (np.abs(exact.gain[0, 0] - gains) <= 4 * error + 1e-9 * RATES**2).all()


@pytest.fixture
def made_up():
    """Two seeds at two places, with what the formula says everywhere; B_simple is B_noise."""
    ones, sizes = np.ones((2, 2)), np.array([*SIZES, 10_000])
    scale = ones * [[10, 40], [12, 50]]
    result = Result(
        np.array([0.0, 1.0]), sizes, ones, ones, 0.01 * ones, scale, 0.01 * scale, 1e-3 * ones, np.zeros((2, 2, 6, 11)),
        np.zeros((2, 2, 6)), np.full((2, 2, 6), 1e-3),
    )  # fmt: skip
    bent = result.along[..., None] + result.shared(result.scatter)
    return result._replace(gain=result.foretold(RATES), bent=bent)


def test_the_half_is_where_the_noise_scale_says(made_up):
    for (
        half
    ) in made_up.halves:  # (N-B)/(N-1) is 1 but for 0.5 %; between sizes by logarithms; and rates are powers of 2
        np.testing.assert_allclose(half, [[10, 40], [12, 50]], rtol=0.35)
    assert experiment.half_size(np.array([1, 4]), np.array([0.6, 1.0])) == 1


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (lambda it: {}, [True, True, True]),
        (lambda it: {"bent": it.bent + np.eye(2)[..., None] * 0.02 * [1, 0, 0, 0, 0, 0]}, [False, True, True]),
        (lambda it: {"scatter": 9 * it.scatter, "bent": it.bent + 8 * it.shared(it.scatter)}, [True, False, True]),
        (lambda it: {"total_variance": it.total_variance * [1, 5]}, [True, True, False]),
        (lambda it: {"total_variance": it.total_variance * [0.2, 1]}, [True, True, False]),
    ],
)
def test_claims_hold_and_fail(made_up, change, holds):
    result = made_up._replace(**change(made_up))
    assert [claim.holds for claim in experiment.claims(result, Settings())] == holds


def test_the_finding_names_the_place_at_which_the_noise_scale_is_farthest_off(made_up):
    result = made_up._replace(total_variance=made_up.total_variance * [1, 5])
    measured, formula, simple = (np.median(half[:, 1]) for half in result.halves)
    said = experiment.finding(result, Settings())
    assert said.startswith(f"At epoch 1 one step of a batch of {measured:,.0f} gains half")
    assert said.endswith(f"foretells {formula:,.0f} on the same rates, the noise scale {simple:,.0f} (medians).")
