"""Worked numbers of grants and wallets, on the real ledger: money burns by the same code.

The cases of OpenMeter become steps of `Grants`, which knows how theirs and ours correspond; wallets
and rollovers are grants of one bucket.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from farebox.billing.pricing.model_charges import PerUnit
from farebox.billing.pricing.model_rating import ChargeTerms, Usage
from farebox.billing.pricing.rules_charges import rate
from farebox.billing.wallets.rules import rolled_over
from farebox.kernel.rounding import rounded
from farebox.ledger.model import INCLUDED, PURCHASED, Denied, Grant, Source, Use, Void
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.families.grants import Grants
from tests.golden.worked import Player, Said, Sheet, Worked, number

ORDERS: Final = (
    "priority asc (lower number first), then earliest expiry, then earliest creation",
    "priority asc, granted before purchased, oldest first",
)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WORDS: Final = {"hour": 3600, "day": 86_400, "year": 365 * 86_400}
_PART: Final = re.compile(r"([+-]?)(\d+)([smhd])")


class Watched(Grants):
    """Grants that remember each evaluation, by when it was."""

    def evaluate_at(self, at: str) -> None:
        super().evaluate(at)
        assert self.read is not None
        self.seen[at] = (dict(self.read), self.overage)

    evaluate_at.op = Grants.evaluate.op  # type: ignore[attr-defined] # the mark of `op`

    def watch(self) -> "Watched":
        self.seen: dict[str, tuple[dict[str, int], int]] = {}
        self.open(self.case.given)
        self.play(self.case.steps)
        return self


# -- instants ------------------------------------------------------------------------------------


def seconds(text: str) -> int:
    """Read `t1+1d-1s`, `+1h`, `1 year before` or `30 days`."""
    words = re.fullmatch(r"(\d+) (hour|day|year)s?( before)?", text)
    if words is not None:
        return int(words[1]) * _WORDS[words[2]] * (-1 if words[3] else 1)
    rest = text.removeprefix("t1").removeprefix("+0").partition(",")[0]
    if _PART.sub("", rest):
        raise Strange(f"an instant {text!r}")
    total, sign = 0, 1
    for mark, count, unit in _PART.findall(rest):
        sign = {"+": 1, "-": -1}.get(mark, sign)
        total += sign * int(count) * _SECONDS[unit]
    return total


def offset(count: int) -> str:
    """Write seconds as an offset that `Grants` reads."""
    return f"{'-' if count < 0 else '+'}{abs(count)}s" if count else "+0"


def grant_of(sheet: Sheet, place: int) -> dict[str, Any]:
    """Read a grant; without a priority they go by their place."""
    starts = seconds(sheet.text("effective_at")) if "effective_at" in sheet else 0
    made: dict[str, Any] = {
        "id": sheet.text("id"),
        "amount": sheet.whole("amount"),
        "priority": sheet.whole("priority") if "priority" in sheet else place,
        "effective": offset(starts),
        "expires": None,
    }
    if "expires_after" in sheet:
        made["expires"] = offset(starts + seconds(sheet.text("expires_after")))
    if "voided_at" in sheet:
        sheet.text("voided_at", "t1")
        made["void"] = offset(_VOIDED)
    if "recurs" in sheet:
        often, anchor = sheet.text("recurs").split(", anchor ")
        made["recurs"] = f"{often}@{offset(seconds(anchor))}"
    return made


_VOIDED: Final = 7200


def watched(
    played: Worked, grants: Sequence[dict[str, Any]], steps: Sequence[dict[str, Any]]
) -> Watched:
    content = {
        "given": {"start": "2024-01-01T00:00Z", "grants": list(grants)},
        "steps": list(steps),
        "expected": {},
    }
    return Watched(Case(played.case.stem, played.case.id, content), played.stage).watch()


def use(at: int, amount: int) -> dict[str, Any]:
    return {"op": "use", "at": offset(at), "amount": amount}


def look(at: int) -> dict[str, Any]:
    return {"op": "evaluate", "at": offset(at)}


# -- grants --------------------------------------------------------------------------------------


def burn_down(sheet: Sheet, played: Worked) -> Said:
    if "order" in sheet:
        sheet.text("order", *ORDERS)
    grants = [grant_of(each, place) for place, each in enumerate(sheet.each("grants"))]
    anything = sheet.raw("usage") == "any"
    steps = [use(3600, 10 if anything else sheet.whole("usage")), look(7200)]
    # In the reverse order: what is burned first is no question of who comes first.
    found = watched(played, grants[::-1], steps)
    balances, overage = found.seen[offset(7200)]
    return {"balances": balances, "overage": overage}


def voided(sheet: Sheet, played: Worked) -> Said:
    grants = [grant_of(each, place) for place, each in enumerate(sheet.each("grants"))]
    steps = [
        use(_VOIDED - 1800, sheet.whole("usage_before_void")),
        use(_VOIDED + 1800, sheet.whole("usage_after_void")),
        look(2 * _VOIDED),
    ]
    balances, overage = watched(played, grants, steps).seen[offset(2 * _VOIDED)]
    return {"balances": balances, "overage": overage}


def over_time(sheet: Sheet, played: Worked) -> Said:
    """Play usage at its instants, and look where the case does."""
    grants = [grant_of(each, place) for place, each in enumerate(sheet.each("grants"))]
    if "query_from" in sheet:
        seconds(sheet.text("query_from"))
    steps = []
    for event in sheet.each("usage_events"):
        told = re.match(r"\d+(?= \(|$)", event.text("value"))
        if told is None:
            raise Strange(f"a value {event.raw('value')!r}")
        steps.append(use(seconds(event.text("at")), int(told[0])))
    end = seconds(sheet.text("query_at"))
    segments = played.case.expected.get("g1_segment_start_balances", [])
    looks = [_segment(each, grants) for each in segments]
    between = looks or [0]
    found = watched(played, grants, [*steps, *(look(at) for at in {*between, end})])
    _check_start(sheet, found, grants)
    balances, overage = found.seen[offset(end)]
    said: dict[str, Any] = {"balances": balances, "overage": overage}
    if looks:
        said["g1_segment_start_balances"] = [
            f"{found.seen[offset(at)][0]['g1']} ({each.partition(' (')[2]}"
            for at, each in zip(looks, segments, strict=True)
        ]
    else:
        said["overage_at_start_of_second_segment"] = found.seen[offset(0)][1]
    return said


def _segment(text: str, grants: Sequence[dict[str, Any]]) -> int:
    """Return when a segment starts that is told as `100 (after recurrence at t1+1d)`."""
    found = re.fullmatch(r"\d+ \((?:after recurrence at (t1\S*)|when (\w+) starts)\)", text)
    if found is None:
        raise Strange(f"a segment {text!r}")
    if found[1]:
        return seconds(found[1]) + 1
    (starts,) = (each["effective"] for each in grants if each["id"] == found[2])
    return seconds(starts)


def _check_start(sheet: Sheet, found: Watched, grants: Sequence[dict[str, Any]]) -> None:
    """Compare what a case says there is at the start with what was there, where it had begun."""
    if "starting_balance" not in sheet:
        return
    told = sheet.raw("starting_balance")
    each = told if isinstance(told, dict) else {grants[0]["id"]: told}
    begun = {it["id"] for it in grants if seconds(it["effective"]) < 0}
    for name, balance in each.items():
        if name in begun and offset(0) in found.seen:
            played = found.seen[offset(0)][0][name]
        else:
            (played,) = (it["amount"] for it in grants if it["id"] == name)
            if number(balance, name) == 0:
                continue
        if played != number(balance, name):
            raise Strange(f"{name} has {played} at the start, the case says {balance}")


def latest(sheet: Sheet, played: Worked) -> Said:
    """Play two segments: what the first grant has left is lost when it expires."""
    sheet.text("aggregation", "LATEST")
    grants = [grant_of(each, place) for place, each in enumerate(sheet.each("grants"))]
    ends = min(seconds(each["expires"]) for each in grants if each["expires"])
    last = 3 * ends
    steps = [
        look(1), use(ends // 2, sheet.whole("usage_segment_1")), look(ends), look(ends + 1),
        use(2 * ends, sheet.whole("usage_segment_2")), look(last),
    ]  # fmt: skip
    seen = watched(played, grants, steps).seen
    total = {at: sum(balances.values()) for at, (balances, _) in seen.items()}
    return {
        "segment1": {"start": total[offset(1)], "end": total[offset(ends)]},
        "segment2": {"start": total[offset(ends + 1)], "end": total[offset(last)]},
        "final_balance": total[offset(last)],
    }


def reset(sheet: Sheet, played: Worked) -> Said:
    if "formula" in sheet:
        sheet.text("formula", "min(max_rollover, max(min_rollover, balance))")
    least, most = sheet.whole("min_rollover"), sheet.whole("max_rollover")
    grant = {
        "id": "g1", "amount": sheet.whole("grant_amount"), "priority": 1, "effective": "+0",
        "expires": "+30d", "min_rollover": least, "max_rollover": most,
    }  # fmt: skip
    keep = sheet.flag("preserve_overage")
    steps = [
        use(3600, sheet.whole("usage_before_reset")), look(7200),
        {"op": "reset", "at": offset(10_800), "preserve_overage": keep}, look(14_400),
    ]  # fmt: skip
    seen = watched(played, [grant], steps).seen
    (before, overage), (after, _) = seen[offset(7200)], seen[offset(14_400)]
    stays = rolled_over(before["g1"], least=least, most=most) - (overage if keep else 0)
    if stays != after["g1"]:
        raise Wrong(f"the rule says {stays}, the ledger {after['g1']}")
    return {"balance_before_reset": before["g1"], "balance_after_reset": after["g1"]}


# -- wallets and rollovers -----------------------------------------------------------------------


class Wallet:
    """One bucket of money and its grants by name."""

    def __init__(self, played: Worked) -> None:
        self.stage = played.stage
        self.stage.begin()
        self.bucket = self.stage.bucket(self.stage.asset("EUR", 2))
        self.grants: dict[str, int] = {}

    def add(self, name: str, amount: int, *, priority: int = 0, class_: int = INCLUDED) -> None:
        made = self.stage.do(
            Grant(bucket=self.bucket, amount=amount, priority=priority, class_=class_)
        )
        self.grants[name] = made.drawn[0][1]

    def spend(self, amount: int) -> object:
        return self.stage.send(Use(sources=(Source(self.bucket),), amount=amount))[0]

    def left(self) -> dict[str, int]:
        view = {each.id: each.available for each in self.stage.view(self.bucket).grants}
        return {name: view.get(made, 0) for name, made in self.grants.items()}


def wallet_of(sheet: Sheet, played: Worked) -> Wallet:
    """Open a wallet with the lots of a case, the older ones first."""
    wallet = Wallet(played)
    if "order" in sheet:
        sheet.text("order", *ORDERS)
    classes = {"granted": INCLUDED, "purchased": PURCHASED}
    ages = {"older": 0, "newer": 1}
    lots = sheet.each("lots")
    # A stable order: within an age, the last of the list is the oldest but for those with an age.
    by_age = sorted(lots, key=lambda lot: ages[lot.text("age", *ages)] if "age" in lot else 1)
    for lot in by_age:
        wallet.add(
            lot.text("id"),
            lot.whole("remaining"),
            priority=lot.whole("priority") if "priority" in lot else 0,
            class_=classes[lot.text("type", *classes)] if "type" in lot else INCLUDED,
        )
    return wallet


def wallet_burn_down(sheet: Sheet, played: Worked) -> Said:
    wallet = wallet_of(sheet, played)
    before = wallet.left()
    denied = isinstance(wallet.spend(sheet.whole("consume")), Denied)
    after = wallet.left()
    consumed = {name: before[name] - after[name] for name in before}
    return {
        "consumed": consumed,
        "remaining": after,
        "error": "exceeds_available_amount" if denied else "none",
    }


def rollover(sheet: Sheet, played: Worked) -> Said:
    """Play a cycle and the next: what stays is a grant of its own, older than the new one."""
    wallet = Wallet(played)
    wallet.add("first", sheet.whole("granted"))
    wallet.spend(sheet.whole("used"))
    left = wallet.left()["first"]
    stays = rolled_over(left, most=sheet.whole("max_rollover"))
    if left > stays:
        wallet.stage.do(Void(grant=wallet.grants["first"], amount=left - stays))
    fresh = re.fullmatch(r"next cycle grants (\d+)", sheet.text("then"))
    if fresh is None:
        raise Strange(f"then {sheet.raw('then')!r}")
    wallet.add("fresh", int(fresh[1]))
    return {"rollover": wallet.left()["first"], "balance": sum(wallet.left().values())}


def rolled_first(sheet: Sheet, played: Worked) -> Said:
    wallet = Wallet(played)
    wallet.add("rollover", sheet.whole("rollover"))
    wallet.add("fresh", sheet.whole("fresh"))
    wallet.spend(sheet.whole("use"))
    return wallet.left()


def credit_system(sheet: Sheet, played: Worked) -> Said:
    """Play credits: the charge says how many, the wallet pays them."""
    wallet = Wallet(played)
    wallet.add("credits", sheet.whole("balance"))
    terms = ChargeTerms(charge=PerUnit(unit=sheet.number("credit_cost_per_unit")))
    cost = rounded(rate(terms, Usage(quantity=Decimal(sheet.number("units")))))
    wallet.spend(cost)
    return {"credits_used": cost, "balance": wallet.left()["credits"]}


BURNING: Final[dict[str, Player]] = {
    "grant_burn_down": burn_down,
    "grant_burn_down_priority": burn_down,
    "grant_burn_down_expiry": burn_down,
    "grant_expired_before_usage": burn_down,
    "grant_voided": voided,
    "grant_effective_later": over_time,
    "grant_recurring": over_time,
    "grant_recurring_priority": over_time,
    "grant_recurring_not_reapplied": over_time,
    "grant_latest_aggregation": latest,
    "grant_reset_rollover": reset,
    "grant_reset_preserve_overage": reset,
    "wallet_burn_down": wallet_burn_down,
    "wallet_burn_down_insufficient": wallet_burn_down,
    "rollover": rollover,
    "rollover_consumed_first": rolled_first,
    "credit_system": credit_system,
}
