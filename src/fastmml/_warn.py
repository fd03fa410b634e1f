"""Warnings that name the line of the user's call, however deep they arise."""

from __future__ import annotations

import sys
import warnings

#: Whose functions lie between the two: scikit-learn wraps methods, and calls those of pipelines.
_BETWEEN = ("fastmml", "sklearn")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, as of the first caller that is none of ours."""
    frame, level = sys._getframe(), 1
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
