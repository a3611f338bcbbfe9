"""How much each way's path winds and what its steps remember; and how planar and how straight the paths look."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.hill.drunk_man_figures import TICKS
from research import landscape

CLOCKS = ("steps", "examples", "seconds")
DIGITS = [digit * 10.0**power for power in range(-5, 4) for digit in (1, 3)]


def winding(result: Any, says: str, num_steps: int) -> plots.Figure:
    figure, ((wound, cosine, cost),) = plots.new_figure(16, 6, columns=3)
    bars(wound, result, result.together["steps"].tortuosity)
    plots.reference_line(wound, num_steps**0.5, "a random walk, on average")
    wound.set(title="How much paths wind: 1 is straight", ylabel=f"path length / displacement after {num_steps} steps")
    bars(cosine, result, [gait.cosine for gait in result.gaits])
    cosine.set(title="Do steps remember the last? 1: straight on, 0: no", ylabel="cosine of successive steps, mean")
    cosine.margins(y=0.15)
    for index, gait in enumerate(result.gaits):
        values = np.median([result.together[clock].cost[index] for clock in CLOCKS], axis=1)
        cost.plot(range(3), values, marker="o", color=plots.COLOURS[index], linestyle=plots.LINES[index],
                  label=f"{gait.way.short}: {values[-1]:.2g}")  # fmt: skip
    plots.panel(cost, title="Who is lower depends on the clock", y="cost, median", log_y=TICKS, xticks=range(3),
                xticklabels=[f"equal\n{clock}" for clock in CLOCKS])  # fmt: skip
    return plots.headline(figure, says, "bars: medians of the seeds; dots: every seed")


def planar(result: Any) -> plots.Figure:
    figure, ((shares, displacement, gained),) = plots.new_figure(17, 6, columns=3)
    random, two = 100 * np.asarray(landscape.random_walk_shares(3)), []
    for index, gait in enumerate(result.gaits):
        values = 100 * np.median(gait.shares, axis=0)
        grouped(shares, result, index, values)
        two.append(values[:2].sum())
        num_lags = gait.displacements.shape[1]
        lags = 100 * np.arange(1, num_lags + 1) / num_lags / 2
        label = f"{gait.way.short}: {np.median(gait.exponent):.2f}".replace("\n", ", ")
        plots.seed_band(displacement, lags, gait.displacements, index, label)
    for component, share in enumerate(random):
        shares.plot([component - 0.42, component + 0.42], [share] * 2, "k--")
    plots.note(shares, "dashed: a random walk's", (1, random[1]), (0, 6), ha="center")
    shares.set(xticks=range(3), xticklabels=["1st", "2nd", "3rd"], xlabel="principal component of a path",
               ylabel="share of the path's variance, %",
               title="A random walk looks planar too\n(colours and order as on the right)")  # fmt: skip
    bars(gained, result, [gait.gained for gait in result.gaits])
    plots.panel(gained, title="Cost gained per unit of path", y="cost gained / path length", log_y=DIGITS)
    plots.panel(displacement, "Exponents: 2 straight, 1 random", "lag, % of a walker's own steps",
                "mean squared displacement", log_x=(1, 3, 10, 30), yscale="log")  # fmt: skip
    says = f"Two directions hold {min(two):.0f} to {max(two):.0f} % of a path's variance, of a random walk's "
    return plots.headline(figure, f"{says}{random[:2].sum():.0f} %", "medians of the seeds; dots and bands: every seed")


def bars(axes: plots.Axes, result: Any, values: Any) -> None:
    """The median of each way's `values` (ways, seeds), written above or below its bar, and every seed as a dot."""
    for index, of_way in enumerate(values):
        middle = float(np.median(of_way))
        axes.bar(index, middle, color=plots.COLOURS[index], alpha=0.75, width=0.65)
        axes.plot(np.full(len(of_way), index), of_way, "k.", markersize=5)
        end, above = (np.max(of_way), 5) if middle >= 0 else (np.min(of_way), -14)
        plots.note(axes, f"{middle:.2g}", (index, end), (0, above), ha="center")
    axes.set_xticks(range(len(result.gaits)), [gait.way.short for gait in result.gaits])


def grouped(axes: plots.Axes, result: Any, index: int, values: np.ndarray) -> None:
    """One way's bars in three groups of all ways'."""
    width = 0.8 / len(result.gaits)
    places = np.arange(3) + width * (index + 0.5) - 0.4
    axes.bar(places, values, 0.95 * width, color=plots.COLOURS[index], alpha=0.75)
