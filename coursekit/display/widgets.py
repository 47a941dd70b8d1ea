"""Interactive explorers: sliders over a drawing function, or a still picture where none can run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coursekit.base.environment import headless, in_notebook
from coursekit.display.plotting import show
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Range = tuple[float, float, float] | tuple[float, float, float, str]


def explore(
    draw: Callable[..., Figure], *, alt: str | None = None, **controls: Range | Sequence[str] | bool
) -> None:
    """Show `draw(**values)` with a control for each of its arguments.

    A control is `(low, high, start)` for a slider (whole numbers give a whole-number slider),
    `(low, high, start, "log")` for one with a logarithmic scale, a list of names for a menu (the
    first is chosen at the start), or True or False for a tick box. Where no widget can run (a page
    on a code host, a test, a print) the picture for the starting values is shown instead. `alt` is
    its alternative text; the pictures of `ck.plotting` bring their own.

    Raises ArgumentError for a control of another kind.
    """
    start = {name: _start(name, control) for name, control in controls.items()}
    if headless() or not in_notebook():
        show(draw(**start), alt=alt)
        return
    import ipywidgets
    from IPython.display import display

    widgets = {name: _widget(name, control) for name, control in controls.items()}

    def redraw(**values: Any) -> None:
        show(draw(**values), alt=alt)

    picture = ipywidgets.interactive_output(redraw, widgets)
    display(ipywidgets.VBox([*widgets.values(), picture]))


def _start(name: str, control: Any) -> Any:
    if isinstance(control, bool):
        return control
    if isinstance(control, tuple) and (len(control) == 3 or control[3:] == ("log",)):
        low, high, start = control[:3]
        if low <= start <= high and (len(control) == 3 or low > 0):
            return start
    if isinstance(control, list) and control:
        return control[0]
    raise ArgumentError(
        f'{name}: expected (low, high, start), the same with "log" for positive numbers, a list '
        f"of names, or True or False, got {control!r}."
    )


def _widget(name: str, control: Any) -> Any:
    import ipywidgets

    settings: Mapping[str, Any] = {
        "description": name.replace("_", " "),
        "style": {"description_width": "10em"},
        "layout": {"width": "32em"},
    }
    if isinstance(control, bool):
        return ipywidgets.Checkbox(value=control, **settings)
    if isinstance(control, list):
        return ipywidgets.Dropdown(options=control, **settings)
    low, high, start, *log = control
    if log:
        return ipywidgets.FloatLogSlider(
            value=start,
            min=math.log10(low),
            max=math.log10(high),
            step=math.log10(high / low) / 100,
            readout_format=".3g",
            continuous_update=False,
            **settings,
        )
    kind = ipywidgets.IntSlider if all(isinstance(v, int) for v in control) else None
    if kind is None:
        kind = ipywidgets.FloatSlider
        settings = {**settings, "step": (high - low) / 100}
    return kind(value=start, min=low, max=high, continuous_update=False, **settings)
