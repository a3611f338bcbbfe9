"""What a vote leaves wrong."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import plots

RATES = (0.05, 0.1, 0.2, 0.3, 0.4)
SIMULATED = np.array([1, 3, 5, 10, 20])


def votes(result: Any, bearable: float, headline: str) -> Figure:
    """The share of wrong labels left by a vote, against the number of votes: exact, simulated, and if all who err
    give the same wrong label."""
    figure, axes = plots.new_figure(12, 6.8)
    axis, target = axes[0, 0], 100 * bearable
    voters = np.arange(1, result.votes.shape[1] + 1)
    for series, rate in enumerate(RATES):
        colour = plots.COLOURS[series]
        axis.plot(voters, 100 * result.votes[series], color=colour, linestyle="-")
        axis.plot([], [], color=colour, marker="os^Dv"[series],
                  label=f"one annotator wrong {100 * rate:.0f} % of the time")  # fmt: skip
        axis.plot(voters, 100 * result.same_way[series], color=colour, linestyle=(0, (1, 2)), linewidth=1.3)
        shown = result.num_voted * result.votes[series, SIMULATED - 1] >= 10
        axis.plot(SIMULATED[shown], 100 * result.simulated[series][shown], "os^Dv"[series],
                  color=colour)  # fmt: skip
    axis.plot([], [], "ko", label="simulated (if 10 or more are expected)")
    axis.plot([], [], "k", label="exact, errors spread evenly over the wrong labels")
    axis.plot([], [], "k", linestyle=(0, (1, 2)), label="exact, all who err give the same wrong label")
    axis.axhline(target, color="0.4", linewidth=1, linestyle=(0, (2, 2)))
    axis.annotate(f"{target:.0f} % wrong labels", (1, target), xycoords=("axes fraction", "data"),
                  xytext=(-2, -4), textcoords="offset points", ha="right", va="top", fontsize=9,
                  color="0.3")  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(0.003, 60)
    plots.plain_log_ticks(axis.yaxis, (0.01, 0.1, 1, 5, 10, 50))
    axis.set_xlabel("annotators who vote on every image (ties by lot)")
    axis.set_ylabel("labels that are wrong after the vote, %")
    axis.legend(fontsize=9, ncols=2, loc="lower left")
    plots.headline(figure, headline.removesuffix("."))
    plots.own_foot(figure, "ten classes; the label with the most votes counts")
    return figure
