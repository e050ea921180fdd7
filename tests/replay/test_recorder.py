"""The recorder: levels, limits, when it writes, what it survives; and what each record says."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from contextlib import suppress
from enum import Enum, auto
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from septum import (
    Again,
    Graph,
    LabeledTransition,
    Pop,
    Push,
    Retry,
    RetryPolicy,
    StateConfiguration,
    StateMachine,
    StateMachineComplete,
    StateSpec,
    facts,
    septum,
)
from septum.facts import Origin
from septum.replay import DROP, FileSink, FlightRecorder, Limits, MemorySink, Record, Recorder, _names, _quick, _recorder, _scribe, records
from septum.replay._batch import expand
from septum.replay._values import digest
from septum.testing import ManualClock, settle
from tests.replay.scenes import Go, Ping, pinging
from tests.samples import SAMPLES

if TYPE_CHECKING:
    from septum.replay._item import Part


class Ask(Enum):
    """What the desk can be asked for."""

    ON = auto()
    PUSH = auto()
    RETRY = auto()
    FAIL = auto()


@septum.state(config=StateConfiguration(can_dwell=True, retries=3, retry=RetryPolicy(base=1.0, jitter=0.5), timeout=60.0))
def Desk() -> None:
    @septum.on_state
    async def on_state(ctx):
        match ctx.msg:
            case Ask.ON:
                return Go.ON
            case Ask.PUSH:
                return Push(Side, Desk)
            case Ask.RETRY:
                return Retry
            case Ask.FAIL:
                raise LookupError("the text")
            case "again":
                return Again
            case "nonsense":
                return 4711

    @septum.on_timeout
    async def on_timeout(ctx):
        return Go.ON

    @septum.transitions
    def transitions():
        return [LabeledTransition(Go.ON, Desk), Push(Side, Desk), Retry]


@septum.state(config=StateConfiguration(can_dwell=True))
def Side() -> None:
    @septum.on_state
    async def on_state(ctx):
        return None if ctx.msg is None else Pop

    @septum.transitions
    def transitions():
        return [Pop]


COMMON = ("septum.recording.level", "septum.recording.resumed", "process.runtime.version", "septum.version")


def told(found: list[Record]) -> list[tuple[str, dict[str, Any]]]:
    """Return event and attributes of each record, by the last part of their names."""
    return [
        (record.event, {key.removeprefix("septum."): value for key, value in record.attributes.items() if key not in COMMON})
        for record in found
    ]


def record_of(orders: list[Any], level: Any = "metadata", **arguments: Any) -> list[Record]:
    """Return what is recorded of a desk that is sent *orders* one by one, with three seconds for each."""
    sink = MemorySink()
    recorder = Recorder(sink, level=level, limits=arguments.pop("limits", None), encode=arguments.pop("encode", None))
    clock = ManualClock()

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Desk, hooks=[recorder], clock=clock, name="desk", **arguments)
        serving = asyncio.create_task(fsm.serve())
        await settle()
        for order in orders:
            fsm.send_message(order)
            await settle()
            await clock.run_for(3.0)
        fsm.stop()
        with suppress(LookupError, ValueError):
            await serving
        await fsm.close()

    asyncio.run(main())
    recorder.close()
    return list(sink.records)


def test_each_record_says_what_it_is() -> None:
    """Event by event, every attribute."""
    found = record_of([Ask.ON, Ask.PUSH, "pop", Ask.RETRY, "again", Ask.FAIL])
    (delay,) = [record.attributes["septum.timer.duration"] for record in found if record.event == "timer"]
    answer = {"handler.name": "on_state", "state.name": "Desk"}
    first = ("handler", {**answer, "answer.kind": "wait"})

    def message(number: int, kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (
                "message",
                {"message.type": kind, "message.priority": 2, "mailbox.depth": 1, "message.id": str(number), "recording.own": False},
            ),
            ("taken", {"message.type": kind, "message.wait_time": 0.0, "mailbox.depth": 0, "message.id": str(number)}),
        ]

    def moved(source: str, target: str, label: str | None, kind: str) -> tuple[str, dict[str, Any]]:
        names = {"transition.from_state": source, "transition.to_state": target, "transition.kind": kind}
        return ("transition", {**names, "transition.label": label} if label else names)

    assert told(found) == [
        ("start", {"state.name": "Desk", "recording.timeouts": ("Desk 60.0",)}),
        first,
        *message(1, "Ask.ON"),
        ("handler", {**answer, "answer.kind": "label", "answer.name": "Go.ON"}),
        moved("Desk", "Desk", "Go.ON", "label"),
        first,
        *message(2, "Ask.PUSH"),
        ("handler", {**answer, "answer.kind": "marker", "answer.name": "Push(Side, Desk)"}),
        moved("Desk", "Side", None, "push"),
        ("stack", {"stack.change": "pushed", "stack.states": ("Desk",), "stack.depth": 1}),
        ("handler", {"handler.name": "on_state", "state.name": "Side", "answer.kind": "wait"}),
        *message(3, "str"),
        ("handler", {"handler.name": "on_state", "state.name": "Side", "answer.kind": "marker", "answer.name": "Pop"}),
        moved("Side", "Desk", None, "pop"),
        ("stack", {"stack.change": "popped", "stack.states": ("Desk",), "stack.depth": 0}),
        first,
        *message(4, "Ask.RETRY"),
        ("handler", {**answer, "answer.kind": "marker", "answer.name": "Retry"}),
        moved("Desk", "Desk", None, "retry"),
        ("effect", {"effect.kind": "random", "effect.name": "random"}),
        ("timer", {"state.name": "Desk", "timer.kind": "retry_backoff", "timer.duration": delay, "retry.count": 1, "retry.limit": 3}),
        first,
        *message(5, "str"),
        ("handler", {**answer, "answer.kind": "marker", "answer.name": "Again"}),
        moved("Desk", "Desk", None, "again"),
        first,
        *message(6, "Ask.FAIL"),
        ("handler", {**answer, "handler.duration": 0.0, "error.type": "LookupError"}),
        ("error", {"state.name": "Desk", "error.destination": "raised", "error.type": "LookupError"}),
        ("end", {"run.outcome": "failed", "state.name": "Desk", "error.type": "LookupError"}),
    ]  # fmt: skip


def test_a_deadline_is_a_timer_with_its_lateness() -> None:
    """As is the handler that was cut: it answered nothing."""
    sink = MemorySink()
    clock = ManualClock()

    async def main() -> None:
        with Recorder(sink) as recorder:
            fsm: StateMachine[Any] = StateMachine(Desk, hooks=[recorder], clock=clock)
            await fsm.tick()
            clock.advance(60.5)
            await fsm.tick()

    asyncio.run(main())
    assert told(list(sink.records))[2:] == [
        ("timer", {"state.name": "Desk", "timer.kind": "timeout", "timer.duration": 60.0, "timer.lateness": 0.5}),
        ("handler", {"handler.name": "on_timeout", "state.name": "Desk", "answer.kind": "label", "answer.name": "Go.ON"}),
        (
            "transition",
            {"transition.from_state": "Desk", "transition.to_state": "Desk", "transition.label": "Go.ON", "transition.kind": "label"},
        ),
    ]
    assert [record.at for record in sink.records][1:3] == [0, 60_500_000_000]


def test_answers_that_are_none_of_a_state_tell_their_type_only() -> None:
    """What a wrong answer holds is the user's."""
    found = record_of(["nonsense"])
    (wrong,) = [attributes for event, attributes in told(found) if event == "handler" and attributes.get("answer.kind") == "other"]
    assert wrong == {"handler.name": "on_state", "state.name": "Desk", "answer.kind": "other", "answer.name": "int"}


