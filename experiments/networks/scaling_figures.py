"""Left what was measured here, right what large machines would gain on paper."""

from typing import Any

import numpy as np

from experiments.common import on_paper, plots, shared_works

SHOWN = (shared_works.WHOLE, shared_works.RUNS, shared_works.BATCHES)
NAMES = dict(zip(SHOWN, ("the whole gradient, shared", "a run on each", "mini-batches, shared"), strict=True))
BATCH_SIZES = np.geomspace(1, 1e7, 141)


def measured_and_on_paper(result: Any, settings: Any) -> plots.Figure:
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
        f"{1 / least:,.0f} times as long for them as one",
        about=f"{result.num_parameters:,} weights, {result.machine}; medians of {settings.rounds} rounds, compilation "
        f"left out; right: arithmetic at {settings.flops / 1e12:g} TFLOP/s, all-reduce by ring or doubling",
    )


def bars(axes: plots.Axes, result: Any) -> None:
    """Times as fast as alone: under the name of every work a bar for every number of devices and of processes."""
    groups = [*zip(result.devices[1:], result.speed_up[1:], strict=True)]
    others = [*zip(result.processes[1:], result.speed_up_of_processes[1:], strict=True)]
    names, numbers = [], []
    for work in SHOWN:
        names += [
            NAMES[work],
            *(f"{count} devices" for count, _ in groups),
            *(f"{count} processes" for count, _ in others),
        ]
        numbers += [np.nan, *(row[work] for _, row in groups + others)]
    rows = np.arange(len(names))
    for row, number in zip(rows, numbers, strict=True):
        if np.isfinite(number):
            axes.barh(row, number - 1, left=1, color=plots.COLOURS[0] if number > 1 else "0.6")
            plots.note(axes, f"{number:.2f}", (max(number, 1), row), (4, 0), va="center")
    axes.set_yticks(rows, names)
    for row in rows[np.isnan(numbers)]:
        axes.get_yticklabels()[row].set_fontweight("bold")
    axes.axvline(1, color="0.4")
    plots.plain_log_ticks(axes.xaxis, (0.01, 0.1, 0.2, 0.5, 1, 2, 4, 8, 16))
    axes.set(xlabel="times as fast as on one device or process", title="measured here", ylim=(len(names) - 0.4, -0.6))
    axes.margins(x=0.2)


def curves(axes: plots.Axes, result: Any, settings: Any) -> None:
    for series, (name, net) in enumerate(settings.nets.items()):
        for line, size in enumerate((result.num_parameters, settings.large)):
            axes.loglog(BATCH_SIZES, on_paper.gain(net, size, BATCH_SIZES), color=plots.COLOURS[2 * series],
                        linestyle=plots.LINES[line], 
                        label=f"{name}, {size:,} weights\n({('solid', 'dashed')[line]})")  # fmt: skip
    plots.reference_line(axes, 1, "as fast as one alone")
    plots.limit_line(axes, settings.batch_size, f"batches of {settings.batch_size}")
    plots.plain_log_ticks(axes.yaxis, (0.001, 0.01, 0.1, 1, 8, 64))
    axes.set(xlabel="images in a batch", ylabel="times as fast as on one", title="on paper", ylim=(1e-3, 150))
