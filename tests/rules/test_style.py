"""The house's budgets and bans, measured on the tree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("resellerkpi", "billing", "kpis", "reports")
FUNCTION_LINES, MODULE_LINES, CLASS_LINES, BASES, VIEW_LINES = 60, 400, 200, 2, 30

#: path::name of what is over a budget, each with its reason.
OVER_BUDGET: dict[str, str] = {}
#: Files that may leave the scoped manager (`everyone()`), each with its reason.
UNSCOPED: dict[str, str] = {
    "resellerkpi/core/querysets.py": "defines it",
}
#: Files that may hold a float in a money path, each with its reason.
FLOATS: dict[str, str] = {}


def modules() -> Iterator[Path]:
    """Yield the product's modules, migrations aside."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def trees() -> Iterator[tuple[str, ast.Module, str]]:
    """Yield (relative path, tree, text) of each module."""
    for path in modules():
        text = path.read_text()
        yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


def length(node: ast.AST) -> int:
    """Count the lines of a definition without its docstring."""
    lines = node.end_lineno - node.lineno + 1  # type: ignore[attr-defined]
    first = node.body[0] if getattr(node, "body", None) else None  # type: ignore[attr-defined]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= first.end_lineno - first.lineno + 1  # type: ignore[operator]
    return int(lines)


def test_budgets_are_kept() -> None:
    over: set[str] = set()
    for path, tree, text in trees():
        if text.count("\n") > MODULE_LINES:
            over.add(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and length(node) > FUNCTION_LINES:
                over.add(f"{path}::{node.name}: {length(node)} lines")
            if isinstance(node, ast.ClassDef):
                if length(node) > CLASS_LINES:
                    over.add(f"{path}::{node.name}: {length(node)} lines")
                if len(node.bases) > BASES:
                    over.add(f"{path}::{node.name}: {len(node.bases)} bases")
    found = {entry.rsplit(":", 1)[0] for entry in over}
    assert found == set(OVER_BUDGET), sorted(over)


def test_views_are_short() -> None:
    over = [
        f"{path}::{node.name}: {length(node)}"
        for path, tree, _ in trees()
        if "/web/" in path
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name in ("get", "post", "dispatch")
        and length(node) > VIEW_LINES
    ]
    assert over == []


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for path, tree, _ in trees():
        if not ast.get_docstring(tree) and path.split("/")[-1] != "__init__.py":
            silent.append(path)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    silent.append(f"{path}::{node.name}")
    assert silent == []


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\bfrom \S+ import \*", "star imports hide where names come from"),
        (r"\bFloatField\b", "money and measures are exact"),
        (
            r"\bdatetime\.now\(|\bdate\.today\(",
            "`now` is a parameter; django.utils.timezone in web, jobs and commands",
        ),
        (r"\bTO" + r"DO\b|\bFIX" + r"ME\b|raise NotImplementedError", "nothing half done"),
        (r"django\.dispatch|post_save|pre_save|@receiver", "no signals for business flow"),
        (r"_base_manager", "leaves the scope"),
    ],
)
def test_bans(pattern: str, why: str) -> None:
    allowed = {"resellerkpi/core/querysets.py"} if "_base_manager" in pattern else set()
    found = [path for path, _, text in trees() if re.search(pattern, text) and path not in allowed]
    assert found == [], why


def test_only_listed_files_leave_the_scope() -> None:
    found = {path for path, _, text in trees() if re.search(r"\.everyone\(\)|def everyone", text)}
    assert found == set(UNSCOPED)


def test_templates_have_no_inline_code_and_partials_do_not_query() -> None:
    wrong = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = path.read_text()
        if "mail" in path.parts:
            continue
        if re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text) or re.search(
            r"<style|\sstyle=|\son\w+=", text
        ):
            wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []


def test_no_path_of_a_machine_and_no_third_party_asset_is_in_the_tree() -> None:
    wrong = []
    for folder in (*APPS, "templates", "static", "tests", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".html", ".md", ".css", ".js") and path.name != Path(__file__).name:
                text = path.read_text()
                if re.search(r"/work/|\.\./shared|/root/", text):
                    wrong.append(path.relative_to(ROOT).as_posix())
            if path.name.endswith((".min.js", ".min.css")):
                wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []
