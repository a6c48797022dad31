"""How a call to Farebox can fail. A denial is no failure: it is a `Decision`."""


class FareboxError(Exception):
    """A call to Farebox brought no answer that can be used."""


class FareboxUnavailable(FareboxError):
    """Farebox did not answer, or could not say. Whether the call took effect is not known.

    `never_sent` is true where no byte of the call left this program, so that it took no effect.
    """

    def __init__(self, reason: str, *, never_sent: bool = False) -> None:
        super().__init__(reason)
        self.never_sent = never_sent


class Refused(FareboxError):
    """Farebox refused the call; it took no effect. `code` is stable, `detail` is for people."""

    def __init__(self, *, code: str, status: int, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.code = code
        self.status = status
        self.detail = detail
