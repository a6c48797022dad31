"""From a transfer to the ledger's commands. Reads the ledger only where an amount depends on it."""

from collections.abc import Mapping
from typing import Protocol

from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import Capture, Freeze, Grant, Hold, Move, Release, Source, Use
from tests.golden.families.transfer_model import (
    ALL,
    CREDITS_LIMITED,
    DEBITS_LIMITED,
    Account,
    Draft,
    Moved,
    Step,
    amount_of,
    flags_of,
)


class Reader(Protocol):
    """What a draft may have to know of a bucket: of the ledger now, or within a trial."""

    def balance(self, bucket: int) -> int:
        """Return what is left of what was credited."""
        ...

    def frozen(self, bucket: int) -> bool:
        """Tell whether a bucket takes no new movement."""
        ...


class Drafts:
    """Drafts transfers between these accounts. `empty` is a bucket that never has anything."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        moved: Mapping[str, Moved],
        empty: int,
        between: Mapping[int, int],
    ) -> None:
        self._accounts = accounts
        self._moved = moved
        self._empty = empty
        self._between = between

    def draft(self, step: Step, chain: Mapping[str, Draft], reader: Reader) -> Draft:
        """Turn one transfer into commands; `chain` are the drafts before it in its chain."""
        flags = flags_of(step)
        draft = Draft(step, amount_of(step["amount"]))
        if flags & {"post", "void"}:
            self._resolve(draft, chain, reader, void="void" in flags)
            return draft
        draft.dr, draft.cr = (self._accounts.get(step[side]) for side in ("dr", "cr"))
        if draft.dr is None or draft.cr is None or draft.dr is draft.cr:
            self._misplaced(draft)
        elif draft.dr.ledger != draft.cr.ledger:
            move = Move(source=draft.dr.debits, target=draft.cr.debits, amount=draft.asked)
            draft.add(move)
        elif step.get("ledger", draft.dr.ledger) != draft.dr.ledger:
            draft.unknown = frozenset(
                {"ledger_must_not_be_zero"}
                if step["ledger"] == 0
                else {"transfer_must_have_the_same_ledger_as_accounts"}
            )
            draft.add(Use(sources=(Source(ids.mint()),), amount=max(draft.asked, 1)))
        else:
            self._between_two(draft, draft.dr, draft.cr, reader)
        return draft

    def _misplaced(self, draft: Draft) -> None:
        """Ask for a move that the ledger must refuse: from or to nobody, or to oneself."""
        found = []
        for account, name in ((draft.dr, "debit"), (draft.cr, "credit")):
            found.append(ids.mint() if account is None else account.debits)
            if account is None:
                draft.unknown |= {f"{name}_account_not_found"}
        draft.add(Move(source=found[0], target=found[1], amount=max(draft.asked, 1)))

    # -- new transfers ---------------------------------------------------------------------------

    def _between_two(self, draft: Draft, dr: Account, cr: Account, reader: Reader) -> None:
        flags = flags_of(draft.step)
        closing = flags & {"closing_debit", "closing_credit"}
        if closing and "pending" not in flags:
            self._cannot_say(draft, "closing_transfer_must_be_pending")
            return
        self._ask_closed(draft, reader)
        uses = self._sides(draft, dr, cr, reader)
        if "pending" in flags:
            seconds = draft.step.get("timeout_s", 0)
            ttl = seconds * SECOND_US if seconds else None
            first, second = (
                draft.add(
                    Hold(
                        sources=use.sources,
                        amount=use.amount,
                        at_most=use.at_most,
                        ttl_us=ttl,
                        sink=use.sink,
                    )
                )
                for use in uses
            )
            draft.holds = (first, second)
        else:
            for use in uses:
                draft.add(use)
            self._mirror(draft, dr, cr)
        for account, flag in ((dr, "closing_debit"), (cr, "closing_credit")):
            if flag in flags:
                draft.add(Freeze(bucket=account.debits))
                draft.add(Freeze(bucket=account.credits))

    @staticmethod
    def _cannot_say(draft: Draft, result: str) -> None:
        """Stand in for what no command can say by one that the ledger must refuse."""
        draft.unknown = frozenset({result})
        draft.add(Release(hold=ids.mint()))

    @staticmethod
    def _ask_closed(draft: Draft, reader: Reader) -> None:
        """Let a closed account say that it is, before it says that it has too little."""
        for account in (draft.dr, draft.cr):
            if account is not None and reader.frozen(account.debits):
                draft.add(Use(sources=(Source(account.debits),), amount=1))

    def _mirror(self, draft: Draft, dr: Account, cr: Account) -> None:
        """A debit is a credit on the mirror, a credit is one on the account."""
        if draft.amount:
            between = self._between[dr.ledger]
            draft.add(Grant(bucket=dr.credits, amount=draft.amount, source=between))
            draft.add(Grant(bucket=cr.debits, amount=draft.amount, source=between))

    def _sides(self, draft: Draft, dr: Account, cr: Account, reader: Reader) -> tuple[Use, Use]:
        """Return the uses of both sides, and settle the amount that moves."""
        flags = flags_of(draft.step)
        rooms: dict[str, int] = {}
        if "balancing_debit" in flags:
            rooms["dr"] = max(reader.balance(dr.debits), 0)
        if "balancing_credit" in flags:
            rooms["cr"] = max(reader.balance(cr.credits), 0)
        draft.amount = min([draft.asked, *rooms.values()])
        limited = {
            "dr": "dr" in rooms and dr.limit == DEBITS_LIMITED,
            "cr": "cr" in rooms and cr.limit == CREDITS_LIMITED,
        }
        between = self._between[dr.ledger]
        uses = []
        for side, other, bucket in (("dr", "cr", dr.debits), ("cr", "dr", cr.credits)):
            asked = min(draft.asked, MAX_AMOUNT, rooms.get(other, MAX_AMOUNT))
            if limited[side] and asked:
                # Here the ledger itself can tell how much there is.
                use = Use(sources=(Source(bucket),), amount=asked, at_most=True, sink=between)
            elif draft.amount:
                use = Use(sources=(Source(bucket),), amount=draft.amount, sink=between)
            else:
                use = Use(sources=(Source(self._empty),), amount=1, at_most=True, sink=between)
            uses.append(use)
        return uses[0], uses[1]

    # -- resolving pending transfers -------------------------------------------------------------

    def _resolve(
        self, draft: Draft, chain: Mapping[str, Draft], reader: Reader, *, void: bool
    ) -> None:
        step = draft.step
        pending = self._pending(step["pending"], chain)
        if pending is None or pending.holds is None:
            names = {"pending_transfer_not_found"} if pending is None else {
                "pending_transfer_not_pending"
            }  # fmt: skip
            draft.unknown = frozenset(names)
            draft.add(Release(hold=ids.mint() if pending is None else pending.operations[0]))
            return
        draft.pending = pending
        draft.dr, draft.cr = (self._accounts[pending.step[side]] for side in ("dr", "cr"))
        draft.emptied = any(
            each.step.get("pending") == step["pending"] and not each.amount
            for each in chain.values()
        )
        if (mismatch := self._mismatch(draft, pending, void=void)) is not None:
            self._cannot_say(draft, mismatch)
            return
        if void:
            draft.amount = pending.amount
            for hold in pending.holds:
                draft.add(Release(hold=hold))
            for account, flag in ((draft.dr, "closing_debit"), (draft.cr, "closing_credit")):
                if flag in flags_of(pending.step):
                    draft.add(Freeze(bucket=account.debits, frozen=False))
                    draft.add(Freeze(bucket=account.credits, frozen=False))
            return
        draft.amount = pending.amount if draft.asked == ALL else draft.asked
        for hold in pending.holds:
            draft.add(Capture(hold=hold, amount=None if draft.asked == ALL else draft.asked))
        if not pending.amount:
            self._ask_closed(draft, reader)
        self._mirror(draft, draft.dr, draft.cr)

    def _pending(self, name: str, chain: Mapping[str, Draft]) -> Moved | None:
        if name in chain:
            found = chain[name]
            return Moved(found.step, found.amount, tuple(found.operations), found.holds)
        return self._moved.get(name)

    @staticmethod
    def _mismatch(draft: Draft, pending: Moved, *, void: bool) -> str | None:
        """Return what another account or, when voiding, another amount is called.

        Our commands name the hold and nothing else of it, and a release has no amount.
        """
        for side, name in (("dr", "debit"), ("cr", "credit")):
            if draft.step.get(side, pending.step[side]) != pending.step[side]:
                return f"pending_transfer_has_different_{name}_account_id"
        ledger = pending.step.get("ledger")
        if ledger is not None and draft.step.get("ledger", ledger) != ledger:
            return "pending_transfer_has_different_ledger"
        if not void or draft.asked in {0, pending.amount}:
            return None
        if draft.asked > pending.amount:
            return "exceeds_pending_transfer_amount"
        return "pending_transfer_has_different_amount"


def balancing(step: Step) -> bool:
    """Tell whether a transfer's amount depends on what there is."""
    return bool(flags_of(step) & {"balancing_debit", "balancing_credit"})


def empty_asked(step: Step) -> bool:
    """Tell whether a transfer asks to move nothing, and is not there to close or to resolve."""
    special = {"post", "void", "closing_debit", "closing_credit"}
    return amount_of(step["amount"]) == 0 and not flags_of(step) & special


def closes(step: Step) -> list[str]:
    """Return the sides, `dr` or `cr`, that a transfer closes."""
    flags = flags_of(step)
    sides = (("closing_debit", "dr"), ("closing_credit", "cr"))
    return [side for flag, side in sides if flag in flags]
