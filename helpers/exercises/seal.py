"""Whether a kernel still tells the truth: what a notebook did to the things that its checks rely on.

Whoever runs code in a process can, with enough effort, make that process say anything: this cannot be proof. It finds what can be
done with a few lines: replaced builtins, patched modules and course helpers, a shell that drops asserts, changed constants.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import secrets
from collections.abc import Iterable

from nbformat import NotebookNode

from helpers.exercises import masters
from helpers.exercises.kernel import START_SECONDS, Kernel, Reply

KERNEL = {"IPython.core.interactiveshell", "ipykernel.ipkernel", "ipykernel.kernelbase", "jupyter_client.session"}
MODULES = KERNEL | {"builtins", "datetime", "decimal", "fractions", "json", "math", "re", "statistics", "time"}
PAIRS = (  # what holds and what does not, of a number and the next
    ("{n} == {n}", "{n} == {m}"),
    ("isinstance({n}, int)", "isinstance({n}, str)"),
    ("type({n}) is int", "type({n}) is str"),
    ("sum([{n}, 1]) == {m}", "sum([{n}, 1]) == {n}"),
    ("len([{n}]) == 1", "len([{n}]) == 2"),
    ("Decimal({n}) == {n}", "Decimal({n}) == {m}"),
    ("all([True])", "all([False])"),
    ("any([True])", "any([False])"),
)
BUILTINS = set(dir(builtins))
Look = dict[str, str]


def names_relied_on(cells: Iterable[NotebookNode], check: str) -> tuple[list[str], list[str]]:
    """What a check uses and does not make: the statements that import it, and the names that given cells bind."""
    tree = masters.parse(check)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used = {name.id for name in names if isinstance(name.ctx, ast.Load)} - {name.id for name in names if not isinstance(name.ctx, ast.Load)}
    trees = [masters.parse(cell.source) for cell in cells]
    imports = [statement for tree in trees for statement in tree.body if isinstance(statement, (ast.Import, ast.ImportFrom))]
    lines = [ast.unparse(statement) for statement in imports if getattr(statement, "module", "") != "__future__"]
    if shadowed := sorted(used & BUILTINS):
        lines.insert(0, f"from builtins import {', '.join(shadowed)}")
    return lines, sorted(used & {name for tree in trees for name in _bound(tree)})


def bound(source: str) -> set[str]:
    """The names that the statements of a cell bind."""
    return _bound(masters.parse(source))


def _bound(tree: ast.Module) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    targets = [node for statement in tree.body if isinstance(statement, (ast.Assign, ast.AnnAssign)) for node in ast.walk(statement)]
    return names | {node.id for node in targets if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def modules_of(notebook: NotebookNode) -> set[str]:
    """The modules that the checks and the given cells of a master import."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not masters.is_written(cell)]
    nodes = [node for cell in cells for node in ast.walk(masters.parse(cell.source))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    whole = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    return MODULES | plain | {node.module for node in whole} | {f"{node.module}.{alias.name}" for node in whole for alias in node.names}


class Seal:
    """What the checks rely on, as it was before the notebook's own cells ran."""

    def __init__(self, kernel: Kernel, modules: set[str]) -> None:
        self._kernel, self._modules, self._constants = kernel, sorted(modules), set[str]()
        loading = [f"try: __import__({name!r})\nexcept ImportError: pass" for name in ["helpers.exercises.given", *self._modules]]
        kernel.run("\n".join(loading), START_SECONDS, quiet=True)
        self._before = self._look()

    def keep(self, names: list[str]) -> None:
        """Remember what a given cell has bound, so that the checks find it again whatever the notebook makes of these names."""
        self._kernel.run(f"from helpers.exercises.given import keep as _course_keep\n_course_keep(globals(), {names!r})", quiet=True)
        self._constants |= {name for name in names if name.isupper()}
        self._before |= {name: value for name, value in self._look().items() if name in self._constants}

    def check(self, imports: list[str], code: str, seconds: float | None = None) -> Reply:
        """Run a check so that names mean what they mean to whoever wrote it."""
        return self._kernel.run("\n".join([*imports, _RESTORE, code]), seconds, quiet=True)

    def broken(self) -> str:
        """What the notebook has changed that checks rely on; empty if nothing."""
        now = self._look()
        if changed := [name for name, value in self._before.items() if now.get(name) != value]:
            return ", ".join(changed[:5])
        if not self._tells_right_from_wrong():
            return "what cannot hold holds, or the other way round"
        return "a cell was answered twice" if self._kernel.answered_twice else ""

    def _tells_right_from_wrong(self) -> bool:
        number, word = secrets.randbelow(10**9), secrets.token_hex(8)
        imports = ["from builtins import all, any, isinstance, len, sum, type", "from decimal import Decimal"]
        true, false = ([text.format(n=number, m=number + 1) for text in texts] for texts in zip(*PAIRS, strict=True))
        right = self.check(imports, f"assert {' and '.join(true)}, {word!r}")
        wrong = self.check(imports, f"assert {' or '.join(false)}, {word!r}")
        return right.is_ok and (wrong.error, wrong.said) == ("AssertionError", word)

    def _look(self) -> Look:
        asked = f"_course_look({self._modules!r}, {sorted(self._constants)!r})"
        said = self._kernel.run(_LOOK, quiet=True, ask={"look": asked}).values.get("look", "''")
        try:
            seen = json.loads(ast.literal_eval(said))
            return {str(name): str(value) for name, value in seen.items()}
        except (ValueError, SyntaxError, AttributeError, TypeError, RecursionError):
            return {}


def _course_look(modules, constants):
    """Runs in the kernel, whose names may mean anything, so that it is written without types.

    An identity for each thing that could be replaced, as JSON. It asks things for their type alone: some load themselves when asked more.
    """
    import json
    import sys
    import types
    from builtins import callable, dict, getattr, hasattr, id, issubclass, list, property, repr, sorted, staticmethod, str, tuple, type, vars

    def mark(thing):  # of a function, its code and its defaults too
        parts = (thing.__code__, thing.__defaults__, thing.__kwdefaults__) if type(thing) is types.FunctionType else ()
        return str([id(thing), *(id(part) for part in parts)])

    def members(name, owner):
        kinds = (property, staticmethod, classmethod)
        return {f"{name}.{key}": mark(value) for key, value in list(vars(owner).items()) if callable(value) or type(value) in kinds}

    def inside(name, module):
        found = {name: mark(module)} | {f"{name}.{key}": mark(value) for key, value in list(vars(module).items()) if callable(value)}
        for key, value in list(vars(module).items()):
            if issubclass(type(value), type) and value.__module__ == name:
                found |= members(f"{name}.{key}", value)
            elif key.isupper() and type(value) in (str, int, float, tuple, list, dict, frozenset):
                found[f"{name}.{key}"] = str(hash(repr(value)))
        return found

    shell, found = sys.modules["IPython"].get_ipython(), {}
    for name in sorted({*modules, *(name for name in sys.modules if name.startswith("helpers."))}):
        if module := sys.modules.get(name):
            found |= inside(name, module)
    for name, owner in {"the shell": shell, "the kernel": shell.kernel, "the line": shell.kernel.session}.items():
        own = [(key, id(value)) for key, value in sorted(vars(owner).items()) if hasattr(type(owner), key) and callable(value)]
        found[f"methods of {name}"] = str(own)
    for key in ("ast_transformers", "input_transformers_post", "custom_exceptions"):
        found[f"the shell's {key}"] = str([id(one) for one in getattr(shell, key)])
    found |= {name: f"{id(shell.user_ns.get(name))} {hash(repr(shell.user_ns.get(name)))}" for name in constants}
    found.pop("builtins.input", None)  # the kernel's own, another for each cell
    found.pop("builtins._", None)
    return json.dumps(found)


_LOOK = inspect.getsource(_course_look)
_RESTORE = "from builtins import globals\nfrom helpers.exercises.given import restore as _course_restore\n_course_restore(globals())"
