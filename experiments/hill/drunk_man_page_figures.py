"""The page: the surface to turn, all paths to play on a common clock, the costs below it, and below these the stumble
under the microscope; a plotly figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from experiments.common import plots
from experiments.hill import drunk_man_stumble_figures as near
from experiments.hill.drunk_man_figures import TICKS, readings, seen_at, shown, times

TEMPLATE = Path(__file__).with_name("drunk_man.html")
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")  # plotly's, in the order of plots.LINES
STROKES = ("none", "9 4", "9 4 3 4", "3 3", "14 5", "14 5 3 5")  # SVG's
CLOCKS = {"examples": "examples read", "steps": "steps", "seconds": "seconds of one run, compilation apart"}
NUM_FRAMES = 60


def page(result: Any) -> Any:
    """Trace 0 is the surface; each walker adds six, of which the third, fourth and sixth move with the clock; then come
    the steps under the microscope."""
    from plotly import graph_objects as go

    figure, view, surface = go.Figure(), result.view, result.view.surface.T  # plotly's rows: betas
    figure.add_surface(
        x=rounded(view.alphas), y=rounded(view.betas), z=rounded(surface), surfacecolor=rounded(np.log10(surface)),
        colorscale=[[0, "#e9edf2"], [1, "#5b6470"]], opacity=0.75, showscale=False, name="surface",
        hovertemplate="cost on the plane %{z:.3g}<extra></extra>",
    )  # fmt: skip
    for index in range(len(result.walkers)):
        add_walker(figure, result, index)
    firsts = range(1, 1 + 6 * len(result.walkers), 6)
    moving = [first + trace for first in firsts for trace in (2, 3, 5)]
    timed = [*moving, *(first + 4 for first in firsts)]
    for number, state in zip(timed, timed_state(result, "examples"), strict=True):
        figure.data[number].update({key: value for key, value in state.items() if key != "type"})
    figure.frames = [
        go.Frame(name=f"{clock} {number}", data=walkers_at(result, clock, reading), traces=moving)
        for clock in CLOCKS
        for number, reading in enumerate(readings(result, clock, NUM_FRAMES))
    ]
    costs = np.concatenate([surface.ravel(), *(walker.cost[0] for walker in result.walkers)])
    lay_out(figure, plots.enough_ticks(TICKS, costs.min(), costs.max()))
    figure.update_layout(meta=controls(result, timed))
    add_microscope(figure, result.microscope, [plots.COLOURS[number] for number in shown(result)])
    return figure


def rounded(values: np.ndarray) -> list:
    """Four digits are enough for the eye, and make a small page."""
    return np.vectorize(lambda value: float(f"{value:.4g}"), otypes=[float])(values).tolist()


def add_walker(figure: Any, result: Any, index: int) -> None:
    """A path at its true cost, its shadow, the walker, the line down to his shadow, his cost over time, his place."""
    walker, colour = result.walkers[index], plots.COLOURS[index]
    label, steps = walker.way.name, walker.steps[walker.looked_at]
    x, y = map(rounded, result.view.shadows[index][walker.looked_at].T)
    thin, hover = {"color": colour, "width": 2}, "<br>step %{customdata:,}<br>"
    figure.add_scatter3d(
        x=x, y=y, z=rounded(walker.cost[0]), mode="lines", line={"color": colour, "width": 7}, name=label,
        customdata=steps, hovertemplate=f"{label}{hover}cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter3d(
        x=x, y=y, z=rounded(walker.shadow_cost), mode="lines", line=thin, showlegend=False, customdata=steps,
        hovertemplate=f"shadow of {label}{hover}its cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    quiet = {"showlegend": False, "hoverinfo": "skip"}
    head, place = ({"color": colour, "size": size, "line": {"color": "white", "width": width}}
                   for size, width in ((7, 1), (12, 1.5)))  # fmt: skip
    figure.add_scatter3d(mode="markers", marker=head, **quiet)
    figure.add_scatter3d(mode="lines", line=thin, **quiet)
    figure.add_scatter(
        mode="lines", line={**thin, "dash": DASHES[index]}, showlegend=False, customdata=steps[1:],
        hovertemplate=f"{label}{hover}cost %{{y:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(mode="markers", marker=place, **quiet)


def add_microscope(figure: Any, seen: Any, colours: list[str]) -> None:
    """The steps from one place, and minus the full gradient as thin arrows, below all else."""
    wound = []
    for index, (steps, colour) in enumerate(zip(seen.footsteps, colours, strict=True)):
        x, y = map(rounded, near.place(seen, index).T)
        wound.append(f'<span style="color: {colour}">{steps.way.label} {near.wound_in_the_end(steps):.3g}</span>')
        figure.add_scatter(
            x=x, y=y, mode="lines+markers", xaxis="x2", yaxis="y2", line={"color": colour, "width": 1.5},
            marker={"size": 4}, showlegend=False, customdata=list(range(len(x))),
            hovertemplate=f"{steps.way.label}<br>step %{{customdata}}<extra></extra>",
        )  # fmt: skip
        for tail, head in near.arrows(seen, index):
            ends = dict(zip(("ax", "ay", "x", "y"), rounded(np.append(tail, head)), strict=True))
            figure.add_annotation(**ends, xref="x2", yref="y2", axref="x2", ayref="y2", text="", showarrow=True,
                                  arrowhead=2, arrowwidth=0.7, arrowcolor="#555")  # fmt: skip
    figure.add_annotation(
        text=f"<b>Under the microscope: every step, one rate</b><br>path length over distance:<br>{', '.join(wound)}",
        xref="paper", yref="paper", x=0, y=0.33, xanchor="left", yanchor="top", align="left", showarrow=False,
    )  # fmt: skip
    figure.update_layout(
        xaxis2={"title": "where the full batch goes", "anchor": "y2"},
        yaxis2={"domain": [0.05, 0.27], "anchor": "x2", "scaleanchor": "x2", "title": "across"},
    )  # fmt: skip


def walkers_at(result: Any, clock: str, reading: float) -> list[dict[str, Any]]:
    """Where the traces that move are when the clock shows `reading`: each walker, his line down, his place in time."""
    placed = []
    for walker, shadow in zip(result.walkers, result.view.shadows, strict=True):
        at = seen_at(walker, clock, reading)
        x, y = rounded(shadow[walker.looked_at[at]])
        high, low = rounded(np.array([walker.cost[0][at], walker.shadow_cost[at]]))
        placed += [
            {"type": "scatter3d", "x": [x], "y": [y], "z": [high]},
            {"type": "scatter3d", "x": [x, x], "y": [y, y], "z": [high, low]},
            {"type": "scatter", "x": rounded(times(walker, clock)[[max(at, 1)]]), "y": [high]},
        ]
    return placed


def timed_state(result: Any, clock: str) -> list[dict[str, Any]]:
    """All traces that depend on the clock, at its last reading: those that move, then the curves of the costs."""
    curves = [{"x": rounded(times(walker, clock)[1:]), "y": rounded(walker.cost[0][1:])} for walker in result.walkers]
    return walkers_at(result, clock, readings(result, clock, NUM_FRAMES)[-1]) + curves


def controls(result: Any, timed: list[int]) -> dict[str, Any]:
    """What the page's own buttons, slider and table say: of every clock its readings, where everybody is then (step,
    cost, whether he has stopped), and how the traces change that depend on it."""
    clocks = {}
    for clock, words in CLOCKS.items():
        shown, states = readings(result, clock, NUM_FRAMES), timed_state(result, clock)
        clocks[clock] = {
            "words": words, "readings": [f"{each:.2g}" if clock == "seconds" else f"{each:,.0f}" for each in shown],
            "seen": [[seen(walker, clock, reading) for walker in result.walkers] for reading in shown],
            "moved": {axis: [state.get(axis) for state in states] for axis in ("x", "y", "z")},
        }  # fmt: skip
    walkers = [{"name": walker.way.name, "colour": plots.COLOURS[index], "dash": STROKES[index]}
               for index, walker in enumerate(result.walkers)]  # fmt: skip
    return {"clocks": clocks, "walkers": walkers, "timed": timed}


def seen(walker: Any, clock: str, reading: float) -> tuple[int, float, bool]:
    """The last step that was looked at when the clock shows `reading`, its cost, and whether it was the last of all."""
    at = seen_at(walker, clock, reading)
    cost = float(f"{walker.cost[0][at]:.4g}")
    return int(walker.steps[walker.looked_at[at]]), cost, at == len(walker.looked_at) - 1


def lay_out(figure: Any, of_costs: Sequence[float]) -> None:
    ticks = {"tickvals": of_costs, "ticktext": [f"{tick:g}" for tick in of_costs]}
    figure.update_layout(
        height=1250, margin={"l": 45, "r": 15, "t": 0, "b": 0}, hovermode="closest", template="plotly_white",
        showlegend=False, font={"size": 14},
        scene={
            "domain": {"y": [0.57, 1]}, "aspectmode": "manual", "aspectratio": {"x": 1.5, "y": 1.5, "z": 0.85},
            "xaxis": {"title": "1st direction"}, "yaxis": {"title": "2nd direction"},
            "zaxis": {"title": "cost", "type": "log", **ticks},
            "camera": {"eye": {"x": 1.15, "y": -1.86, "z": 1.15}, "center": {"x": 0, "y": 0, "z": -0.2}},
        },
        xaxis={"type": "log", "title": CLOCKS["examples"], "exponentformat": "SI", "dtick": 1},
        yaxis={"type": "log", "title": "cost", "domain": [0.38, 0.55], **ticks},
    )  # fmt: skip


def as_page(figure: Any, *, title: str, says: str, self_contained: bool) -> bytes:
    """A plotly figure as a page that asks for nothing outside: plotly's script lies beside its folder, once for all
    pages, or, if `self_contained`, in the page itself (5 MB)."""
    drawn = figure.to_html(
        full_html=False, auto_play=False, include_plotlyjs=True if self_contained else plots.PLOTLY,
        post_script="begin();", config={"responsive": True, "displayModeBar": False}, div_id="figure",
    )  # fmt: skip
    template = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, says=says, figure=drawn).encode()
