"""The rows of *Septum machines* about work: how much there is, where machines are and which way they go, and how long it takes."""

from __future__ import annotations

from model import Panel, Query, Row, quantiles, rates, share

_CALLS = "sum(rate(septum_process_duration_seconds_count{%S}[$__rate_interval]))"
_RAISED = 'sum(rate(septum_process_duration_seconds_count{%S, error_type!=""}[$__rate_interval]))'
_NATIVE_CALLS = "sum(histogram_count(rate(septum_process_duration_seconds{%S}[$__rate_interval])))"
_NATIVE_RAISED = 'sum(histogram_count(rate(septum_process_duration_seconds{%S, error_type!=""}[$__rate_interval])))'
_LONGEST = "max by (service_name, septum_machine_name, septum_state_name) (septum_state_dwell_max_seconds{%S})"
_LIMIT = "max by (service_name, septum_machine_name, septum_state_name) (septum_state_dwell_limit_seconds{%S})"

OVERVIEW = Row(
    title="Overview",
    panels=(
        Panel(
            title="Machines alive",
            kind="stat",
            width=4,
            text="Machines that are in some state now. A fall means that they ended or that a process died; a steady rise, that "
            "they begin and do not end: look at Population for the state in which they gather.",
            queries=(Query(expr="sum(septum_machine_active{%S})", legend="machines"),),
        ),
        Panel(
            title="Transitions per second",
            kind="stat",
            unit="cps",
            width=4,
            text="The pulse. Zero while machines are alive means that nothing moves: look at Overdue and at Mailboxes.",
            queries=(Query(expr="sum(rate(septum_transitions_total{%M}[$__rate_interval]))", legend="transitions"),),
        ),
        Panel(
            title="Handler calls that raise",
            kind="stat",
            unit="percentunit",
            width=4,
            limits=((0.01, "yellow"), (0.05, "red")),
            text="The part of all handler calls that raised an exception. Red wakes somebody (SeptumErrorRatioHigh): the panel "
            "Errors says in which state and which exception.",
            queries=(Query(expr=share(_RAISED, _CALLS), native=share(_NATIVE_RAISED, _NATIVE_CALLS), zero=True, legend="raised"),),
        ),
        Panel(
            title="Fullest mailboxes",
            kind="stat",
            unit="percentunit",
            width=4,
            limits=((0.5, "yellow"), (0.8, "red")),
            text="How full the mailboxes of a definition are together; the fullest definition is shown. Red for five minutes is "
            "SeptumMailboxSaturated: handlers are slower than senders.",
            queries=(
                Query(
                    expr="max(sum by (service_name, septum_machine_name) (septum_mailbox_usage{%M}) "
                    "/ (sum by (service_name, septum_machine_name) (septum_mailbox_limit{%M}) > 0))",
                    zero=True,
                    legend="full",
                ),
            ),
        ),
        Panel(
            title="States overdue",
            kind="stat",
            width=4,
            limits=((1, "red"),),
            text="States in which a machine has been longer than the state's expect= says. Above zero for five minutes is "
            "SeptumStateOverdue: the table Overdue says which.",
            queries=(
                Query(
                    expr=f"count({_LONGEST} > {_LIMIT})",
                    zero=True,
                    legend="states",
                ),
            ),
        ),
        Panel(
            title="Messages lost",
            kind="stat",
            width=4,
            limits=((1, "red"),),
            text="Messages that a full mailbox dropped or refused in the time shown. Anything above zero is SeptumMessagesDropped; "
            "Dropped messages says why.",
            queries=(
                Query(
                    expr='sum(increase(septum_dropped_messages_total{%M, septum_drop_reason!~"filtered|closed"}[$__range]))',
                    zero=True,
                    legend="messages",
                ),
            ),
        ),
    ),
)

