"""Schedules as they are stored: each stretch once, terms of payment, what is due."""

import msgspec
import pytest
import sqlalchemy as sa

from farebox.billing.schedules import service as schedules
from farebox.billing.schedules.model import (
    EVERY_PLAN,
    Charge,
    PaymentTerms,
    Schedule,
    ScheduleUnknown,
    TermsRefused,
)
from farebox.platform.service_audit import list_audit
from tests.support.services import ADA, run


def schedule(**named):
    facts = {
        "subscription": "sub_1", "holder_kind": "consumer", "customer": "con_1", "plan": "pro",
        "plan_version": 1, "unit": "month", "count": 1, "currency": "EUR", "zone": "UTC",
        "state": "active", "created_at": 0, "anchor_at": 1_000, "price": "prc_1",
        "price_version": 1,
    }  # fmt: skip
    return Schedule(**{**facts, **named})


def charge(**named):
    facts = {
        "id": "chg_1", "subscription": "sub_1", "starts_at": 10, "ends_at": 20,
        "period_starts_at": 10, "period_ends_at": 20, "plan": "pro", "plan_version": 1,
        "price": "prc_1", "price_version": 1, "amount": 100, "net": 90, "invoice": "inv_1",
        "line": "1", "state": "open", "created_at": 10,
    }  # fmt: skip
    return Charge(**{**facts, **named})


def test_a_schedule_is_kept_as_it_was_written(billing):
    one = schedule(trial_ends_at=7, pending_plan="max", pending_version=2, grace_ends_at=5)
    assert run(billing, schedules.insert_schedule, one)
    assert not run(billing, schedules.insert_schedule, schedule(plan="other"))
    assert run(billing, schedules.read_schedule, "sub_1") == one
    assert run(billing, schedules.schedules_of, "con_1") == [one]
    with pytest.raises(ScheduleUnknown):
        run(billing, schedules.read_schedule, "sub_2")


def test_what_is_due_is_found_and_what_is_not_due_is_not(billing, clock):
    run(billing, schedules.insert_schedule, schedule(anchor_at=clock.now_us()))
    later = schedule(subscription="sub_2", anchor_at=clock.now_us() + 1)
    run(billing, schedules.insert_schedule, later)
    assert run(billing, schedules.due_schedules) == ["sub_1"]

    def end(tx):
        before = schedules.lock_schedule(tx, "sub_1")
        return schedules.write_schedule(tx, before, msgspec.structs.replace(before, anchor_at=None))

    assert run(billing, end).version == 2
    assert run(billing, schedules.due_schedules) == []


def test_the_database_bills_each_stretch_once(billing):
    run(billing, schedules.insert_schedule, schedule())
    run(billing, schedules.insert_charge, charge())
    with pytest.raises(sa.exc.IntegrityError):
        run(billing, schedules.insert_charge, charge(id="chg_2"))
    # What was given back, or never paid, may be billed otherwise.
    run(billing, schedules.write_charge, charge(cut_at=10))
    run(billing, schedules.insert_charge, charge(id="chg_3", state="void"))
    run(billing, schedules.insert_charge, charge(id="chg_4"))
    assert [one.id for one in run(billing, schedules.charges_of, "sub_1")] == [
        "chg_1", "chg_3", "chg_4",
    ]  # fmt: skip
    running = run(billing, schedules.running_charge, "sub_1", 12)
    assert running is not None
    assert running.id == "chg_4"
    assert run(billing, schedules.running_charge, "sub_1", 20) is None


def test_no_more_is_credited_than_was_charged(billing):
    run(billing, schedules.insert_schedule, schedule())
    with pytest.raises(sa.exc.IntegrityError):
        run(billing, schedules.insert_charge, charge(credited=101))


def test_terms_of_payment_are_the_plans_or_everybodys(billing):
    assert run(billing, schedules.terms_for, "pro") == PaymentTerms()
    every = PaymentTerms(retry_days=(1, 2), at_end="suspend")
    run(billing, schedules.set_terms, ADA, EVERY_PLAN, every)
    own = PaymentTerms(grace_days=3)
    run(billing, schedules.set_terms, ADA, "pro", own)
    assert run(billing, schedules.terms_for, "pro") == own
    assert run(billing, schedules.terms_for, "max") == every
    assert dict(run(billing, schedules.known_terms)) == {EVERY_PLAN: every, "pro": own}
    with pytest.raises(TermsRefused):
        run(billing, schedules.set_terms, ADA, "pro", PaymentTerms(first_days=0))
    assert run(billing, schedules.terms_for, "pro") == own
    assert len(run(billing, list_audit).items) == 2
