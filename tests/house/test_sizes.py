"""The size ratchet refuses what is too large, and exceptions that grow or outlive their need."""

import subprocess

import pytest

from tools import sizes


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def function_of(lines, name="close_period"):
    return "\n".join([f"def {name}():", *["    pass"] * (lines - 1)]) + "\n"


def exception(kind, name, lines, reason="splits when holds move out"):
    return f'[{kind}."{name}"]\nlines = {lines}\nreason = "{reason}"\n'


def commit(root, message):
    git = ["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", message], check=True)


def test_this_repository_is_within_its_limits():
    assert sizes.main() == 0


@pytest.mark.parametrize(("lines", "broken"), [(400, False), (401, True)])
def test_a_file_has_at_most_400_lines(tmp_path, lines, broken):
    write(tmp_path, "src/farebox/wiring.py", "\n" * lines)
    assert bool(sizes.faults(tmp_path)) is broken


@pytest.mark.parametrize("folder", ["src", "tools", "tests", "bench"])
def test_every_folder_of_ours_is_measured(tmp_path, folder):
    write(tmp_path, f"{folder}/long.py", "\n" * 401)
    assert sizes.faults(tmp_path) == [f"{folder}/long.py: 401 lines, at most 400"]


@pytest.mark.parametrize(("lines", "broken"), [(70, False), (71, True)])
def test_a_function_has_at_most_70_lines(tmp_path, lines, broken):
    write(tmp_path, "src/farebox/wiring.py", function_of(lines))
    assert bool(sizes.faults(tmp_path)) is broken


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("async " + function_of(71), "close_period"),
        ("class Ledger:\n    " + function_of(71).replace("\n", "\n    "), "Ledger.close_period"),
        ("if True:\n    " + function_of(71).replace("\n", "\n    "), "close_period"),
    ],
    ids=["async", "method", "under a condition"],
)
def test_no_function_hides(tmp_path, text, name):
    write(tmp_path, "src/farebox/wiring.py", text.rstrip() + "\n")
    assert sizes.faults(tmp_path) == [f"src/farebox/wiring.py:{name}: 71 lines, at most 70"]


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("files", "src/farebox/wiring.py", "\n" * 450),
        ("functions", "src/farebox/wiring.py:close_period", function_of(80)),
    ],
)
def test_a_named_exception_is_borne_at_its_size_of_today(tmp_path, kind, name, text):
    write(tmp_path, "src/farebox/wiring.py", text)
    lines = len(text.splitlines())
    write(tmp_path, sizes.EXCEPTIONS, exception(kind, name, lines))
    assert sizes.faults(tmp_path) == []

    for other in (lines - 1, lines + 1):
        write(tmp_path, sizes.EXCEPTIONS, exception(kind, name, other))
        assert sizes.faults(tmp_path) == [
            f"{name}: {lines} lines, the exception in {sizes.EXCEPTIONS} says {other}"
        ]


def test_an_exception_without_need_or_reason_is_refused(tmp_path):
    write(tmp_path, "src/farebox/wiring.py", "\n" * 400)
    write(tmp_path, sizes.EXCEPTIONS, exception("files", "src/farebox/wiring.py", 400))
    assert "no exception is needed any more" in sizes.faults(tmp_path)[0]

    write(tmp_path, "src/farebox/wiring.py", "\n" * 450)
    write(tmp_path, sizes.EXCEPTIONS, exception("files", "src/farebox/wiring.py", 450, " "))
    assert sizes.faults(tmp_path) == ["src/farebox/wiring.py: an exception needs a reason"]


def test_an_exception_never_grows_above_what_was_committed(tmp_path):
    for lines in (450, 430):
        write(tmp_path, "src/farebox/wiring.py", "\n" * lines)
        write(tmp_path, sizes.EXCEPTIONS, exception("files", "src/farebox/wiring.py", lines))
        commit(tmp_path, f"{lines} lines")
    assert sizes.faults(tmp_path) == []

    write(tmp_path, "src/farebox/wiring.py", "\n" * 440)
    write(tmp_path, sizes.EXCEPTIONS, exception("files", "src/farebox/wiring.py", 440))
    assert sizes.faults(tmp_path) == [
        "src/farebox/wiring.py: an exception only shrinks, it was 430 lines before"
    ]


@pytest.mark.parametrize(
    ("file", "broken"),
    [
        ("access/usage/service.py", False),
        ("access/usage/service_report.py", False),
        ("billing/pricing/rules_tiers.py", False),
        ("billing/pricing/model_tiers.py", False),
        ("billing/pricing/rulesome.py", True),
        ("billing/pricing/store_tiers.py", True),
        ("access/usage/model.py", False),
        ("access/flows/anything.py", False),
        ("access/usage/helpers.py", True),
        ("access/usage/store_more.py", True),
        ("access/usage/query.sql", True),
        ("billing/pricing/engine.py", True),
        ("billing/payments/gateways/bank.py", False),
        ("billing/payments/banks/bank.py", True),
        ("ledger/anything.py", False),
    ],
)
def test_a_context_holds_four_kinds_of_files(tmp_path, file, broken):
    write(tmp_path, f"src/farebox/{file}", "")
    assert bool(sizes.faults(tmp_path)) is broken


def test_packages_of_others_are_not_measured(tmp_path):
    write(tmp_path, "bench/peers/node_modules/gyp/long.py", "\n" * 1000)
    assert sizes.faults(tmp_path) == []
