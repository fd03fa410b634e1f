"""Numbers from bytes of text: integers, and decimals correctly rounded.

A decimal with few digits is one exact multiplication or division (Clinger, How to read floating
point numbers accurately, PLDI 1990). Any other is a quotient of two long integers, divided bit by
bit until 55 bits and the question "is anything left" decide how to round.
"""

from __future__ import annotations

import math

import numpy as np

from fastmml._kernels import F64, U8, U64
from fastmml._numba._jit import jit, signed

#: What `parse_integer` finds wrong (keys of `fastmml._kernels.LINE_FAULTS`).
NOT_AN_INTEGER = 2
BEYOND_64_BITS = 3
#: What `parse_weight` returns for anything but a finite number of at least 0.
REFUSED = -1.0

#: Longer decimals are refused, as in csrc/io/number.c.
LONGEST_DECIMAL = 255
#: Integers up to this are exact in float64, and so are the powers of ten below.
EXACT_INTEGER = np.uint64(1 << 53)
POWERS: F64 = np.array([float(10**exponent) for exponent in range(23)])
#: Numbers of that many digits fit 64 unsigned bits.
WORD_DIGITS = 19
LARGEST_INTEGER = np.uint64(2**63 - 1)
#: Exponents stop counting here: far beyond what 255 digits could bring back.
EXPONENT_LIMIT = 100_000

#: A long integer is an array of limbs of 32 bits in words of 64, lowest first.
LIMB_BITS = 32
LIMB_MASK, LIMB_SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
ZERO, ONE, TEN = np.uint64(0), np.uint64(1), np.uint64(10)

#: Quotients have 55 or 56 bits, at least two more than the significand of a float64.
QUOTIENT_BITS = 56
SIGNIFICAND_BITS = 53
LEAST_EXPONENT = -1074

DIGIT_0, MINUS, PLUS, POINT = ord("0"), ord("-"), ord("+"), ord(".")
LOWER_E, UPPER_E = ord("e"), ord("E")


@jit
def _skip_sign(text: U8, at: int, end: int) -> tuple[int, bool]:
    """Return where the digits start, and whether a minus stood before them."""
    if at < end and (text[at] == MINUS or text[at] == PLUS):
        return at + 1, text[at] == MINUS
    return at, False


@jit
def _take_digits(
    text: U8, at: int, end: int, value: np.uint64, digits: int
) -> tuple[int, np.uint64, int]:
    """Append digits to a value (it wraps past 19) and count them, leading zeros left out."""
    while at < end:
        digit = signed(text[at]) - DIGIT_0
        if digit < 0 or digit > 9:
            break
        if digits > 0 or digit > 0:
            digits += 1
        value = value * TEN + np.uint64(digit)
        at += 1
    return at, value, digits


@jit
def parse_integer(text: U8, start: int, end: int) -> tuple[int, int]:
    """Return a fault (0: none) and the value of ``[+-]digits``."""
    first, negative = _skip_sign(text, start, end)
    at, magnitude, digits = _take_digits(text, first, end, ZERO, 0)
    if at == first or at < end:
        return NOT_AN_INTEGER, 0
    limit = LARGEST_INTEGER + ONE if negative else LARGEST_INTEGER
    if digits > WORD_DIGITS or magnitude > limit:
        return BEYOND_64_BITS, 0
    value = signed(magnitude)
    return 0, -value if negative else value


# ---- long integers ----


@jit
def _multiply_add(number: U64, factor: int, addend: int) -> None:
    """``number = number * factor + addend``, both below 2**32."""
    carry = np.uint64(addend)
    for i in range(len(number)):
        carry += number[i] * np.uint64(factor)
        number[i] = carry & LIMB_MASK
        carry >>= LIMB_SHIFT


@jit
def _multiply_power_of_ten(number: U64, exponent: int) -> None:
    while exponent >= 9:
        _multiply_add(number, 1_000_000_000, 0)
        exponent -= 9
    for _ in range(exponent):
        _multiply_add(number, 10, 0)


@jit
def _word_bits(word: np.uint64) -> int:
    bits = 0
    while word != ZERO:
        word >>= ONE
        bits += 1
    return bits


@jit
def _bit_length(number: U64) -> int:
    for i in range(len(number) - 1, -1, -1):
        if number[i] != ZERO:
            return i * LIMB_BITS + _word_bits(number[i])
    return 0


@jit
def _shift_left(number: U64, bits: int) -> None:
    whole, part = bits // LIMB_BITS, np.uint64(bits % LIMB_BITS)
    for i in range(len(number) - 1, -1, -1):
        upper = number[i - whole] if i >= whole else ZERO
        lower = number[i - whole - 1] if i > whole else ZERO
        number[i] = ((upper << part) | (lower >> (LIMB_SHIFT - part))) & LIMB_MASK


