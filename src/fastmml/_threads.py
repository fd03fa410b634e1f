"""A few threads of our own: fixed blocks of work, handed out to them.

Which thread takes a block changes nothing: each writes its own part of the output, so results have
the same bits for any number of threads. Threads live as long as one call (starting one takes 50
microseconds, a pool would save 30 of them): nothing is shared between callers, and nothing is lost
in a fork.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

#: Every thread gets at least about this many ranges of blocks, so that all finish together.
RANGES_PER_THREAD = 8

_team = threading.local()


def is_stopped() -> bool:
    """Whether this is a helper thread whose work is no longer wanted: long calls ask."""
    team: _Team | None = getattr(_team, "joined", None)
    return team is not None and team.is_stopped


class _Team:
    """Threads that take ranges of blocks until none is left, or one of them fails."""

    def __init__(self, work: Callable[[int, int], object], blocks: int, size: int) -> None:
        self._work = work
        self._blocks = blocks
        self._size = size
        self._next = 0
        self._lock = threading.Lock()
        self.is_stopped = False
        self.error: BaseException | None = None

    def _take(self) -> int:
        """First block of the next range; at or past the number of blocks when none is left."""
        with self._lock:
            first = self._next
            self._next += self._size
        return first

    def run(self) -> None:
        while (first := self._take()) < self._blocks:
            self._work(first, min(first + self._size, self._blocks))

    def stop(self) -> None:
        with self._lock:
            self._next = self._blocks
            self.is_stopped = True

    def help(self) -> None:
        """`run`, in a helper thread: the error is left for the caller."""
        _team.joined = self
        try:
            self.run()
        except BaseException as error:
            self.error = error
            self.stop()


def run_blocks(work: Callable[[int, int], object], blocks: int, threads: int, at_once: int) -> None:
    """Call ``work(first, last)`` on ranges that together are ``range(blocks)``.

    A range has at most ``at_once`` blocks, which should take a few milliseconds: the calling
    thread works too, and notices Ctrl-C between its ranges. Then, and after any other exception,
    no further range starts, and the exception is raised when those under way have ended.
    """
    size = max(1, min(at_once, blocks // (max(threads, 1) * RANGES_PER_THREAD)))
    team = _Team(work, blocks, size)
    helpers: list[threading.Thread] = []
    try:
        for _ in range(min(threads, -(-blocks // size)) - 1):
            helper = threading.Thread(target=team.help, name="fastmml", daemon=True)
            try:
                helper.start()
            except RuntimeError:  # the system has no more threads: go on with those there are
                break
            helpers.append(helper)
        team.run()
    except BaseException:
        team.stop()
        raise
    finally:
        for helper in helpers:
            helper.join()
    if team.error is not None:
        raise team.error
