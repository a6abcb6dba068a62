"""Plotly figures as pure functions of tables: what is plotted is what the rows hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.ranking.standings import half_width

from .labels import hover, lines
from .palette import CONTROL, Style, ordered

MARGIN = {"l": 10, "r": 10, "t": 40, "b": 10}
GRID = "rgba(128,128,128,0.25)"
# An interval of few seeds may reach beyond what a share can be: the axis does not.
SHARE = {"clipmin": -1, "clipmax": 101}


def figure(title: str, x: str, y: str, height: int = 380) -> go.Figure:
    """An empty chart with its axes named; the legend lies below, where it takes no width on a small
    screen.
    """
    found = go.Figure()
    found.update_layout(
        title={"text": hover(title), "x": 0, "font": {"size": 15}},
        height=height,
        margin=MARGIN,
        hovermode="closest",
        showlegend=True,  # also of one method
        legend={"orientation": "h", "yanchor": "top", "y": -0.22, "x": 0, "title": None},
    )
    found.update_xaxes(title={"text": lines(x)}, automargin=True, gridcolor=GRID, zeroline=False)
    found.update_yaxes(title={"text": lines(y)}, automargin=True, gridcolor=GRID, zeroline=False)
    return found


def _log_ticks(values: pd.Series) -> dict:
    """Powers of ten, or on a short axis 1, 2 and 5 of each: Plotly's own choice between them is
    hard to read.
    """
    positive = values[values > 0]
    if positive.empty:
        return {}
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    powers = 10.0 ** np.arange(low, high + 1)
    ticks = powers if high - low > 2 else np.outer(powers, (1, 2, 5)).ravel()
    return {"tickvals": ticks.tolist(), "ticktext": [f"{tick:g}" for tick in ticks], "tickangle": 0}


def against_lambda(
    curves: pd.DataFrame,
    styles: Mapping[str, Style],
    title: str,
    x: str,
    y: str,
    *,
    scale: float = 100,
) -> go.Figure:
    """One line a method over λ on a log axis, with its 95 % band over seeds, in percent (or times
    `scale`).

    λ = 0 has no place on a log axis: a method without any other λ (the control) is a horizontal
    line.

    Args:
        curves: as `comparison.curves` gives them, of one column.
    """
    found = figure(title, x, y)
    form, unit = (".1f", " %") if scale == 100 else (".3g", "")
    positive = curves[curves["matched"] > 0]
    for method in ordered(curves["method"]):
        style, rows = styles[method], positive[positive["method"] == method].sort_values("matched")
        if rows.empty:
            control = curves[curves["method"] == method].iloc[0]
            if len(positive):
                ends = [positive["matched"].min(), positive["matched"].max()]
                found.add_scatter(
                    x=ends,
                    y=[scale * control["mean"]] * 2,
                    mode="lines",
                    name=hover(method),
                    line={"color": style.colour, "dash": style.dash, "width": 2},
                    hovertemplate=f"{hover(method)}, λ = 0<br>%{{y:{form}}}{unit}<extra></extra>",
                )
            continue
        _band(found, rows, style, method, scale)
        found.add_scatter(
            x=rows["matched"],
            y=scale * rows["mean"],
            mode="lines+markers",
            name=hover(method),
            legendgroup=method,
            line={"color": style.colour, "dash": style.dash, "width": 2},
            marker={"symbol": style.symbol, "size": 8, "color": style.colour},
            customdata=_details(rows, scale),
            hovertemplate=f"{hover(method)}<br>λ = %{{customdata[0]}}<br>%{{y:{form}}}%{{customdata[1]}}{unit}"
            "<br>%{customdata[2]} seeds<extra></extra>",
        )
    found.update_xaxes(type="log", **_log_ticks(positive["matched"]))
    if scale == 100:
        found.update_yaxes(autorangeoptions=SHARE)
    return found


def _details(rows: pd.DataFrame, scale: float = 100) -> np.ndarray:
    form = ".1f" if scale == 100 else ".2g"
    widths = [
        f" ± {scale * width:{form}}" if np.isfinite(width) else "" for width in rows["half_width"]
    ]
    return np.array(
        [[f"{value:g}" for value in rows["lambda"]], widths, rows["seeds"].astype(str)],
        dtype=object,
    ).T


def _band(found: go.Figure, rows: pd.DataFrame, style: Style, method: str, scale: float) -> None:
    rows = rows[rows["half_width"].notna()]
    low, high = (
        scale * (rows["mean"] - rows["half_width"]),
        scale * (rows["mean"] + rows["half_width"]),
    )
    if len(rows):
        found.add_scatter(
            x=[*rows["matched"], *rows["matched"][::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            mode="lines",
            fillcolor=style.band,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=method,
            name=f"{hover(method)} band",
        )


def against_clean(
    curves: pd.DataFrame, column: str, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """Each method's λ as points joined in order of λ: clean accuracy against the column, both in
    percent.

    Args:
        curves: as `comparison.curves` gives them, of "clean" and `column` at least.
    """
    found = figure(title, "Clean accuracy (%)", y)
    clean = curves[curves["column"] == "clean"][["method", "lambda", "mean"]]
    both = curves[curves["column"] == column].merge(
        clean, on=["method", "lambda"], suffixes=("", "_clean")
    )
    for method in ordered(both["method"]):
        style, rows = styles[method], both[both["method"] == method].sort_values("lambda")
        found.add_scatter(
            x=100 * rows["mean_clean"],
            y=100 * rows["mean"],
            mode="lines+markers",
            name=hover(method),
            line={"color": style.colour, "dash": style.dash, "width": 1.5},
            marker={"symbol": style.symbol, "size": 9, "color": style.colour},
            error_y={"array": (100 * rows["half_width"]).fillna(0), "thickness": 1, "width": 2},
            customdata=_details(rows),
            hovertemplate=f"{hover(method)}<br>λ = %{{customdata[0]}}<br>clean %{{x:.1f}} %<br>%{{y:.1f}}%{{customdata[1]}} %"
            "<br>%{customdata[2]} seeds<extra></extra>",
        )
    found.update_yaxes(autorangeoptions=SHARE)
    return found


def pareto(
    standings: pd.DataFrame, column: str, styles: Mapping[str, Style], title: str, y: str
) -> go.Figure:
    """Each method at its selected λ: clean accuracy against the headline, in percent; the area
    grows with training cost.

    Args:
        standings: as `benchmark.ranking.standings.standings` gives them, of one architecture.
    """
    found = figure(title, "Clean accuracy (%)", y, height=430)
    rows = standings[standings["clean"].notna() & standings[column].notna()]
    front = _front(rows["clean"].to_numpy(), rows[column].to_numpy())
    if len(front) > 1:
        edge = rows.iloc[front]
        found.add_scatter(
            x=100 * edge["clean"],
            y=100 * edge[column],
            mode="lines",
            name="not dominated",
            line={"color": CONTROL, "dash": "dot", "width": 1},
            hoverinfo="skip",
        )
    for method in ordered(rows["regularizer"]):
        style, row = styles[method], rows[rows["regularizer"] == method].iloc[0]
        cost = row["cost"] if np.isfinite(row["cost"]) else 1.0
        size = float(np.clip(12 * np.sqrt(cost), 8, 44))
        spread = {
            name: f" ± {100 * row[f'{name}_half_width']:.1f}"
            if np.isfinite(row[f"{name}_half_width"])
            else ""
            for name in ("clean", column)
        }
        found.add_scatter(
            x=[100 * row["clean"]],
            y=[100 * row[column]],
            mode="markers",
            name=hover(method),
            marker={
                "symbol": style.symbol,
                "color": style.colour,
                "size": size,
                "line": {"width": 2, "color": style.colour},
            },
            error_x=_error(row["clean"], row["clean_half_width"], style, most=1.0),
            error_y=_error(row[column], row[f"{column}_half_width"], style),
            hovertemplate=f"{hover(method)}, λ = {row['lambda']:g}<br>clean %{{x:.1f}}{spread['clean']} %"
            f"<br>robust %{{y:.1f}}{spread[column]} %<br>cost × {cost:.1f}<extra></extra>",
        )
    found.update_layout(
        legend={"itemsizing": "constant"},
        xaxis={"autorangeoptions": SHARE},
        yaxis={"autorangeoptions": SHARE},
    )
    return found


def _error(value: float, half_width: float, style: Style, most: float = np.inf) -> dict:
    """Bars that end at 0 and at `most`, whatever the interval is."""
    half = half_width if np.isfinite(half_width) else 0
    return {
        "array": [100 * min(half, most - value)],
        "arrayminus": [100 * min(half, value)],
        "symmetric": False,
        "thickness": 1,
        "width": 3,
        "color": style.colour,
    }


def _front(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Positions of the points that no other beats in both, by rising x."""
    order = [
        i
        for i in range(len(x))
        if not any(
            (x[j] >= x[i]) & (y[j] >= y[i]) & ((x[j] > x[i]) | (y[j] > y[i])) for j in range(len(x))
        )
    ]
    return sorted(order, key=lambda i: (x[i], -y[i]))


