"""Calls that change an object as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def all_or_nothing(owner: object) -> Iterator[None]:
    """Give an object the attributes back that it had, if the block raises.

    What they refer to must not be changed in place.
    """
    before = owner.__dict__.copy()
    try:
        yield
    except BaseException:
        owner.__dict__.clear()
        owner.__dict__.update(before)
        raise
