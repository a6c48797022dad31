"""The amounts in docs/pricing.md are those that the code rates, and every model is told of."""

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest

from farebox.billing.pricing.model_charges import Charge
from farebox.billing.pricing.model_rating import Usage
from farebox.billing.pricing.rules_charges import rate
from farebox.billing.pricing.rules_terms import read_terms

PAGE = (Path(__file__).resolve().parents[2] / "docs/pricing.md").read_text()
ROWS = re.findall(r"^\| `(\{.*\})` \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_its_rows():
    assert len(ROWS) > 10
    assert len(ROWS) == PAGE.count('| `{"charge"')


@pytest.mark.parametrize(("terms", "quantity", "amount"), ROWS)
def test_the_page_tells_what_the_code_rates(terms, quantity, amount):
    assert rate(read_terms(terms), Usage(quantity=Decimal(quantity))) == Fraction(amount)


@pytest.mark.parametrize("charge", get_args(Charge), ids=lambda charge: charge.__name__)
def test_every_charge_model_is_told_of(charge):
    assert f"| `{charge.__struct_config__.tag}` |" in PAGE
