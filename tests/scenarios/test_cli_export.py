"""`farebox export` as its user meets it: a real command over billing's database."""

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.kernel.clock import SystemClock
from tests.support.services import run


def sold(database):
    about = About(kind="sale", customer="con_1", plan="pro")
    run(database, books.post, "EUR", (Line("cash:sandbox", "revenue", 1000),), about)


def test_the_books_come_out_as_text_and_as_a_file(
    farebox, billing_urls, open_database_at, tmp_path
):
    url = billing_urls()
    sold(open_database_at(url, SystemClock(), name="billing"))
    here = {"FAREBOX_BILLING_DATABASE_URL": url}
    shown = farebox("export", "--format", "hledger", **here)
    assert shown.returncode == 0
    assert "  Assets:Cash:Sandbox  10.00 EUR" in shown.stdout
    path = tmp_path / "books.beancount"
    written = farebox("export", str(path), "--format", "beancount", **here)
    assert (written.returncode, written.stdout) == (0, "")
    assert "open Income:Revenue" in path.read_text(encoding="utf-8")
    late = farebox("export", "--format", "beancount", "--until", "2001-01-01", **here)
    assert "Income:Revenue" not in late.stdout


def test_another_form_is_refused_in_a_line(farebox):
    refused = farebox("export", "--format", "pdf")
    assert refused.returncode != 0
    assert "pdf" in refused.stdout + refused.stderr
