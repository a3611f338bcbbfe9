"""Why are some digits hardly ever said?

Nielsen's 784-100-10 from N(0, 1), and the film's network, on his first 50,000 images in batches of 10: which digits are
dead, the answer to less than 1 % of the test images, over training. An output a of the last layer moves by sigma' = a
(1 - a). From N(0, 1) half of the hidden neurons are on, |h|^2 is about 50, and one step takes the weighted sum of an
output that is wrong on a whole batch down by up to 2 eta (4/27) (|h|^2 + 1): by 23, in the film's network by 2. From
there its own digit's images alone, one in ten, raise it: it waits 1/(2 eta a/10 (|h|^2 + 1)) steps, a its mean on them.

The same sigma' holds elsewhere: in only_a_two outputs that are saturated and wrong (10 of 100 runs), in
other_optimizers digits that momentum drove to 0; in wrong_labels it mutes |g_i| of an output that is sure and wrong.

Run:     python -m experiments dead_digits [--quick | --full]
Time:    default 40 s, --quick 15 s, --full 3 to 4.5 min on 2 cores, compilation included
Result:  of 100 starts 13 have no dead digit after epoch 6 (95 % right), 35 one (86 %), 52 two or three; of the film's
         network all 100 have none. The best of three has none with a probability of 0.34 (0.22 to 0.51).
"""

import dataclasses
from functools import partial
from itertools import pairwise
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from jax import Array
from jaxtyping import Float, Int

from experiments.common import descents, experiment, plots, runs, teaching
from experiments.common.bounds import Count
from experiments.common.claims import Claims, at_least, exactly, follow_up, prediction
from experiments.common.descents import Method
from experiments.common.problem import Problem
from research import costs, data, fits, models
from research.data import Examples
from research.training import TrainState

RATE, BATCH, IMAGES = teaching.FILMS_RATE, teaching.BATCH, 50_000  # Nielsen's 3.0 with his 1/2, and his images
HIDDEN, HIS_BEST = 100, 96.59  # %, his best of three
KINDS = ("784-100-10, N(0, 1)", "the film's network")
FIRST_LOOKS = (10, 100, 1000)  # steps; after the last the waits are foretold
DEAD = 0.01  # of the test images are called so, or fewer: a tenth of a digit's share


@dataclasses.dataclass(frozen=True)
class Settings(experiment.Settings):
    num_seeds: Count = 12
    """How many starts of each network, each with its own shuffles."""
    num_epochs: Annotated[int, Ge(1)] = 3
    """Passes over the training images."""


QUICK = Settings(num_seeds=4, num_epochs=1, num_examples=20_000)
FULL = Settings(num_seeds=100, num_epochs=6)


class Result(NamedTuple):
    steps: Int[np.ndarray, "looks"]
    said: Float[np.ndarray, "kinds seeds looks classes"]  # share of the test images that is called so
    output: Float[np.ndarray, "kinds seeds looks classes"]  # mean output on the test images of its own class
    accuracy: Float[np.ndarray, "kinds seeds looks"]  # on the test images

    @property
    def dead(self) -> np.ndarray:  # kinds, seeds, looks, classes
        return self.said < DEAD


def look(problem: Problem, shared: tuple[Examples, Examples], state: TrainState) -> tuple[Array, Array, Array]:
    found, targets = teaching.outputs(problem.model.apply, state.params, shared[1].inputs), shared[1].targets
    called = jax.nn.one_hot(jnp.argmax(found, axis=1), targets.shape[1], dtype=found.dtype)
    own = jnp.sum(targets * found, axis=0) / jnp.maximum(jnp.sum(targets, axis=0), 1)
    return called.mean(axis=0), own, jnp.mean(jnp.sum(called * targets, axis=1))


