"""Snapshots of other definitions: refused with what has changed, or led to today's by migrations."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import zlib
from enum import Enum, auto
from typing import Any

import pytest

import septum
from septum import LabeledTransition, Push, Retry, StateConfiguration, StateMachine, StateSpec
from septum._errors import BadSnapshot, DefinitionChanged
from septum._migrations import find_chain, migrate
from septum._snapshot import Snapshot
from septum.testing import ManualClock


class Go(Enum):
    """Labels."""

    ON = auto()


async def wait(ctx: Any) -> Any:
    """Wait, unless told to answer something."""
    return ctx.msg


def definition(
    *names: str, version: str | None = None, on_timeout: bool = True, extra: bool = False, timeout: float | None = 5.0, **config: Any
) -> StateSpec:
    """Return the first of some states, each with an edge to the next and the last to the first."""
    specs = [
        StateSpec(
            name=f"shop.{name}",
            qualname=name,
            module=__name__,
            config=StateConfiguration(can_dwell=True, timeout=timeout, **config),
            on_state=wait,
            on_timeout=wait if on_timeout else None,
        )
        for name in names
    ]
    specs[0].definition_version = version
    for place, spec in enumerate(specs):
        after = specs[(place + 1) % len(specs)]
        edges = [LabeledTransition(Go.ON, after), Push(after, spec), Retry, *([spec] if extra else [])]
        spec.transitions = lambda edges=edges: edges
    return specs[0]


async def kept(initial: StateSpec, *messages: object, common: Any = None) -> Snapshot:
    """Return a snapshot of a machine that saw *messages*."""
    fsm: StateMachine[Any] = StateMachine(initial, common_data=common, clock=ManualClock(), name="shop")
    for message in messages:
        fsm.send_message(message)
    await fsm.run(timeout=0)
    fsm.send_message("waits")
    return Snapshot.from_json(fsm.snapshot().to_json())


def restore(snapshot: Snapshot, initial: StateSpec, *migrations: Any) -> StateMachine[Any]:
    """Bring a machine back."""
    return asyncio.run(StateMachine[Any].restore(snapshot, initial, migrations=migrations, clock=ManualClock(wall_ns=snapshot.taken_at)))


OLD = definition("Cart", "Paying")
OLD_HASH = StateMachine(OLD).graph.hash


def old() -> Snapshot:
    """Return a snapshot of the old definition, in Paying with Cart below it, retried once."""
    cart = StateMachine(OLD).graph.nodes[1].spec
    return asyncio.run(kept(OLD, Push(cart, OLD), Retry, common={"total": 3}))


def refusal(snapshot: Snapshot, initial: StateSpec, *migrations: Any) -> DefinitionChanged:
    """Return the error with which a snapshot is refused."""
    with pytest.raises(DefinitionChanged) as caught:
        restore(snapshot, initial, *migrations)
    return caught.value


# -- what fits


def test_same_definition_needs_no_migration() -> None:
    """A snapshot goes on with its own definition, and with one that was declared again."""
    for initial in (OLD, definition("Cart", "Paying")):
        fsm = restore(old(), initial)
        assert (fsm.state, [spec.name for spec in fsm.state_stack], fsm.retry_count) == ("shop.Paying", ["shop.Cart"], 1)


def test_what_is_no_part_of_the_hash_may_change() -> None:
    """Handlers and the order of states and edges are no part of a definition's identity."""
    assert restore(old(), definition("Cart", "Paying", on_timeout=False)).state == "shop.Paying"


@pytest.mark.parametrize(
    ("today", "differences"),
    [
        (
            definition("Cart", "Payment"),
            [
                "State 'shop.Paying' was removed.",
                "State 'shop.Payment' was added.",
            ],
        ),
        (
            definition("Cart", "Paying", timeout=7.0),
            ["State 'shop.Cart' has timeout=7.0 instead of 5.0.", "State 'shop.Paying' has timeout=7.0 instead of 5.0."],
        ),
        (definition("Paying", "Cart"), ["The machine begins in 'shop.Paying' instead of 'shop.Cart'."]),
    ],
)
def test_changed_definition_is_refused_and_the_difference_named(today: StateSpec, differences: list[str]) -> None:
    """The error has both hashes and a sentence for each difference, and says which migration is missing."""
    error = refusal(old(), today)
    expected = StateMachine(today).graph.hash
    assert (error.found, error.expected) == (OLD_HASH, expected)
    assert set(differences) <= set(error.differences)
    assert all(f"\n  {line}" in str(error) for line in error.differences)
    assert f"@septum.migrate('{OLD_HASH}', '{expected}')" in str(error)


@pytest.mark.parametrize("graph", ["", "!", base64.b64encode(zlib.compress(b"[" * 1_000_000)).decode()])
def test_graph_that_cannot_be_read_is_said_to_be_so(graph: str) -> None:
    """Whatever stands in the place of the old graph, the refusal is the named one."""
    snapshot = old()
    damaged = snapshot.replace(definition=dataclasses.replace(snapshot.definition, graph=graph))
    assert refusal(damaged, definition("Cart", "Payment")).differences == ("The snapshot's own graph cannot be read.",)