@jit
def _at_least(a: U64, b: U64) -> bool:
    for i in range(len(a) - 1, -1, -1):
        if a[i] != b[i]:
            return bool(a[i] > b[i])
    return True


@jit
def _subtract(a: U64, b: U64) -> None:
    """``a = a - b`` for a >= b."""
    borrow = ZERO
    for i in range(len(a)):
        difference = a[i] - b[i] - borrow
        borrow = (difference >> LIMB_SHIFT) & ONE
        a[i] = difference & LIMB_MASK


# ---- decimals ----


@jit
def _round(quotient: np.uint64, more: bool, exponent: int) -> float:
    """Float64 nearest to ``quotient * 2**exponent``, ties to even; more: it is a bit larger."""
    dropped = max(_word_bits(quotient) - SIGNIFICAND_BITS, LEAST_EXPONENT - exponent)
    if dropped > QUOTIENT_BITS:
        return 0.0
    kept = quotient >> np.uint64(dropped)
    rest = quotient - (kept << np.uint64(dropped))
    half = ONE << np.uint64(dropped - 1)
    if rest > half or (rest == half and (more or (kept & ONE) == ONE)):
        kept += ONE
    return math.ldexp(float(kept), exponent + dropped)


@jit
def _divide(numerator: U64, divisor: U64) -> float:
    """Float64 nearest to the quotient of two long integers, which are used up."""
    exponent = _bit_length(numerator) - _bit_length(divisor)
    _shift_left(divisor, max(exponent, 0))
    _shift_left(numerator, max(-exponent, 0))
    quotient = ZERO
    for _ in range(QUOTIENT_BITS):
        quotient <<= ONE
        if _at_least(numerator, divisor):
            _subtract(numerator, divisor)
            quotient |= ONE
        _shift_left(numerator, 1)
    return _round(quotient, _bit_length(numerator) > 0, exponent - QUOTIENT_BITS + 1)


@jit
def _convert_exactly(text: U8, start: int, end: int, digits: int, exponent: int) -> float:
    """Value of the digits in [start, end), all significant but leading zeros, and an exponent."""
    if digits + exponent > 310:
        return np.inf
    if digits + exponent < -325:
        return 0.0
    # 10/3 bits hold a decimal digit; a limb more takes the bit by which the numerator grows.
    limbs = max(digits + exponent, digits, -exponent) * 10 // 3 // LIMB_BITS + 2
    numerator, divisor = np.zeros(limbs, np.uint64), np.zeros(limbs, np.uint64)
    for at in range(start, end):
        if text[at] != POINT:
            _multiply_add(numerator, 10, signed(text[at]) - DIGIT_0)
    divisor[0] = ONE
    _multiply_power_of_ten(numerator, max(exponent, 0))
    _multiply_power_of_ten(divisor, max(-exponent, 0))
    return _divide(numerator, divisor)


@jit
def _take_exponent(text: U8, at: int, end: int) -> tuple[int, int]:
    """Return where the exponent ends and its value, if it is behind an ``e``."""
    if at == end or (text[at] != LOWER_E and text[at] != UPPER_E):
        return at, 0
    first, negative = _skip_sign(text, at + 1, end)
    exponent, stop = 0, first
    while stop < end and DIGIT_0 <= text[stop] <= DIGIT_0 + 9:
        exponent = min(exponent * 10 + signed(text[stop]) - DIGIT_0, EXPONENT_LIMIT)
        stop += 1
    if stop == first:
        return at, 0
    return stop, -exponent if negative else exponent


@jit
def parse_weight(text: U8, start: int, end: int) -> float:
    """Value of ``[+-]digits[.digits][e[+-]digits]``, with a digit on either side of the point.

    `REFUSED` for any other text, and for a value that is negative or not finite.
    """
    first, negative = _skip_sign(text, start, end)
    stop, value, digits = _take_digits(text, first, end, ZERO, 0)
    written, decimals = stop - first, 0
    if stop < end and text[stop] == POINT:
        point = stop
        stop, value, digits = _take_digits(text, point + 1, end, value, digits)
        decimals = stop - point - 1
    last, exponent = _take_exponent(text, stop, end)
    if written + decimals == 0 or last < end or end - start > LONGEST_DECIMAL:
        return REFUSED
    exponent -= decimals
    if digits <= WORD_DIGITS and value <= EXACT_INTEGER and abs(exponent) < len(POWERS):
        power = POWERS[abs(exponent)]
        result = np.float64(value) / power if exponent < 0 else np.float64(value) * power
    elif digits == 0:
        result = 0.0
    else:
        result = _convert_exactly(text, first, stop, digits, exponent)
    if not math.isfinite(result) or (negative and result > 0.0):
        return REFUSED
    return float(result)
