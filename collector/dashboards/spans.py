"""*Septum spans*: for programs that send only spans."""

from __future__ import annotations

from model import Board, Panel, Row, quantiles, rates

_VISITS = '%S, septum_operation_name="visit"'

SPANS = Board(
    uid="septum-spans",
    title="Septum spans",
    text="For programs that send only spans (SEPTUM_OTEL_METRICS=off): what the collector counted from them before any sampling.",
    known_by="septum_span_calls_total",
    rows=(
        Row(
            title="From spans",
            panels=(
                Panel(
                    title="Visits by state",
                    kind="stacked",
                    unit="cps",
                    text="Visits that ended, by state. A visit that goes on is in no span yet: for machines that wait for hours you want "
                    "metrics.",
                    queries=(rates("septum_span_calls_total", "septum_state_name", matchers=_VISITS),),
                ),
                Panel(
                    title="Ways out",
                    kind="lines",
                    unit="cps",
                    text="Which state followed which. The main path should look like yesterday's.",
                    queries=(
                        rates(
                            "septum_span_calls_total",
                            "septum_state_name",
                            "septum_transition_to_state",
                            matchers=_VISITS,
                            legend="{{septum_state_name}} -> {{septum_transition_to_state}}",
                        ),
                    ),
                ),
                Panel(
                    title="How visits end",
                    kind="stacked",
                    unit="cps",
                    text="transition is the work; retry, timeout and error are trouble when they grow.",
                    queries=(rates("septum_span_calls_total", "septum_visit_outcome", matchers=_VISITS),),
                ),
                Panel(
                    title="Spans with an error",
                    kind="stacked",
                    unit="cps",
                    text="Visits and runs that failed, by state and exception. Open a trace with status error to see where.",
                    queries=(
                        rates(
                            "septum_span_calls_total",
                            "septum_state_name",
                            "error_type",
                            matchers='%M, status_code="STATUS_CODE_ERROR"',
                            most=10,
                        ),
                    ),
                ),
                Panel(
                    title="Time in states",
                    kind="lines",
                    unit="s",
                    text="Median, p95 and p99 of how long visits lasted, by state. A p95 that climbs alone is one slow dependency.",
                    queries=quantiles("septum_span_duration_seconds", "septum_state_name", _VISITS),
                ),
                Panel(
                    title="Time of runs",
                    kind="lines",
                    unit="s",
                    text="How long runs lasted; a run that is longer than a segment is counted once for each segment.",
                    queries=quantiles("septum_span_duration_seconds", "septum_machine_name", '%M, septum_operation_name="run"'),
                ),
                Panel(
                    title="Events",
                    kind="lines",
                    unit="cps",
                    width=24,
                    text="Events that machines told, all kinds together. A fall to zero while visits go on means that logs are not sent.",
                    queries=(rates("septum_event_count_total", "septum_machine_name"),),
                ),
            ),
        ),
    ),
)
