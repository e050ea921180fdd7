"""The same engine without its hooks: Septum's own source, evaluated ahead for a process in which nobody ever listens.

So that the observed and the unobserved engine cannot drift apart there is only one, and this module takes the hooks out of a copy of it:
what only they read is a constant (`self._watch` is None, the log is quiet, no hook is installed), the branches that follow from that are
taken, and the methods that only tell are gone. It refuses to give anything back when a rule found nothing to do, or when some of
what it was to remove is still mentioned: then the engine has changed, and the words below must follow.
"""

from __future__ import annotations

import ast
import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from septum._mode import ENTER, FRESH, WAIT

OBSERVER_ATTRIBUTES = {
    ("self", "_watch"): None,
    ("aside", "watch"): None,
    ("aside", "undo"): None,
    ("gate", "loud"): False,
    ("gate", "calm"): WAIT,
    ("gate", "start"): FRESH | ENTER,
    ("_hooks", "installed"): (),
}
"""What holds of these when nobody listens, by object and attribute."""

OBSERVER_LOCALS = ("watch", "audience")
"""Names of locals that hold an observer, or nothing."""

OBSERVER_PARAMETER = "hooks"
"""The constructor's; it stays in the signature, as the floor's does, but what it brings is nothing."""

TELLING = frozenset(
    {
        "_tell",
        "_alarm",
        "_tell_shed",
        "_begin_watching",
        "_admit",
        "_retell",
        "_seat",
        "_delegates",
        "_start_work",
        "_end_work",
        "_skip_facts",
        "ask_hooks",
        "_end_run",
        "_look_for_observers",
        "attach",
        "detach",
        "_watch",
    }
)
"""Methods that do nothing but find observers and tell them; those that are given an observer are, too."""

OBSERVERS = frozenset({"_hooks.py", "_facts.py"})
"""The private files that are about observers only; they stay as they are and nobody calls them."""


class Drifted(Exception):
    """The engine's source is no longer what the rules were written for; the text says which rule or word it is."""


class _Fold(ast.NodeTransformer):
    """Puts constants in place of what is known, and takes the branches that follow."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self._known: dict[str, object] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        """Drop the function if it is about observers only."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST | None:
        """Drop the function if it is about observers only."""
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST | None:
        if node.name in TELLING or any(argument.arg in OBSERVER_LOCALS for argument in node.args.args):
            self.done["telling methods"] += 1
            return None
        outside = self._known
        self._known = dict(outside)
        if any(argument.arg == OBSERVER_PARAMETER for argument in node.args.kwonlyargs):
            self.done["parameters"] += 1
            self._known[OBSERVER_PARAMETER] = ()
        self.generic_visit(node)
        self._known = outside
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace what observers would have set."""
        if isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            key = (node.value.id, node.attr)
            if key in OBSERVER_ATTRIBUTES:
                self.done[".".join(key)] += 1
                return _constant(OBSERVER_ATTRIBUTES[key])
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Replace a local that is known to hold nothing."""
        if isinstance(node.ctx, ast.Load) and node.id in self._known:
            return _constant(self._known[node.id])
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Forget `self._watch = ...` and locals that would hold an observer, also among several."""
        self.generic_visit(node)
        target = node.targets[0]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
            kept = [(name, value) for name, value in pairs if not self._learn(name, value)]
            target.elts, node.value.elts = [name for name, _ in kept], [value for _, value in kept]
        node.targets = [target for target in node.targets if not (_is_watch(target) or self._learn(target, node.value))]
        return node if node.targets else None

    def _learn(self, target: ast.expr, value: ast.expr) -> bool:
        """Say whether *target* is a local that holds no observer now, and remember it."""
        if not (_names_observer(target) and _is_none(value)):
            return False
        self._known[target.id] = None  # type: ignore[attr-defined]  # it is a Name
        return True

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop calls that only tell."""
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in TELLING:
            self.done["calls that tell"] += 1
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        """Take the branch that is left."""
        node.test = self.visit(node.test)
        truth = _truth(node.test)
        if truth is None:
            return self.generic_visit(node)
        self.done["branches"] += 1
        taken: list[ast.stmt] = []
        for statement in node.body if truth else node.orelse:
            found = self.visit(statement)
            taken.extend(found if isinstance(found, list) else [found] if found is not None else [])
        return taken or None

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """Take the side that is left."""
        node.test = self.visit(node.test)
        truth = _truth(node.test)
        if truth is None:
            self.generic_visit(node)
            return node.body if _is_none(node.body) and _is_none(node.orelse) else node
        self.done["branches"] += 1
        taken: ast.AST = self.visit(node.body if truth else node.orelse)
        return taken

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Shorten `and` and `or` by the operands that have become known; `x or ()` is not one that has."""
        ends = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for operand in node.values:
            value = self.visit(operand)
            truth = _truth(value) if _truth(operand) is None else None
            if truth is None:
                kept.append(value)
            elif truth is ends:
                kept.append(ast.Constant(ends))
                break
        if not kept:
            return ast.Constant(not ends)
        return kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Shorten `not`."""
        self.generic_visit(node)
        truth = _truth(node.operand)
        return ast.Constant(not truth) if isinstance(node.op, ast.Not) and truth is not None else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Decide `None is None` and `None is not None`, and that no hooks are no hooks."""
        self.generic_visit(node)
        sides = (node.left, *node.comparators)
        if isinstance(node.left, ast.Tuple) and not node.left.elts and isinstance(node.ops[0], ast.Is):
            return ast.Constant(True)
        if len(sides) == 2 and all(isinstance(side, ast.Constant) and side.value is None for side in sides):
            return ast.Constant(isinstance(node.ops[0], ast.Is))
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Go on below *node*, and leave no empty block in it."""
        super().generic_visit(node)
        _trim(node)
        return node


