"""A payment provider with a mood: a real HTTP server on a free loopback port, sometimes slow, sometimes busy, sometimes declining.

Its mood is drawn from a seed for each order and path, not for each request as it comes: the same seed treats an order the same way in every
run, whatever else happens at the time.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

Mood = Literal["fine", "busy", "slow", "garbled"]

FRAUD = 70
"""Risk from which an order is refused."""

SLOW = 1.0
"""Seconds that a slow answer takes: longer than the client has patience for."""

# For each path: how often an order meets which moods, one after the other; the last one stays.
MOODS: dict[str, tuple[tuple[int, tuple[Mood, ...]], ...]] = {
    "/charges": (
        (730, ("fine",)),
        (110, ("busy", "fine")),
        (50, ("busy", "busy", "fine")),
        (40, ("slow", "fine")),
        (25, ("slow", "busy", "fine")),
        (30, ("busy",)),
        (15, ("garbled",)),
    ),
    "/risk-checks": ((700, ("fine",)), (200, ("busy", "fine")), (100, ("slow", "fine"))),
    "/refunds": ((850, ("fine",)), (150, ("busy", "fine"))),
}


def moods_of(seed: int, path: str, order: str) -> tuple[Mood, ...]:
    """Return how *order* is treated on *path*: one mood for each request, the last for all that follow."""
    weights, moods = zip(*MOODS[path], strict=True)
    mood: tuple[Mood, ...] = random.Random(f"{seed} {path} {order}").choices(moods, weights)[0]
    return mood


@dataclass(frozen=True)
class Request:
    """One request as the provider saw it."""

    path: str
    order: str
    mood: Mood
    traceparent: str


class Provider:
    """The provider: `with Provider(seed) as provider:` serves on `provider.url` until the block is left."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.requests: list[Request] = []
        self.captured: dict[str, tuple[str, int]] = {}
        """Order to currency and amount of what was charged."""
        self.refunded: set[str] = set()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="provider", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, e.g. `http://127.0.0.1:41234`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, body: dict[str, Any], traceparent: str) -> tuple[int, dict[str, Any] | None]:
        """Decide one request; None as the body stands for an answer that is no JSON."""
        order = str(body["order"])
        with self._lock:
            turn = self._seen[path, order]
            self._seen[path, order] += 1
            moods = moods_of(self.seed, path, order)
            mood = moods[min(turn, len(moods) - 1)]
            self.requests.append(Request(path, order, mood, traceparent))
            result = self._decide(path, order, body) if mood in ("fine", "slow") else None
        # Reproducible like the mood, and what makes the times in the tables look like times.
        time.sleep(SLOW if mood == "slow" else random.Random(f"{self.seed} {path} {order} {turn}").uniform(0.003, 0.04))
        if mood == "busy":
            return 503, {"error": "busy", "hint": "try again"}
        return (200, None) if result is None else result

    def _decide(self, path: str, order: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what is asked; asking twice does it once, so that a client that lost patience can ask again."""
        if path == "/risk-checks":
            return 200, {"verdict": "fraud" if body["risk"] >= FRAUD else "clear"}
        if path == "/refunds":
            if order not in self.captured:
                return 404, {"error": "nothing was charged"}
            self.refunded.add(order)
            return 200, {"status": "refunded"}
        if body["amount"] > body["card_limit"]:
            return 402, {"status": "declined", "reason": "over the card's limit"}
        self.captured.setdefault(order, (body["currency"], body["amount"]))
        return 200, {"status": "captured"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # slow answers that nobody waits for any more
    request_queue_size = 256
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that hang up, be it in the middle of an answer: their patience is part of the example."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: written apart, the body waits 40 ms for the acknowledgement of the headers.
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:
            raise ConnectionAbortedError("the client hung up in the middle of its request")
        if self.path not in MOODS:
            status, answer = 404, b'{"error": "no such path"}'
        else:
            status, body = self.server.provider.answer(self.path, json.loads(raw), self.headers.get("traceparent", ""))
            answer = b"<h1>It works!</h1>" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if answer.startswith(b"{") else "text/html")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the base class
        """Say nothing: the terminal belongs to the example."""
