"""Is the blame put on the layer that is at fault, and who can repair it?

How can one be sure, a reader asks, that it was not the last layer's fault alone? In a trained network the weights of
one layer are shuffled. Where does the gradient grow: each layer's share of |G|^2 after the damage against before. Then
one single layer alone may learn for some steps: which one undoes most of the damage? And from the start, how far does
the last layer come alone, beside all layers together?

Run:     python -m experiments repair [--quick | --full]
Time:    default 9 s, --quick 7 s, --full 2 min on 2 cores, compilation included
Result:  the blame is NOT simply where the damage is: the share of the last layer grows most, whichever is damaged (the
         damaged one's in 35 % of cases). Damage in the first layer is best repaired there, in all of 20 seeds; in the
         last, nearly as well by any layer.
"""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from jax import Array
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.common import descents, experiment, runs
from experiments.common.bounds import of_train
from experiments.common.claims import Claim, at_least, prediction, within
from experiments.common.problem import Problem, plain_layers
from experiments.one_example import repair_figures
from research import data, gradients, layerwise, training
from research.models import Layer
from research.training import TrainState

WISH = 80.0  # % of seeds and layers
WHOSE_FAULT = (
    "80 % was a wish, no theory says it. The finding: the last layer's share grows whichever layer is damaged, so the "
    "gradient does not know whose fault it is. To restore one layer's activations after another would decide it."
)
WHO_REPAIRS = (
    "80 % was a wish, no theory says it. The finding: damage in the first layer is repaired best there, damage in the "
    "last nearly as well by any layer. To restore one layer's activations after another would tell whose fault it is."
)


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    """Settings of damage and repair."""

    learning_rate: Annotated[float, Gt(0)] = 2.0
    """Learning rate of all descents."""
    batch_size: Annotated[int, Ge(1), of_train] = 100
    """Examples in a mini-batch."""
    num_legs: Annotated[int, Ge(1)] = 12
    """How often the training before the damage is looked at."""
    steps_per_leg: Annotated[int, Ge(1)] = 100
    """Mini-batch steps between two looks."""
    repair_steps: Annotated[int, Ge(1)] = 100
    """Steps in which one layer alone may repair the damage."""
    num_looked_at: Annotated[int, Ge(1), of_train] = 5000
    """Training images, from the first on, on which costs and gradients are looked at; all are trained on."""


QUICK = Settings(num_seeds=2, num_legs=6, num_looked_at=2000)
FULL = Settings(num_seeds=20, num_legs=60, num_looked_at=20_000)


class Result(NamedTuple):
    """Two trainings of every seed from one start; what damage does to the first, and who repairs it."""

    costs: Float[np.ndarray, "seeds 2 looks"]  # all layers at once; the last layer alone
    blame: Float[np.ndarray, "seeds layers layers"]  # damaged layer, layer; log2 of the layer's share of |G|^2 over its
    # share before the damage
    repaired: Float[np.ndarray, "seeds layers layers"]  # damaged layer, the one that may learn; share that is undone
    sigmoids: bool  # whether all neurons are


def damaged(params: list[Layer], key: Array) -> list[Layer]:
    """For every layer, the network with the weights of that layer shuffled: every leaf gains a leading layer axis."""
    shuffled = [jax.random.permutation(jax.random.fold_in(key, i), p.weights.ravel()) for i, p in enumerate(params)]
    networks = [
        [
            layer._replace(weights=weights.reshape(layer.weights.shape)) if index == at_fault else layer
            for index, (layer, weights) in enumerate(zip(params, shuffled, strict=True))
        ]
        for at_fault in range(len(params))
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)


def blame_and_repair(
    settings: Settings, problem: Problem, params: list[Layer], shared: tuple, key: Array
) -> tuple[Array, Array]:
    """(blame, repaired) as in `Result`, of one seed."""
    train, few = shared
    damage_key, shuffle_key = jax.random.split(key)
    objective = gradients.mean_over_examples(problem.example_cost)
    rows = layerwise.batches(shuffle_key, len(train.inputs), settings.batch_size, settings.repair_steps)
    layers = jnp.eye(len(params))
    broken = damaged(params, damage_key)

    def look(params: list[Layer]) -> tuple[Array, Array]:
        cost, grads = jax.value_and_grad(problem.cost)(params, few)
        return cost, layerwise.shares(grads).sum(axis=1)

    def repair(params: list[Layer], free: Array) -> Array:
        step = layerwise.at_once(objective, settings.learning_rate, free)
        state, _ = training.minibatch_descent(step, TrainState(params, ()), train, rows[None], lambda _: ())
        return problem.cost(state.params, few)

    everything = jax.tree.map(lambda leaves, leaf: jnp.concatenate([leaves, leaf[None]]), broken, params)
    costs, share = jax.lax.map(look, everything)  # the last one is the whole network's
    mended = jax.lax.map(lambda params: jax.lax.map(partial(repair, params), layers), broken)
    harm = (costs[:-1] - costs[-1])[:, None]
    return jnp.log2(share[:-1] / share[-1:]), (costs[:-1, None] - mended) / harm


