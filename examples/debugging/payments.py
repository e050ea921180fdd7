"""Orders that wait for their payment, with a bug that shows itself once in ten thousand orders.

docs/guides/find-a-bug-with-a-recording.md finds it with nothing but a recording.
"""

from dataclasses import dataclass
from enum import Enum, auto

from septum import LabeledTransition, StateConfiguration, septum


@dataclass(frozen=True)
class PaymentConfirmed:
    """The payment provider says that the customer has paid."""

    order: int
    amount: float


class Provider:
    """The payment provider and the warehouse; in production these are requests over the network."""

    async def request_payment(self, order: int, amount: float) -> str:
        """Ask the customer for the money, and return the payment's id."""
        raise NotImplementedError

    async def cancel_payment(self, payment: str) -> str:
        """Take the request back, and return what became of the payment: "cancelled", or "captured" if the customer was quicker."""
        raise NotImplementedError

    async def ship(self, order: int) -> str:
        """Send the parcel, and return its number."""
        raise NotImplementedError


provider = Provider()


@septum.state
def Placed():
    """The customer has ordered."""

    class Events(Enum):
        REQUESTED = auto()

    @septum.on_state
    async def on_state(ctx):
        order = ctx.common
        order["payment"] = await ctx.call("request_payment", provider.request_payment, order["order"], order["amount"])
        return Events.REQUESTED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.REQUESTED, AwaitingPayment)]


@septum.state(config=StateConfiguration(timeout=30))
def AwaitingPayment():
    """The customer has half a minute to pay."""

    class Events(Enum):
        PAID = auto()
        EXPIRED = auto()

    @septum.on_state
    async def on_state(ctx):
        return Events.PAID if isinstance(ctx.msg, PaymentConfirmed) else None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Events.EXPIRED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.PAID, Shipping), LabeledTransition(Events.EXPIRED, Cancelling)]


@septum.state
def Cancelling():
    """The customer has not paid in time."""

    class Events(Enum):
        CANCELLED = auto()

    @septum.on_state
    async def on_state(ctx):
        await ctx.call("cancel_payment", provider.cancel_payment, ctx.common["payment"])
        return Events.CANCELLED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.CANCELLED, Cancelled)]


@septum.state(config=StateConfiguration(timeout=60))
def Cancelled():
    """Nothing is left to do; the order is kept for a minute, should the customer ask."""

    class Events(Enum):
        ARCHIVED = auto()

    @septum.on_state
    async def on_state(ctx):
        return None

    @septum.on_timeout
    async def on_timeout(ctx):
        return Events.ARCHIVED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.ARCHIVED, None)]


@septum.state
def Shipping():
    """The order is paid."""

    class Events(Enum):
        SHIPPED = auto()

    @septum.on_state
    async def on_state(ctx):
        ctx.common["parcel"] = await ctx.call("ship", provider.ship, ctx.common["order"])
        return Events.SHIPPED

    @septum.transitions
    def transitions():
        return [LabeledTransition(Events.SHIPPED, None)]
