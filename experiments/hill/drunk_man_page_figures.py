"""The page: the surface to turn, all paths to play on a common clock, and the costs below it; a plotly figure."""

from typing import Any

import numpy as np

from experiments.common import plots
from experiments.hill.drunk_man_figures import TICKS, readings, seen_at, times

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")  # plotly's, in the order of plots.LINES
CLOCKS = {"examples": "examples read", "seconds": "seconds of one run, compilation apart"}
NUM_FRAMES = 60


def page(result: Any) -> Any:
    """The surface to turn, all paths to play on a common clock, and the cost below it."""
    from plotly import graph_objects as go

    figure: Any = go.Figure()
    add_hill(figure, result.view)
    for index in range(len(result.walkers)):
        add_walker(figure, result, index)
    metas = [trace.meta for trace in figure.data]
    moving = [number for number, meta in enumerate(metas) if meta == "moves"]
    timed = [number for number, meta in enumerate(metas) if meta in ("moves", "timed")]
    figure.frames = [
        go.Frame(name=f"{clock} {number}", data=walkers_at(result, clock, reading), traces=moving)
        for clock in CLOCKS
        for number, reading in enumerate(readings(result, clock, NUM_FRAMES))
    ]
    lay_out(figure, result, timed)
    return figure


def add_hill(figure: Any, view: Any) -> None:
    """The exact surface; plotly wants rows along the second direction."""
    surface = view.surface.T
    figure.add_surface(
        x=rounded(view.alphas), y=rounded(view.betas), z=rounded(surface), surfacecolor=rounded(np.log10(surface)),
        colorscale=[[0, "#e9edf2"], [1, "#5b6470"]], opacity=0.75, showscale=False, name="surface",
        hovertemplate="cost on the plane %{z:.3g}<extra></extra>",
    )  # fmt: skip


def add_walker(figure: Any, result: Any, index: int) -> None:
    """A path at its true cost, its shadow, the walker with the line down to his shadow, and his cost over time."""
    walker = result.walkers[index]
    label, cost, shadow = walker.way.name, walker.cost[0], result.view.shadows[index][walker.looked_at]
    steps = walker.steps[walker.looked_at]
    colour, line = plots.COLOURS[index], {"color": plots.COLOURS[index], "width": 7}
    figure.add_scatter3d(
        x=rounded(shadow[:, 0]), y=rounded(shadow[:, 1]), z=rounded(cost), mode="lines", line=line, name=label,
        customdata=steps, hovertemplate=f"{label}<br>step %{{customdata:,}}<br>cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter3d(
        x=rounded(shadow[:, 0]), y=rounded(shadow[:, 1]), z=rounded(walker.shadow_cost),
        mode="lines", line={"color": colour, "width": 2}, showlegend=False, customdata=steps,
        hovertemplate=f"shadow of {label}<br>step %{{customdata:,}}<br>its cost %{{z:.3g}}<extra></extra>",
    )  # fmt: skip
    head = {"color": colour, "size": 7, "line": {"color": "white", "width": 1}}
    figure.add_scatter3d(mode="markers", marker=head, showlegend=False, meta="moves", hoverinfo="skip")
    figure.add_scatter3d(mode="lines", line={"color": colour, "width": 2}, showlegend=False, meta="moves",
                         hoverinfo="skip")  # fmt: skip
    figure.add_scatter(
        x=rounded(times(walker, "examples")[1:]), y=rounded(cost[1:]), mode="lines",
        line={"color": colour, "width": 2, "dash": DASHES[index]}, showlegend=False, meta="timed",
        customdata=steps[1:],
        hovertemplate=f"{label}<br>step %{{customdata:,}}<br>cost %{{y:.3g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(mode="markers", marker={"color": colour, "size": 12, "line": {"color": "white", "width": 1.5}},
                       showlegend=False, meta="moves", hoverinfo="skip")  # fmt: skip


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


def rounded(values: np.ndarray) -> list:
    """Four digits are enough for the eye, and make a small page."""
    return np.vectorize(lambda value: float(f"{value:.4g}"), otypes=[float])(values).tolist()


