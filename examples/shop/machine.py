"""The states of an order, from the shelf to the doorstep.

Reserving -> [CheckingFraud ->] Charging -> AwaitingConfirmation -> Packing -> Shipped, with Refunding -> Cancelled, and Failed, for all
that can go wrong. `septum graph shop.machine:Reserving` draws it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from septum import Again, LabeledTransition, Pop, Push, Repeat, Retry, RetryPolicy, StateConfiguration, Unhandled, septum
from shop.world import Confirmed, ProviderBusy, Withdrawn

if TYPE_CHECKING:
    from septum import SharedContext
    from shop.world import Job

SUSPICIOUS = 45
"""Risk from which somebody takes a closer look."""

PATIENCE = 0.5
"""Seconds that the payment provider has for an answer."""

BACKOFF = RetryPolicy(base=0.05, factor=2.0, max_delay=0.4, jitter=0.2)


@septum.state
def Reserving() -> None:
    @septum.events
    class Events(Enum):
        RESERVED = auto()
        SUSPICIOUS = auto()
        SOLD_OUT = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events:
        job = ctx.common
        if not job.warehouse.reserve(job.order):
            job.notes.append("sold out")
            return Events.SOLD_OUT
        return Events.SUSPICIOUS if job.order.risk >= SUSPICIOUS else Events.RESERVED

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [
            # The check comes first; Charging waits on the stack until the check pops.
            LabeledTransition(Events.SUSPICIOUS, Push(CheckingFraud, Charging)),
            LabeledTransition(Events.RESERVED, Charging),
            LabeledTransition(Events.SOLD_OUT, Cancelled),
        ]


@septum.state(config=StateConfiguration(timeout=PATIENCE, retries=3, retry=BACKOFF))
def CheckingFraud() -> None:
    @septum.events
    class Events(Enum):
        CLEAR = auto()
        FRAUD = auto()
        UNKNOWN = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | type[Retry]:
        try:
            fraud = await ctx.common.bank.is_fraud(ctx.common.order)
        except ProviderBusy:
            return Retry
        if fraud:
            ctx.common.notes.append("refused after a check")
        return Events.FRAUD if fraud else Events.CLEAR

    @septum.on_timeout
    async def on_timeout(ctx: SharedContext[Job]) -> type[Retry]:
        return Retry

    @septum.on_fail
    async def on_fail(ctx: SharedContext[Job]) -> Events:
        ctx.common.notes.append("could not be checked")
        return Events.UNKNOWN

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [
            LabeledTransition(Events.CLEAR, Pop),
            LabeledTransition(Events.FRAUD, Cancelled),
            LabeledTransition(Events.UNKNOWN, Failed),
        ]


@septum.state(config=StateConfiguration(timeout=PATIENCE, retries=3, retry=BACKOFF))
def Charging() -> None:
    @septum.events
    class Events(Enum):
        CHARGED = auto()
        DECLINED = auto()
        GAVE_UP = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | type[Retry]:
        try:
            charged = await ctx.common.bank.charge(ctx.common.order)
        except ProviderBusy:
            return Retry
        if not charged:
            ctx.common.notes.append("card declined")
            ctx.log.info("card declined", total=ctx.common.order.total, currency=ctx.common.order.currency)
        return Events.CHARGED if charged else Events.DECLINED

    @septum.on_timeout
    async def on_timeout(ctx: SharedContext[Job]) -> type[Retry]:
        # The slow charge may have been made: asking again does not make it twice.
        return Retry

    @septum.on_fail
    async def on_fail(ctx: SharedContext[Job]) -> Events:
        ctx.common.notes.append("payment provider is down")
        ctx.log.error("payment provider is down")
        return Events.GAVE_UP

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [
            LabeledTransition(Events.CHARGED, AwaitingConfirmation),
            LabeledTransition(Events.DECLINED, Cancelled),
            LabeledTransition(Events.GAVE_UP, Failed),
        ]


@septum.state(config=StateConfiguration(timeout=0.6))
def AwaitingConfirmation() -> None:
    @septum.events
    class Events(Enum):
        CONFIRMED = auto()
        WITHDRAWN = auto()
        NO_ANSWER = auto()

    @septum.on_enter
    async def on_enter(ctx: SharedContext[Job]) -> None:
        ctx.common.asked += 1
        ctx.common.customers.ask(ctx.common.order, ctx.common.asked, ctx.send_message)

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | type[Unhandled] | None:
        match ctx.msg:
            case None:
                return None
            case Confirmed():
                return Events.CONFIRMED
            case Withdrawn():
                ctx.common.notes.append("withdrawn by the customer")
                return Events.WITHDRAWN
            case _:
                return Unhandled

    @septum.on_timeout
    async def on_timeout(ctx: SharedContext[Job]) -> Events | type[Repeat]:
        if ctx.common.asked == 1:
            return Repeat  # enters the state again, and so sends the reminder
        ctx.common.notes.append("never confirmed")
        return Events.NO_ANSWER

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [
            LabeledTransition(Events.CONFIRMED, Packing),
            LabeledTransition(Events.WITHDRAWN, Refunding),
            LabeledTransition(Events.NO_ANSWER, Refunding),
        ]


# Nobody packs for half a minute: then an alert should wake somebody.
@septum.state(config=StateConfiguration(expect=30))
def Packing() -> None:
    @septum.events
    class Events(Enum):
        PACKED = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | type[Again]:
        job = ctx.common
        job.packed += 1
        return Again if job.packed < len(job.order.items) else Events.PACKED

    @septum.on_leave
    async def on_leave(ctx: SharedContext[Job]) -> None:
        ctx.common.warehouse.hand_over(ctx.common.order)

    @septum.transitions
    def transitions() -> LabeledTransition:
        return LabeledTransition(Events.PACKED, Shipped)


@septum.state(config=StateConfiguration(timeout=PATIENCE, retries=3, retry=BACKOFF))
def Refunding() -> None:
    @septum.events
    class Events(Enum):
        REFUNDED = auto()
        GAVE_UP = auto()

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> Events | type[Retry]:
        try:
            await ctx.common.bank.refund(ctx.common.order)
        except ProviderBusy:
            return Retry
        return Events.REFUNDED

    @septum.on_timeout
    async def on_timeout(ctx: SharedContext[Job]) -> type[Retry]:
        return Retry

    @septum.on_fail
    async def on_fail(ctx: SharedContext[Job]) -> Events:
        ctx.common.notes.append("refund it by hand")
        ctx.log.error("refund it by hand")
        return Events.GAVE_UP

    @septum.transitions
    def transitions() -> list[LabeledTransition]:
        return [LabeledTransition(Events.REFUNDED, Cancelled), LabeledTransition(Events.GAVE_UP, Failed)]


@septum.state(config=StateConfiguration(terminal=True))
def Shipped() -> None:
    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> None:
        ctx.common.notes.append("on its way")


@septum.state(config=StateConfiguration(terminal=True))
def Cancelled() -> None:
    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> None:
        ctx.common.warehouse.release(ctx.common.order)


@septum.state(config=StateConfiguration(terminal=True))
def Failed() -> None:
    """Where an order goes that somebody must look at; also where the engine goes when a handler raises."""

    @septum.on_state
    async def on_state(ctx: SharedContext[Job]) -> None:
        job = ctx.common
        if not job.notes:
            job.notes.append("an exception: its trace says which")
        job.warehouse.release(job.order)


TERMINAL = ("Shipped", "Cancelled", "Failed")

LOGGED = ("card declined", "payment provider is down", "refund it by hand")
"""Notes that handlers also log: whoever is on duty finds them by their trace."""