def test_handler_that_was_due_and_is_gone_is_named() -> None:
    """A machine that still has to call on_timeout does not go on with a definition that has none, whose hash is the same."""

    async def raises(ctx: Any) -> None:
        raise LookupError

    async def scene() -> Snapshot:
        initial = definition("Cart", "Paying")
        initial.on_timeout = raises
        clock = ManualClock()
        fsm: StateMachine[Any] = StateMachine(initial, clock=clock)
        await fsm.tick()
        await clock.advance(6.0)
        with pytest.raises(LookupError):
            await fsm.tick()
        return fsm.snapshot()

    error = refusal(asyncio.run(scene()), definition("Cart", "Paying", on_timeout=False))
    assert error.differences == ("State 'shop.Cart' has no on_timeout any more, which was due.",)
    assert "Bring back what is gone" in str(error)


# -- migrations


NEW = definition("Cart", "Payment", "Packing")
NEW_HASH = StateMachine(NEW).graph.hash


@migrate(OLD_HASH, NEW_HASH)
def pay(snapshot: Snapshot) -> Snapshot:
    """Rename a state, and give the data a currency."""
    return snapshot.renamed({"shop.Paying": "shop.Payment"}).replace(common={**snapshot.common, "currency": "EUR"})


def test_migration_leads_from_one_hash_to_the_other() -> None:
    """State, stack, retry counts and data are as the function returns them; the rest comes along."""
    fsm = restore(old(), NEW, pay)
    assert (fsm.state, [spec.name for spec in fsm.state_stack], fsm.retry_counters) == ("shop.Payment", ["shop.Cart"], {"shop.Payment": 1})
    assert (fsm.common, fsm.queue_depth) == ({"total": 3, "currency": "EUR"}, 1)


def test_migrations_make_a_chain_of_versions() -> None:
    """Versions that definitions state are led through one by one; a function that returns None changes nothing."""
    calls: list[str] = []

    @migrate("1", "2")
    def first(snapshot: Snapshot) -> Snapshot:
        calls.append("1-2")
        return pay(snapshot)

    @migrate("2", "3")
    def second(snapshot: Snapshot) -> None:
        calls.append(f"2-3 {snapshot.state}")

    versioned = definition("Cart", "Paying", version="1")
    snapshot = asyncio.run(kept(versioned, Go.ON, common={}))
    fsm = restore(snapshot, definition("Cart", "Payment", "Packing", version="3"), second, first)
    assert (fsm.state, calls) == ("shop.Payment", ["1-2", "2-3 shop.Payment"])


def test_version_changes_where_the_graph_does_not() -> None:
    """Data alone may have changed: two versions of one graph are led from one to the other, and refused without a migration."""
    snapshot = asyncio.run(kept(definition("Cart", "Paying", version="1"), common={"n": 1}))
    today = definition("Cart", "Paying", version="2")
    error = refusal(snapshot, today)
    assert error.differences == ("The version is '2' instead of '1'.",)
    assert "@septum.migrate('1', '2')" in str(error)

    @migrate("1", "2")
    def double(snapshot: Snapshot) -> Snapshot:
        return snapshot.replace(common={"n": snapshot.common["n"] * 2})

    assert restore(snapshot, today, double).common == {"n": 2}


def test_definition_that_has_a_version_for_the_first_time_takes_its_snapshots() -> None:
    """A version that only one of the two states makes no difference where the hash is the same."""
    assert restore(old(), definition("Cart", "Paying", version="1")).state == "shop.Paying"
    snapshot = asyncio.run(kept(definition("Cart", "Paying", version="1")))
    assert restore(snapshot, OLD).state == "shop.Cart"


def test_same_version_of_another_graph_is_refused() -> None:
    """A graph that changed without a new version is another definition all the same; only its hashes lead on."""
    snapshot = asyncio.run(kept(definition("Cart", "Paying", version="1")))
    today = definition("Cart", "Payment", version="1")
    error = refusal(snapshot, today)
    assert "@septum.migrate('" + snapshot.definition.hash in str(error)

    @migrate(snapshot.definition.hash, "1")
    def to_version(snapshot: Snapshot) -> None:
        return None

    assert refusal(snapshot, today, to_version).differences == error.differences


def test_migration_that_leaves_what_is_gone_is_refused() -> None:
    """A chain whose end has states that today's definition does not know makes no machine; each place is named."""

    @migrate(OLD_HASH, NEW_HASH)
    def nothing(snapshot: Snapshot) -> None:
        return None

    assert refusal(old(), NEW, nothing).differences == (
        "State 'shop.Paying', which stands in the snapshot's `state`, is gone.",
        "State 'shop.Paying', which stands in the snapshot's `retries`, is gone.",
    )


def test_migration_that_drops_messages_keeps_the_books() -> None:
    """Messages that a migration leaves out count as dropped, and those that it adds as accepted."""
    snapshot = old()
    without = snapshot.replace(messages=())
    assert (without.counts.closed, without.counts.accepted) == (1, snapshot.counts.accepted)
    more = snapshot.replace(messages=(*snapshot.messages, *snapshot.messages))
    assert (more.counts.closed, more.counts.accepted) == (0, snapshot.counts.accepted + 1)


