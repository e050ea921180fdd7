"""Write the dashboards from panels.py: Grafana's into the folder grafana, vmui's into vmui; --check only says whether they are current.

Needs `pip install grafana-foundation-sdk==0.0.21`. The version matters: without it pip takes one that makes dashboards for Grafana 10.1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grafana import grafana
from panels import BOARDS
from vmui import vmui

HERE = Path(__file__).resolve().parent


def files() -> dict[Path, str]:
    """Return what each file is to hold."""
    made = {HERE / "grafana" / f"{board.uid}.json": grafana(board) for board in BOARDS}
    return made | {HERE / "vmui" / f"{board.uid}.json": vmui(board) for board in BOARDS}


def main() -> int:
    """Write the files; 1 if --check was given and one of them is not current."""
    current = True
    for path, text in files().items():
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"{path}: not what panels.py says; run python collector/dashboards/make.py", file=sys.stderr)
                current = False
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
