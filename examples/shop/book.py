"""The order book: orders and stock, read from files and checked before anything begins."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeGuard, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Says = Literal["confirm", "cancel", "question"]

MOST_RISK = 100
MOST_SECONDS = 3600
MOST_SHOWN = 40


class OrderBookError(Exception):
    """A file cannot be used; the text says which line is wrong, and why."""


@dataclass(frozen=True)
class Item:
    """So many of one thing; the price is for one, in the smallest unit of the order's currency."""

    sku: str
    quantity: int
    price: int


@dataclass(frozen=True)
class Answer:
    """What the customer says, and so many seconds after which asking: 1 is the first mail, 2 the reminder."""

    to: int
    after: float
    says: Says


@dataclass(frozen=True)
class Order:
    """One order; amounts are in the smallest unit of its currency."""

    id: str
    customer: str
    country: str
    items: tuple[Item, ...]
    currency: str
    total: int
    card_limit: int
    risk: int
    answers: tuple[Answer, ...]


def read_stock(path: Path) -> dict[str, int]:
    """Return units on the shelf for each SKU."""
    try:
        stock = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OrderBookError(f"{path}: {error}") from error
    if not isinstance(stock, dict) or not all(type(units) is int and units >= 0 for units in stock.values()):
        raise OrderBookError(f"{path}: must be one JSON object that has the number of units, 0 or more, for each SKU")
    return stock


def read_orders(path: Path, stock: Mapping[str, int], *, limit: int | None = None) -> list[Order]:
    """Return the orders of a file with one JSON object a line; the whole file is checked, also behind *limit*.

    Args:
        path: A UTF-8 file.
        stock: What the shop has; an order for anything else is a mistake in the file.
        limit: How many to return, from the first; None means all.

    Raises:
        OrderBookError: The file cannot be read, has a bad line, or has fewer orders than *limit*.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise OrderBookError(f"{path}: {error.strerror or error}") from error
    orders: list[Order] = []
    first_seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            order = _order(_object(line), stock)
        except _Wrong as wrong:
            raise OrderBookError(f"{path}, line {number}: {wrong}") from wrong.__cause__
        earlier = first_seen.setdefault(order.id, number)
        if earlier != number:
            raise OrderBookError(f"{path}, line {number}: order {order.id!r} stands on line {earlier} already")
        orders.append(order)
    if not orders:
        raise OrderBookError(f"{path}: no orders in it; examples/make_orders.py makes some")
    if limit is not None and limit > len(orders):
        raise OrderBookError(
            f"{path}: has {len(orders)} orders and {limit} were asked for; examples/make_orders.py --orders {limit} makes more"
        )
    return orders[:limit]


class _Wrong(Exception):
    """What is wrong with a line, without the line's number."""


def _object(line: bytes) -> dict[str, Any]:
    """Return the JSON object that *line* holds."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_not_json)
    except UnicodeDecodeError as error:
        raise _Wrong(f"not UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        what = "empty line" if not line.strip() else f"not JSON: {error.msg} at column {error.colno}"
        raise _Wrong(what) from error
    except RecursionError as error:
        raise _Wrong("not an order: nested too deeply") from error
    if not isinstance(value, dict):
        raise _Wrong(f"an order must be a JSON object, this is {_shown(value)}")
    return value


def _not_json(constant: str) -> NoReturn:
    raise _Wrong(f"not JSON: {constant} is no number")


def _order(raw: dict[str, Any], stock: Mapping[str, int]) -> Order:
    """Return the order that *raw* describes."""
    customer, card = _field(raw, "customer", dict), _field(raw, "card", dict)
    order = Order(
        id=_text(raw, "id"),
        customer=_text(customer, "name", "customer."),
        country=_text(customer, "country", "customer."),
        items=tuple(_item(item, place, stock) for place, item in enumerate(_field(raw, "items", list))),
        currency=_text(raw, "currency"),
        total=_whole(raw, "total"),
        card_limit=_whole(card, "limit", "card."),
        risk=_whole(raw, "risk"),
        answers=tuple(_answer(answer, place) for place, answer in enumerate(_field(raw, "answers", list))),
    )
    if not order.items:
        raise _Wrong("'items' is empty")
    if not re.fullmatch("[A-Z]{3}", order.currency):
        raise _Wrong(f"'currency' must be three capital letters, not {order.currency!r}")
    if order.risk > MOST_RISK:
        raise _Wrong(f"'risk' must be 0 to {MOST_RISK}, not {order.risk}")
    worth = _whole(raw, "shipping_fee") + sum(item.quantity * item.price for item in order.items)
    if order.total != worth:
        raise _Wrong(f"'total' is {order.total}, but items and shipping_fee add up to {worth}")
    return order


def _item(raw: object, place: int, stock: Mapping[str, int]) -> Item:
    where = f"items[{place}]"
    if not isinstance(raw, dict):
        raise _Wrong(f"{where!r} must be an object, not {_shown(raw)}")
    item = Item(_text(raw, "sku", f"{where}."), _whole(raw, "quantity", f"{where}.", least=1), _whole(raw, "price", f"{where}."))
    if item.sku not in stock:
        raise _Wrong(f"'{where}.sku' is {item.sku!r}, which the shop does not have")
    return item


def _answer(raw: object, place: int) -> Answer:
    where = f"answers[{place}]"
    if not isinstance(raw, dict):
        raise _Wrong(f"{where!r} must be an object, not {_shown(raw)}")
    says, after = raw.get("says"), raw.get("after")
    if not _is_said(says):
        raise _Wrong(f"'{where}.says' must be one of {', '.join(get_args(Says))}, not {_shown(says)}")
    if isinstance(after, bool) or not isinstance(after, int | float) or not 0 <= after <= MOST_SECONDS:
        raise _Wrong(f"'{where}.after' must be seconds from 0 to {MOST_SECONDS}, not {_shown(after)}")
    return Answer(_whole(raw, "to", f"{where}.", least=1), float(after), says)


def _is_said(says: object) -> TypeGuard[Says]:
    return says in get_args(Says)


def _field(raw: dict[str, Any], key: str, kind: type, prefix: str = "") -> Any:
    """Return raw[key], which must be there and exactly of the *kind* asked for: true is no number."""
    name = f"'{prefix}{key}'"
    if key not in raw:
        raise _Wrong(f"{name} is missing")
    if type(raw[key]) is not kind:
        words = {dict: "an object", list: "a list", str: "text", int: "a whole number"}
        raise _Wrong(f"{name} must be {words[kind]}, not {_shown(raw[key])}")
    return raw[key]


def _text(raw: dict[str, Any], key: str, prefix: str = "") -> str:
    value: str = _field(raw, key, str, prefix)
    if not value.strip():
        raise _Wrong(f"'{prefix}{key}' is empty")
    return value


def _whole(raw: dict[str, Any], key: str, prefix: str = "", *, least: int = 0) -> int:
    value: int = _field(raw, key, int, prefix)
    if value < least:
        raise _Wrong(f"'{prefix}{key}' must be {least} or more, not {value}")
    return value


def _shown(value: object) -> str:
    """Return *value* as JSON, cut to a length that fits a line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."
