"""Numbers from a stream of bits in the codes of the WebGraph framework; see csrc/io/bits.h.

Every function takes where a code starts and returns its number and where it ends. Behind the end of
the stream all bits are 0, which no code is made of: it gives `NO_CODE`, and ends behind the end.
"""

from __future__ import annotations

from fastmml._kernels import CODINGS, U8
from fastmml._numba._jit import jit, signed

#: Of the stream's end, and of codes beyond 62 bits; larger than any count or node.
NO_CODE = 1 << 62
#: No node and no count needs more bits.
LONGEST_NUMBER = 62

GAMMA, DELTA, UNARY, ZETA = (CODINGS[name] for name in ("GAMMA", "DELTA", "UNARY", "ZETA"))


@jit
def _no_code(stream: U8) -> tuple[int, int]:
    return NO_CODE, 8 * len(stream) + 1


@jit
def _read_plain(stream: U8, at: int, count: int) -> tuple[int, int]:
    """Read a number of so many bits."""
    value = 0
    while count > 0:
        byte = signed(stream[at >> 3]) if at >> 3 < len(stream) else 0
        left = 8 - (at & 7)
        taken = min(left, count)
        value = value << taken | (byte >> (left - taken)) & ((1 << taken) - 1)
        at += taken
        count -= taken
    return value, at


@jit
def _read_unary(stream: U8, at: int) -> tuple[int, int]:
    start, end = at, 8 * len(stream)
    while at < end:
        byte = signed(stream[at >> 3]) & (0xFF >> (at & 7))
        if byte == 0:
            at = (at | 7) + 1
            continue
        while not byte >> (7 - (at & 7)):
            at += 1
        return at - start, at + 1
    return _no_code(stream)


@jit
def _read_behind_first(stream: U8, at: int, count: int) -> tuple[int, int]:
    """Read a number plus 1 whose bits behind the first, so many of them, come next."""
    if count > LONGEST_NUMBER - 1:
        return _no_code(stream)
    rest, at = _read_plain(stream, at, count)
    return (1 << count | rest) - 1, at


@jit
def read_gamma(stream: U8, at: int) -> tuple[int, int]:
    """Elias' gamma code."""
    count, at = _read_unary(stream, at)
    return _read_behind_first(stream, at, count)


@jit
def _read_delta(stream: U8, at: int) -> tuple[int, int]:
    count, at = read_gamma(stream, at)
    return _read_behind_first(stream, at, count)


@jit
def _read_zeta(stream: U8, at: int, k: int) -> tuple[int, int]:
    h, at = _read_unary(stream, at)
    if h >= LONGEST_NUMBER or h * k + k > LONGEST_NUMBER:
        return _no_code(stream)
    left = 1 << h * k
    shorter, at = _read_plain(stream, at, h * k + k - 1)
    if shorter < left:
        return shorter + left - 1, at
    last, at = _read_plain(stream, at, 1)
    return (shorter << 1 | last) - 1, at


@jit
def _read_nibble(stream: U8, at: int) -> tuple[int, int]:
    value, width = 0, 3
    while width <= LONGEST_NUMBER and at <= 8 * len(stream):
        group, at = _read_plain(stream, at, 4)
        value = value << 3 | group & 7
        if group & 8:
            return value, at
        width += 3
    return _no_code(stream)


@jit
def read_code(stream: U8, at: int, coding: int, zeta_k: int) -> tuple[int, int]:
    """Read a number in one of the codings."""
    if coding == GAMMA:
        return read_gamma(stream, at)
    if coding == ZETA:
        return _read_zeta(stream, at, zeta_k)
    if coding == UNARY:
        return _read_unary(stream, at)
    if coding == DELTA:
        return _read_delta(stream, at)
    return _read_nibble(stream, at)
