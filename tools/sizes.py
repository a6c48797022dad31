"""Hold the sizes of the house: files, functions, and the files of a context.

    python -m tools.sizes            # checks this repository, exits 1 when a limit is broken

A file has at most 400 lines and a function at most 70, comments and docstrings included: what one
person can take in. A context folder (`farebox/access/usage`) holds model, rules, store and service
(`service_*`, `rules_*`, `model_*` when one of them is full), and folders of what it has several of
a kind of (`gateways`, `templates`), nothing else.

Exceptions stand by name in `size_exceptions.toml` beside this file and may only shrink: the number
there is the size today, so that growth is seen, and it is never above one committed before.

    [files."src/farebox/ledger/decide.py"]
    lines = 412
    reason = "one table of every command; splits when holds move out"

    [functions."src/farebox/ledger/decide.py:decide"]
    lines = 81
    reason = "..."
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

FILE_LINES = 400
FUNCTION_LINES = 70
FOLDERS = ("src", "tools", "tests", "bench")
SERVICES = ("access", "billing", "notifications")
CONTEXT_FILES = {"__init__", "model", "rules", "store", "service"}
SPLIT_FILES = ("service_", "rules_", "model_")
CONTEXT_FOLDERS = {"__pycache__", "gateways", "templates"}
EXCEPTIONS = "tools/size_exceptions.toml"


class Exempt(TypedDict):
    """One named exception: the size today, and why it is borne."""

    lines: int
    reason: str


Exceptions = dict[str, dict[str, Exempt]]


def python_files(root: Path) -> Iterator[Path]:
    """Yield our own Python files, in order; what packages bring along is not ours."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def file_sizes(root: Path) -> dict[str, int]:
    """Return the lines of each file, by its path from the root."""
    return {
        path.relative_to(root).as_posix(): len(path.read_bytes().splitlines())
        for path in python_files(root)
    }


def function_sizes(root: Path) -> dict[str, int]:
    """Return the lines of each function, decorators left out, by path and dotted name."""
    sizes: dict[str, int] = {}
    for path in python_files(root):
        name = path.relative_to(root).as_posix()
        for function, lines in functions_in(ast.parse(path.read_bytes()), ""):
            key = f"{name}:{function}"
            # Overloads and properties share a name; the longest one counts.
            sizes[key] = max(lines, sizes.get(key, 0))
    return sizes


def functions_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield each function below a node with its length, functions inside functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                assert child.end_lineno is not None
                yield name, child.end_lineno - child.lineno + 1
            yield from functions_in(child, f"{name}.")
        else:
            yield from functions_in(child, prefix)


def size_faults(
    sizes: dict[str, int], exempt: dict[str, Exempt], limit: int, earlier: dict[str, int]
) -> Iterator[str]:
    """Yield a line for each size above its limit, and for each exception that is out of date.

    `earlier` is the lowest number ever committed for a name.
    """
    for name, lines in sizes.items():
        if name not in exempt and lines > limit:
            yield f"{name}: {lines} lines, at most {limit}"
    for name, entry in exempt.items():
        lines = sizes.get(name, 0)
        if lines <= limit:
            yield f"{name}: no exception is needed any more, take it out of {EXCEPTIONS}"
        elif lines != entry["lines"]:
            yield f"{name}: {lines} lines, the exception in {EXCEPTIONS} says {entry['lines']}"
        if entry["lines"] > earlier.get(name, entry["lines"]):
            yield f"{name}: an exception only shrinks, it was {earlier[name]} lines before"
        if not entry["reason"].strip():
            yield f"{name}: an exception needs a reason"


def context_faults(root: Path) -> Iterator[str]:
    """Yield a line for each file in a context that is none of the four kinds."""
    for service in SERVICES:
        for context in sorted((root / "src/farebox" / service).glob("*/")):
            if context.name in {"flows", "migrations", "__pycache__"}:
                continue
            for path in sorted(context.iterdir()):
                allowed = path.stem in CONTEXT_FILES or path.stem.startswith(SPLIT_FILES)
                if path.is_dir() and path.name in CONTEXT_FOLDERS:
                    continue
                if not (path.suffix == ".py" and allowed):
                    yield (
                        f"{path.relative_to(root).as_posix()}: a context holds model, rules, "
                        "store, service and service_*, rules_*, model_* files only"
                    )


def read_exceptions(text: str) -> Exceptions:
    """Return the named exceptions, by `files` and `functions`."""
    return {"files": {}, "functions": {}} | tomllib.loads(text)


def lowest_committed(root: Path) -> dict[str, int]:
    """Return the lowest number that was ever committed for each named exception."""
    lowest: dict[str, int] = {}
    # Without a repository (an unpacked archive) there is no history to compare with.
    for commit in git(root, "rev-list", "HEAD", "--", EXCEPTIONS).split():
        text = git(root, "show", f"{commit}:{EXCEPTIONS}")
        for kind in read_exceptions(text).values():
            for name, entry in kind.items():
                lowest[name] = min(entry["lines"], lowest.get(name, entry["lines"]))
    return lowest


def git(root: Path, *arguments: str) -> str:
    """Return what git prints, or nothing where it fails."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def faults(root: Path) -> list[str]:
    """Return a line for each broken limit in the repository at `root`."""
    listed = root / EXCEPTIONS
    exempt = read_exceptions(listed.read_text() if listed.exists() else "")
    earlier = lowest_committed(root)
    return [
        *size_faults(file_sizes(root), exempt["files"], FILE_LINES, earlier),
        *size_faults(function_sizes(root), exempt["functions"], FUNCTION_LINES, earlier),
        *context_faults(root),
    ]


def main() -> int:
    """Print the broken limits of this repository; answer how many, as an exit code."""
    root = Path(__file__).resolve().parent.parent
    broken = faults(root)
    for line in broken:
        print(line)
    if not broken:
        print(f"Sizes: {len(file_sizes(root))} files within their limits")
    return min(len(broken), 1)


if __name__ == "__main__":
    sys.exit(main())
