"""Make examples/data/orders.jsonl and examples/data/stock.json: the same seed makes the same files, byte for byte.

python examples/make_orders.py                        600 orders, seed 20250614: what is committed
python examples/make_orders.py --orders 5000 --dir big
"""

# ruff: noqa: PLR2004 - prices, weights and scores are what it is made of

from __future__ import annotations

import argparse
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SEED = 20250614
ORDERS = 600

# Country: (currency, how many of a currency's smallest unit are worth one euro cent, weight, names).
COUNTRIES: dict[str, tuple[str, float, int, tuple[str, ...]]] = {
    "DE": ("EUR", 1.0, 20, ("Anna Müller", "Jörg Weiß", "Lena Schäfer", "Emre Yılmaz", "Katrin Voß")),  # noqa: RUF001 - the dotless i is his name's
    "FR": ("EUR", 1.0, 13, ("Chloé Lefèvre", "Gaël Dupont", "Inès Moreau", "Théo Garçon", "Aïcha Benali")),
    "GB": ("GBP", 0.85, 14, ("Olivia Hughes", "Sam O'Neill", "Priya Shah", "George Taylor", "Siân Davies")),
    "US": ("USD", 1.09, 18, ("Maria Gonzalez", "James Carter", "Dwayne Brooks", "Emily Chen", "Noah Goldberg")),
    "JP": ("JPY", 1.62, 8, ("佐藤 陽子", "鈴木 一郎", "高橋 美咲", "田中 健")),
    "SE": ("SEK", 11.3, 5, ("Åsa Lindström", "Björn Öberg", "Elin Sjögren")),
    "PL": ("PLN", 4.27, 6, ("Zofia Wójcik", "Łukasz Kamiński", "Małgorzata Zając")),
    "CH": ("CHF", 0.95, 4, ("Reto Bühler", "Céline Favre", "Luca Bernasconi")),
    "BR": ("BRL", 6.1, 7, ("João Conceição", "Beatriz Araújo", "Thiago Magalhães")),
    "IN": ("INR", 93.0, 5, ("Ananya Iyer", "Rohan Mehta", "Fatima Khan")),
}

# SKU: (title, price in euro cents, how often it is bought).
CATALOGUE: dict[str, tuple[str, int, int]] = {
    "TEA-DARJ-100": ("Darjeeling first flush, 100 g", 1290, 9),
    "TEA-SENC-100": ("Sencha, 100 g", 990, 8),
    "TEA-OOLG-050": ("Oolong, 50 g", 1450, 5),
    "COF-ETHI-250": ("Coffee beans Yirgacheffe, 250 g", 1190, 12),
    "COF-COLO-1KG": ("Coffee beans Huila, 1 kg", 2990, 7),
    "COF-DECA-250": ("Coffee beans, decaffeinated, 250 g", 1240, 4),
    "MUG-STON-WHT": ("Stoneware mug, white", 1600, 8),
    "MUG-STON-BLU": ("Stoneware mug, blue", 1600, 6),
    "POT-IRON-08L": ("Cast iron teapot, 0.8 l", 6900, 3),
    "POT-GLAS-12L": ("Glass teapot, 1.2 l", 3490, 4),
    "KTL-ELEC-TMP": ("Electric kettle with thermostat", 8900, 3),
    "KTL-GOOS-09L": ("Gooseneck kettle, 0.9 l", 7450, 3),
    "GRD-HAND-CER": ("Hand grinder, ceramic burrs", 4990, 4),
    "GRD-ELEC-PRO": ("Electric grinder", 32900, 2),
    "ESP-MACH-DUO": ("Espresso machine, two boilers", 149000, 1),
    "FLT-PAPR-100": ("Paper filters, 100 pieces", 490, 11),
    "FLT-CLTH-002": ("Cloth filters, 2 pieces", 890, 3),
    "DRP-CERA-002": ("Ceramic dripper, size 2", 2490, 5),
    "SCL-DIGI-01G": ("Digital scale, 0.1 g", 3990, 4),
    "TIN-WASH-150": ("Tea tin with washi paper, 150 g", 1180, 5),
    "WSK-BAMB-100": ("Bamboo whisk for matcha", 1890, 3),
    "MAT-CERE-030": ("Ceremonial matcha, 30 g", 2790, 4),
    "BOX-GIFT-SML": ("Gift box, small", 390, 6),
    "BOK-TEAS-ENG": ("The book of tea, paperback", 990, 2),
    "SPN-BRAS-004": ("Brass spoons, set of 4", 2200, 2),
    "TRY-BAMB-MED": ("Bamboo tray, medium", 3290, 1),
}
SOLD_OUT = ("SPN-BRAS-004", "TRY-BAMB-MED")

SHIPPING_FEES = {"standard": 490, "express": 1490, "pickup": 0}
CHANNELS = ("web", "web", "web", "app", "app", "phone")
NETWORKS = ("visa", "visa", "mastercard", "mastercard", "amex", "maestro")

