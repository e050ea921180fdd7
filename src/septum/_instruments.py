"""The instruments of telemetry; `septum.semconv` is where they are imported from.

Written by .ci/semconv.py from septum/otel/registry: edit the YAML there.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Instrument(NamedTuple):
    """What an instrument is made with; `buckets` are the advisory boundaries of a histogram."""

    name: str
    kind: str
    unit: str
    brief: str
    buckets: tuple[float, ...] = ()


class Metric:
    """Instruments; histograms are recorded, all others are observed."""

    TRANSITIONS: Final = Instrument("septum.transitions", "counter", "{transition}", "Transitions taken.")
    MACHINE_ACTIVE: Final = Instrument(
        "septum.machine.active",
        "updowncounter",
        "{machine}",
        "Machines in each state; every state of the definition is reported, also with 0.",
    )
    STATE_DWELL_MAX: Final = Instrument(
        "septum.state.dwell.max",
        "gauge",
        "s",
        "How long the machine that has been in the state longest has been there until now.",
    )
    STATE_DWELL_LIMIT: Final = Instrument(
        "septum.state.dwell.limit",
        "gauge",
        "s",
        "How long a visit is expected to last at most, for states with `expect=`.",
    )
    STATE_DURATION: Final = Instrument(
        "septum.state.duration",
        "histogram",
        "s",
        "How long visits lasted.",
        (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0),
    )
    PROCESS_DURATION: Final = Instrument(
        "septum.process.duration",
        "histogram",
        "s",
        "How long calls of handlers lasted.",
        (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    )
    RUN_DURATION: Final = Instrument(
        "septum.run.duration",
        "histogram",
        "s",
        "How long runs lasted, all their segments together.",
        (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0),
    )
    MESSAGE_WAIT_DURATION: Final = Instrument(
        "septum.message.wait.duration",
        "histogram",
        "s",
        "How long messages waited in the mailbox until they were taken.",
        (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    )
    ENQUEUED_MESSAGES: Final = Instrument(
        "septum.enqueued.messages",
        "counter",
        "{message}",
        "Messages that were accepted, the filtered and dropped ones included.",
    )
    CONSUMED_MESSAGES: Final = Instrument(
        "septum.consumed.messages",
        "counter",
        "{message}",
        "Messages that a handler took, the unhandled ones included.",
    )
    UNHANDLED_MESSAGES: Final = Instrument(
        "septum.unhandled.messages",
        "counter",
        "{message}",
        "Messages whose handler answered `Unhandled`.",
    )
    DROPPED_MESSAGES: Final = Instrument("septum.dropped.messages", "counter", "{message}", "Messages that will never reach a handler.")
    MAILBOX_USAGE: Final = Instrument(
        "septum.mailbox.usage",
        "updowncounter",
        "{message}",
        "Messages that wait now, in all mailboxes together.",
    )
    MAILBOX_LIMIT: Final = Instrument(
        "septum.mailbox.limit",
        "updowncounter",
        "{message}",
        "Messages that have room, in all mailboxes together.",
    )
    RETRIES: Final = Instrument("septum.retries", "counter", "{retry}", "Retries that were scheduled.")
    TIMEOUTS: Final = Instrument("septum.timeouts", "counter", "{timeout}", "Deadlines that passed, handled or not.")
    ERRORS: Final = Instrument("septum.errors", "counter", "{error}", "Exceptions that came out of a state, wherever they were routed.")
    HOOK_ERRORS: Final = Instrument(
        "septum.hook.errors",
        "counter",
        "{error}",
        "Exceptions that hooks raised, telemetry's own included; the machines did not notice.",
    )
