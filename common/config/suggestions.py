"""Suggests a known name for a misspelt one."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, slips: int) -> str | None:
    """The known name at most this many slips away, or None; case is no slip.

    A slip is a letter missing, added or wrong, or two neighbours swapped.
    """
    distances = {
        other: _distance(name.casefold(), other.casefold())
        for other in sorted(known)
        if abs(len(other) - len(name)) <= slips
    }
    best = min(distances, key=distances.__getitem__, default=None)
    return best if best is not None and distances[best] <= slips else None


def by_words(name: str, known: Iterable[str]) -> str | None:
    """The known name that has most words in common with this one, or None if few are.

    Words are between underscores and count by their first four letters: RETRY is RETRIES.
    """
    words = _stems(name)
    alike = {other: 2 * len(words & _stems(other)) / len(words | _stems(other)) for other in known}
    best = max(sorted(alike), key=alike.__getitem__, default=None)
    return best if best is not None and alike[best] >= 1 else None


def _stems(name: str) -> set[str]:
    return {word[:4] for word in name.upper().split("_")}


def _distance(one: str, other: str) -> int:
    """The Damerau-Levenshtein distance, in which no letter is touched twice."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