def lay_out(figure: Any, result: Any, timed: list[int]) -> None:
    """The scene above, the costs below, a slider and a play button for each clock, and a choice between the clocks."""
    ticks = {"tickvals": TICKS, "ticktext": [f"{tick:g}" for tick in TICKS]}
    figure.update_layout(
        height=960, margin={"l": 45, "r": 15, "t": 80, "b": 0}, hovermode="closest", template="plotly_white",
        legend={"orientation": "h", "y": 1.0, "yanchor": "top", "x": 0},
        scene={
            "domain": {"y": [0.4, 1]}, "aspectmode": "manual", "aspectratio": {"x": 1.5, "y": 1.5, "z": 0.85},
            "xaxis": {"title": "1st direction"}, "yaxis": {"title": "2nd direction"},
            "zaxis": {"title": "cost", "type": "log", **ticks},
            "camera": {"eye": {"x": 1.05, "y": -1.7, "z": 1.05}, "center": {"x": 0, "y": 0, "z": -0.15}},
        },
        xaxis={"type": "log", "title": CLOCKS["examples"], "exponentformat": "SI", "dtick": 1},
        yaxis={"type": "log", "title": "cost", "domain": [0.155, 0.37], **ticks},
        sliders=[slider(result, clock) for clock in CLOCKS],
        updatemenus=[clock_menu(result, timed), *(play_button(clock) for clock in CLOCKS)],
    )  # fmt: skip
    for number, state in zip(timed, timed_state(result, "examples"), strict=True):
        figure.data[number].update({key: value for key, value in state.items() if key != "type"})


def timed_state(result: Any, clock: str) -> list[dict[str, Any]]:
    """All traces that depend on the clock, at its last reading, in the order in which `add_walker` adds them."""
    placed = walkers_at(result, clock, readings(result, clock, NUM_FRAMES)[-1])
    found = []
    for index, walker in enumerate(result.walkers):
        head, down, place = placed[3 * index : 3 * index + 3]
        curve = {"x": rounded(times(walker, clock)[1:]), "y": rounded(walker.cost[0][1:])}
        found += [head, down, curve, place]
    return found


def slider(result: Any, clock: str) -> dict[str, Any]:
    """One step a picture, labelled with what the clock shows."""
    go_there = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    times_shown = readings(result, clock, NUM_FRAMES)
    return {
        "visible": clock == "examples", "active": NUM_FRAMES - 1, "x": 0, "len": 1, "y": 0.07, "pad": {"t": 0, "b": 0},
        "currentvalue": {"prefix": f"{CLOCKS[clock]}: ", "font": {"size": 14, "color": "#1a1a1a"}},
        "ticklen": 0, "minorticklen": 0, "font": {"color": "rgba(0,0,0,0)"},
        "steps": [
            {"label": f"{shown:,.0f}" if clock == "examples" else f"{shown:.2g}", "method": "animate",
             "args": [[f"{clock} {number}"], go_there]}
            for number, shown in enumerate(times_shown)
        ],
    }  # fmt: skip


def play_button(clock: str) -> dict[str, Any]:
    """Starts from the first picture, and stops."""
    names = [f"{clock} {number}" for number in range(NUM_FRAMES)]
    play = {"mode": "immediate", "frame": {"duration": 120, "redraw": True}, "transition": {"duration": 0}}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "type": "buttons", "direction": "left", "visible": clock == "examples", "x": 0, "xanchor": "left", "y": 1.05,
        "yanchor": "bottom", "showactive": False,
        "buttons": [
            {"label": "▶ Play", "method": "animate", "args": [names, play]},
            {"label": "❚❚ Stop", "method": "animate", "args": [[None], stop]},
        ],
    }  # fmt: skip


def clock_menu(result: Any, timed: list[int]) -> dict[str, Any]:
    """Equal examples or equal seconds: which clock both walkers share."""
    buttons = []
    for number, clock in enumerate(CLOCKS):
        states = timed_state(result, clock)
        moved = {"x": [state["x"] for state in states], "y": [state["y"] for state in states]}
        layout: dict[str, Any] = {"xaxis.title.text": CLOCKS[clock], "xaxis.autorange": True}
        for other in range(len(CLOCKS)):
            layout |= {
                f"sliders[{other}].visible": other == number,
                f"updatemenus[{other + 1}].visible": other == number,
            }
        layout |= {f"sliders[{number}].active": NUM_FRAMES - 1}
        moved["z"] = [state.get("z") for state in states]
        buttons.append({"label": f"clock: {clock}", "method": "update", "args": [moved, layout, timed]})
    return {
        "type": "buttons", "direction": "left", "x": 1, "xanchor": "right", "y": 1.05, "yanchor": "bottom",
        "showactive": True, "buttons": buttons,
    }  # fmt: skip