def of_seed(settings: Settings, problem: Problem, params: list[Layer], key: Array, shared: tuple) -> tuple:
    """(costs, blame, repaired): trains one seed's network in both ways from one start, then damages the first."""
    train, few = shared
    shuffle_key, blame_key = jax.random.split(key)
    num_steps = settings.num_legs * settings.steps_per_leg
    rows = layerwise.batches(shuffle_key, len(train.inputs), settings.batch_size, num_steps)
    schedule = rows.reshape(settings.num_legs, settings.steps_per_leg, settings.batch_size)
    objective = gradients.mean_over_examples(problem.example_cost)

    def trained(free: Array) -> tuple[list[Layer], Array]:
        step = layerwise.at_once(objective, settings.learning_rate, free)
        end, history = training.minibatch_descent(
            step, TrainState(params, ()), train, schedule, lambda state: problem.cost(state.params, few)
        )
        return end.params, history.observed

    ends, costs = jax.lax.map(trained, jnp.stack([jnp.ones(len(params)), jnp.eye(len(params))[-1]]))
    at_start = jnp.full((2, 1), problem.cost(params, few))
    found = blame_and_repair(settings, problem, data.take(ends, 0), shared, blame_key)
    return jnp.concatenate([at_start, costs], axis=1), *found


def measure(problem: Problem, settings: Settings) -> Result:
    """Every seed's trainings, damages and repairs."""
    functions = plain_layers(problem, "one layer after another is damaged and repaired")
    few = data.take(problem.train, slice(settings.num_looked_at))
    init_keys, keys = runs.seed_keys(settings.seed, settings.num_seeds)
    told = jax.jit(runs.over_seeds(partial(of_seed, settings, problem), (0, 0, None)))
    starts = descents.starts(problem, init_keys)
    costs, blame, repaired = jax.device_get(told(starts, keys, (problem.train, few)))
    bad = ~np.isfinite(costs).all(axis=(0, 1))
    if bad.any():
        raise runs.Diverged("training", settings.steps_per_leg * int(bad.argmax()))
    if np.isnan(repaired).any():
        raise runs.Diverged("repair", settings.repair_steps)
    return Result(costs, blame, repaired, functions == (jax.nn.sigmoid, jax.nn.sigmoid))


def hits(matrices: np.ndarray) -> np.ndarray:
    """(seeds, damaged layers): whether the largest entry of the damaged layer's row is its own."""
    return matrices.argmax(axis=2) == np.arange(matrices.shape[1])


def rises(blame: np.ndarray) -> np.ndarray:
    """(seeds, damaged layers): whether the damaged layer's own share of |G|^2 is above what it was before."""
    return np.diagonal(blame, axis1=1, axis2=2) > 0


def claims(result: Result, settings: Settings) -> Iterator[Claim]:
    """C11; for the film's cost and neurons, which the learning rate is meant for."""
    if not (settings.has_films_cost and result.sigmoids):
        return
    wished, cases = within(WISH, 100), "% of seeds and layers"
    yield prediction("C11", "the share of |G|^2 of a damaged layer rises above what it was before the damage",
                     100 * float(rises(result.blame).mean()), wished, cases, "a wish", WHOSE_FAULT)  # fmt: skip
    yield prediction("C11", "the share of |G|^2 of a damaged layer rises more than that of any other layer",
                     100 * float(hits(result.blame).mean()), wished, cases, "a wish", WHOSE_FAULT)  # fmt: skip
    yield prediction("C11", "a damaged layer is repaired best when it is itself the one layer that may learn",
                     100 * float(hits(result.repaired).mean()), wished, cases, "a wish", WHO_REPAIRS)  # fmt: skip
    yield prediction("C11", "training the last layer alone ends at a higher cost than training all layers",
                     np.min(result.costs[:, 1, -1] / result.costs[:, 0, -1]), at_least(1), "smallest ratio of costs",
                     "fewer parameters may move")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    """In how many cases the damaged layer gives itself away, and repairs itself."""
    own = ", ".join(f"{share:.0%}" for share in hits(result.repaired).mean(axis=0))
    return (
        f"A damaged layer's share of the gradient rises in {rises(result.blame).mean():.0%} of cases, most of all "
        f"layers' in {hits(result.blame).mean():.0%}. It is its own best repair in "
        f"{hits(result.repaired).mean():.0%} ({own} for layer 1, 2, ...)."
    )


def figures(result: Result, settings: Settings) -> dict[str, Figure]:
    """Where the gradient grows, which layer repairs, and how far the last layer comes alone."""
    cases = [100 * float(found.mean()) for found in (rises(result.blame), hits(result.blame), hits(result.repaired))]
    failed = any(not claim.holds for claim in claims(result, settings) if claim.bound.low == WISH)
    return {"blame": repair_figures.blame(result, settings, cases, WISH if failed else None)}
