"""The rules of the house that a machine can hold: who imports whom, and where third-party libraries live."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import inventories

PACKAGE = Path(__file__).parent.parent / "compiler" / "offhook"

FLOW = [
    {"problem", "mac", "texts", "parallel", "sip"},
    {"document", "block_yaml", "expression", "git"},
    {"source"},
    {"model"},
    {"flyingvoice"},
    {"schemas"},
    {"type_plan", "editor"},
    {"validate", "secrets"},
    {"links"},
    {"facts"},
    {"store"},
    {"index"},
    {"inventory"},
    {"view"},
    {"layers"},
    {"evaluation"},
    {"bases", "registrars"},
    {"settings"},
    {"tree", "converge", "shadows", "reading"},
    {"checks", "output"},
    {"compile", "cache", "again"},
    {"diff"},
    {"history"},
    {"report", "clock", "phone"},
    {"publish", "dhcp"},
    {"verify"},
    {"rollout", "serve"},
    {"review"},
    {"cli"},
]
"""The order of the flow: a module imports from its own row or an earlier one, never from a later one."""

HOMES = {
    "yaml": {"document"},
    "jsonschema": {"validate"},
    "jsonschema_rs": {"validate"},
    "referencing": {"validate"},
    "pygit2": {"git"},
    "sqlite3": {"store"},
    "jinja2": {"expression", "flyingvoice", "review"},
    "click": {"cli", "report", "review"},
    "rich": {"cli"},
    "pytest": {"phone"},
    "dns": {"sip"},
    "tftp": {"phone"},
    "boto3": {"publish", "secrets"},
    "botocore": {"publish", "secrets"},
    "paramiko": {"publish"},
    "requests": {"publish"},
}


def imports() -> list[tuple[str, str]]:
    """(importing file, imported module) for every import statement of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(name, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: imports are absolute"
                found.append((name, node.module or ""))
                if node.module == "offhook":
                    found += [(name, f"offhook.{alias.name}") for alias in node.names]
    return found


def part(file: str) -> str:
    """The part of the package that a file belongs to: "cli" for cli/show.py, "tree" for tree.py."""
    return file.split("/")[0].removesuffix(".py")


def test_data_goes_one_way() -> None:
    row = {name: number for number, names in enumerate(FLOW) for name in names}
    wrong = []
    for file, module in imports():
        parts = module.split(".")
        known = parts[0] == "offhook" and len(parts) > 1 and parts[1] in row and part(file) in row
        if known and row[parts[1]] > row[part(file)]:
            wrong.append(f"{file} imports {module}")
    assert wrong == []


def test_every_module_has_its_place_in_the_flow() -> None:
    placed = {name for names in FLOW for name in names}
    found = {part(str(path.relative_to(PACKAGE))) for path in PACKAGE.rglob("*.py")}
    assert found - placed == {"__init__", "__main__"}


def test_each_library_has_one_home() -> None:
    wrong = [
        f"{file} imports {module}"
        for file, module in imports()
        if module.split(".")[0] in HOMES and part(file) not in HOMES[module.split(".")[0]]
    ]
    assert wrong == []


def test_only_the_command_line_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        if part(str(path.relative_to(PACKAGE))) not in ("cli", "report"):
            names = {node.func.id for node in ast.walk(ast.parse(path.read_text())) if _is_call(node)}
            assert not names & {"print", "exit", "quit"}, path


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_every_public_function_and_class_says_what_it_does() -> None:
    silent = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        if path.stat().st_size and not ast.get_docstring(tree):
            silent.append(str(path))
        for node in tree.body:
            is_public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if is_public and not ast.get_docstring(node):
                silent.append(f"{path}:{node.name}")
    assert silent == []


@pytest.mark.parametrize(
    "heavy",
    ["yaml", "jsonschema", "jsonschema_rs", "jinja2", "pygit2", "tftp", "rich", "boto3", "dns", "paramiko", "requests"],
)
def test_help_imports_nothing_heavy(heavy: str) -> None:
    code = f"import sys; from offhook.cli.run import run; run(['--help']); sys.exit({heavy!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_version_imports_almost_nothing() -> None:
    code = "import sys; sys.argv = ['offhook', '--version']; from offhook.cli.main import main; main()"
    code += "; sys.exit('click' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((inventories.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    there = [path.parent for path in (inventories.ROOT / "compiler" / "offhook").rglob("__init__.py")]
    names = {".".join(path.relative_to(inventories.ROOT / "compiler").parts) for path in there}
    assert names == {name for name in listed if name.startswith("offhook") and not name.startswith("offhook.schema")}