@pytest.mark.parametrize("level", ["inline", "full"])
def test_bodies_are_recorded_with_payload_result_and_common(level: Any) -> None:
    """As JSON that decodes; exceptions with their text."""
    found = record_of([Ask.ON, Ask.FAIL], level, common_data={"n": (1, 2)})
    bodies = [(record.event, record.body) for record in found if "septum.recording.encoding" in record.attributes]
    ask = f"{__name__}:Ask"
    assert bodies == [
        ("start", {"n": {"$": "tuple", "v": [1, 2]}}),
        ("message", {"$": "enum", "t": ask, "n": "ON"}),
        ("message", {"$": "enum", "t": ask, "n": "FAIL"}),
    ]
    texts = [(record.event, record.attributes["exception.message"]) for record in found if "exception.message" in record.attributes]
    assert texts == [("handler", "the text"), ("error", "the text"), ("end", "the text")]


def test_only_full_has_the_digest_of_common_after_each_handler() -> None:
    """With it a replay sees that `common` went another way."""
    found = record_of([Ask.ON], "full", common_data={"n": 1})
    digests = [record.attributes.get("septum.recording.common_digest") for record in found if record.event == "handler"]
    assert digests == [digest('{"n":1}')] * 3
    assert not any("septum.recording.common_digest" in record.attributes for record in record_of([Ask.ON], "inline", common_data={"n": 1}))
    unwritable = record_of([Ask.ON], "full", common_data={"n": object()})
    assert not any("septum.recording.common_digest" in record.attributes for record in unwritable)


