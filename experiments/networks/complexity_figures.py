"""How time grows with data, width and depth; and memory, operations and the time of a pass in batches."""

from typing import Any

import numpy as np

from experiments.common import plots

PLAIN = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 3, 5)]  # ticks of times
EQUAL: Any = {"color": "0.4", "linestyle": (0, (2, 2)), "linewidth": 1}
FOOT = (
    "one device, float32; a seed is a round of timings, medians of three, all in turn; median and range of the rounds"
)


def times(result: Any, settings: Any, least: int) -> plots.Figure:
    """Seconds against images, width and depth; the slope in the images counts from `least` of them on."""
    figure, axes = plots.new_figure(18, 5.4, columns=3)
    slope, (work, took) = np.median(result.slopes), result.width.growth
    for axis, sweep, title, label in (
        (axes[0, 0], result.examples, f"As N to the {slope:.2f} from {least:,} images on", "N, images"),
        (axes[0, 1], result.width, growth("Width", result.width), "neurons of the one hidden layer"),
        (axes[0, 2], result.depth, growth("Depth", result.depth), f"hidden layers of {settings.depth_width} neurons"),
    ):
        in_proportion = 1000 * np.median(sweep.seconds[:, -1]) * sweep.flops / sweep.flops[-1]
        plots.seed_band(axis, sweep.x, 1000 * sweep.seconds, 0, "", marker="o")
        axis.plot(sweep.x, in_proportion, **EQUAL)
        plots.panel(axis, title, label, "milliseconds a gradient", log_y=PLAIN, xscale="log")
        plots.note(axis, "dotted: in proportion\nto the operations", (0.97, 0.03), unit=plots.IN_PANEL, ha="right")
    for axis, sweep in zip(axes[0, 1:], (result.width, result.depth), strict=True):
        plots.plain_log_ticks(axis.xaxis, sweep.x.tolist())
    return plots.headline(
        figure,
        f"From {least:,} images on the time of a gradient grows as their number to the {slope:.2f}; with {work:.3g} "
        f"times the operations, in width, {took:.3g}-fold",
        f"width and depth over {settings.num_images:,} images; {FOOT}",
    )


def slowest(sweep: Any) -> str:
    """The batch size with which a pass takes longest, against the largest."""
    took = np.median(sweep.seconds, axis=0)
    longest = f"up to {took.max() / took[-1]:.2g} times as long (batches of {sweep.x[took.argmax()]})"
    return f"{longest} as in batches of {sweep.x[-1]:,}"


def growth(name: str, sweep: Any) -> str:
    work, took = sweep.growth
    return f"{name} {sweep.x[0]} to {sweep.x[-1]}: {work:.3g} times the operations,\n{took:.3g} times the time"


def works(result: Any, settings: Any) -> plots.Figure:
    figure, axes = plots.new_figure(18, 5.4, columns=3)
    for axis in axes[0]:
        axis.set(xscale="log", yscale="log")
    x, at_once, chunked = result.examples.x, result.at_once_bytes / 1e6, result.chunked_bytes / 1e6
    draw_memory(axes[0, 0], x, at_once, chunked)
    draw_operations(axes[0, 1], result.network_formula, result.network_flops)
    sweep = result.batch
    plots.seed_band(axes[0, 2], sweep.x, 1e6 * sweep.seconds / settings.num_images, 0, "", marker="o")
    plots.panel(axes[0, 2], f"One pass over {settings.num_images:,} images, a step a batch", "batch size",
                "microseconds an example", log_x=sweep.x.tolist(), log_y=PLAIN)  # fmt: skip
    return plots.headline(
        figure,
        f"The gradient over {x[-1]:,} images takes {at_once[-1]:,.0f} MB at once, {chunked[-1]:,.3g} MB in chunks; a "
        f"pass in small batches takes {slowest(sweep)}",
        FOOT,
    )


def draw_memory(axis: plots.Axes, x: np.ndarray, at_once: np.ndarray, chunked: np.ndarray) -> None:
    for series, (name, megabytes) in enumerate({"all images at once": at_once, "in chunks of 1,000": chunked}.items()):
        colour = plots.COLOURS[series]
        axis.plot(x, megabytes, "os"[series], linestyle=plots.LINES[series], color=colour)
        plots.note(axis, name, (x[-1], megabytes[-1]), (-8, 6), color=colour)
    axis.set(xlabel="N, images", ylabel="megabytes while it runs, images apart", title="Memory that XLA sets aside")


def draw_operations(axis: plots.Axes, formula: np.ndarray, counted: np.ndarray) -> None:
    """XLA's count against the formula, for one example of every network; the first is that of the settings."""
    ends, off = np.array([formula.min(), formula.max()]), np.abs(counted / formula - 1).max()
    axis.plot(ends, ends, **EQUAL)
    axis.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.85", linewidth=0)
    axis.plot(formula, counted, "o", color=plots.COLOURS[0], markersize=8)
    axis.plot(formula[0], counted[0], "*", color=plots.COLOURS[1], markersize=16, zorder=5)
    axis.text(0.98, 0.04, f"star: the network of the settings,\n{counted[0]:,.0f} by XLA, {formula[0]:,.0f} by formula",
              ha="right", transform=axis.transAxes, color=plots.COLOURS[1])  # fmt: skip
    axis.set(xlabel="by formula: 6 a weight, 4 in the first layer", ylabel="as XLA counts them",
             title=f"Operations an example, every network:\nwithin {100 * off:.1f} % of the formula "
             "(grey: 10 %)")  # fmt: skip
