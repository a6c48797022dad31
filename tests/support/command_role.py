"""The role of a nursery's child that is the command `farebox`; what commands need is imported."""

import os
import sys
import traceback
from typing import NoReturn

from sqlalchemy.dialects.postgresql import psycopg

from farebox.cli import commands, main, operating, replaying, verifying
from farebox.kernel.clock import SystemClock
from farebox.storage import postgresql
from farebox.wiring import ledger_process, loops_process, server, worker
from tests.support.nursery import Link

IMPORTED_AHEAD = (
    commands,
    ledger_process,
    loops_process,
    operating,
    postgresql,
    psycopg,
    replaying,
    server,
    verifying,
    worker,
)


def command(
    link: Link,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[str],
    *,
    back_us: int = 0,
    stays: bool = False,
) -> NoReturn:
    """Run the command with its own folder, environment and streams (files), and end as it does.

    Its clock, and that of the processes it forks, is turned back by `back_us`. One that `stays`
    says that it has begun and hangs up: its own processes would hold the line.
    """
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(streams):
        mode = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, mode), number)
    if stays:
        link.say("begun")
        link.close()
    if back_us:
        turn_back(back_us)
    sys.argv = ["farebox", *arguments]
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - an interpreter would print it as well
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def turn_back(us: int) -> None:
    """Let this process live earlier: a test clock only goes on, and an example may be over."""
    now_us = SystemClock.now_us

    def earlier(self: SystemClock) -> int:
        return now_us(self) - us

    def earlier_shown(self: SystemClock, real_us: int) -> int:
        return real_us - us

    SystemClock.now_us = earlier  # type: ignore[method-assign] # that is what this is for
    SystemClock.shown_at = earlier_shown  # type: ignore[method-assign] # as above
