"""What an order has to do with: the shelf in the warehouse, the customer who must confirm, the client of the payment provider."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from shop.book import Answer, Item, Order


@dataclass(frozen=True)
class Confirmed:
    """The customer wants it."""


@dataclass(frozen=True)
class Withdrawn:
    """The customer changed their mind."""


@dataclass(frozen=True)
class Question:
    """The customer asks something that an order cannot answer."""

    text: str


class ProviderBusy(Exception):
    """The payment provider answered 503."""


class ProviderGarbled(Exception):
    """The payment provider answered something that is no answer."""


class Warehouse:
    """The shelf. Every unit is on it, reserved for one order, or gone with a parcel."""

    def __init__(self, stock: Mapping[str, int]) -> None:
        self.on_shelf = Counter(stock)
        self.reserved: dict[str, tuple[Item, ...]] = {}
        self.gone: Counter[str] = Counter()

    def reserve(self, order: Order) -> bool:
        """Put everything that *order* needs aside; False and nothing put aside when something is missing."""
        if any(self.on_shelf[item.sku] < item.quantity for item in order.items):
            return False
        for item in order.items:
            self.on_shelf[item.sku] -= item.quantity
        self.reserved[order.id] = order.items
        return True

    def release(self, order: Order) -> None:
        """Put back what was reserved for *order*, if anything was."""
        for item in self.reserved.pop(order.id, ()):
            self.on_shelf[item.sku] += item.quantity

    def hand_over(self, order: Order) -> None:
        """Give what was reserved for *order* to the carrier."""
        for item in self.reserved.pop(order.id):
            self.gone[item.sku] += item.quantity


class Customers:
    """People who answer mails, later and from outside, by sending a message to the order's machine."""

    def __init__(self) -> None:
        self.sent = 0
        """Messages that were sent, also to machines that had come to their end."""

    def ask(self, order: Order, asking: int, send: Callable[[object], object]) -> None:
        """Mail the customer of *order* for the *asking*-th time; what they answer is given to *send* when they do."""
        loop = asyncio.get_running_loop()
        for answer in order.answers:
            if answer.to == asking:
                loop.call_later(answer.after, self._deliver, answer, send)

    def _deliver(self, answer: Answer, send: Callable[[object], object]) -> None:
        message = {"confirm": Confirmed(), "cancel": Withdrawn(), "question": Question("Is it dishwasher-safe?")}[answer.says]
        self.sent += 1
        send(message)


class Bank:
    """The client of the payment provider: real HTTP, and the answers in words."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def charge(self, order: Order) -> bool:
        """Charge the total to the card; False when it is declined."""
        order_facts = {"amount": order.total, "currency": order.currency, "card_limit": order.card_limit}
        return bool((await self._post("/charges", order, order_facts))["status"] == "captured")

    async def is_fraud(self, order: Order) -> bool:
        """Have somebody take a closer look at *order*."""
        return bool((await self._post("/risk-checks", order, {"risk": order.risk}))["verdict"] == "fraud")

    async def refund(self, order: Order) -> None:
        """Give back what was charged."""
        await self._post("/refunds", order, {})

    async def _post(self, path: str, order: Order, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.post(path, json={"order": order.id, **body})
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ProviderBusy(path)
        try:
            result: dict[str, Any] = answer.json()
        except ValueError as error:
            raise ProviderGarbled(f"{path} answered {answer.text!r}") from error
        return result


@dataclass
class Job:
    """What the machine of one order works on: its `common` data."""

    order: Order
    warehouse: Warehouse
    customers: Customers
    bank: Bank
    packed: int = 0
    """Lines of the order that are in the parcel."""
    asked: int = 0
    """Mails that were sent to the customer."""
    notes: list[str] = field(default_factory=list)
    """What the shop tells the customer at the end."""