def test_what_is_too_long_becomes_a_digest() -> None:
    """By payload, by level and by what the run has used already; sizes count bytes."""
    long, longer = "\u00e9" * 600, "x" * 70_000

    def kept(orders: list[Any], level: Any, limits: Limits | None = None) -> list[Any]:
        found = [record for record in record_of(orders, level, limits=limits, common_data=0) if record.event == "message"]
        return [
            record.attributes["septum.recording.encoding"]
            if record.body is not None
            else (record.attributes.get("septum.recording.size"), record.attributes.get("septum.recording.digest"))
            for record in found
        ]

    as_digest = (1202, digest(f'"{long}"'))
    assert kept([long], "inline") == [as_digest]
    assert kept([long, longer], "full") == ["json", (70_002, digest(f'"{longer}"'))]
    assert kept([long, long, "short"], "full", Limits(run=1300)) == ["json", as_digest, "json"]
    assert kept([long], "full", Limits(payload=10)) == [(None, None)]  # beyond what is looked at for a digest


@pytest.mark.parametrize("wrong", [{"payload": -1}, {"run": 1.5}, {"text": True}])
def test_limits_are_whole_numbers(wrong: dict[str, Any]) -> None:
    """Anything else is refused when it is given."""
    with pytest.raises(ValueError, match="must be an int of at least 0"):
        Limits(**wrong)


def test_types_of_your_own_are_recorded_with_encode() -> None:
    """By a name and what stands for them; without it their class is all that is told."""
    thing = object()
    taught = record_of([thing], "full", encode=lambda value: ("thing", 1) if value is thing else None)
    plain = record_of([thing], "full")
    bodies = [
        [(record.body, record.attributes["septum.recording.encoding"]) for record in found if record.event == "message"]
        for found in (taught, plain)
    ]
    assert bodies == [[({"$": "extra", "t": "thing", "v": 1}, "json")], [({"$": "repr", "t": "builtins:object"}, "repr")]]


