"""The gait of each way in numbers, and their costs when all clocks show the same."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots, walks
from experiments.hill.drunk_man_figures import TICKS
from research import landscape

PANELS = [["winding", "cosine", "displacement"], ["gained", "shares", "cost"], ["legend"] * 3]


def how_drunk(result: Any, straight_on: float) -> Figure:
    """Six panels; `straight_on` is the least cosine of who walks on as he went."""
    figure, axes = plots.new_mosaic(16, 9.6, PANELS, height_ratios=[1, 1, 0.16])
    draw_together(axes["winding"], result, "tortuosity")
    axes["winding"].set_title("Winding: 1 is straight")
    axes["winding"].set_ylabel("path length / displacement")
    plots.plain_log_ticks(axes["winding"].yaxis, (1, 3, 10, 30, 100, 300))
    draw_bars(axes["cosine"], result, "cosine")
    axes["cosine"].margins(y=0.15)
    axes["cosine"].set_title("Cosine of successive steps: 1 straight on, 0 no memory")
    axes["cosine"].set_ylabel("mean cosine")
    draw_displacements(axes["displacement"], result)
    draw_bars(axes["gained"], result, "gained")
    log_gain(axes["gained"])
    draw_shares(axes["shares"], result)
    draw_together(axes["cost"], result, "cost")
    axes["cost"].set_title("Cost: who is lower depends on the clock")
    axes["cost"].set_ylabel("cost")
    plots.plain_log_ticks(axes["cost"].yaxis, TICKS)
    plots.legend_in(axes["legend"], *axes["shares"].get_legend_handles_labels(), columns=3)
    plots.headline(figure, who_stumbles(result, straight_on))
    plots.note(figure, "medians of the seeds; dots and bands: every seed")
    return figure


def who_stumbles(result: Any, straight_on: float) -> str:
    """How far the drunkest man walks, and whether the careful one walks straight on as claimed, in words."""
    number = walks.drunkest([gait.way for gait in result.gaits])
    walked = (
        f"The drunk man ({result.gaits[number].way.label}) walks "
        f"{np.median(result.together['examples'].tortuosity, axis=1)[number]:.3g} times as far as he gets"
    )
    cosines = {gait.way.learning_rate: np.median(gait.cosine) for gait in result.gaits if gait.way.is_full_batch}
    failed = [(rate, cosine) for rate, cosine in cosines.items() if not straight_on <= cosine <= 1]
    if not failed:
        return walked
    rate, cosine = failed[0]
    turns = "turns round" if cosine < 0 else "does not"
    return (
        f"{walked}. The careful man should walk straight on (cosine {straight_on:g} or more), but with rate {rate:g} "
        f"he {turns}: {cosine:.2f}"
    )


def draw_bars(axes: Axes, result: Any, field: str) -> None:
    """One bar a way, its number written on it, a dot for every seed."""
    for index, gait in enumerate(result.gaits):
        values = getattr(gait, field)
        middle = float(np.median(values))
        axes.bar(index, middle, color=plots.COLOURS[index], alpha=0.75, width=0.65)
        axes.plot(np.full(len(values), index), values, "k.", markersize=5)
        above = (0, 5) if middle >= 0 else (0, -14)
        end = float(values.max() if middle >= 0 else values.min())
        axes.annotate(f"{middle:.2g}", (index, end), xytext=above, textcoords="offset points", ha="center")
    axes.set_xticks(range(len(result.gaits)), [gait.way.short for gait in result.gaits])


def log_gain(axes: Axes) -> None:
    """What is particular to the panel of the cost gained."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    plots.plain_log_ticks(axes.yaxis, [digit * 10.0**power for power in range(-5, 4) for digit in (1, 3)])
    axes.set_ylim(low, high * 1.6)
    axes.set_title("Cost gained per unit of path")
    axes.set_ylabel("cost gained / path length")


def draw_displacements(axes: Axes, result: Any) -> None:
    """Mean squared displacement against the lag, with its exponent."""
    for index, gait in enumerate(result.gaits):
        moved = gait.displacements
        lags = np.arange(1, moved.shape[1] + 1) / moved.shape[1] / 2
        label = f"{gait.way.short.replace(chr(10), ', ')}: exponent {np.median(gait.exponent):.2f}"
        plots.seed_band(axes, 100 * lags, moved, index, label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("Exponent of the displacement: 2 straight, 1 random")
    axes.set_xlabel("lag, % of a walker's own steps")
    axes.set_ylabel("squared displacement")
    axes.legend(fontsize=9)


def draw_shares(axes: Axes, result: Any) -> None:
    """What each path's own first three principal components explain, against a random walk's."""
    null = 100 * np.asarray(landscape.random_walk_shares(3))
    for index, gait in enumerate(result.gaits):
        shares = 100 * np.median(gait.shares, axis=0)
        places, width = side_by_side(result, index)
        axes.bar(places, shares, width, color=plots.COLOURS[index], alpha=0.75, label=gait.way.name)
    for component, share in enumerate(null):
        text = "a random walk" if component == 0 else None
        axes.plot([component - 0.42, component + 0.42], [share, share], color="black", linestyle="--", label=text)
    axes.set_xticks(range(3), ["1st", "2nd", "3rd"])
    axes.set_xlabel("principal component of a path")
    axes.set_ylabel("explained, %")
    axes.set_title("Looking planar is no merit: a random walk does too")


def side_by_side(result: Any, index: int) -> tuple[np.ndarray, float]:
    """Places and width of one way's bars in three groups of all ways'."""
    width = 0.8 / len(result.gaits)
    return np.arange(3) + width * (index + 0.5) - 0.4, 0.95 * width


def draw_together(axes: Axes, result: Any, field: str) -> None:
    """A number of every way after equally many steps, examples and seconds."""
    clocks = ("steps", "examples", "seconds")
    for index in range(len(result.gaits)):
        values = np.median([getattr(result.together[clock], field)[index] for clock in clocks], axis=1)
        places, width = side_by_side(result, index)
        axes.bar(places, values, width, color=plots.COLOURS[index], alpha=0.75)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
            axes.annotate(
                text, (place, value), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, rotation=90
            )
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.16)
    axes.set_xticks(range(3), [f"equal {clock}" for clock in clocks])