def lipschitz_against_cross(
    points: pd.DataFrame, classes: int, styles: Mapping[str, Style], title: str
) -> go.Figure:
    """µ² against Ω, one point a row, on log axes, with the line Ω = (2/K)·µ² that no point can lie
    above.

    Args:
        points: columns method, squared (µ²), cross (Ω), about.
    """
    found = figure(
        title,
        "µ² = ‖V‖² (squared Frobenius norm of the logits' Jacobian)",
        "Ω (mean over class pairs)",
        height=430,
    )
    rows = points[(points["squared"] > 0) & (points["cross"] > 0)]
    if len(rows):
        ends = np.array([rows["squared"].min() / 1.5, rows["squared"].max() * 1.5])
        found.add_scatter(
            x=ends,
            y=2 / classes * ends,
            mode="lines",
            name="Ω = (2/K)·µ²",
            line={"color": CONTROL, "width": 1.5},
            hoverinfo="skip",
        )
    for method in ordered(rows["method"]):
        style, mine = styles[method], rows[rows["method"] == method]
        found.add_scatter(
            x=mine["squared"],
            y=mine["cross"],
            mode="markers",
            name=hover(method),
            marker={"symbol": style.symbol, "color": style.colour, "size": 8, "opacity": 0.75},
            customdata=mine["about"],
            hovertemplate=f"{hover(method)}, %{{customdata}}<br>µ² = %{{x:.3g}}<br>Ω = %{{y:.3g}}<extra></extra>",
        )
    found.update_xaxes(type="log", **_log_ticks(rows["squared"]))
    found.update_yaxes(type="log", **_log_ticks(rows["cross"]))
    return found


