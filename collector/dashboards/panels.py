"""What the dashboards show, the one source of Grafana's JSON (grafana.py) and of vmui's (vmui.py)."""

from __future__ import annotations

from spans import SPANS
from trouble import HEALTH, MAILBOXES, RUNS, TROUBLE
from work import FLOW, OVERVIEW, TIME

from model import Board

MACHINES = Board(
    uid="septum-machines",
    title="Septum machines",
    text="Where machines are, how they move, how long they stay, and what goes wrong. Choose a service, then a machine, then a state.",
    known_by="septum_machine_active",
    rows=(OVERVIEW, FLOW, TIME, TROUBLE, MAILBOXES, RUNS, HEALTH),
)

BOARDS = (MACHINES, SPANS)