def test_decision_is_renamed_as_well() -> None:
    """What was decided before an on_leave that is due leads to the new names."""
    snapshot = old()
    from septum._snapshot import Decided

    decided = Decided(kind="push", label=None, target="shop.Paying", below=("shop.Cart",), outcome="push", exception=None)
    leaving = snapshot.replace(stage="leave", decided=decided)
    renamed = leaving.renamed({"shop.Paying": "shop.Payment", "shop.Cart": "shop.Basket"})
    assert renamed.decided is not None
    assert (renamed.decided.target, renamed.decided.below, renamed.stack) == ("shop.Payment", ("shop.Basket",), ("shop.Basket",))
    ending = snapshot.replace(stage="leave", decided=dataclasses.replace(decided, kind="end", target=None, below=(), outcome="completed"))
    assert ending.renamed({}).decided == ending.decided


def test_replaced_fields_are_checked() -> None:
    """A migration cannot make what is no snapshot, nor set what is no field."""
    with pytest.raises(BadSnapshot, match="snapshot.state"):
        old().replace(state=5)
    with pytest.raises(TypeError, match="stat"):
        old().replace(stat="shop.Cart")


def test_state_that_has_a_timeout_now_gets_the_whole_of_it() -> None:
    """A visit that had no deadline, and whose state has one today, waits for the whole timeout from its restore on."""
    snapshot = asyncio.run(kept(definition("Cart", "Paying", timeout=None)))
    today = definition("Cart", "Paying")

    @migrate(snapshot.definition.hash, StateMachine(today).graph.hash)
    def timed(snapshot: Snapshot) -> None:
        return None

    assert restore(snapshot, today, timed)._deadline == 5.0


def test_exception_of_a_migration_says_which() -> None:
    """What a function raises comes out, with a note; a wrong answer is refused by name."""

    @migrate(OLD_HASH, NEW_HASH)
    def refuse(snapshot: Snapshot) -> Snapshot:
        raise LookupError(snapshot.common["missing"])

    with pytest.raises(KeyError) as caught:
        restore(old(), NEW, refuse)
    assert caught.value.__notes__ == [f"in the migration {refuse.function.__qualname__} of a snapshot from {OLD_HASH!r} to {NEW_HASH!r}"]  # type: ignore[attr-defined]  # it is a function

    @migrate(OLD_HASH, NEW_HASH)
    def wrong(snapshot: Snapshot) -> Any:
        return {}

    with pytest.raises(TypeError, match=r"wrong returned dict; return the new snapshot \(`snapshot.replace"):
        restore(old(), NEW, wrong)


# -- chains


def step(start: str, end: str) -> Any:
    """Return a migration."""
    return migrate(start, end)(lambda snapshot: None)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([], None),
        ([("a", "b")], None),
        ([("a", "z")], ["az"]),
        ([("a", "b"), ("b", "c"), ("c", "z"), ("b", "z")], ["ab", "bz"]),
        ([("a", "b"), ("b", "a")], None),
        ([("h", "z"), ("a", "b"), ("b", "z")], ["hz"]),
        ([("z", "a")], None),
    ],
)
def test_shortest_chain_is_taken(steps: list[tuple[str, str]], found: list[str] | None) -> None:
    """From any of the starts to any of the goals; circles do no harm."""
    chain = find_chain([step(*ends) for ends in steps], ["a", "h"], ["z", "y"])
    assert (None if chain is None else [one.from_version + one.to_version for one in chain]) == found


def test_two_migrations_of_the_same_versions_are_refused() -> None:
    """Which of them would be taken, nobody could tell."""
    with pytest.raises(ValueError, match="two migrations lead from 'a' to 'b'"):
        find_chain([step("a", "b"), step("a", "b")], ["a"], ["b"])


@pytest.mark.parametrize(("start", "end"), [("", "b"), ("a", None), (1, 2), ("a", "a")])
def test_versions_are_two_texts(start: Any, end: Any) -> None:
    """Anything else is refused where it is written."""
    with pytest.raises(ValueError, match=r"@septum\.migrate"):
        migrate(start, end)


@pytest.mark.parametrize("version", ["", 7])
def test_version_of_a_definition_is_a_text(version: Any) -> None:
    """A state whose version is none is refused where it is declared."""
    with pytest.raises(septum.DefinitionError, match="version of a definition is a text"):

        @septum.state(version=version)
        def Wrong() -> None:
            septum.on_state(wait)


def test_version_is_declared_with_the_initial_state() -> None:
    """It stands at the state, is in its snapshots and is no part of the hash."""

    @septum.state(version="2026-11", config=StateConfiguration(can_dwell=True))
    def Versioned() -> None:
        septum.on_state(wait)

    assert Versioned.definition_version == "2026-11"
    assert StateMachine(Versioned).snapshot().definition.version == "2026-11"
