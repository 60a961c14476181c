"""Have an object renew its locks in each forked process: :func:`renew_in_children`.

A lock that another thread holds at the fork would stay locked in the child for ever, because that thread does not
exist there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Has locks, or threads, that a child process cannot use."""

    def renew(self) -> None:
        """Make new ones."""


_known: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(known: Renewable) -> None:
    """Call ``known.renew()`` now, and in each child process that is forked while the object exists."""
    known.renew()
    _known.add(known)


def _renew_all() -> None:
    for each in list(_known):
        each.renew()


os.register_at_fork(after_in_child=_renew_all)
