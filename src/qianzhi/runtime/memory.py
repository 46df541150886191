"""Memory of a process that handles columns: when pages go back to the system, and when Python looks for garbage."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_GENERATIONS = (50_000, 20, 100)
# What Polars' allocator reads once, when it is loaded.
_ALLOCATOR_VARIABLE = "_RJEM_MALLOC_CONF"
_ALLOCATOR_SETTINGS = "dirty_decay_ms:10000,muzzy_decay_ms:10000"
_ARENA_MAX, _ARENA_COUNT = -8, 2  # the number by which glibc's mallopt knows the setting, and its value


def keep_pages() -> None:
    """
    Let this process and its children keep the pages of a column for ten seconds after it is gone.

    To be called before Polars is imported. Chunk follows chunk: giving pages back between two of them and being
    given new ones, wiped, took a tenth of the time of a cycle. Whoever has set the variable knows better.
    """
    os.environ.setdefault(_ALLOCATOR_VARIABLE, _ALLOCATOR_SETTINGS)


def share_heaps() -> None:
    """
    Let all threads of this process share two heaps of the C library.

    glibc gives each new thread a heap of its own, up to eight a processor, and keeps what was ever needed in each.
    Threads that handle batches come and go, so that a process grew by as much with every busy hour.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # other C libraries have none, and no such heaps
        mallopt(_ARENA_MAX, _ARENA_COUNT)


def calm_collector() -> None:
    """
    Let the collector look at what comes from now on, and rarely; to be called once a process has what it lives with.

    Columns are freed by counting references. What the collector would walk over and over is compiled rules and
    modules that live as long as the process: that, too, took a tenth of the time of a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GENERATIONS)
