"""`farebox rates` as its user meets it: a real command over billing's database."""

import zipfile
from datetime import date

from farebox.billing.pricing import service_rates
from farebox.kernel.clock import SystemClock
from tests.support.services import run

HISTORY = "Date,USD,JPY,\n2026-11-20,1.10,160,\n2026-11-19,1.09,159.5,\n"
FRIDAY = date(2026, 11, 20)


def test_the_banks_file_is_taken_in_as_it_is_and_in_its_zip(
    farebox, billing_urls, open_database_at, tmp_path
):
    url = billing_urls()
    here = {"FAREBOX_BILLING_DATABASE_URL": url}
    path = tmp_path / "eurofxref-hist.csv"
    path.write_text(HISTORY, encoding="utf-8")
    first = farebox("rates", str(path), **here)
    assert (first.returncode, first.stdout) == (
        0,
        "2 days: 4 new rates, 0 corrected, 0 as known\n",
    )
    packed = tmp_path / "eurofxref-hist.zip"
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("eurofxref-hist.csv", HISTORY.replace("1.09,", "1.0901,"))
    again = farebox("rates", str(packed), "--reason", "corrected", **here)
    assert again.stdout == "2 days: 0 new rates, 1 corrected, 3 as known\n"
    billing = open_database_at(url, SystemClock(), name="billing")
    found = run(billing, service_rates.convert, 1000, "EUR", "USD", day=FRIDAY)
    assert found.amount == 1100


def test_another_file_is_refused_in_a_line(farebox, billing_urls, tmp_path):
    here = {"FAREBOX_BILLING_DATABASE_URL": billing_urls()}
    for name, content in {"a.csv": b"hello", "b.zip": b"PK\x03\x04", "c.csv": b"\xff"}.items():
        path = tmp_path / name
        path.write_bytes(content)
        refused = farebox("rates", str(path), **here)
        assert refused.returncode != 0, name
        assert "Traceback" not in refused.stderr, refused.stderr
