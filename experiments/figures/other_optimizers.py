"""The figure of other_optimizers: lowest cost so far against evaluations and seconds, full batch and mini-batches."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from research import plots

TITLES = {"full": "Full batch", "mini": "Mini-batches of {}"}
TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)


def compare_figure(record: dict, arrays: dict[str, np.ndarray]) -> Figure:
    """Rows: full batch, mini-batches; columns: evaluations, seconds. One colour and line a method."""
    kinds = [kind for kind in TITLES if record[kind]]
    figure, axes = plots.new_figure(15, 1.5 + 4.5 * len(kinds), rows=len(kinds), columns=2, sharey=True)
    labels = list(record["full"])
    for row, kind in zip(axes, kinds, strict=True):
        for label in record[kind]:
            draw(row, record, arrays, kind, label, labels.index(label))
        title = TITLES[kind].format(record["settings"]["batch_size"])
        row[0].set_title(f"{title}: evaluation for evaluation")
        row[1].set_title(f"{title}: second for second")
        row[0].set_ylabel("lowest cost so far")
        row[1].set_xscale("log")
        row[1].legend(fontsize=9, title="chosen of a grid of five", loc="upper right")
    axes[0, 0].set_yscale("log")
    plots.plain_log_ticks(axes[0, 0].yaxis, TICKS)
    axes[-1, 0].set_xlabel("gradient evaluations on as many images as the set has (line searches included)")
    axes[-1, 1].set_xlabel("seconds of one run, compilation apart")
    settings, dataset = record["settings"], record["dataset"]
    figure.suptitle(
        f"{textwrap.fill(record['finding'], 120)}\nnetwork {'-'.join(map(str, record['layer_sizes']))}, first "
        f"{dataset['train']['count']:,} images of {dataset['name']}, median and range of {settings['num_seeds']} seeds",
        fontsize=13, fontweight="bold",
    )  # fmt: skip
    return figure


def draw(row: np.ndarray, record: dict, arrays: dict[str, np.ndarray], kind: str, label: str, series: int) -> None:
    """One method in both panels of a row; a run's seconds are spread evenly over its evaluations."""
    budgets, cost = arrays["budgets"], arrays[f"{kind}_{label}_cost"]
    seen = np.isfinite(cost).all(axis=0)
    how = record[kind][label]
    name = f"{label}, {how['chosen']} {how['number']:g}"
    per_evaluation = np.median(arrays[f"{kind}_{label}_seconds"]) / budgets[-1]
    for axes, scale in zip(row, (1.0, per_evaluation), strict=True):
        plots.seed_band(axes, budgets[seen] * scale, cost[:, seen], series, name)