def legs(rows: np.ndarray) -> list[tuple[np.ndarray]]:
    """Schedules (seeds, 1, steps, batch) of rows (seeds, epochs, steps, batch), the first epoch cut at FIRST_LOOKS."""
    cuts = [0, *(cut for cut in FIRST_LOOKS if cut < rows.shape[2]), rows.shape[2]]
    first = [rows[:, :1, at:end] for at, end in pairwise(cuts)]
    return [(leg,) for leg in (*first, *(rows[:, [epoch]] for epoch in range(1, rows.shape[1])))]


def measure(problem: Problem, settings: Settings) -> Result:
    train = data.take(problem.train, slice(IMAGES))
    init_keys, shuffle_keys = runs.seed_keys(settings.seed, settings.num_seeds)
    order = descents.shuffles(shuffle_keys, len(train.inputs), settings.num_epochs)
    rows = descents.in_equal_legs(descents.in_batches(order, BATCH), settings.num_epochs)
    sizes, normal = (train.inputs.shape[-1], HIDDEN, train.targets.shape[-1]), models.unit_normal
    his = models.mlp(sizes, init_weights=normal, init_biases=normal)
    shared, steps, seen = (train, problem.test), np.zeros(1, int), []
    for kind, posed in zip(KINDS, (problem._replace(model=his, cost_fn=costs.sum_of_squares), problem), strict=True):
        method = Method(kind, BATCH, optax.sgd(RATE))
        state = teaching.begin(method.optimizer, descents.starts(posed, init_keys))
        at_first = runs.over_seeds(partial(look, posed), (None, 0))(shared, state)
        run = runs.descend(kind, descents.minibatch_legs(posed, method, look), state, shared, legs(rows))
        seen.append([np.concatenate([np.asarray(first)[:, None], then], axis=1)
                     for first, then in zip(at_first, run.history.observed, strict=True)])  # fmt: skip
        steps = np.concatenate([[0], run.steps])
    return Result(steps, *(np.stack(each) for each in zip(*seen, strict=True)))


def patience(result: Result) -> tuple[float, int]:
    """(least, number) of the waits, over those foretold, of Nielsen's outputs that are revived after FIRST_LOOKS."""
    at = np.flatnonzero(result.steps <= FIRST_LOOKS[-1])[-1]
    alive = ~np.moveaxis(result.dead[0, :, at:], 1, -1)  # seeds, classes, looks
    revived = ~alive[..., 0] & alive.any(axis=-1)
    waited = (result.steps[at:] - result.steps[at])[alive.argmax(axis=-1)]
    ratios = (waited * (2 * RATE / 10 * (HIDDEN / 2 + 1) * result.output[0, :, at]))[revived]
    return float(ratios.min()) if len(ratios) else float("nan"), len(ratios)


def tells(result: Result, at: int) -> float:
    """AUROC with which an output's mean at that look tells whether it is dead at the end, in Nielsen's network."""
    dead, output = result.dead[0, :, -1], result.output[0, :, at]
    return fits.auroc(-output[dead], -output[~dead]) if dead.any() and not dead.all() else float("nan")


