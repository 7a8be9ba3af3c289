"""An outage: destinations fail alike, which is not the fault of what is sent to them."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

F = TypeVar("F")

# A pass asks so many destinations, and no more, before any has answered.
FEW = 3
# Beside one destination that was reached lately, so many must fail: nearly every one.
_NEARLY_EVERY = 10
# Failures of a destination that are held back at most while too few others fail.
_MOST_EACH = 3


class OutageWatch(Generic[F]):
    """Holds the failures of a pass back until it is known whose fault they are.

    To fail is to give no answer, or one that says that the server itself does not work. Failures
    in a row are an outage if they are those of enough destinations: ``found`` is True, and none of
    them counts. An answer of any destination shows that the failures before it are those of their
    destinations alone: they are returned, to be recorded.
    """

    def __init__(self, *, one_server: bool, reached: Callable[[], int]) -> None:
        """``one_server``: all destinations are on it, so that one is enough while none answers,
        and FEW after that. Otherwise FEW are enough, and ten times as many as have answered.
        ``reached()`` is how many destinations anybody has reached since the passes fail: they
        count as if they had answered."""
        self.found = False
        # Destinations to ask at once until one has answered.
        self.most_before_answer = FEW
        self._one_server = one_server
        self._enough = 1 if one_server else FEW
        self._count_reached: Callable[[], int] | None = reached
        self._answered: set[Hashable] = set()
        self._is_careful = True
        self._held: list[tuple[Hashable, F]] = []
        self._at_fault: set[Hashable] = set()

    def may_ask(self, in_flight: int) -> bool:
        """Whether another request may begin beside those in flight."""
        if not self._is_careful:
            return not self.found
        return in_flight < max(1, self.most_before_answer - len(self._held)) and not self.found

    def failed(self, destination: Hashable, failure: F) -> list[F]:
        """Count a failure of this destination; returns the failures that are now to be recorded."""
        if destination in self._at_fault and not self.found:
            return [failure]
        self._held.append((destination, failure))
        if len(self._held) >= FEW and self._is_outage():
            self.found = True
        if self.found or len(self._held) < _MOST_EACH * self._enough:
            return []
        return self._settle()

    def answered(self, destination: Hashable) -> list[F]:
        """Count an answer; returns the failures that are now to be recorded."""
        if self.found:
            return []
        self._answered.add(destination)
        many = _NEARLY_EVERY * len(self._answered)
        self._enough = max(self._enough, FEW if self._one_server else many)
        return self._settle()

    def ended(self) -> list[F]:
        """Decide: no other destination can be asked. Returns the failures to be recorded."""
        self.found = self.found or (bool(self._held) and self._is_outage())
        return [] if self.found else self._settle()

    @property
    def held(self) -> list[F]:
        """The failures that are held back; once an outage is found, nobody's fault."""
        return [failure for _, failure in self._held]

    @property
    def destinations(self) -> int:
        """How many destinations these are of."""
        return len({destination for destination, _ in self._held})

    def holds(self, *destinations: Hashable) -> bool:
        """Whether a failure is held back, of each of these destinations."""
        held = {destination for destination, _ in self._held}
        return bool(held) and held.issuperset(destinations)

    def _settle(self) -> list[F]:
        failures = self.held
        self._at_fault.update(destination for destination, _ in self._held)
        self._held.clear()
        self._is_careful = False
        return failures

    def _is_outage(self) -> bool:
        if self.destinations >= self._enough and self._count_reached:
            reached, self._count_reached = self._count_reached(), None
            if reached:
                self._enough = max(self._enough, _NEARLY_EVERY * reached)
                self._is_careful = False
        return self.destinations >= self._enough