class Watching(MemorySink):
    """Notes when it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.flushes = 0

    def write(self, parts: Any) -> None:
        super().write(parts)
        self.writes.append(len(self.records))

    def flush(self) -> None:
        self.flushes += 1


def test_it_writes_when_there_is_enough_and_when_a_run_ends() -> None:
    """512 entries; a plain step is one of them, and two records."""
    sink = Watching()
    recorder = Recorder(sink)

    async def main() -> None:
        fsm = pinging(hooks=[recorder])
        await fsm.initialize()
        for _ in range(127):
            fsm.send_message("go")
            await fsm.tick()
        assert sink.writes == []
        for _ in range(2):
            fsm.send_message("go")
            await fsm.tick()
        assert sink.writes == [1 + 127 * 5 + 3]
        await fsm.close()

    asyncio.run(main())
    assert (sink.writes, sink.flushes) == ([639, 1 + 129 * 5 + 1], 1)


def test_it_writes_when_an_exception_is_raised_to_the_caller() -> None:
    """Whoever looks into the file at once finds what led to it."""
    sink = Watching()

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Desk, hooks=[Recorder(sink)])
        fsm.send_message(Ask.FAIL)
        with pytest.raises(LookupError):
            await fsm.run(timeout=0)
        assert [record.event for record in sink.records] == ["start", "handler", "taken", "handler", "error"]

    asyncio.run(main())
    assert sink.flushes == 1


def test_it_writes_a_little_later_while_an_event_loop_runs() -> None:
    """A timer of the loop sees to what a quiet machine left."""
    sink = Watching()

    async def main() -> None:
        fsm = pinging(hooks=[Recorder(sink)])
        await fsm.initialize()
        loop: Any = asyncio.get_running_loop()
        (timer,) = [handle for handle in loop._scheduled if not handle.cancelled()]
        assert 0.0 < timer.when() - loop.time() <= 0.5
        assert sink.writes == []
        timer._run()
        assert sink.writes == [1]

    asyncio.run(main())


def test_machines_of_several_threads_share_a_recorder() -> None:
    """Nothing is lost or mixed up."""
    sink = MemorySink()
    recorder = Recorder(sink)

    def work() -> None:
        async def main() -> None:
            fsm = pinging(hooks=[recorder])
            await fsm.initialize()
            for _ in range(500):
                fsm.send_message("go")
                await fsm.tick()
            await fsm.close()

        asyncio.run(main())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    runs: dict[str, list[int]] = {}
    for record in sink.records:
        runs.setdefault(record.run_id, []).append(record.index)
    assert list(runs.values()) == [list(range(1, 1 + 500 * 5 + 2))] * 4


def test_messages_that_were_there_before_are_recorded_when_they_are_taken() -> None:
    """Whoever attaches in the middle of a run misses no payload, and finds where the run stands."""
    sink = MemorySink()
    clock = ManualClock()

    async def main() -> None:
        fsm: StateMachine[Any] = StateMachine(Desk, clock=clock, common_data=0)
        await fsm.initialize()
        for order in (Ask.RETRY, Ask.PUSH):
            fsm.send_message(order)
            await fsm.tick()
            clock.advance(3.0)
            await fsm.tick()
        fsm.send_message("waits")
        with Recorder(sink, level="full") as recorder:
            fsm.attach(recorder)
            await fsm.tick()

    asyncio.run(main())
    start, taken = sink.records[0], sink.records[1]
    assert (start.event, told([start])[0][1]) == (
        "start",
        {
            "state.name": "Side",
            "stack": ("Desk",),
            "recording.retries": ("Desk 1",),
            "recording.timeouts": ("Desk 60.0",),
            "recording.stage": "wait",
            "recording.mailbox": (),
            "recording.encoding": "json",
        },
    )
    assert start.attributes["septum.recording.resumed"] is True
    assert (taken.event, taken.body) == ("taken", "waits")


def test_a_hook_that_comes_back_goes_on_with_the_run() -> None:
    """A second start says that something was not seen in between; the numbers go on."""
    sink = MemorySink()

    async def main() -> None:
        fsm = pinging()
        await fsm.initialize()
        with Recorder(sink) as recorder:
            for _ in range(2):
                fsm.attach(recorder)
                fsm.send_message("go")
                await fsm.tick()
                fsm.detach(recorder)

    asyncio.run(main())
    events = [(record.event, record.index) for record in sink.records if record.event == "start"]
    assert events == [("start", 1), ("start", 7)]
    assert [record.index for record in sink.records] == list(range(1, 13))


@pytest.mark.parametrize("kind", ["recorder", "flight recorder"])
def test_a_restored_machine_goes_on_with_the_numbers_of_its_run(tmp_path: Path, kind: str) -> None:
    """Snapshot, close, restore with another recorder: the second recording continues the first, clock and all."""
    sinks = [MemorySink(), MemorySink()]
    clocks = [ManualClock(), ManualClock()]

    async def main() -> list[list[Record]]:
        hooks: list[Any] = [Recorder(sink) for sink in sinks] if kind == "recorder" else [FlightRecorder(directory=tmp_path) for _ in sinks]
        fsm = pinging(hooks=hooks[:1], clock=clocks[0])
        await fsm.initialize()
        fsm.send_message("go")
        await fsm.tick()
        clocks[0].advance(7.0)
        fsm.send_message("waits")
        snapshot = fsm.snapshot("deploy")
        await fsm.close()
        restored = await StateMachine.restore(snapshot, Ping, hooks=hooks[1:], clock=clocks[1])
        await restored.tick()
        if kind == "recorder":
            for hook in hooks:
                hook.close()
            return [list(sink.records) for sink in sinks]
        return [list(records(hook.dump())) for hook in hooks]

    first, second = asyncio.run(main())
    assert [record.event for record in first][-4:] == ["message", "snapshot", "dropped", "end"]
    assert second[0].attributes["septum.recording.resumed"] is True
    assert {record.run_id for record in (*first, *second)} == {first[0].run_id}
    assert [record.index for record in (*first, *second)] == list(range(1, len(first) + len(second) + 1))
    assert (first[-1].at, second[0].at) == (7_000_000_000, 7_000_000_000)


def test_runs_of_machines_that_are_gone_are_forgotten() -> None:
    """A recorder that serves a process for months does not keep what nobody ended."""
    recorder = Recorder(MemorySink())

    async def main() -> None:
        for _ in range(10):
            await pinging(hooks=[recorder]).initialize()
            gc.collect()

    asyncio.run(main())
    recorder.flush()
    assert len(recorder._runs) == 0


def test_a_closed_recorder_records_nothing_and_says_what_it_is() -> None:
    """The machine goes on."""
    sink = MemorySink()
    recorder = Recorder(sink)
    recorder.close()
    recorder.close()

    async def main() -> None:
        fsm = pinging(hooks=[recorder])
        await fsm.initialize()
        fsm.send_message("go")
        await fsm.tick()
        await fsm.close()

    asyncio.run(main())
    assert list(sink.records) == []
    assert repr(recorder) == "<Recorder level='metadata' into <MemorySink of 0 records>>"


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"sink": "run.jsonl"}, TypeError, "sink must have the methods write, flush and close, as FileSink has; 'run.jsonl' has no write"),
        ({"level": "everything"}, ValueError, "level must be 'metadata', 'inline' or 'full', not 'everything'"),
        (
            {"redact": "password"},
            TypeError,
            "redact must be a Redaction, a function (kind, meta, value), or None for the default, not 'password'",
        ),
    ],
)
def test_a_recorder_refuses_what_it_cannot_be_made_of(arguments: Any, kind: type[Exception], text: str) -> None:
    """With words that say what to give."""
    with pytest.raises(kind) as refused:
        Recorder(**{"sink": MemorySink(), **arguments})
    assert str(refused.value) == text


AT_EXIT = """
import sys
from septum.facts import Origin
from septum.replay import DROP, FileSink, Recorder
from tests.replay.scenes import pinging

