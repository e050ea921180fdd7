"""The pages that .ci/reference.py writes are fresh, and it notices when they are not."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from septum import facts

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "reference.py"


@pytest.fixture(scope="module")
def reference() -> Any:
    """Return the script as a module."""
    spec = spec_from_file_location("reference", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says(reference: Any) -> None:
    """docs/reference/facts.md and logs.md need no new writing; if this fails, run python .ci/reference.py."""
    assert reference.stale() == {}


def test_a_page_that_differs_is_named_and_rewritten(
    reference: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --check the script names the stale pages and fails; without, it writes them, and then they are fresh."""
    monkeypatch.setattr(reference, "REFERENCE", tmp_path)
    (tmp_path / "facts.md").write_text("# Facts\n", encoding="utf-8")

    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/reference/facts.md is not what the code says: run python .ci/reference.py\n"
        "docs/reference/logs.md is not what the code says: run python .ci/reference.py\n"
    )
    assert (tmp_path / "facts.md").read_text(encoding="utf-8") == "# Facts\n"

    assert reference.main([]) == 0
    assert (reference.main(["--check"]), reference.stale(), capsys.readouterr().err) == (0, {}, "")
    assert (tmp_path / "facts.md").read_text(encoding="utf-8") == reference.facts_page()


def test_a_field_without_its_sentence_stops_the_writing(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact whose docstring forgets a field is an error that says which."""
    monkeypatch.setattr(facts.Overdue, "__doc__", "A state lasts.\n\nAttributes:\n    state: Where.\n")

    with pytest.raises(SystemExit, match=r"Overdue has the fields \['state', 'age', 'limit'\], its docstring explains \['state'\]"):
        reference.facts_page()


def test_every_fact_has_a_section_with_its_method(reference: Any) -> None:
    """The page has a heading and a hook method for each class in `septum.facts.FACTS`."""
    page = reference.facts_page()

    for kind in facts.FACTS:
        assert f"\n## {kind.__name__}\n\n" in page
        assert f"Hook method: `{kind.told_as}(fact)`" in page