FLOW = Row(
    title="Population and flow",
    panels=(
        Panel(
            title="Population",
            kind="stacked",
            width=12,
            text="Machines in each state. A band that grows is where work piles up: see why in Time in states, and what it waits for.",
            queries=(Query(expr="sum by (septum_state_name) (septum_machine_active{%S})", legend="{{septum_state_name}}"),),
        ),
        Panel(
            title="Transitions by edge",
            kind="lines",
            unit="cps",
            width=12,
            text="How often each edge is taken. An edge to a state of failure that rises, or the main edge that falls, shows first "
            "that something changed; compare with yesterday at this hour.",
            queries=(
                rates(
                    "septum_transitions_total",
                    "septum_transition_from_state",
                    "septum_transition_to_state",
                    legend="{{septum_transition_from_state}} -> {{septum_transition_to_state}}",
                ),
            ),
        ),
        Panel(
            title="From and to",
            kind="matrix",
            width=12,
            text="How many times each edge was taken in the time shown: from the state of the row to that of the column. An empty "
            "cell is an edge that was never taken.",
            queries=(
                Query(
                    expr="sum by (septum_transition_from_state, septum_transition_to_state) "
                    "(increase(septum_transitions_total{%M}[$__range]))",
                    legend="{{septum_transition_from_state}} -> {{septum_transition_to_state}}",
                ),
            ),
        ),
        Panel(
            title="Transitions by kind",
            kind="stacked",
            unit="cps",
            width=12,
            text="Labels are the work; retry and error are trouble; repeat, restart and again are loops that handlers ask for.",
            queries=(rates("septum_transitions_total", "septum_transition_kind"),),
        ),
    ),
)

TIME = Row(
    title="Time",
    panels=(
        Panel(
            title="Time in states, as a heatmap",
            kind="heatmap",
            unit="s",
            width=8,
            text="How long visits lasted, all of them. Two bands are two kinds of visit, a fast and a slow path; a band that "
            "climbs is something that slows down. Choose one state to read it well.",
            queries=(
                Query(
                    expr="sum by (le) (increase(septum_state_duration_seconds_bucket{%S}[$__rate_interval]))",
                    native="sum(increase(septum_state_duration_seconds{%S}[$__rate_interval]))",
                    legend="{{le}}",
                ),
            ),
        ),
        Panel(
            title="Time in states",
            kind="lines",
            unit="s",
            width=8,
            text="Median, p95 and p99 of how long visits lasted, by state. Points are examples: click one to see its trace.",
            queries=quantiles("septum_state_duration_seconds", "septum_state_name"),
        ),
        Panel(
            title="Time in handlers",
            kind="lines",
            unit="s",
            width=8,
            text="How long calls of handlers lasted, by state. While a handler runs its machine takes no message: a slow one here "
            "is the cause of a full mailbox there.",
            queries=quantiles("septum_process_duration_seconds", "septum_state_name"),
        ),
        Panel(
            title="Overdue",
            kind="table",
            unit="s",
            width=12,
            text="The machine that has been in each state longest, and what the state's expect= allows. A ratio above 1 is "
            "overdue; a state without a limit has no expect=. The event septum.state.overdue has the machine's id.",
            queries=(
                Query(
                    expr=f"topk(20, {_LONGEST})",
                    legend="longest {{septum_machine_name}}.{{septum_state_name}}",
                ),
                Query(
                    expr=_LIMIT,
                    legend="limit {{septum_machine_name}}.{{septum_state_name}}",
                ),
                Query(
                    expr=f"{_LONGEST} / {_LIMIT}",
                    legend="ratio {{septum_machine_name}}.{{septum_state_name}}",
                ),
            ),
        ),
        Panel(
            title="Time of runs",
            kind="lines",
            unit="s",
            width=12,
            text="How long whole runs lasted, by how they ended. It is what a customer waits for; if it rises and no state does, "
            "there are more visits: look at Transitions by kind.",
            queries=quantiles("septum_run_duration_seconds", "septum_run_outcome", "%M"),
        ),
    ),
)
