"""Left what was measured here, right what large machines would gain on paper."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import on_paper, plots, shared_works

SHOWN = (shared_works.WHOLE, shared_works.RUNS, shared_works.BATCHES)
BATCH_SIZES = np.geomspace(1, 1e7, 141)


def measured_and_on_paper(result: Any, settings: Any) -> Figure:
    figure, [[here, paper]] = plots.new_figure(13, 5, columns=2, width_ratios=(1, 1.2))
    bars(here, result)
    curves(paper, result, settings)
    gained = result.speed_up[-1]
    batch = np.array(settings.batch_size)
    least, slowest = min(
        (on_paper.gain(net, result.num_parameters, batch), name) for name, net in settings.nets.items()
    )
    return plots.headline(
        figure,
        f"{result.devices[-1]} devices: the whole gradient {gained[shared_works.WHOLE]:.2g} times as fast, "
        f"mini-batches of {settings.batch_size} {gained[shared_works.BATCHES]:.2g} times; {slowest} would take "
        f"{1 / least:,.0f} times as long for them",
        f"{result.machine}; medians of {settings.rounds} rounds, compilation left out; right: arithmetic at "
        f"{settings.flops / 1e12:g} TFLOP/s, all-reduce by ring or doubling",
    )


def bars(axes: Axes, result: Any) -> None:
    """Times as fast as alone, a group for every work, a bar for every number of devices and of processes."""
    groups = [(f"{count} devices", row) for count, row in zip(result.devices[1:], result.speed_up[1:], strict=True)]
    groups += [(f"{count} processes", row)
               for count, row in zip(result.processes[1:], result.speed_up_of_processes[1:], strict=True)]  # fmt: skip
    width = 0.8 / max(1, len(groups))
    for series, (label, row) in enumerate(groups):
        at = np.arange(len(SHOWN)) + (series - (len(groups) - 1) / 2) * width
        drawn = axes.bar(at, row[list(SHOWN)], 0.9 * width, color=plots.COLOURS[series % 7])
        axes.bar_label(drawn, [f"{label}\n{number:.2f}" for number in row[list(SHOWN)]], fontsize=9, padding=2)
    plots.reference_line(axes, 1, "as fast as one alone")
    axes.set_xticks(range(len(SHOWN)), ["the gradient over\nall images, shared", "a run on each",
                                        "mini-batches,\nshared"])  # fmt: skip
    axes.set(ylabel="times as fast as on one", xlim=(-0.5, len(SHOWN) - 0.5), title="measured here")
    axes.margins(y=0.2)


def curves(axes: Axes, result: Any, settings: Any) -> None:
    for series, (name, net) in enumerate(settings.nets.items()):
        for line, size in enumerate((result.num_parameters, settings.large)):
            axes.loglog(BATCH_SIZES, on_paper.gain(net, size, BATCH_SIZES), color=plots.COLOURS[series],
                        linestyle=plots.LINES[line], label=f"{name}, {size:,} weights")  # fmt: skip
    plots.reference_line(axes, 1, "as fast as one alone")
    plots.limit_line(axes, settings.batch_size, f"batches of {settings.batch_size}")
    plots.plain_log_ticks(axes.yaxis, (0.001, 0.01, 0.1, 1, 8, 64))
    axes.set(xlabel="images in a batch", ylabel="times as fast as on one", title="on paper", ylim=(1e-3, 150))
    plots.name_lines(axes)
