"""The inbox inside the shop: read by whom it is about, newest first."""

import sqlalchemy as sa

from farebox.notifications.deliveries import store
from farebox.notifications.deliveries.model import Notice, NoticeUnknown
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx


def list_notices(
    tx: Tx,
    recipient: str,
    *,
    unread: bool = False,
    before: str | None = None,
    limit: int = 100,
) -> Page[Notice]:
    """Return somebody's notices, newest first; the cursor is the last id."""
    table = store.notice
    statement = sa.select(table).where(table.c.recipient == recipient)
    if unread:
        statement = statement.where(table.c.read_at.is_(None))
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.order_by(table.c.id.desc()).limit(checked_limit(limit) + 1)).all()
    return page_of([store.notice_of(row) for row in rows], limit, lambda one: one.id)


def count_unread(tx: Tx, recipient: str) -> int:
    """Return how many notices somebody has not read."""
    table = store.notice
    here = (table.c.recipient == recipient, table.c.read_at.is_(None))
    return int(tx.run(sa.select(sa.func.count()).select_from(table).where(*here)).scalar_one())


def read_notice(tx: Tx, notice: str) -> Notice:
    """Return a notice; refuses an unknown one (`notice_unknown`)."""
    row = tx.one(sa.select(store.notice).where(store.notice.c.id == notice))
    if row is None:
        raise NoticeUnknown
    return store.notice_of(row)


def mark_read(tx: Tx, notice: str) -> Notice:
    """Note that a notice was read; the first time counts. Refuses `notice_unknown`."""
    table = store.notice
    here = (table.c.id == notice, table.c.read_at.is_(None))
    tx.run(table.update().where(*here).values(read_at=tx.now_us))
    return read_notice(tx, notice)


def mark_all_read(tx: Tx, recipient: str) -> int:
    """Note that all of somebody's notices were read; returns how many were not."""
    table = store.notice
    here = (table.c.recipient == recipient, table.c.read_at.is_(None))
    return tx.run(table.update().where(*here).values(read_at=tx.now_us)).rowcount
