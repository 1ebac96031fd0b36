"""
Draws docs/pictures/demo.svg from a real run of the demo, as the README shows it.

    python tools/demo_picture.py [SECONDS]
"""

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "demo.svg"
COLUMNS = 104
LINES = 8
# The picture must not fetch a font from anybody; the viewer's own monospaced one serves.
FONT_FACE = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)


def run(seconds: int) -> list[str]:
    """The lines of a demo of so many seconds."""
    demo = subprocess.run(
        [sys.executable, "-m", "aimkeeper", "demo"],
        env={**os.environ, "DEMO_SECONDS": str(seconds)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return demo.stdout.splitlines()


def draw(lines: list[str]) -> str:
    """*lines* as an SVG of a terminal, the last one bold."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style="dim"))
    console.print(Text("…", style="dim"))
    for line in lines[:-1]:
        console.print(Text(line, style="red" if line.endswith("dead") else "green" if "healed" in line else ""))
    console.print(Text(lines[-1], style="bold"))
    svg = FONT_FACE.sub("", console.export_svg(title="aimkeeper demo", unique_id="demo"))
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    told = run(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
    PICTURE.write_text(draw(told[-LINES:]), "utf-8")
    print(f"{PICTURE.name} drawn; its last line: {told[-1]}")