def best_of_three(share: float, count: int) -> tuple[float, float, float]:
    """(P, low, high) that one of three starts does what that share of `count` does: 1 - (1 - p)^3, Wilson's ends."""
    best, low, high = (1 - (1 - float(p)) ** 3 for p in (share, *fits.wilson_interval(share, count)))
    return best, low, high


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films or settings.num_examples is not None:
        return
    count, whole = settings.num_seeds, ~np.any(result.dead[..., -1, :], axis=-1)
    yield prediction("C8", f"the film's network says every digit in the end, in all {count} starts",
                     count - np.sum(whole[1]), exactly(0), "starts that do not",
                     "a step throws an output down by 2 at most", "finding: dead digits without a plunge")  # fmt: skip
    least, number = patience(result)
    yield prediction("C8", f"a digit dead after {FIRST_LOOKS[-1]} steps waits 1/(2 eta a/10 (|h|^2 + 1)) steps "
                     "or more", least, at_least(1), f"waited over foretold, least of {number}",
                     "sigma'", "finding: some come back to 2 % of the answers at once, so that they do "
                     "not waver about 1 %; the layer before moves: holding it still would decide")  # fmt: skip
    yield prediction("C8", f"where an output is after {FIRST_LOOKS[-1]} steps tells which digits are dead in the end",
                     tells(result, len(FIRST_LOOKS)), at_least(0.9), "AUROC", "the order of the waits",
                     "finding: later steps kill digits too")  # fmt: skip
    yield follow_up("C8", "where outputs start tells the dead digits, those that are saturated", tells(result, 0),
                    at_least(0.9), "AUROC", "a guess", "finding: how far steps throw it down decides")  # fmt: skip
    yield follow_up("C8", f"the best of three starts has no dead digit after {settings.num_epochs} epochs, as "
                    f"{HIS_BEST} % need", best_of_three(float(np.mean(whole[0])), count)[2], at_least(0.5),
                    "probability, upper end of Wilson's interval", "Nielsen, chapter 1: no luck",
                    "finding: most starts keep dead digits, and his own readers report worse numbers")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    count, dead, right = settings.num_seeds, result.dead[..., -1, :].sum(axis=-1), 100 * result.accuracy[0, :, -1]
    said = [f"{np.median(right[dead[0] == number]):.0f} % with {number or 'none'}" for number in np.unique(dead[0])]
    p, low, high = best_of_three(float(np.mean(dead[0] == 0)), count)
    good, _, most = best_of_three(float(np.mean(right >= 96)), count)
    return (
        f"{np.sum(dead[0] > 0)} of {count} starts of 784-100-10 from N(0, 1) have dead digits after epoch "
        f"{settings.num_epochs}, of the film's network {np.sum(dead[1] > 0)}. Right are {', '.join(said)} (medians). "
        f"Best of three: none with probability {p:.2f} ({low:.2f} to {high:.2f}), 96 % with {good:.2f} "
        f"(up to {most:.2f})."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    figure, [[left, middle, right]] = plots.new_figure(17, 5.5, columns=3)
    steps, dead, chosen = np.maximum(result.steps, 1), result.dead.sum(axis=-1), result.dead[0, :, -1]
    for series, name in enumerate(KINDS):
        left.plot(steps, dead[series].mean(axis=0), color=plots.COLOURS[series], linestyle=plots.LINES[series],
                  marker=plots.MARKERS[series], label=name)  # fmt: skip
    left.set(xscale="log", xlabel="steps (the start at 1)", ylabel="dead digits, mean", ylim=(0, 10))
    output = np.moveaxis(np.maximum(result.output[0], 1e-12), 1, -1)  # seeds, classes, looks
    for series, (these, name) in enumerate(((~chosen, "alive\nin the end"), (chosen, "dead\nin the end"))):
        if these.any():
            low, mid, high = np.quantile(output[these], [0.1, 0.5, 0.9], axis=0)
            middle.fill_between(steps, low, high, color=plots.COLOURS[2 + series], alpha=0.2, linewidth=0)
            middle.plot(steps, mid, color=plots.COLOURS[2 + series], marker=plots.MARKERS[series], label=name)
    middle.set(xscale="log", yscale="log", xlabel="steps (the start at 1)", ylabel=f"output on its digit, {KINDS[0]}")
    apart = dead[0, :, -1] + np.linspace(-0.3, 0.3, len(dead[0]))
    right.plot(apart, 100 * result.accuracy[0, :, -1], "o", color=plots.COLOURS[0], alpha=0.5)
    plots.reference_line(right, HIS_BEST, f"Nielsen's best of three, after 30 epochs: {HIS_BEST}")
    right.set(xticks=np.unique(dead[0, :, -1]), xlabel=f"dead digits of {KINDS[0]}", ylim=(0, 107))
    right.set_ylabel("correct on the test images, %")
    trained = "50,000 images, batches of 10, 5,000 steps an epoch"
    about = f"dead: under {DEAD:.0%} of answers; bands: 10 to 90 %; {trained}; {len(apart)} starts"
    return {"dead_digits": plots.headline(figure, finding(result, settings).partition(". ")[0], about=about)}