async def main():
    await pinging(hooks=[recorder]).initialize()

recorder = Recorder(FileSink(sys.argv[1]))
coroutine = main()
try:
    coroutine.send(None)
except StopIteration:
    pass
"""


@pytest.mark.slow
def test_what_waits_is_written_when_python_ends(tmp_path: Path) -> None:
    """Even where no event loop ever ran."""
    path = tmp_path / "run.jsonl"
    root = str(Path(__file__).resolve().parents[2])
    subprocess.run([sys.executable, "-c", AT_EXIT, str(path)], check=True, env={"PYTHONPATH": root})
    assert [record.event for record in records(path)] == ["start"]


TABLE: dict[str, Any] = {
    "shapes": [["step", "A", "B", "Go.ON"], ["timer", "x", "y"]],
    "shape": [0, 1, 0],
    "seq": [5, 1],
    "visit": [1, 0],
    "at": [7, 0],
    "values": [1.5, ["a", "b"]],
}
WITH_BODIES: dict[str, Any] = {
    "shapes": [["effect", "septum.recording.encoding"], ["handler"]],
    "shape": [0, 1, 0, 0],
    "seq": [1, 1, 1],
    "visit": [0, 0, 0],
    "at": [0, 0, 0],
    "values": ["json", "digest", "repr"],
    "bodies": [{"a": [1]}, None],
}


def test_a_batch_is_many_records() -> None:
    """Numbers and times grow from those of the first; a step is two records; lists are tuples, as everywhere."""
    who = ("run", "machine", "name")
    found = list(expand(Record("batch", 4, 10, 2, 100, 1_000, *who, {}, TABLE, "hash")))
    handler = {"septum.handler.name": "on_state", "septum.state.name": "A", "septum.answer.kind": "label", "septum.answer.name": "Go.ON"}
    transition = {
        "septum.transition.from_state": "A",
        "septum.transition.to_state": "B",
        "septum.transition.label": "Go.ON",
        "septum.transition.kind": "label",
    }
    assert found == [
        Record("handler", 4, 10, 2, 100, 1_000, *who, handler, None, "hash"),
        Record("transition", 5, 12, 2, 100, 1_000, *who, transition, None, "hash"),
        Record("timer", 6, 15, 3, 107, 1_007, *who, {"x": 1.5, "y": ("a", "b")}, None, "hash"),
        Record("handler", 7, 16, 3, 107, 1_007, *who, handler, None, "hash"),
        Record("transition", 8, 18, 3, 107, 1_007, *who, transition, None, "hash"),
    ]


def test_bodies_belong_to_the_records_that_say_that_they_have_one() -> None:
    """One after the other, whatever they are; what had none then has none now."""
    found = list(expand(Record("batch", 1, 1, 1, 0, 0, "r", "m", "n", {}, WITH_BODIES)))
    assert [(record.event, record.body) for record in found] == [
        ("effect", {"a": [1]}),
        ("handler", None),
        ("effect", None),
        ("effect", None),
    ]


def logs_in(path: Path) -> list[Any]:
    """Return the log records in a file."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [log for line in lines for group in line["resourceLogs"] for scope in group["scopeLogs"] for log in scope["logRecords"]]


