"""What a product may look like."""

import re
from typing import Final

from farebox.kernel.refusals import ValueRefused

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def checked_code(code: str) -> str:
    """Return a product's code if it can stand in a path as it is, else refuse it."""
    if _CODE.fullmatch(code) is None:
        raise ValueRefused("a product code is 1 to 128 letters, digits and . _ : - in ASCII")
    return code
