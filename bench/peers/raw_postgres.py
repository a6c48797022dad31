"""PostgreSQL by hand: what somebody would write who needs a counter and a journal, and no more.

One prepared statement takes a unit where there is one and writes a journal row,
in its own transaction. It has no grants, no holds, no keys and no HTTP.
`pgbench`, which is part of PostgreSQL, sends it.
"""

import re
import subprocess
import tempfile

from bench.model import Wrong
from bench.postgres_server import Postgres

CLIENTS = 64

_TABLES = """
DROP TABLE IF EXISTS raw_journal, raw_account;
CREATE TABLE raw_account (
  id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);
CREATE TABLE raw_journal (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account bigint NOT NULL, amount bigint NOT NULL,
  balance_after bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX raw_journal_account ON raw_journal (account, id);
INSERT INTO raw_account SELECT n, 1000000000 FROM generate_series(1, {accounts}) AS n;
"""

_USE = """
\\set account random(1, {accounts})
WITH taken AS (
  UPDATE raw_account SET balance = balance - 1 WHERE id = :account AND balance >= 1
  RETURNING id, balance
)
INSERT INTO raw_journal (account, amount, balance_after) SELECT id, 1, balance FROM taken;
"""


def prepare(server: Postgres, *, accounts: int) -> None:
    """Make the two tables and the accounts anew."""
    subprocess.run(
        [server.programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", server.url],
        input=_TABLES.format(accounts=accounts).encode(),
        check=True,
        capture_output=True,
    )


def uses_per_second(server: Postgres, *, accounts: int, seconds: float) -> float:
    """Let 64 clients take units from the accounts and return how many a second they took."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_USE.format(accounts=accounts))
        script.flush()
        done = subprocess.run(
            [
                str(server.programs / "pgbench"),
                "--no-vacuum",
                "--protocol=prepared",
                f"--client={CLIENTS}",
                "--jobs=1",
                f"--time={max(1, round(seconds))}",
                f"--file={script.name}",
                server.url,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise Wrong(f"pgbench failed: {done.stderr.strip()[-300:]}")
    return float(found.group(1))