def test_short_bodies_are_in_batches_and_long_ones_alone(tmp_path: Path) -> None:
    """Either way they are read as they were."""

    @septum.state
    def Asking() -> None:
        @septum.on_state
        async def on_state(ctx):
            for size in (1, 512, 513, 2):
                await ctx.call("text", lambda size=size: "x" * (size - 2))
            return Go.ON

        @septum.transitions
        def transitions():
            return [LabeledTransition(Go.ON, None)]

    async def act() -> None:
        with Recorder(FileSink(tmp_path / "run.jsonl"), level="full") as recorder, suppress(StateMachineComplete):
            await StateMachine(Asking, hooks=[recorder]).run(timeout=0)

    asyncio.run(act())
    events = [log["eventName"].removeprefix("septum.recording.") for log in logs_in(tmp_path / "run.jsonl")]
    assert events == ["start", "batch", "effect", "batch", "end"]
    assert [len(record.body) for record in records(tmp_path / "run.jsonl") if record.event == "effect"] == [0, 510, 511, 0]


def test_a_batch_is_full_after_64_kib_of_bodies(tmp_path: Path) -> None:
    """What takes log records refuses those that are too long."""

    async def act() -> None:
        with Recorder(FileSink(tmp_path / "run.jsonl"), level="full") as recorder:
            machine = pinging(hooks=[recorder])
            await machine.initialize()
            for number in range(300):
                machine.send_message(f"{number:0500}")

    asyncio.run(act())
    sizes = [len(log["body"]["stringValue"]) for log in logs_in(tmp_path / "run.jsonl") if log["eventName"].endswith("batch")]
    assert (len(sizes), max(sizes) < 100_000) == (3, True)
    assert [int(record.body) for record in records(tmp_path / "run.jsonl") if record.event == "message"] == [*range(300)]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {**TABLE, "shapes": {}},
        {**TABLE, "shapes": [[]]},
        {**TABLE, "shapes": ["step"]},
        {**TABLE, "shapes": [["step", "A", "B"]]},
        {**TABLE, "shapes": [["step", "A", "B", 1]]},
        {**TABLE, "shapes": [["batch"]]},
        {**TABLE, "shape": [0, 1, 2]},
        {**TABLE, "shape": [-1, 1, 0]},
        {**TABLE, "shape": [True, 1, 0]},
        {**TABLE, "shape": [0, 1]},
        {**TABLE, "seq": [5]},
        {**TABLE, "visit": [1, 1.0]},
        {**TABLE, "at": "7"},
        {**TABLE, "values": [1]},
        {**TABLE, "values": [1, 2, 3]},
        {**TABLE, "values": [1, {}]},
        {**TABLE, "shapes": [["step", "A", "B", "C"], ["timer", "x", "x"]]},
        {"shapes": [], "shape": [], "seq": [], "visit": [], "at": [], "values": []},
        {**TABLE, "bodies": [1]},
        {**TABLE, "bodies": {}},
        {**WITH_BODIES, "bodies": [1]},
        {**WITH_BODIES, "bodies": [1, 2, 3]},
    ],
)
def test_a_table_that_is_none_is_refused(body: Any) -> None:
    """Whatever a file holds, with msgspec and without."""
    with pytest.raises((TypeError, ValueError)):
        list(expand(Record("batch", 1, 1, 1, 0, 0, "r", "m", "n", {}, body)))
    table = _quick.read_table(json.dumps(body))
    if table is not None:
        with pytest.raises((TypeError, ValueError)):
            list(expand(Record("batch", 1, 1, 1, 0, 0, "r", "m", "n", {}, table)))


def test_two_states_of_one_name_are_written_in_full() -> None:
    """Else a reader could not tell them apart."""

    def state(module: str, target: Any) -> StateSpec:
        made = StateSpec(name=f"{module}.Same")
        made.module, made.qualname, made.Events = module, "Same", Go
        made.on_state = lambda ctx: Go.ON
        made.transitions = lambda: [LabeledTransition(Go.ON, target)]
        return made

    second = state("two", None)
    first = state("one", second)
    sink = MemorySink()

    async def main() -> None:
        with Recorder(sink) as recorder:
            fsm: StateMachine[Any] = StateMachine(first, hooks=[recorder])
            with suppress(Exception):
                await fsm.run()

    asyncio.run(main())
    names = [record.attributes["septum.transition.from_state"] for record in sink.records if record.event == "transition"]
    assert names == ["one.Same", "two.Same"]


