"""The command line: parse, call the wiring, shape the answer."""

import os
import sys

from farebox.kernel.refusals import Refusal


def main() -> None:
    """Run the command that was asked for; what is refused is one line on stderr and exit 2."""
    from cyclopts import CycloptsError

    from farebox.cli.commands import app

    try:
        app(print_error=False, exit_on_error=False)
    except Refusal as refusal:
        _refuse(refusal.detail)
    except CycloptsError as error:
        _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _refuse(why: str) -> None:
    print(f"farebox: {why}", file=sys.stderr)
    sys.exit(2)
