"""Numbers for distinct byte strings, in the order of first appearance.

Open addressing with linear probing over a table at most half full (Knuth, The Art of Computer
Programming 3, section 6.4); the strings stand end to end in one array. The compiled loop stops
when something must grow, and goes on after that.
"""

from __future__ import annotations

import threading

import numpy as np

from fastmml._kernels import I64, U8, U32, U64
from fastmml._numba._jit import jit, readonly, signed

FIRST_SLOTS = 1 << 10
FIRST_BYTES = 1 << 14
#: Strings numbered in one call: 5 to 20 milliseconds.
STRINGS_AT_ONCE = 1 << 16
MOST_STRINGS = 2**32 - 1

#: A slot holds the upper half of the hash and, below it, the number plus 1; 0 is an empty slot.
EMPTY, ONE = np.uint64(0), np.uint64(1)
HALF_WORD, LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
FACTOR, FOLD, BYTE_BITS = np.uint64(0x9E3779B97F4A7C15), np.uint64(29), np.uint64(8)


@jit
def _mix(hashed: np.uint64, word: np.uint64) -> np.uint64:
    hashed = (hashed ^ word) * FACTOR
    return hashed ^ (hashed >> FOLD)


@jit
def _hash(text: U8, start: int, end: int) -> np.uint64:
    """Hash of the bytes, eight at a time, as a number of 32 bits."""
    hashed = np.uint64(end - start)
    for word_start in range(start, end, 8):
        word = EMPTY
        for i in range(word_start, min(word_start + 8, end)):
            word = (word << BYTE_BITS) | np.uint64(text[i])
        hashed = _mix(hashed, word)
    return _mix(hashed, EMPTY) >> HALF_WORD


@jit
def _is_string(text: U8, start: int, length: int, known: U8, at: int, known_length: int) -> bool:
    if length != known_length:
        return False
    i = 0
    while i < length and text[start + i] == known[at + i]:
        i += 1
    return i == length


@jit
def _find_slot(
    text: U8, start: int, length: int, hashed: np.uint64, slots: U64, offsets: I64, letters: U8
) -> int:
    """The slot of the string, or the empty one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    i = hashed & mask
    while slots[i] != EMPTY:
        if slots[i] >> HALF_WORD == hashed:
            number = signed(slots[i] & LOW_HALF) - 1
            at, end = offsets[number], offsets[number + 1]
            if _is_string(text, start, length, letters, at, end - at):
                break
        i = (i + ONE) & mask
    return signed(i)


@jit
def _number_string(text: U8, span: int, slots: U64, offsets: I64, letters: U8, size: int) -> int:
    """Number of the string at a span; -1 when something must grow first."""
    start, length = span >> 32, span & 0xFFFFFFFF
    hashed = _hash(text, start, start + length)
    slot = _find_slot(text, start, length, hashed, slots, offsets, letters)
    if slots[slot] != EMPTY:
        return signed(slots[slot] & LOW_HALF) - 1
    at = offsets[size]
    if 2 * size >= len(slots) or at + length > len(letters):
        return -1
    for i in range(length):
        letters[at + i] = text[start + i]
    offsets[size + 1] = at + length
    slots[slot] = (hashed << HALF_WORD) | np.uint64(size + 1)
    return size


@jit
def _number_strings(
    text: U8,
    first: I64,
    second: I64,
    first_ids: U32,
    second_ids: U32,
    at: int,
    end: int,
    slots: U64,
    offsets: I64,
    letters: U8,
    size: int,
) -> tuple[int, int]:
    """Number the strings of edges at, at + 1, ...; return where it stopped and the new size."""
    while at < end:
        number = _number_string(text, first[at], slots, offsets, letters, size)
        if number < 0:
            break
        first_ids[at] = number
        size = max(size, number + 1)
        number = _number_string(text, second[at], slots, offsets, letters, size)
        if number < 0:
            break
        second_ids[at] = number
        size = max(size, number + 1)
        at += 1
    return at, size


@jit
def _move_slots(old: U64, new: U64) -> None:
    mask = np.uint64(len(new) - 1)
    for slot in old:
        if slot != EMPTY:
            i = (slot >> HALF_WORD) & mask
            while new[i] != EMPTY:
                i = (i + ONE) & mask
            new[i] = slot


class NumbaInterner:
    """See `fastmml._kernels.Interner`."""

    def __init__(self) -> None:
        self._slots: U64 = np.zeros(FIRST_SLOTS, np.uint64)
        self._offsets: I64 = np.zeros(FIRST_SLOTS // 2 + 1, np.int64)
        self._letters: U8 = np.empty(FIRST_BYTES, np.uint8)
        self._size = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many distinct strings were added."""
        return self._size

    def add(self, text: U8, first: I64, second: I64, first_ids: U32, second_ids: U32) -> None:
        """Number the strings of ``text`` at the spans ``first[0], second[0], first[1], ...``."""
        inputs = readonly(text), readonly(first), readonly(second), first_ids, second_ids
        at = 0
        with self._lock:
            while at < len(first):
                end = min(at + STRINGS_AT_ONCE, len(first))
                at, self._size = _number_strings(
                    *inputs, at, end, self._slots, self._offsets, self._letters, self._size
                )
                if at < end:
                    spans = int(first[at]), int(second[at])
                    self._grow(sum(span & 0xFFFFFFFF for span in spans))

    def labels(self) -> tuple[I64, U8]:
        """Offsets (length + 1) and the bytes of all strings, end to end."""
        offsets = self._offsets[: self._size + 1].copy()
        return offsets, self._letters[: offsets[-1]].copy()

    def _grow(self, needed: int) -> None:
        """Make room for ``needed`` more bytes and for more strings."""
        if self._size >= MOST_STRINGS:
            raise OverflowError("more than 2**32 - 1 distinct labels")
        used = int(self._offsets[self._size])
        if used + needed > len(self._letters):
            letters = np.empty(max(2 * len(self._letters), used + needed), np.uint8)
            letters[:used] = self._letters[:used]
            self._letters = letters
        if 2 * (self._size + 2) > len(self._slots):
            slots, offsets = (
                np.zeros(2 * len(self._slots), np.uint64),
                np.zeros(len(self._slots) + 1, np.int64),
            )
            _move_slots(self._slots, slots)
            offsets[: self._size + 1] = self._offsets[: self._size + 1]
            self._slots, self._offsets = slots, offsets