def parts_of(sink: list[Part]) -> list[Any]:
    """Return the events of all items."""
    return [item.event for part in sink for item in part.items]


def test_sinks_of_your_own_get_steps_in_one(tmp_path: Path) -> None:
    """`Part.records` has them one by one, `log_records` as OpenTelemetry would."""

    class Mine:
        def __init__(self) -> None:
            self.parts: list[Part] = []

        def write(self, parts: Any) -> None:
            self.parts += parts

        def flush(self) -> None:
            pass

        close = flush

    @septum.state
    def Spinning() -> None:
        @septum.on_state
        async def on_state(ctx):
            return Go.ON

        @septum.transitions
        def transitions():
            return [LabeledTransition(Go.ON, Spinning)]

    mine = Mine()

    async def main() -> None:
        with Recorder(mine) as recorder, Recorder(FileSink(tmp_path / "run.jsonl")) as file:
            fsm: StateMachine[Any] = StateMachine(Spinning, hooks=[recorder, file], clock=ManualClock())
            await fsm.run(max_iterations=100)

    asyncio.run(main())
    assert parts_of(mine.parts) == ["start", "batch"]
    found = [record for part in mine.parts for record in part.records()]
    assert [record.event for record in found] == ["start", *["handler", "transition"] * 100]
    assert found == list(records(tmp_path / "run.jsonl"))
    ((_, _, attributes, text, _),) = list(mine.parts[0].log_records())[1:]
    assert (attributes["septum.recording.index"], text is not None) == (2, True)


def test_facts_of_runs_that_it_does_not_know_are_nothing_to_it() -> None:
    """What a machine tells before its run, after its end, or once the recorder was attached too late, is in no recording."""
    sink = MemorySink()
    recorder = Recorder(sink)
    for fact in (*SAMPLES, facts.EffectReturned(effect="now", name="now", args=(), result=1.0, exception=None)):
        method = getattr(recorder, fact.told_as, None)
        if method is not None and not isinstance(fact, facts.RunStarted):
            method(fact)
    assert recorder.working(Origin(("m-1", "orders", "r-1"))) is None
    assert recorder.keeps(Origin(("m-1", "orders", "r-1"))) == {}
    assert recorder.look_at("r-1", "message") is None
    recorder.close()
    assert list(sink.records) == []


def test_without_an_event_loop_records_wait_for_a_flush() -> None:
    """Nothing sees to a timer, and nobody is at work that messages could come from."""
    sink = MemorySink()
    recorder = Recorder(sink)
    fsm = pinging(hooks=[recorder])
    for call in (fsm.initialize(), fsm.tick()):
        with suppress(StopIteration):
            call.send(None)
        fsm.send_message("go")
    assert list(sink.records) == []
    recorder.flush()
    owns = [record.attributes["septum.recording.own"] for record in sink.records if record.event == "message"]
    assert owns == [False, False]


