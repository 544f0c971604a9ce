"""Pictures as PNG files: a run's training curve, and a heat map of units x characters.

They need matplotlib, which the extra `plot` installs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.cell import CELLS
from ..errors import ModelFileError, SettingsError, TextError
from ..files import replacing
from ..model.tracing import Trace
from ..text.visible import visible
from ..training.folder import RunFolder
from ..training.log import read_log
from ..training.tuning.study import StudyFolder, importances, value_of

WIDEST = 400
"""Most characters in a heat map: more could not be told apart."""

_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#8a8f98"  # distinct to color-blind readers, too
_CORNER = "upper right"  # Matplotlib warns where its search for a free place takes long
_SIGNED = ["#124c8c", "#6ea4d8", "#fbf9f4", "#eda35f", "#a34700"]  # the page's, in its light theme
_GATE = ["#fbf9f4", "#1b1a17"]  # Matplotlib 3.8 takes a tuple of two for a color and its opacity


def plot(run: str | Path, path: str | Path | None = None) -> Path:
    """Draw the bits per character of a run against its steps, as a PNG; returns its path.

    By default it is curve.png in the folder of the run. Of the folder of a search, what
    mattered is drawn: how much each setting did, and the trials by their values.
    ModelFileError if that is no run, or has no step yet; SettingsError, with the pip command,
    without matplotlib.

    >>> import charloom
    >>> try:
    ...     charloom.plot("no-such-run")
    ... except charloom.CharloomError as error:
    ...     print(str(error).partition(";")[0])
    no-such-run: is not the folder of a run
    """
    if StudyFolder(run).plan.exists():
        target = Path(path) if path is not None else StudyFolder(run).path / "search.png"
        return plot_search(run, target)
    folder = RunFolder(run)
    if not folder.plan.exists():
        raise ModelFileError(f"{run}: is not the folder of a run; give one that train has made")
    entries = list(read_log(folder.log))
    if not entries:
        raise ModelFileError(f"{folder.log}: has no step yet; train it first")
    figure_of = _matplotlib()
    steps = np.array([entry.step for entry in entries])
    bits = np.array([entry.bits_per_character for entry in entries], float)
    measured = [(entry.step, entry.validation) for entry in entries if entry.validation]

    figure = figure_of(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, bits, color=_GREY, linewidth=0.6, alpha=0.6, label="training, each step")
    axes.plot(steps, _smooth(bits), color=_BLUE, linewidth=1.6, label="training, smoothed")
    if measured:
        at = [step for step, _ in measured]
        held_out = [validation.bits_per_character for _, validation in measured]
        axes.plot(at, held_out, "o-", color=_ORANGE, markersize=4, label="held out")
        best = int(np.argmin(held_out))
        axes.annotate(
            f"{held_out[best]:.3f}",
            (at[best], held_out[best]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            color=_ORANGE,
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 1, "linewidth": 0},
        )
    axes.set(xlabel="step", ylabel="bits per character", title=_plain(folder.path.name))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc=_CORNER)
    target = Path(path) if path is not None else folder.path / "curve.png"
    _save(figure, target)
    return target


def plot_search(study: str | Path, target: Path) -> Path:
    """Draw how much each setting of a search mattered, and every trial by its values.

    ModelFileError if no trial has been measured yet.
    """
    folder = StudyFolder(study)
    trials = [t for t in folder.open().get_trials(deepcopy=False) if value_of(t) is not None]
    spaces = sorted({name for trial in trials for name in trial.params})
    if not spaces:
        raise ModelFileError(f"{folder.path}: no trial of this search has been measured yet")
    shares = importances(study)
    spaces.sort(key=lambda name: -shares.get(name, 0))
    figure = _matplotlib()(figsize=(3.2 * len(spaces), 3.6), layout="constrained")
    row = figure.subplots(1, len(spaces), sharey=True, squeeze=False)[0]
    for axes, name in zip(row, spaces, strict=True):
        those = [trial for trial in trials if name in trial.params]
        for pruned, color, label in ((True, _GREY, "pruned"), (False, _BLUE, "whole")):
            some = [t for t in those if (t.state.name == "PRUNED") == pruned]
            values = [t.params[name] for t in some]
            axes.plot(values, [value_of(t) for t in some], "o", color=color, label=label)
        if getattr(those[0].distributions[name], "log", False):
            axes.set_xscale("log")
        title = f"{name}, {shares[name]:.0%}" if name in shares else name
        axes.set(xlabel=title)
        axes.grid(alpha=0.25)
    row[0].set(ylabel="bits per character held out")
    row[0].legend(frameon=False, loc=_CORNER)
    _save(figure, target)
    return target


def plot_trace(
    path: str | Path,
    pieces: Iterable[Trace],
    *,
    quantity: str | None = None,
    layer: int | None = None,
) -> None:
    """Draw one quantity of a layer, units x characters, and above it the surprisal.

    The default is C_t, or h_t of a cell that carries no C.
    Layers count from 1, and the top one is the default. A longer text is cut after WIDEST
    characters. SettingsError for a quantity or layer that there is not.
    """
    figure_of = _matplotlib()
    from matplotlib.colors import FuncNorm, LinearSegmentedColormap, Normalize

    quantity, values, symbols, bits = _gathered(pieces, quantity, layer)
    units, width = values.shape
    gate = any(quantity in cell.fractions for cell in CELLS.values())
    unbounded = quantity.endswith("C_t")
    limit = max(float(np.abs(values).max()), 1.0)
    norm: Any = Normalize(0 if gate else -1, 1)
    if unbounded:  # most of an article is small, some of it is not
        norm = FuncNorm((_bounded, _unbounded), -limit, limit)

    inches = (max(5.0, 1.6 + 0.13 * width), min(max(3.0, 1.4 + 0.06 * units), 12.0))
    figure = figure_of(figsize=inches, layout="constrained")
    above, axes = figure.subplots(2, 1, sharex=True, height_ratios=[1, 5])
    above.bar(np.arange(width), bits, color=_ORANGE, width=0.9)
    above.set(ylabel="bits")
    above.tick_params(axis="x", length=0)
    above.spines[["top", "right"]].set_visible(False)
    scale = LinearSegmentedColormap.from_list("scale", _GATE if gate else _SIGNED)
    image = axes.imshow(values, aspect="auto", interpolation="nearest", cmap=scale, norm=norm)
    axes.set(ylabel="unit")
    axes.set_xticks(np.arange(width), [_plain(s) for s in symbols], family="monospace", fontsize=8)
    axes.tick_params(axis="x", length=0)
    bar = figure.colorbar(image, ax=axes, label=quantity, pad=0.01)
    if unbounded:
        marks = [sign * size for size in (0, 0.3, 1, 3, 10, 30, 100) for sign in (-1, 1)]
        bar.set_ticks(sorted({mark for mark in marks if abs(mark) <= limit}))
        bar.minorticks_off()
    _save(figure, path)


def _bounded(x: Any) -> Any:
    """Between -1 and 1, as the page draws C_t, too."""
    return x / (1 + np.abs(x))


def _unbounded(y: Any) -> Any:
    return y / (1 - np.abs(y))


def _gathered(
    pieces: Iterable[Trace], quantity: str | None, layer: int | None
) -> tuple[str, np.ndarray, list[str], np.ndarray]:
    """The quantity, its values (H, T), the T symbols and their bits."""
    columns: list[np.ndarray] = []
    symbols: list[str] = []
    bits: list[float] = []
    for piece in pieces:
        layers = piece.h_t.shape[1]
        if layer is not None and not 1 <= layer <= layers:
            raise SettingsError(f"layer: {layer} was given; the model has layers 1 to {layers}")
        quantity = quantity or ("C_t" if "C_t" in piece.quantities else "h_t")
        if quantity not in piece.quantities:
            names = ", ".join(piece.quantities)
            raise SettingsError(f"quantity: {quantity!r} was given; this model has {names}")
        taken = slice(WIDEST - len(symbols))
        columns.append(piece.quantities[quantity][taken, (layer or layers) - 1].T)
        symbols += piece.symbols[taken]
        bits += piece.bits[taken].tolist()
        if len(symbols) >= WIDEST:
            break
    if not quantity or not symbols:
        raise TextError("the text is empty; a picture needs at least one character")
    return quantity, np.concatenate(columns, axis=1), symbols, np.array(bits)


def _matplotlib() -> Any:
    """Figure of matplotlib, which draws to files without a screen."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SettingsError(
            "pictures need matplotlib, which is not installed; pip install 'charloom[plot]'"
        ) from None
    return Figure


def _save(figure: Any, path: str | Path) -> None:
    import warnings

    with replacing(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})


def _plain(text: str) -> str:
    """A text that matplotlib does not read as a formula."""
    return visible(text).replace("$", r"\$")


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean over about a fiftieth of the run around each step."""
    width = max(1, len(values) // 50) | 1
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")
