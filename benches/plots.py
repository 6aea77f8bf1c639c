#!/usr/bin/env python3
"""Draws docs/clients.svg from the first table of docs/benchmarks.md, so that the picture cannot say something else than the table.

usage: benches/plots.py [--check]

With --check nothing is written, and a picture that differs from its table is an error. The other plots are drawn by
`cargo run --release -p compare -- --svg FILE`, from the run itself.
"""
import html
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS, OTHERS, INK, FAINT = "#2563eb", "#94a3b8", "#1f2937", "#6b7280"
NAME_WIDTH, BAR_WIDTH, VALUE_WIDTH, ROW, HEAD, GAP = 270, 250, 60, 24, 34, 18


def table(page, heading):
    """Returns the rows of the first table below a heading of a page, the titles first."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read().split("\n## " + heading + "\n", 1)[1]
    rows = []
    for line in text.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return [row for row in rows if not all(set(cell) <= set("-: ") for cell in row)]


def number(text):
    return float(text.replace(",", ""))


def panel(x, title, bars):
    """Draws bars, each a name, a number and whether it is ours; names stand left of the first panel only."""
    most = max(value for _, value, _ in bars)
    parts = [f'<text x="{x}" y="20" font-weight="600" fill="{INK}">{html.escape(title)}</text>']
    for row, (_, value, is_ours) in enumerate(bars):
        y, width = HEAD + row * ROW, max(2, value / most * BAR_WIDTH)
        parts.append(f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{ROW - 8}" rx="2" fill="{OURS if is_ours else OTHERS}"/>')
        parts.append(f'<text x="{x + width + 6:.1f}" y="{y + 13}" fill="{INK}">{value:g}</text>')
    return parts


def svg(title, names, panels, note):
    columns = len(panels)
    width = NAME_WIDTH + columns * (BAR_WIDTH + VALUE_WIDTH + GAP)
    height = HEAD + len(names) * ROW + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{html.escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for row, name in enumerate(names):
        parts.append(f'<text x="{NAME_WIDTH - 12}" y="{HEAD + row * ROW + 13}" text-anchor="end" fill="{INK}">{html.escape(name)}</text>')
    for column, (heading, bars) in enumerate(panels):
        parts += panel(NAME_WIDTH + column * (BAR_WIDTH + VALUE_WIDTH + GAP), heading, bars)
    parts.append(f'<text x="{NAME_WIDTH}" y="{height - 8}" font-size="11" fill="{FAINT}">{html.escape(note)}</text>')
    return "\n".join(parts + ["</svg>", ""])


def clients():
    _, *rows = table("docs/benchmarks.md", "CPU and memory")
    names = ["copying alone, one connection" if row[0].startswith("the least") else row[0] for row in rows]
    column = lambda index: [(name, number(row[index]), name == "s3fcp") for name, row in zip(names, rows)]
    panels = [("CPU seconds a GiB, plain HTTP", column(1)), ("peak memory, MiB", column(3))]
    return svg("Processor time and memory by client", names, panels, "2 GiB from a loopback server into a pipe; less is better")


def main():
    path, drawn = os.path.join(ROOT, "docs/clients.svg"), clients()
    if sys.argv[1:] != ["--check"]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(drawn)
        return
    with open(path, encoding="utf-8") as file:
        if file.read() != drawn:
            sys.exit("docs/clients.svg: not what the table says; benches/plots.py draws it again")


main()