class Textless(Exception):
    """An exception that cannot say what happened."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def test_texts_are_cut_and_may_be_missing_or_dropped() -> None:
    """An exception whose `__str__` raises is recorded by its class; texts are as long as their limit, or refused."""

    def text_of(error: Exception, **arguments: Any) -> list[Any]:
        sink = MemorySink()

        @septum.state
        def Failing() -> None:
            @septum.on_state
            async def on_state(ctx):
                raise error

        async def main() -> None:
            with Recorder(sink, level="full", **arguments) as recorder, suppress(Exception):
                await StateMachine(Failing, hooks=[recorder]).run()

        asyncio.run(main())
        (record,) = [record for record in sink.records if record.event == "error"]
        return [record.attributes.get("exception.message"), record.attributes.get("septum.recording.redacted")]

    assert text_of(Textless()) == ["<no text: ZeroDivisionError>", None]
    assert text_of(ValueError("x" * 100), limits=Limits(text=10)) == [f"{'x' * 10}...", None]
    assert text_of(ValueError("text"), redact=lambda kind, meta, value: DROP if kind == "text" else value) == [None, True]


def test_a_state_is_an_answer_by_its_name() -> None:
    """Whether the state lists it or not; a snapshot that was taken says why."""

    @septum.state(config=StateConfiguration(can_dwell=True))
    def Leading() -> None:
        @septum.on_state
        async def on_state(ctx):
            return {"side": Side, "other": Leading}.get(ctx.msg)

        @septum.transitions
        def transitions():
            return [Side]

    sink = MemorySink()

    async def main() -> None:
        with Recorder(sink, level="full") as recorder:
            fsm: StateMachine[Any] = StateMachine(Leading, hooks=[recorder])
            fsm.snapshot("before the run")
            await fsm.tick()
            fsm.snapshot("token=abc")
            for message in ("other", "side"):
                fsm.send_message(message)
                with suppress(ValueError):
                    await fsm.tick()

    asyncio.run(main())
    name = Leading.qualname
    answers = [
        (one.attributes["septum.answer.kind"], one.attributes.get("septum.answer.name")) for one in sink.records if one.event == "handler"
    ]
    assert answers == [("wait", None), ("state", name), ("state", "Side")]
    snapshot = next(record for record in sink.records if record.event == "snapshot")
    assert snapshot.attributes == {
        "septum.state.name": name,
        "septum.snapshot.reason": "token=[redacted]",
        "septum.recording.stage": "wait",
        "septum.recording.mailbox": (),
        "septum.recording.encoding": "json",
    }
    assert snapshot.body == {}


def test_what_is_known_of_definitions_and_types_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions that are made one by one do not fill the memory."""
    monkeypatch.setattr(_names, "_known", {})
    graphs = [Graph.of(StateSpec(name=f"bounded.S{number}", on_state=lambda ctx: None)) for number in range(100)]
    for graph in graphs:
        assert _names.names_of(graph) is _names.names_of(graph)
    assert len(_names._known) < 65


def test_a_machine_that_is_gone_is_recorded_without_what_it_holds() -> None:
    """Facts that are told by hand name no machine."""
    sink = MemorySink()
    recorder = Recorder(sink, level="full")
    graph = Graph.of(Desk, Side)
    who: dict[str, Any] = {"machine_id": "m", "machine_name": "desk", "run_id": "r", "visit": 1, "at": 1.0, "wall": 10**18}
    recorder.run_started(facts.RunStarted(**who, seq=1, definition=graph, state=Desk.name, resumed=False))
    call = {"handler": "on_state", "state": Desk.name, "message": None, "duration": 0.0}
    recorder.handler_finished(facts.HandlerFinished(**who, seq=2, answer=None, exception=None, **call))
    recorder.snapshot_taken(facts.SnapshotTaken(**who, seq=3, state=Desk.name, reason="none"))
    assert recorder.keeps(Origin(("m", "desk", "r"))) == {}
    recorder.close()
    assert told(list(sink.records)) == [
        ("start", {"state.name": "Desk", "recording.timeouts": ("Desk 60.0",), "recording.error_state": "Side"}),
        ("handler", {"handler.name": "on_state", "state.name": "Desk", "answer.kind": "wait"}),
        ("snapshot", {"state.name": "Desk", "snapshot.reason": "none"}),
    ]


def test_septum_without_an_installation_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may run from a directory."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_scribe, "version", missing)
    _scribe.septum_version.cache_clear()
    try:
        (start,) = [record for record in record_of([]) if record.event == "start"]
    finally:
        _scribe.septum_version.cache_clear()
    assert "septum.version" not in start.attributes


def test_recorders_that_are_open_are_flushed_together() -> None:
    """This is what happens when Python ends."""
    sink = MemorySink()
    recorder = Recorder(sink)
    asyncio.run(pinging(hooks=[recorder]).initialize())
    assert list(sink.records) == []
    _recorder._flush_all()
    assert [record.event for record in sink.records] == ["start"]


def test_messages_of_other_threads_have_no_number_and_are_recorded_whole() -> None:
    """Queued and taken; the machine's own task collects them, and is not their sender."""
    sink = MemorySink()

    async def main() -> None:
        with Recorder(sink, level="full") as recorder:
            fsm = pinging(hooks=[recorder])
            await fsm.initialize()
            await asyncio.to_thread(fsm.send_message_threadsafe, "from afar")
            await fsm.tick()

    asyncio.run(main())
    found = [(one.event, one.body, one.attributes.get("septum.message.id")) for one in sink.records if one.event in {"message", "taken"}]
    assert found == [("message", "from afar", None), ("taken", "from afar", None)]
    (own,) = [one.attributes["septum.recording.own"] for one in sink.records if one.event == "message"]
    assert own is False
