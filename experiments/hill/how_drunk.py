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
from experiments.hill.drunk_man_figures import TICKS
from research import landscape, paths

DRUNKEST = 10  # the batch size that the claims are about
STRAIGHT_ON = 0.5  # the least cosine of successive steps of who walks on as he went
PROBE = "a wish; a probe on sklearn's digits gave"
CLOCKS = ("steps", "examples", "seconds")
DIGITS = [digit * 10.0**power for power in range(-5, 4) for digit in (1, 3)]  # ticks


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


def winding(result: Result, says: str, num_steps: int) -> plots.Figure:
    figure, ((wound, cosine, cost),) = plots.new_figure(16, 6, columns=3)
    bars(wound, result, result.together["steps"].tortuosity)
    plots.reference_line(wound, num_steps**0.5, "a random walk, on average")
    wound.set(title="How much paths wind: 1 is straight", ylabel=f"path length / displacement after {num_steps} steps")
    bars(cosine, result, [each.cosine for each in result.gaits])
    cosine.set(title="Do steps remember the last? 1: straight on, 0: no", ylabel="cosine of successive steps, mean")
    cosine.margins(y=0.15)
    for index, each in enumerate(result.gaits):
        values = np.median([result.together[clock].cost[index] for clock in CLOCKS], axis=1)
        cost.plot(range(3), values, marker="o", color=plots.COLOURS[index], linestyle=plots.LINES[index],
                  label=f"{each.way.short}: {values[-1]:.2g}")  # fmt: skip
    plots.panel(cost, title="Who is lower depends on the clock", y="cost, median", log_y=TICKS, xticks=range(3),
                xticklabels=[f"equal\n{clock}" for clock in CLOCKS])  # fmt: skip
    return plots.headline(figure, says, "bars: medians of the seeds; dots: every seed")


def planar(result: Result) -> plots.Figure:
    figure, ((shares, displacement, gained),) = plots.new_figure(17, 6, columns=3)
    random, two = 100 * np.asarray(landscape.random_walk_shares(3)), []
    for index, each in enumerate(result.gaits):
        values = 100 * np.median(each.shares, axis=0)
        grouped(shares, result, index, values)
        two.append(values[:2].sum())
        num_lags = each.displacements.shape[1]
        lags = 100 * np.arange(1, num_lags + 1) / num_lags / 2
        label = f"{each.way.short}: {np.median(each.exponent):.2f}".replace("\n", ", ")
        plots.seed_band(displacement, lags, each.displacements, index, label)
    for component, share in enumerate(random):
        shares.plot([component - 0.42, component + 0.42], [share] * 2, "k--")
    plots.note(shares, "dashed: a random walk's", (1, random[1]), (0, 6), ha="center")
    shares.set(xticks=range(3), xticklabels=["1st", "2nd", "3rd"], xlabel="principal component of a path",
               ylabel="share of the path's variance, %",
               title="A random walk looks planar too\n(colours and order as on the right)")  # fmt: skip
    bars(gained, result, [each.gained for each in result.gaits])
    plots.panel(gained, title="Cost gained per unit of path", y="cost gained / path length", log_y=DIGITS)
    plots.panel(displacement, "Exponents: 2 straight, 1 random", "lag, % of a walker's own steps",
                "mean squared displacement", log_x=(1, 3, 10, 30), yscale="log")  # fmt: skip
    says = f"Two directions hold {min(two):.0f} to {max(two):.0f} % of a path's variance, of a random walk's "
    return plots.headline(figure, f"{says}{random[:2].sum():.0f} %", "medians of the seeds; dots and bands: every seed")


def bars(axes: plots.Axes, result: Result, values: np.ndarray | list[np.ndarray]) -> None:
    """The median of each way's `values` (ways, seeds), written above or below its bar, and every seed as a dot."""
    for index, of_way in enumerate(values):
        middle = float(np.median(of_way))
        axes.bar(index, middle, color=plots.COLOURS[index], alpha=0.75, width=0.65)
        axes.plot(np.full(len(of_way), index), of_way, "k.", markersize=5)
        end, above = (np.max(of_way), 5) if middle >= 0 else (np.min(of_way), -14)
        plots.note(axes, f"{middle:.2g}", (index, end), (0, above), ha="center")
    axes.set_xticks(range(len(result.gaits)), [each.way.short for each in result.gaits])


def grouped(axes: plots.Axes, result: Result, index: int, values: np.ndarray) -> None:
    """One way's bars in three groups of all ways'."""
    width = 0.8 / len(result.gaits)
    places = np.arange(3) + width * (index + 0.5) - 0.4
    axes.bar(places, values, 0.95 * width, color=plots.COLOURS[index], alpha=0.75)


def figures(result: Result, settings: Settings) -> dict[str, plots.Figure]:
    says = finding(result, settings).partition(" After equally")[0]
    return {"how_drunk": winding(result, says, equal_steps(result, settings)), "how_planar": planar(result)}
