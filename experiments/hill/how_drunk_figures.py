"""The gait of each way in numbers, and their costs when all clocks show the same."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import plots, walks
from experiments.hill.drunk_man_figures import TICKS
from research import landscape

PANELS = [["winding", "cosine", "displacement"], ["gained", "shares", "cost"], ["legend"] * 3]
CLOCKS = ("steps", "examples", "seconds")
DIGITS = [digit * 10.0**power for power in range(-5, 4) for digit in (1, 3)]


def how_drunk(result: Any, straight_on: float) -> Figure:
    """Six panels; `straight_on` is the least cosine of who walks on as he went."""
    figure, axes = plots.new_mosaic(16, 9.6, PANELS, height_ratios=[1, 1, 0.16])
    draw_together(axes["winding"], result, "tortuosity")
    axes["winding"].set(title="Winding: 1 is straight", ylabel="path length / displacement")
    plots.plain_log_ticks(axes["winding"].yaxis, (1, 3, 10, 30, 100, 300))
    draw_bars(axes["cosine"], result, "cosine")
    axes["cosine"].margins(y=0.15)
    axes["cosine"].set(title="Cosine of successive steps: 1 straight on, 0 no memory", ylabel="mean cosine")
    draw_displacements(axes["displacement"], result)
    draw_bars(axes["gained"], result, "gained")
    axes["gained"].set(yscale="log", title="Cost gained per unit of path", ylabel="cost gained / path length")
    low, high = axes["gained"].get_ylim()
    plots.plain_log_ticks(axes["gained"].yaxis, DIGITS)
    axes["gained"].set_ylim(low, high * 1.6)
    draw_shares(axes["shares"], result)
    draw_together(axes["cost"], result, "cost")
    axes["cost"].set(title="Cost: who is lower depends on the clock", ylabel="cost")
    plots.plain_log_ticks(axes["cost"].yaxis, TICKS)
    plots.legend_in(axes["legend"], *axes["shares"].get_legend_handles_labels(), columns=3)
    return plots.headline(figure, who_stumbles(result, straight_on), "medians of the seeds; dots and bands: every seed")


def who_stumbles(result: Any, straight_on: float) -> str:
    """How far the drunkest man walks, and whether the careful one walks straight on as claimed, in words."""
    number = walks.drunkest([gait.way for gait in result.gaits])
    winding = np.median(result.together["examples"].tortuosity[number])
    walked = f"The drunk man ({result.gaits[number].way.label}) walks {winding:.3g} times as far as he gets"
    for gait in result.gaits:
        cosine, rate = np.median(gait.cosine), gait.way.learning_rate
        if gait.way.is_full_batch and not straight_on <= cosine <= 1:
            turns = "turns round" if cosine < 0 else "does not"
            return (
                f"{walked}. The careful man should walk straight on (cosine {straight_on:g} or more), but with rate "
                f"{rate:g} he {turns}: {cosine:.2f}"
            )
    return walked


def draw_bars(axes: Axes, result: Any, field: str) -> None:
    for index, gait in enumerate(result.gaits):
        values = getattr(gait, field)
        middle = float(np.median(values))
        axes.bar(index, middle, color=plots.COLOURS[index], alpha=0.75, width=0.65)
        axes.plot(np.full(len(values), index), values, "k.", markersize=5)
        end, above = (values.max(), 5) if middle >= 0 else (values.min(), -14)
        axes.annotate(f"{middle:.2g}", (index, end), xytext=(0, above), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(result.gaits)), [gait.way.short for gait in result.gaits])


def draw_displacements(axes: Axes, result: Any) -> None:
    for index, gait in enumerate(result.gaits):
        num_lags = gait.displacements.shape[1]
        lags = 100 * np.arange(1, num_lags + 1) / num_lags / 2
        label = f"{gait.way.short.replace(chr(10), ', ')}: exponent {np.median(gait.exponent):.2f}"
        plots.seed_band(axes, lags, gait.displacements, index, label)
    axes.set(xscale="log", yscale="log", title="Exponent of the displacement: 2 straight, 1 random",
             xlabel="lag, % of a walker's own steps", ylabel="squared displacement")  # fmt: skip
    axes.legend(fontsize=9)


def draw_shares(axes: Axes, result: Any) -> None:
    for index, gait in enumerate(result.gaits):
        grouped_bars(axes, result, index, 100 * np.median(gait.shares, axis=0), gait.way.name)
    for component, share in enumerate(100 * np.asarray(landscape.random_walk_shares(3))):
        label = "a random walk" if component == 0 else None
        axes.plot([component - 0.42, component + 0.42], [share, share], color="black", linestyle="--", label=label)
    axes.set_xticks(range(3), ["1st", "2nd", "3rd"])
    axes.set(title="Looking planar is no merit: a random walk does too", xlabel="principal component of a path",
             ylabel="explained, %")  # fmt: skip


def grouped_bars(axes: Axes, result: Any, index: int, values: np.ndarray, label: str) -> np.ndarray:
    """One way's bars in three groups of all ways'; returns where they stand."""
    width = 0.8 / len(result.gaits)
    places = np.arange(3) + width * (index + 0.5) - 0.4
    axes.bar(places, values, 0.95 * width, color=plots.COLOURS[index], alpha=0.75, label=label)
    return places


def draw_together(axes: Axes, result: Any, field: str) -> None:
    for index, gait in enumerate(result.gaits):
        values = np.median([getattr(result.together[clock], field)[index] for clock in CLOCKS], axis=1)
        places = grouped_bars(axes, result, index, values, gait.way.name)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
            axes.annotate(text, (place, value), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9,
                          rotation=90)  # fmt: skip
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.16)
    axes.set_xticks(range(3), [f"equal {clock}" for clock in CLOCKS])
