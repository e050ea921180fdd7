"""Who is measured: each subject's name, the file that drives it, and how its process is set up."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.metrics import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One kind of worker process.

    Attributes:
        file: The module here whose `bench(variant)` says what can be measured.
        about: One line for the help.
        package: The distribution that must be installed.
        only: The metrics it is there for; none for all that it has.
        weighed: Whether its idle machines are weighed; those of a variant weigh the same.
    """

    file: str
    about: str
    variant: str = ""
    package: str | None = None
    only: tuple[str, ...] = ()
    weighed: bool = False

    def bench(self) -> Bench:
        """Import the subject and return what can be measured of it."""
        found: Bench = import_module(f"tests.bench.{self.file}").bench(self.variant)
        return found

    def version(self) -> str | None:
        """Return the version of its distribution; None if that is not installed, "" if it needs none."""
        if self.package is None:
            return ""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


_ENGINE = ("tick", "run", "message", "burst", "create")
_UPSTREAM = ("tick", "run", "message", "burst", "burst-poll", "create", "tick-timed")
_HOOKS = ("tick", "run", "message", "create")
_RECORDED = ("run", "tick", "message")

SUBJECTS: dict[str, Subject] = {
    "floor": Subject(file="floor", about="the least code that runs the same handlers through the same calls", weighed=True),
    "septum": Subject(file="septum_subject", about="this engine, logging at its defaults, no hook", package="septum", weighed=True),
    "septum-unhooked": Subject(
        file="septum_subject",
        variant="unhooked",
        about="the same with the hook code taken out (unhooked.py)",
        package="septum",
        only=_HOOKS,
    ),
    "septum-hook-nothing": Subject(
        file="septum_subject", variant="hook-nothing", about="one hook that overrides nothing", package="septum", only=_ENGINE
    ),
    "septum-hook-transitions": Subject(
        file="septum_subject",
        variant="hook-transitions",
        about="one hook that overrides transition_taken",
        package="septum",
        only=_ENGINE,
        weighed=True,
    ),
    "septum-traced": Subject(
        weighed=True, file="telemetry", variant="traced", about="OTelHooks, a span for each visit", package="opentelemetry-sdk"
    ),
    "septum-unsampled": Subject(
        file="telemetry", variant="unsampled", about="OTelHooks, the sampler drops the run", package="opentelemetry-sdk"
    ),
    "septum-counts": Subject(file="telemetry", variant="counts", about='OTelHooks, metrics="counts"', package="opentelemetry-sdk"),
    "septum-states": Subject(
        weighed=True, file="telemetry", variant="states", about='OTelHooks, metrics="states"', package="opentelemetry-sdk"
    ),
    "septum-collect": Subject(
        file="telemetry", variant="collect", about="a collection of what OTelHooks counted", package="opentelemetry-sdk"
    ),
    "bare-span": Subject(
        file="telemetry", variant="span", about="a span of the same attributes around the handler, by hand", package="opentelemetry-sdk"
    ),
    "bare-record": Subject(file="telemetry", variant="record", about="Histogram.record of the SDK", package="opentelemetry-sdk"),
    "bare-thread": Subject(
        file="telemetry",
        variant="thread",
        about="a thread that computes as long as a collection of 2,000 series",
        package="opentelemetry-sdk",
    ),
    "transitions-spans": Subject(
        file="telemetry_peers", variant="transitions", about="Machine, a span for each state by hand", package="transitions"
    ),
    "python-statemachine-spans": Subject(
        file="telemetry_peers",
        variant="python-statemachine",
        about="StateMachine, a span for each state by hand",
        package="python-statemachine",
    ),
    "xstate-spans": Subject(
        file="telemetry_peers", variant="xstate", about="SyncInterpreter with its OpenTelemetryPlugin", package="xstate-statemachine"
    ),
    "septum-recorded": Subject(
        file="recording", variant="metadata", about="Recorder, level metadata, into a file", package="septum", only=_RECORDED
    ),
    "septum-recorded-full": Subject(file="recording", variant="full", about="the same at level full", package="septum", only=_RECORDED),
    "septum-logged": Subject(
        file="recording", variant="logs", about="Recorder, level metadata, into the SDK's logs", package="opentelemetry-sdk", only=_RECORDED
    ),
    "septum-flight": Subject(file="recording", variant="ring", about="FlightRecorder", package="septum", only=_RECORDED, weighed=True),
    "bare-emit": Subject(
        file="recording", variant="emit", about="Logger.emit of the SDK, without a processor", package="opentelemetry-sdk"
    ),
    "septum-10": Subject(
        file="septum_subject",
        variant="forgotten",
        about="10 states registered, as ever, in a process that holds 990 more",
        package="septum",
        only=("create",),
    ),
    "septum-1000": Subject(
        file="septum_subject", variant="states", about="1,000 states registered instead of 10", package="septum", only=("create",)
    ),
    "upstream": Subject(
        file="upstream", about="mycorrhizal 0.2.2 as it is, its prints going nowhere", package="mycorrhizal", only=_UPSTREAM
    ),
    "upstream-quiet": Subject(
        file="upstream", variant="quiet", about="the same with its prints patched out", package="mycorrhizal", only=_UPSTREAM, weighed=True
    ),
    "upstream-1000": Subject(
        file="upstream", variant="states", about="1,000 states registered instead of 10", package="mycorrhizal", only=("create",)
    ),
    "transitions": Subject(file="transitions_subject", about="Machine, plain functions", package="transitions", weighed=True),
    "transitions-async": Subject(file="transitions_subject", variant="async", about="AsyncMachine", package="transitions", weighed=True),
    "python-statemachine": Subject(
        file="python_statemachine", about="StateMachine, plain functions", package="python-statemachine", weighed=True
    ),
    "python-statemachine-async": Subject(
        file="python_statemachine", variant="async", about="StateMachine, coroutines", package="python-statemachine", weighed=True
    ),
    "automat": Subject(
        file="automat_subject", about="TypeMachineBuilder, plain functions: it has no others", package="automat", weighed=True
    ),
    "xstate-statemachine": Subject(file="xstate", about="SyncInterpreter, plain functions", package="xstate-statemachine", weighed=True),
    "xstate-statemachine-async": Subject(
        file="xstate", variant="async", about="Interpreter, waiting for each event's outcome", package="xstate-statemachine", weighed=True
    ),
}

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "telemetry": (
        ("septum", "septum-hook-transitions", *(name for name, subject in SUBJECTS.items() if subject.file.startswith("telemetry"))),
        ("tick", "run", "visit", "record", "collect", "pause"),
    ),
    "recording": (
        ("septum", *(name for name, subject in SUBJECTS.items() if subject.file == "recording")),
        ("run", "tick", "message", "emit"),
    ),
}
"""Subjects and metrics that are worth measuring by themselves."""
