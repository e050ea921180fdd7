"""Test runs that need their own environments: `core` on each supported Python, `wheel` against the built package."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox
from nox.logger import logger

PYTHONS = ("3.11", "3.12", "3.13")
NEEDS_EXTRAS = (
    "tests/otel",
    "tests/cli",
    "tests/replay",
    "tests/drawing",
    "tests/collector",
    "tests/test_example_orders.py",
    "tests/test_example_debugging.py",
    "tests/test_bench_telemetry.py",
)
WHEEL_LEAVES_OUT = {"src", "build", "dist", "out", ".cache", ".run"}
# What asks nothing of the package itself that the other tests would not find out, and takes minutes.
NOT_ABOUT_THE_WHEEL = ("tests/collector",)

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["core", "otel", "wheel"]


def answers(command: str | Path, *arguments: str) -> str:
    """Return what *command* prints, or "" if it cannot be run."""
    try:
        return subprocess.run([command, *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def find_interpreters() -> None:
    """Put pyenv's interpreters on the path where `python3.x` would not run otherwise, and name those that are missing.

    A pyenv shim answers to `python3.12` even if no 3.12 is selected, and then fails; so each is asked, not just looked up.
    """
    root = answers("pyenv", "root")
    for version in PYTHONS:
        if answers(f"python{version}", "--version"):
            continue
        found = sorted(Path(root, "versions").glob(f"{version}.*/bin/python{version}")) if root else []
        if found:
            os.environ["PATH"] = f"{found[-1].parent}{os.pathsep}{os.environ['PATH']}"
        else:
            logger.warning("Python %s is missing on this machine: its tests are left out", version)


find_interpreters()


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """Run the tests of the core, with no extra installed."""
    session.install(".[test]")
    ignored = [f"--ignore={path}" for path in NEEDS_EXTRAS]
    session.run("pytest", "-p", "no:cacheprovider", "--numprocesses=auto", *ignored, *session.posargs)


OTEL_TESTS = (".[otlp,structlog,cli,test]", "pyyaml", "rotel", "opentelemetry-distro", "opentelemetry-instrumentation-logging")
# What one of the two has not, and tests skip where it is missing. Neither has opentelemetry-instrumentation-structlog: it is younger than
# the oldest, and its newest release asks for the OpenTelemetry before the latest (==); `make test` runs with the newest that fits it.
OTEL_MORE = {
    "oldest": (),
    "latest": ("opentelemetry-configuration",),  # OTEL_CONFIG_FILE came with 1.44
}


@nox.session(python=PYTHONS[0])
@nox.parametrize("age", ["oldest", "latest"], ids=["oldest", "latest"])
def otel(session: nox.Session, age: str) -> None:
    """Run the tests of telemetry with the oldest and with the newest OpenTelemetry that Septum supports."""
    session.install(*OTEL_TESTS, *OTEL_MORE[age], "--constraint", f".ci/constraints-{age}.txt")
    session.run("pytest", "-p", "no:cacheprovider", "--numprocesses=auto", "tests/otel", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it with its extras, and run every test where src is out of reach."""
    here = Path.cwd()
    built = Path(session.create_tmp()) / "wheel"
    elsewhere = built.parent / "tree"
    shutil.rmtree(built.parent)
    shutil.copytree(here, elsewhere, ignore=lambda _, names: [n for n in names if n in WHEEL_LEAVES_OUT or n in {".git", ".nox", ".venv"}])
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={built}", str(here))
    (package,) = built.glob("septum-*.whl")
    session.install(f"{package}[example,test,test-otel,lint]")
    session.chdir(elsewhere)
    session.run("python", "-c", "import septum; print('tested:', septum.__file__)")
    ignored = [f"--ignore={path}" for path in NOT_ABOUT_THE_WHEEL]
    session.run("pytest", "-p", "no:cacheprovider", "--numprocesses=auto", *ignored, *session.posargs)