def gap_curves(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """ "accuracy" and "gap" (test less train loss, nats) over λ, each as `against_lambda` takes it.

    Args:
        rows: as `benchmark.ranking.standings.labelled` gives them, of one architecture.
    """
    clean = rows[
        (rows["status"] == "finished")
        & (rows["threat"] == "clean")
        & np.isfinite(rows["value"].astype(float))
    ]
    index = ["regularizer", "lambda", "seed"]
    accuracy = clean[(clean["metric"] == "accuracy") & (clean["split"] == "test")].set_index(index)[
        "value"
    ]
    loss = clean[clean["metric"] == "loss"].pivot_table(
        index=index, columns="split", values="value"
    )
    gap = (
        loss["test"] - loss["train"]
        if {"test", "train"} <= set(loss)
        else pd.Series(dtype=float, index=loss.index)
    )
    found = {}
    for name, values in (("accuracy", accuracy), ("gap", gap.dropna())):
        table = values.rename("value").reset_index()
        table = table.assign(matched=table["lambda"], method=table["regularizer"])
        grouped = table.groupby(["method", "matched", "lambda"])["value"]
        found[name] = grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()
    return found


def layer_spread(layers: pd.DataFrame, colours: Mapping[float, str]) -> go.Figure:
    """Standard deviation of each layer's singular values, mean over seeds, one line a λ (Wen et al.
    2020).

    Args:
        layers: columns lambda, layer, metric, value.
    """
    found = figure("Spread of singular values", "Layer", "Standard deviation of σ")
    mine = layers[layers["metric"] == "sigma_std"]
    for strength, colour in colours.items():
        means = mine[mine["lambda"] == strength].groupby("layer", sort=True)["value"].mean()
        found.add_scatter(
            x=means.index,
            y=means,
            mode="lines+markers",
            name=f"λ = {strength:g}",
            line={"color": colour},
            hovertemplate=f"λ = {strength:g}<br>%{{x}}: %{{y:.3g}}<extra></extra>",
        )
    return found