def _constant(value: object) -> ast.expr:
    return ast.Tuple([], ast.Load()) if value == () else ast.Constant(value)  # type: ignore[arg-type]


def _truth(node: ast.expr) -> bool | None:
    """Say whether an expression is true or false whatever happens; None if that is not known."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, ast.Tuple) and not node.elts:
        return False
    return None


def _is_watch(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr == "_watch"


def _names_observer(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id in OBSERVER_LOCALS


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _trim(node: ast.AST) -> None:
    """Fill a block that lost everything, and cut what follows a `return`."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if not isinstance(block, list):
            continue
        for index, statement in enumerate(block):
            if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
                del block[index + 1 :]
                break
        needed = name == "body" or (name == "finalbody" and isinstance(node, ast.Try) and not node.handlers)
        if not block and needed:
            block.append(ast.Pass())


def strip(sources: dict[str, str]) -> dict[str, str]:
    """Return the sources of those files, by name, that had hook code in them, with that taken out.

    Raises:
        Drifted: A rule found nothing to do in all of them, or something that was to go is still there.
    """
    fold = _Fold()
    stripped = {}
    for name, source in sources.items():
        before = fold.done.total()
        tree = ast.fix_missing_locations(fold.visit(ast.parse(source)))
        if fold.done.total() > before:
            stripped[name] = ast.unparse(tree)
        left = sorted(set(_mentions(tree)))
        if left:
            raise Drifted(f"{name} still mentions {', '.join(left)} after its hooks were taken out")
    rules = {".".join(key) for key in OBSERVER_ATTRIBUTES} | {"telling methods", "calls that tell", "parameters", "branches"}
    idle = sorted(rule for rule in rules if not fold.done[rule])
    if idle:
        raise Drifted(f"nothing was found in {', '.join(sources)} by these rules: {', '.join(idle)}")
    return stripped


def _mentions(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            known = (owner, node.attr) in OBSERVER_ATTRIBUTES and isinstance(node.ctx, ast.Load)
            if known or _is_none(node.value) or node.attr == "_watch" or (owner == "self" and node.attr in TELLING):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and node.id in OBSERVER_LOCALS:
            found.append(node.id)
    return found


def generate(folder: Path) -> Path:
    """Write a copy of the installed Septum without its hooks below *folder* and return the directory to put first on the path.

    Raises:
        Drifted: As `strip`.
    """
    spec = find_spec("septum")
    if spec is None or not spec.submodule_search_locations:
        raise Drifted("septum is not installed, so there is nothing to take the hooks out of")
    copy = folder / "septum"
    shutil.copytree(spec.submodule_search_locations[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
    sources = {file.name: file.read_text() for file in copy.glob("_[a-z]*.py") if file.name not in OBSERVERS}
    for name, source in strip(sources).items():
        (copy / name).write_text(source + "\n")
    return folder
