"""The command line: parse, call the wiring, shape the answer."""

import sys

from farebox.kernel.refusals import Refusal


def main() -> None:
    """Run the command that was asked for; a refusal is one line on standard error and exit 2."""
    from farebox.cli.commands import app

    try:
        app()
    except Refusal as refusal:
        print(f"farebox: {refusal.detail}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
