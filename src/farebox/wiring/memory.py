"""How a process of the server treats its memory."""

import gc


def settle_memory() -> None:
    """Take what start-up made out of the collector's sight, and let it look seldom.

    What requests make is freed by counting references; there are few cycles to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
