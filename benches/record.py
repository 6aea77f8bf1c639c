#!/usr/bin/env python3
"""Records the progress of a real run in a terminal of 80 columns, and writes it as an animated SVG.

usage: benches/record.py OUT.svg COMMAND [WORD...]

The command runs in a pseudo-terminal. What it writes is applied to a screen as a terminal would apply it (lines, carriage
returns, cursor up, erasures), and each screen that differs from the one before becomes a frame at its time. docs/progress.svg is
    benches/record.py docs/progress.svg target/release/s3fcp --limit-rate 12MiB -o /tmp/disk.img s3://bucket/disk.img
with the variables that `quickstart --serve` says to export.
"""
import fcntl
import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time

COLUMNS, ROWS = 80, 24
# A browser draws no more, and the bar changes ten times a second.
FRAME_SECONDS = 0.15
HOLD_SECONDS = 3
CHARACTER, LINE, MARGIN = 8.43, 20, 14
SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b.")


class Screen:
    """The lines of a terminal, as far as progress bars use one."""

    def __init__(self):
        self.lines, self.row, self.column = [""], 0, 0

    def write(self, text):
        for match in SEQUENCE.finditer(text):
            word, (number, action) = match.group(), match.groups()
            count = int(number) if number and number.isdigit() else 1
            if word == "\r":
                self.column = 0
            elif word == "\n":
                self.row += 1
            elif action == "A":
                self.row = max(0, self.row - count)
            elif action == "B":
                self.row += count
            elif action == "G":
                self.column = count - 1
            elif action == "K":
                self.fill()
                line = self.lines[self.row]
                self.lines[self.row] = "" if number == "2" else line[: self.column]
            elif action == "J":
                self.fill()
                self.lines = self.lines[: self.row] + [self.lines[self.row][: self.column]]
            elif action is None and not word.startswith("\x1b"):
                self.fill()
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + word + line[self.column + len(word) :]
                self.column += len(word)

    def fill(self):
        self.lines += [""] * (self.row + 1 - len(self.lines))

    def shown(self):
        return tuple(line.rstrip() for line in self.lines)


def record(command):
    """Runs the command; returns the screens, each with its second, and the exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, screen, frames = time.monotonic(), Screen(), [(0.0, ("",))]
    while True:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                read = os.read(terminal, 65536)
            except OSError:  # The other end is closed.
                read = b""
            if not read:
                break
            screen.write(read.decode(errors="replace"))
        now = time.monotonic() - began
        if screen.shown() != frames[-1][1] and now - frames[-1][0] >= FRAME_SECONDS:
            frames.append((now, screen.shown()))
    if screen.shown() != frames[-1][1]:
        frames.append((time.monotonic() - began, screen.shown()))
    return frames, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def svg(typed, frames):
    """Draws the typed command, and below it the frames one after the other, for ever."""
    rows = max(len(lines) for _, lines in frames) + 1
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, rows * LINE + 2 * MARGIN
    length = frames[-1][0] + HOLD_SECONDS

    def text(row, line, colour="#d8dee9"):
        y = MARGIN + row * LINE + 15
        return f'<text x="{MARGIN}" y="{y}" fill="{colour}" xml:space="preserve">{html.escape(line)}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">',
        f"<title>{html.escape(typed)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="#23272e"/>',
        text(0, "$ " + typed, "#a3be8c"),
    ]
    for (begin, lines), end in zip(frames, [at for at, _ in frames[1:]] + [length]):
        first, last = begin / length, end / length
        keys = f"0;{first:.4f};{last:.4f};1" if first > 0 else f"0;{last:.4f};1"
        values = "0;1;0;0" if first > 0 else "1;0;0"
        if last >= 1:
            keys, values = f"0;{first:.4f};1", "0;1;1"
        # Where nothing is animated the last frame is shown.
        still = "1" if last >= 1 else "0"
        parts.append(
            f'<g opacity="{still}"><animate attributeName="opacity" dur="{length:.2f}s" repeatCount="indefinite" '
            f'calcMode="discrete" keyTimes="{keys}" values="{values}"/>'
            + "".join(text(row + 1, line) for row, line in enumerate(lines) if line)
            + "</g>"
        )
    return "\n".join(parts + ["</svg>", ""])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out, command = sys.argv[1], sys.argv[2:]
    frames, status = record(command)
    if status != 0:
        sys.exit(f"the command ended with {status}: {frames[-1][1]}")
    typed = " ".join([os.path.basename(command[0])] + [os.path.basename(word) if word.startswith("/") else word for word in command[1:]])
    with open(out, "w") as file:
        file.write(svg(typed, frames))
    print(f"{out}: {len(frames)} frames of {frames[-1][0]:.1f} s")


main()
