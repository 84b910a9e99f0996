"""The figures as a table that fits a terminal."""

from __future__ import annotations

from typing import Any

ROWS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("added p50, ms", ("added", "p50"), False),
    ("added p99, ms", ("added", "p99"), False),
    ("CPU us/request, 16 at once", ("requests", "16", "cpu_us"), True),
    ("CPU us/request, 64 at once", ("requests", "64", "cpu_us"), True),
    ("requests/s, full core", ("requests", "64", "rate"), True),
    ("CPU us/frame, 50 streams", ("frames", "cpu_us"), True),
    ("CPU us/frame, most streams", ("clean_streams", "cpu_us"), True),
    ("first frame p99, ms", ("frames", "first_ms", "p99"), False),
    ("frames lost, of 50 streams", ("frames", "lost"), False),
    ("requests/s at p99 <= 50 ms", ("sustained", "rate"), True),
    ("clean streams, 50 tokens/s", ("clean_streams", "streams"), True),
    ("memory idle, MB", ("memory_idle_mb",), True),
    ("memory steady, MB", ("memory_steady_mb",), True),
    ("cold start, s", ("cold_start_s",), True),
    ("core used by others, most", ("others_on_its_core",), False),
)
"""What is shown: its name, where it stands, whether its ratio to nginx says something."""


def render(found: dict[str, Any]) -> str:
    """Return the table: a column for each gateway; in brackets how often nginx's figure."""
    gateways = {name: figures for name, figures in found["gateways"].items() if "error" not in figures}
    floor = gateways.get("nginx")
    lines = [["", *gateways]]
    for label, path, compared in ROWS:
        cells = [label]
        for name, figures in gateways.items():
            value = at(figures, path)
            cell = shown(value)
            base = at(floor, path) if floor is not None and compared and name != "nginx" else None
            if base and value is not None:
                cell += f" ({value / base:.2g}x)"
            cells.append(cell)
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    mock = found["mock"]
    text += [
        "",
        f"The mock and the load alone: {mock['rate']:.0f} requests/s. Microseconds of CPU, theirs added:",
        f"{both(mock, 'cpu_us_per_request')} for a request, {both(mock, 'cpu_us_per_frame')} for a frame.",
    ]
    text += [f"{name} does, beside handing on: {figures['on']}." for name, figures in gateways.items()]
    text += [f"{name} failed: {figures['error']}" for name, figures in found["gateways"].items() if "error" in figures]
    text += found["left_out"]
    if found["contended"]:
        text.append("CONTENDED: others used the machine as well; times are not to be trusted, CPU figures roughly.")
    return "\n".join(text)


def both(mock: dict[str, Any], name: str) -> str:
    """Return the CPU of the mock and of the load."""
    return f"{mock[name] + mock['load_' + name]:.0f}"


def at(figures: dict[str, Any] | None, path: tuple[str, ...]) -> Any:
    """Return the figure at a path; None where there is none."""
    value: Any = figures
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def shown(value: float | None) -> str:
    """Return a number with as many digits as say something."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
