"""Each import contract holds for the real tree, and breaks when its rule is broken."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
CONTRACTS = {contract["id"] for contract in SETTINGS["tool"]["importlinter"]["contracts"]}

# contract, the file that breaks it, what is written into it
VIOLATIONS = [
    ("folders", "kernel/planted.py", "import farebox.storage"),
    ("folders", "storage/planted.py", "import farebox.events"),
    ("folders", "events/planted.py", "import farebox.ledger"),
    ("folders", "ledger/planted.py", "import farebox.platform"),
    ("folders", "platform/planted.py", "import farebox.contracts"),
    ("folders", "contracts/planted.py", "import farebox.access"),
    ("folders", "access/planted.py", "import farebox.http"),
    ("folders", "access/planted.py", "import farebox.edge"),
    ("folders", "http/planted.py", "import farebox.workers"),
    ("folders", "workers/planted.py", "import farebox.http"),
    ("folders", "workers/planted.py", "import farebox.wiring"),
    ("folders", "http/planted.py", "def later():\n    from farebox import wiring"),
    ("folders", "wiring/planted.py", "import farebox.cli"),
    ("folders", "unheard_of/__init__.py", ""),
    ("entries", "cli/planted.py", "import farebox.http"),
    ("entries", "demo/planted.py", "import farebox.workers"),
    ("contexts-of-access", "access/consumers/planted.py", "import farebox.access.decisions"),
    ("contexts-of-access", "access/decisions/planted.py", "import farebox.access.flows"),
    ("contexts-of-access", "access/unheard_of/__init__.py", ""),
    ("folders", "access/planted.py", "import farebox.billing"),
    ("folders", "billing/planted.py", "import farebox.access"),
    ("folders", "billing/planted.py", "import farebox.notifications"),
    ("folders", "notifications/planted.py", "import farebox.billing"),
    ("contexts-of-billing", "billing/pricing/planted.py", "import farebox.billing.wallets"),
    ("contexts-of-billing", "billing/copies/planted.py", "import farebox.billing.pricing"),
    ("contexts-of-billing", "billing/wallets/planted.py", "import farebox.billing.payments"),
    ("contexts-of-billing", "billing/payments/planted.py", "import farebox.billing.orders"),
    ("contexts-of-billing", "billing/orders/planted.py", "import farebox.billing.schedules"),
    ("contexts-of-billing", "billing/schedules/planted.py", "import farebox.billing.invoices"),
    ("contexts-of-billing", "billing/invoices/planted.py", "import farebox.billing.reports"),
    ("contexts-of-billing", "billing/reports/planted.py", "import farebox.billing.flows"),
    ("contexts-of-billing", "billing/unheard_of/__init__.py", ""),
    (
        "contexts-of-notifications",
        "notifications/letters/planted.py",
        "import farebox.notifications.deliveries",
    ),
    (
        "contexts-of-notifications",
        "notifications/deliveries/planted.py",
        "import farebox.notifications.flows",
    ),
    ("contexts-of-notifications", "notifications/unheard_of/__init__.py", ""),
    ("context-files", "access/consumers/model.py", "import farebox.access.consumers.rules"),
    ("context-files", "access/consumers/rules.py", "import farebox.access.consumers.store"),
    ("context-files", "access/consumers/rules.py", "import farebox.access.consumers.service"),
    ("context-files", "access/consumers/store.py", "import farebox.access.consumers.service"),
    ("context-files", "access/catalog/service.py", "import farebox.access.consumers.rules"),
    ("context-files", "access/catalog/rules.py", "import farebox.access.consumers.service"),
    ("context-files", "access/catalog/service.py", "import farebox.access.consumers.store"),
    ("context-files", "access/flows/planted.py", "import farebox.access.consumers.store"),
    ("context-files", "http/planted.py", "import farebox.access.consumers.store"),
    ("context-files", "billing/wallets/model_planted.py", "import farebox.billing.wallets.rules"),
    ("context-files", "billing/wallets/rules_planted.py", "import farebox.billing.wallets.store"),
    ("context-files", "billing/wallets/rules.py", "import farebox.billing.pricing.rules_planted"),
    ("context-files", "billing/wallets/service.py", "import farebox.billing.pricing.store"),
    ("context-files", "billing/flows/planted.py", "import farebox.billing.wallets.store"),
    ("context-files", "ledger/planted.py", "import farebox.storage.store_planted"),
    ("pure", "kernel/planted.py", "import sqlalchemy"),
    ("pure", "access/consumers/rules.py", "import sqlite3"),
    ("pure", "access/consumers/model.py", "import litestar"),
    ("pure", "access/consumers/rules.py", "import farebox.contracts.leading_astray"),
    ("pure", "billing/wallets/rules_planted.py", "import sqlalchemy"),
    ("pure", "billing/wallets/model_planted.py", "import litestar"),
    ("pure", "billing/pricing/rules_planted.py", "import farebox.contracts.leading_astray"),
    ("pure", "ledger/decide.py", "import farebox.storage"),
    ("given", "ledger/decide.py", "import time"),
    ("given", "access/consumers/rules.py", "from time import time"),
    ("given", "access/consumers/model.py", "import os.path"),
    ("given", "billing/pricing/rules_planted.py", "import random"),
    ("given", "billing/wallets/model_planted.py", "import os"),
    ("drivers", "http/planted.py", "import psycopg"),
    ("drivers", "billing/planted.py", "import psycopg"),
    ("drivers", "notifications/planted.py", "import psycopg"),
    ("drivers", "ledger/planted.py", "from sqlite3 import connect"),
    ("edge", "edge/planted.py", "import farebox.storage"),
    ("edge", "edge/planted.py", "import farebox.platform"),
    ("edge", "edge/planted.py", "import farebox.contracts.leading_astray"),
    ("edge-alone", "edge/planted.py", "import litestar"),
    ("edge-alone", "edge/planted.py", "import sqlalchemy"),
]

# Innocent alone; each makes one of the violations above a violation.
BACKGROUND = {
    "access/consumers/__init__.py": "",
    "access/consumers/model.py": "",
    "access/consumers/rules.py": "",
    "access/consumers/store.py": "",
    "access/consumers/service.py": "",
    "access/catalog/__init__.py": "",
    "access/decisions/__init__.py": "",
    "access/flows/__init__.py": "",
    "billing/pricing/rules_planted.py": "",
    "billing/pricing/store.py": "",
    **{
        f"billing/{context}/{file}.py": ""
        for context in ("wallets", "payments", "orders", "schedules", "invoices", "reports")
        for file in ("__init__", "model", "rules", "store", "service")
    },
    "billing/flows/__init__.py": "",
    "notifications/__init__.py": "",
    **{
        f"notifications/{context}/__init__.py": ""
        for context in ("letters", "channels", "deliveries", "flows")
    },
    "contracts/leading_astray.py": "import farebox.storage",
    "storage/store_planted.py": "",
}

# Looks like a violation and is none.
INNOCENT = [
    ("access/consumers/service.py", "import farebox.access.consumers.store"),
    ("access/consumers/service_report.py", "import farebox.access.consumers.store"),
    ("access/consumers/service.py", "import farebox.access.consumers.service_report"),
    ("access/catalog/service.py", "import farebox.access.consumers.service_report"),
    ("access/catalog/rules.py", "import farebox.access.consumers.model"),
    ("access/catalog/store.py", "import farebox.access.consumers.model"),
    ("access/flows/planted.py", "import farebox.access.consumers.service"),
    ("billing/wallets/rules_planted.py", "import farebox.billing.pricing.model"),
    ("billing/wallets/service_top_up.py", "import farebox.billing.wallets.rules_planted"),
    ("billing/reports/service.py", "import farebox.billing.invoices.service"),
    ("billing/flows/planted.py", "import farebox.billing.reports.service"),
    ("cli/planted.py", "import farebox.wiring"),
]


def lint(source, *contracts):
    limits = [argument for contract in contracts for argument in ("--contract", contract)]
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            *("--no-logo", "--no-cache", "--config", REPOSITORY / "pyproject.toml"),
            *limits,
        ],
        # The contract of our own is found in the repository, the package in the copy.
        env=os.environ | {"PYTHONPATH": f"{source}:{REPOSITORY}", "COLUMNS": "200"},
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )


def plant(source, file, line):
    path = source / "farebox" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n{line}\n")


@pytest.fixture
def copy(tmp_path):
    source = tmp_path / "src"
    shutil.copytree(REPOSITORY / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    for file, line in BACKGROUND.items():
        plant(source, file, line)
    return source


def test_the_tree_keeps_every_contract():
    result = lint(REPOSITORY / "src")
    assert result.returncode == 0, result.stdout


def test_every_contract_has_a_violation_that_breaks_it():
    assert {contract for contract, _, _ in VIOLATIONS} == CONTRACTS


@pytest.mark.parametrize(
    ("contract", "file", "line"), VIOLATIONS, ids=lambda value: value.replace("\n", " ")
)
def test_a_planted_violation_breaks_its_contract(copy, contract, file, line):
    plant(copy, file, line)
    result = lint(copy, contract)
    assert result.returncode == 1
    assert "0 kept, 1 broken" in result.stdout


# With the background in place: so it is the planted line that breaks a contract, nothing else.
def test_what_the_rules_allow_breaks_nothing(copy):
    for file, line in INNOCENT:
        plant(copy, file, line)
    result = lint(copy)
    assert result.returncode == 0, result.stdout
