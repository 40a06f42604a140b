"""The house: which file may import which."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[1] / "helpers"
FILES = {".".join(path.relative_to(HELPERS.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in HELPERS.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it: inside functions and for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            # A name of a package is a file of it, or stands in the package itself.
            found |= {name if (name := f"{node.module}.{alias.name}") in FILES else node.module for alias in node.names}
    return found & FILES.keys()


GRAPH = {name: imports(path) for name, path in FILES.items()}


def test_no_files_import_each_other():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("helpers.gateway.exchange", "helpers.gateway."),
        ("helpers.gateway.dialects.", "helpers.gateway.sources."),
        ("helpers.gateway.sources.", "helpers.gateway.dialects."),
        ("helpers.gateway.", "helpers.course"),
        ("helpers.gateway.", "helpers.calls"),
    ],
)
def test_imports_go_one_way(lower, upper):
    allowed = {"helpers.gateway.tokens", "helpers.gateway.lazy"}  # they know nothing of the gateway
    wrong = [f"{name} -> {other}" for name in GRAPH if name.startswith(lower) for other in GRAPH[name] if other.startswith(upper)]
    assert [edge for edge in wrong if edge.split()[-1] not in allowed] == []
