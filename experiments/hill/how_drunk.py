"""How drunk is the drunk man, in numbers: how much does his path wind, and do his steps remember each other?

Full-batch descent and mini-batches of 10, 100 and 1000 from the same starts, as in drunk_man. Path length over
displacement; the mean cosine of successive steps; the exponent of the mean squared displacement, 2 straight ahead, 1
for a random walk; cost gained per unit of length; the shares of a path's variance along its principal components; and
cost and winding after equally many steps, examples and seconds. On a parabola of curvature h every step of descent is
1 - eta h times the one before it: a rate above 1/h turns round at every step, full batch or not.

Run:     python -m experiments how_drunk [--quick | --full]
Time:    default 40 s, --quick 15 s, --full 4 min, on 2 cores, compilation included
Result:  (5 seeds) after 400 steps path over displacement is 6.9 to 8.3 with batches of 10, 3.5 to 4.5 with the full
         batch at rate 4, a random walk's 20. One claim does not hold: at a rate of 4 the full batch turns back.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from experiments.common import plots, walks
from experiments.common.claims import Claims, about, at_least, follow_up, prediction, within
from experiments.common.problem import Problem
from experiments.common.walks import Looks, Reading, Walk, Way
from experiments.hill import how_drunk_figures as drawn
from research import landscape, paths

DRUNKEST = 10  # the batch size that the claims are about
STRAIGHT_ON = 0.5  # the least cosine of successive steps of who walks on as he went
PROBE = "a wish; a probe on sklearn's digits gave"


@dataclasses.dataclass(frozen=True)
class Settings(walks.Settings):
    """Settings of the walks."""


QUICK = Settings(
    num_seeds=1, batch_sizes=(10,), learning_rates=(0.5,), full_batch_learning_rates=(4.0,), num_steps=20, num_epochs=1,
    num_points=21,
)  # fmt: skip
FULL = Settings(num_seeds=5, num_steps=400, num_epochs=12, num_points=200)


class Gait(NamedTuple):
    """How one way walks, from its start to its end."""

    way: Way
    cosine: Float[np.ndarray, "seeds"]  # mean cosine between successive steps
    exponent: Float[np.ndarray, "seeds"]  # of the mean squared displacement
    gained: Float[np.ndarray, "seeds"]  # cost gained per unit of length
    shares: Float[np.ndarray, "seeds 3"]  # of the path's variance along its own principal components
    displacements: Float[np.ndarray, "seeds lags"]  # mean squared displacement


class Result(NamedTuple):
    gaits: tuple[Gait, ...]
    together: dict[str, Reading]  # after equally many steps, examples, seconds


def measure(problem: Problem, settings: Settings) -> Result:
    walked, looks, _, together = walks.walk_and_look(problem, settings)
    return Result(tuple(map(gait, walked, looks)), together)


def gait(path: Walk, looks: Looks) -> Gait:
    displacements = np.stack([paths.squared_displacements(points) for points in path.point])
    shares = jax.jit(lambda points: landscape.explained_shares(points)[:3])
    return Gait(
        way=path.way,
        cosine=path.turns[:, -1] / (path.steps[-1] - 1),
        exponent=np.array([paths.exponent(each) for each in displacements]),
        gained=(looks.cost[:, 0] - looks.cost[:, -1]) / path.length[:, -1],
        shares=np.stack([np.asarray(shares(points)) for points in path.point]),
        displacements=displacements,
    )


def equal_steps(result: Result, settings: Settings) -> int:
    """After how many steps all ways are compared: as many as the shortest path has."""
    num_examples = result.gaits[0].way.batch_size
    sizes = [gait.way.batch_size for gait in result.gaits if not gait.way.is_full_batch]
    return min(settings.num_steps, settings.num_epochs * (num_examples // max(sizes)))


def claims(result: Result, settings: Settings) -> Claims:
    if not settings.is_the_films:
        return
    unit = "cosine, mean of a path, median"
    for index, (way, cosines, *_) in enumerate(result.gaits):
        if way.is_full_batch:  # the first rate is the claim; the others were tried after it had failed
            kind = follow_up if index else prediction
            yield kind("T35", "the full batch walks on as it went: cosine of its successive steps, rate "
                       f"{way.learning_rate:g}", np.median(cosines), within(STRAIGHT_ON, 1), unit, f"{PROBE} 0.94",
                       "finding: a step is 1 - eta h times the one before it where the curvature is h, so a rate above "
                       "1/h turns round; a smaller rate walks on; the curvature along the path beside 1/eta would "
                       "decide")  # fmt: skip
        elif way.batch_size == DRUNKEST:
            yield prediction("T35", "the drunk man's step has nothing to do with his last: cosine, batches of "
                             f"{DRUNKEST}", np.median(cosines), about(0, by=0.1), unit,
                             f"{PROBE} -0.07")  # fmt: skip
            wound = result.together["steps"].tortuosity
            yield follow_up("E8", f"after equally many steps batches of {DRUNKEST} have wound more than the full batch",
                            np.median(wound[index] / wound[0]), at_least(1), "ratio of length / displacement, median",
                            "equally many examples would set thousands of steps beside a few")  # fmt: skip


def finding(result: Result, settings: Settings) -> str:
    ways, num_steps = [each.way for each in result.gaits], equal_steps(result, settings)
    number, passes = walks.drunkest(ways), min(settings.num_steps, settings.num_epochs)
    wound = [f"{np.median(each):.2g} ({each.min():.2g} to {each.max():.2g})"
             for each in result.together["steps"].tortuosity]  # fmt: skip
    others = [f"{way.label} {each}, " for way, each in zip(ways, wound, strict=True)
              if not way.is_full_batch and way is not ways[number]]  # fmt: skip
    careful, drunk = np.median(result.together["examples"].tortuosity[[0, number]], axis=1)
    steps = passes * (ways[0].batch_size // ways[number].batch_size)
    cosines = [f"{np.median(each.cosine).round(2) + 0:.2f} with {each.way.label} (rate {each.way.learning_rate:g})"
               for each in result.gaits]  # fmt: skip
    return (
        f"After {num_steps} steps the drunk man ({ways[number].label}) has walked {wound[number]} times as far as he "
        f"got, {''.join(others)}the careful man (full batch) {wound[0]} times; a random walk: {num_steps**0.5:.2g} "
        f"times. After equally many examples, {steps:,} steps of his and {passes:,} of the careful man's, it is "
        f"{drunk:.3g} and {careful:.3g}. The mean cosine of successive steps is {', '.join(cosines)}; "
        "medians, and ranges of the seeds."
    )


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    says = finding(result, settings).partition(" After equally")[0]
    return {"how_drunk": drawn.winding(result, says, equal_steps(result, settings)), "how_planar": drawn.planar(result)}
