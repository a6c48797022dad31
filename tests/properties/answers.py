"""Answers as the model writes them."""

from tests.properties.model import Answer, Lot


def refused(code: str) -> Answer:
    return {"is": "refused", "code": code}


def denied(code: str, available: int, bucket: int | None) -> Answer:
    return {"is": "denied", "code": code, "available": available, "bucket": bucket}


def runs(lots: list[Lot]) -> list[tuple[int, int]]:
    """Write units as (bucket, how many) for each run of one lot."""
    found: list[tuple[Lot, int]] = []
    for lot in lots:
        if found and found[-1][0] is lot:
            found[-1] = (lot, found[-1][1] + 1)
        else:
            found.append((lot, 1))
    return [(lot.bucket, count) for lot, count in found]
