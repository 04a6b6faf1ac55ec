"""The tests themselves: names that can be read, nothing shared from test to test, no private parts patched."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PRIVATE = re.compile(r"(^|\.)_[a-z]")


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    files = {path.relative_to(TESTS).as_posix(): path.read_text("utf-8") for path in TESTS.rglob("*.py")}
    return [(name, node) for name, text in files.items() for node in ast.walk(ast.parse(text))]


def test_no_name_of_a_test_is_longer_than_60_characters() -> None:
    names = [node.name for _, node in nodes() if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert len(names) > 900
    assert [name for name in names if len(name) > 60] == []


def test_no_module_imports_from_a_test_module() -> None:
    imports = [(name, node.module or "") for name, node in nodes() if isinstance(node, ast.ImportFrom)]
    imports += [(name, one.name) for name, node in nodes() if isinstance(node, ast.Import) for one in node.names]
    ours = [(name, module) for name, module in imports if module.startswith("sitniks_finmap_tests.")]
    assert len(ours) > 100
    assert [(name, module) for name, module in ours if "test_" in module.rpartition(".")[2]] == []


def test_no_private_part_is_patched() -> None:
    found = [
        (name, ast.unparse(node))
        for name, node in nodes()
        for patched in patched_by(node)
        if PRIVATE.search(patched)
        if not patched.startswith("os.")  # os._exit is a public name
    ]
    assert found == []


def patched_by(node: ast.AST) -> Iterator[str]:
    """The names that a statement patches: by monkeypatch, or by assigning to what is not its own."""
    match node:
        case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=[ast.Constant(value=str(path)), *_]):
            yield path
        case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=[_, ast.Constant(value=str(name)), *_]):
            yield name
        case ast.Assign(targets=targets):
            for one in targets:
                if isinstance(one, ast.Attribute) and not (isinstance(one.value, ast.Name) and one.value.id == "self"):
                    yield one.attr
