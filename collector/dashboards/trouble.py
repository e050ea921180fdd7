"""The rows of *Septum machines* about trouble: what fails, what waits, what was said about it, and whether telemetry itself is well."""

from __future__ import annotations

from model import Panel, Query, Row, quantiles, rates

TROUBLE = Row(
    title="Trouble",
    panels=(
        Panel(
            title="Retries",
            kind="stacked",
            unit="cps",
            text="States that are entered again after a delay, and why. What a state calls is busy or away; when retries are a "
            "third of all transitions, SeptumRetryStorm wakes somebody.",
            queries=(rates("septum_retries_total", "septum_state_name", "error_type", matchers="%S", most=10),),
        ),
        Panel(
            title="Timeouts",
            kind="stacked",
            unit="cps",
            text="Deadlines that passed. A reminder that is sent by a timeout belongs here and is well; three times as many as a "
            "day ago is SeptumTimeoutSpike.",
            queries=(rates("septum_timeouts_total", "septum_state_name", matchers="%S"),),
        ),
        Panel(
            title="Errors",
            kind="stacked",
            unit="cps",
            text="Exceptions that came out of states, wherever they went then. The label is the exception's class: search for it "
            "in the logs, or open a trace with status error.",
            queries=(rates("septum_errors_total", "septum_state_name", "error_type", matchers="%S", most=10),),
        ),
    ),
)

MAILBOXES = Row(
    title="Mailboxes",
    panels=(
        Panel(
            title="Messages in and out",
            kind="lines",
            unit="cps",
            width=8,
            text="Messages that come, and messages that handlers take. While the first is above the second, mailboxes fill.",
            queries=(
                rates("septum_enqueued_messages_total", "septum_machine_name", legend="in {{septum_machine_name}}"),
                rates("septum_consumed_messages_total", "septum_machine_name", legend="out {{septum_machine_name}}"),
                rates("septum_unhandled_messages_total", "septum_machine_name", legend="unhandled {{septum_machine_name}}"),
            ),
        ),
        Panel(
            title="Messages that wait",
            kind="lines",
            width=8,
            text="Messages in all mailboxes of a definition together. A line that climbs and does not fall is a handler that is slower "
            "than its senders.",
            queries=(Query(expr="sum by (septum_machine_name) (septum_mailbox_usage{%M})", legend="{{septum_machine_name}}"),),
        ),
        Panel(
            title="How full mailboxes are",
            kind="lines",
            unit="percentunit",
            width=8,
            limits=((0.8, "red"),),
            text="Messages that wait, as a part of those that have room. At 100 % senders wait or messages are dropped, as "
            "queue_overflow_policy says; above 80 % for five minutes is SeptumMailboxSaturated.",
            queries=(
                Query(
                    expr="sum by (septum_machine_name) (septum_mailbox_usage{%M}) "
                    "/ (sum by (septum_machine_name) (septum_mailbox_limit{%M}) > 0)",
                    legend="{{septum_machine_name}}",
                ),
            ),
        ),
        Panel(
            title="Dropped messages",
            kind="stacked",
            unit="cps",
            width=12,
            text="Messages that no handler will see. overflow and rejected are losses; closed came to a machine that had ended; "
            "filtered was refused on purpose.",
            queries=(rates("septum_dropped_messages_total", "septum_machine_name", "septum_drop_reason"),),
        ),
        Panel(
            title="Time in mailboxes",
            kind="lines",
            unit="s",
            width=12,
            text='How long messages waited until they were taken; only with metrics="full" (SEPTUM_OTEL_METRICS). A p95 above what '
            "your "
            "senders have patience for means more machines, or faster handlers.",
            queries=quantiles("septum_message_wait_duration_seconds", "septum_machine_name", "%M"),
        ),
    ),
)

RUNS = Row(
    title="Runs and what they said",
    panels=(
        Panel(
            title="Traces with an error",
            kind="traces",
            width=12,
            text="Traces of the machines chosen in which something failed. A run is spread over several traces: the link in its "
            "run id opens all of it, in Tempo and in studio.",
            search='{ resource.service.name=~"$service" && span.septum.machine.name=~"$machine" && status=error } '
            "| select(span.septum.machine.name, span.septum.state.name, span.septum.run.id, span.septum.machine.id)",
        ),
        Panel(
            title="Events and logs",
            kind="logs",
            width=12,
            text="What machines told and what handlers wrote. Open a line for its run id, and its trace.",
            search='{service_name=~"$service"} | septum_machine_name=~"$machine"',
        ),
    ),
)

HEALTH = Row(
    title="Health of the telemetry",
    panels=(
        Panel(
            title="Hooks that raise",
            kind="stat",
            width=4,
            limits=((1, "red"),),
            text="Exceptions that hooks raised in the time shown. Machines did not notice; but what that hook tells is incomplete "
            "(SeptumTelemetryBroken).",
            queries=(
                Query(expr='sum(increase(septum_hook_errors_total{service_name=~"$service"}[$__range]))', legend="errors", zero=True),
            ),
        ),
        Panel(
            title="Series that were cut off",
            kind="stat",
            width=4,
            limits=((1, "red"),),
            text="Series that hold what is left of an attribute with too many values. Totals are right, the split is not "
            "(SeptumCardinalityOverflow).",
            queries=(
                Query(
                    expr='count({__name__=~"septum_.+", otel_metric_overflow="true"} or septum_errors_total{error_type="_OTHER"})',
                    zero=True,
                    legend="series",
                ),
            ),
        ),
        Panel(
            title="Collector: arriving and leaving",
            kind="lines",
            unit="cps",
            text="Spans, log records and metric points that the collector takes and sends on. If the first goes on and the second "
            "stops, a back end is down: see its queue.",
            queries=(
                Query(expr="sum(rate(otelcol_receiver_accepted_spans[$__rate_interval]))", legend="spans in"),
                Query(expr="sum(rate(otelcol_receiver_accepted_log_records[$__rate_interval]))", legend="log records in"),
                Query(expr="sum(rate(otelcol_receiver_accepted_metric_points[$__rate_interval]))", legend="points in"),
                rates("otelcol_exporter_sent_spans", "exporter", matchers="", legend="spans to {{exporter}}"),
                rates("otelcol_exporter_sent_log_records", "exporter", matchers="", legend="log records to {{exporter}}"),
                rates("otelcol_exporter_sent_metric_points", "exporter", matchers="", legend="points to {{exporter}}"),
            ),
        ),
        Panel(
            title="Collector: queues",
            kind="lines",
            unit="percentunit",
            limits=((0.8, "red"),),
            text="How full the queue to each back end is. It fills while the back end is down and empties when it is back; full, "
            "it loses what comes next (SeptumCollectorLosing).",
            queries=(
                Query(
                    expr="max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                    legend="{{exporter}} {{data_type}}",
                ),
            ),
        ),
    ),
)