# Behaviour: (weight, answers to the first asking and to the reminder as (which asking, earliest, latest, what is said)).
BEHAVIOURS: dict[str, tuple[int, tuple[tuple[int, float, float, str], ...]]] = {
    "prompt": (60, ((1, 0.01, 0.15, "confirm"),)),
    "curious": (10, ((1, 0.01, 0.05, "question"), (1, 0.08, 0.18, "confirm"))),
    "forgetful": (12, ((2, 0.02, 0.12, "confirm"),)),
    "regretful": (8, ((1, 0.02, 0.12, "cancel"),)),
    "hesitant": (3, ((1, 0.02, 0.06, "question"), (2, 0.02, 0.1, "cancel"))),
    "silent": (7, ()),
}


def make_order(number: int, placed: datetime, chance: random.Random) -> dict[str, Any]:
    """Return one order as it goes into the file."""
    country = chance.choices(list(COUNTRIES), [country[2] for country in COUNTRIES.values()])[0]
    currency, rate, _, names = COUNTRIES[country]
    items = make_items(rate, chance)
    shipping = chance.choices(list(SHIPPING_FEES), (70, 22, 8))[0]
    fee = round(SHIPPING_FEES[shipping] * rate)
    total = fee + sum(item["quantity"] * item["price"] for item in items)
    orders_before = min(60, int(chance.expovariate(0.25)))
    card_country = country if chance.random() < 0.93 else chance.choice(list(COUNTRIES))
    # Most people can pay what they order; some are a little too brave.
    limit = round(total * (chance.uniform(1.5, 20.0) if chance.random() < 0.95 else chance.uniform(0.4, 0.95)))
    risk = risk_of(
        cents=total / rate, abroad=card_country != country, orders_before=orders_before, express=shipping == "express", placed=placed
    )
    behaviour = chance.choices(list(BEHAVIOURS), [weight for weight, _ in BEHAVIOURS.values()])[0]
    return {
        "id": f"A-{10_000 + number}",
        "placed": placed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "channel": chance.choice(CHANNELS),
        "customer": {"name": chance.choice(names), "country": country, "orders_before": orders_before},
        "items": items,
        "shipping": shipping,
        "shipping_fee": fee,
        "currency": currency,
        "total": total,
        "card": {"network": chance.choice(NETWORKS), "country": card_country, "limit": limit},
        "risk": max(0, min(100, round(risk + chance.gauss(18, 9)))),
        "answers": [
            {"to": asking, "after": round(chance.uniform(earliest, latest), 3), "says": says}
            for asking, earliest, latest, says in BEHAVIOURS[behaviour][1]
        ],
    }


def make_items(rate: float, chance: random.Random) -> list[dict[str, Any]]:
    """Return one to five different things; prices in the smallest unit of the order's currency."""
    weights = [thing[2] for thing in CATALOGUE.values()]
    skus = list(dict.fromkeys(chance.choices(list(CATALOGUE), weights, k=chance.choices((1, 2, 3, 4, 5), (42, 28, 16, 9, 5))[0])))
    items = []
    for sku in skus:
        title, cents, _ = CATALOGUE[sku]
        quantity = 1 if cents > 5000 else chance.choices((1, 2, 3, 6), (70, 18, 8, 4))[0]
        items.append({"sku": sku, "title": title, "quantity": quantity, "price": round(cents * rate)})
    return items


def risk_of(*, cents: float, abroad: bool, orders_before: int, express: bool, placed: datetime) -> float:
    """Return what makes an order suspicious, in points that are added to a score of about twenty."""
    points = 30.0 if abroad else 0.0
    points += 12 if orders_before == 0 else -min(10, orders_before)
    points += 10 if express else 0
    points += 8 if placed.hour < 5 else 0
    return points + min(35, cents / 4000)


def make_orders(count: int, seed: int) -> list[dict[str, Any]]:
    """Return *count* orders, in the order in which they were placed."""
    chance = random.Random(seed)
    placed = datetime(2025, 6, 13, 18, 0, tzinfo=UTC)
    orders = []
    for number in range(1, count + 1):
        placed += timedelta(seconds=round(chance.expovariate(1 / 110)))
        orders.append(make_order(number, placed, chance))
    return orders


def make_stock(orders: list[dict[str, Any]]) -> dict[str, int]:
    """Return units on the shelf for each SKU: enough for *orders*, none of what is sold out."""
    units = dict.fromkeys(CATALOGUE, 0)
    for order in orders:
        for item in order["items"]:
            units[item["sku"]] += item["quantity"]
    return {sku: 0 if sku in SOLD_OUT else -(-count // 10) * 10 + 10 for sku, count in units.items()}


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=ORDERS, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed makes other orders (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(__file__).parent / "data", help="where to write (default: examples/data)")
    options = parser.parse_args()
    orders = make_orders(options.orders, options.seed)
    options.dir.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(order, ensure_ascii=False, separators=(",", ":")) + "\n" for order in orders)
    (options.dir / "orders.jsonl").write_text(lines, encoding="utf-8", newline="\n")
    (options.dir / "stock.json").write_text(json.dumps(make_stock(orders), indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(orders)} orders and the stock for them are in {options.dir}")


if __name__ == "__main__":
    main()
