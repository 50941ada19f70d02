"""The one cache of the product: bounded, limited in time, and safe to use from threads.

``docs/decisions/0030-one-cache.md`` says why it is not ``cachetools``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from copy import copy
from math import inf
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Cache(Generic[_K, _V]):
    """The ``size`` values that were loaded last, each for ``seconds``.

    A load that fails with a type of ``failures`` is not repeated for
    ``failure_seconds``, and removes an older value; the ``failures_size`` latest ones
    are kept. A load that fails with a type of ``outages`` extends an older value by
    ``seconds``. With ``outages``, an older value is also used during a load.
    """

    def __init__(
        self,
        *,
        size: int,
        seconds: float = inf,
        failures: tuple[type[Exception], ...] = (),
        failure_seconds: float = 0.0,
        failures_size: int = 0,
        outages: tuple[type[Exception], ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._seconds = seconds
        self._failures = failures
        self._failure_seconds = failure_seconds
        self._failures_size = failures_size
        self._outages = outages
        self._clock = clock
        self._lock = threading.Lock()  # guards each change of the three that follow
        self._values: OrderedDict[_K, tuple[float, _V]] = OrderedDict()
        self._failed: OrderedDict[_K, tuple[float, Exception]] = OrderedDict()
        self._loads: dict[_K, Future[_V]] = {}

    def __contains__(self, key: _K) -> bool:
        """Whether a value is kept, even if its time is over."""
        return key in self._values

    def find(self, key: _K) -> _V | None:
        """The value; None if there is none or its time is over."""
        kept = self._values.get(key)
        return None if kept is None or self._clock() >= kept[0] else kept[1]

    def get(self, key: _K, load: Callable[[], _V]) -> _V:
        """The value, by ``load`` if there is none or its time is over.

        Simultaneous calls share one load and its failure. Raises as ``load`` does.
        """
        with self._lock:
            kept = self._values.get(key)
            if kept is not None and self._clock() < kept[0]:
                return kept[1]
            loading = self._loads.get(key)
            if loading is None:
                self._raise_failure(key)
                own = self._loads[key] = Future()
        if loading is None:
            return self._run(own, key, load)
        if kept is not None and self._outages:
            return kept[1]
        return loading.result()

    def put(self, key: _K, value: _V) -> None:
        """Keeps ``value`` from now on."""
        with self._lock:
            self._keep(key, value)

    def clear(self) -> None:
        """Forgets everything; a load under way keeps nothing."""
        with self._lock:
            self._values.clear()
            self._failed.clear()
            self._loads.clear()

    def _run(self, own: Future[_V], key: _K, load: Callable[[], _V]) -> _V:
        """Loads the value for all callers that wait for ``own``."""
        try:
            value = load()
        except BaseException as error:
            older = self._end_failed(own, key, error)
            if older is None:
                own.set_exception(error)
                raise
            value = older[1]
        else:
            with self._lock:
                if self._end(own, key):
                    self._keep(key, value)
        own.set_result(value)
        return value

    def _end_failed(
        self, own: Future[_V], key: _K, error: BaseException
    ) -> tuple[float, _V] | None:
        """Ends a failed load; returns the older value if the failure is an outage."""
        with self._lock:
            if not self._end(own, key):
                return None
            older = self._values.get(key)
            if isinstance(error, self._outages) and older is not None:
                self._keep(key, older[1])
                return older
            if isinstance(error, self._failures):
                self._values.pop(key, None)
                # A copy: an error's traceback holds the variables of its functions.
                self._failed[key] = self._clock() + self._failure_seconds, copy(error)
                self._failed.move_to_end(key)
                if len(self._failed) > self._failures_size:
                    self._failed.popitem(last=False)
            return None

    def _end(self, own: Future[_V], key: _K) -> bool:
        """Ends a load; returns whether its result may be kept."""
        is_current = self._loads.get(key) is own
        if is_current:
            del self._loads[key]
        return is_current

    def _keep(self, key: _K, value: _V) -> None:
        self._values[key] = self._clock() + self._seconds, value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def _raise_failure(self, key: _K) -> None:
        until, error = self._failed.get(key, (0.0, None))
        if error is not None and self._clock() < until:
            raise copy(error)
