"""Suggests a known name for a misspelt one, or for one that nothing reads."""

from collections.abc import Collection, Iterable

# Shorter names resemble too many others that have nothing to do with them.
_SHORTEST_RESEMBLED = 6
_SHORTEST_WITH_TWO_SLIPS = 10

# Names that have half of their words in common are alike by 1, equal ones by 2.
_ALIKE = 1.0
_MORE_THAN_HALF = 1.1


def meant(
    name: str, known: Collection[str], prefixes: Collection[str] = (), *, loosely: bool = False
) -> str | None:
    """The known variable that an unknown one was probably meant for; "" if that is unclear.

    None if it has nothing to do with them: it neither resembles one, nor begins with two words of
    one or with a word of ``prefixes``, nor, if ``loosely``, has more than half of the words of one.
    """
    slips = 2 if len(name) >= _SHORTEST_WITH_TWO_SLIPS else 1
    long = [each for each in known if len(each) >= _SHORTEST_RESEMBLED]
    if near := nearest(name, long, slips=slips):
        return near
    begun = _beginning(name)
    if first_word(name) in prefixes or (begun and begun in map(_beginning, known)):
        return by_words(name, known) or ""
    return by_words(name, known, least=_MORE_THAN_HALF) if loosely else None


def did_you_mean(name: str) -> str:
    """The question for the end of a message, if there is a name to suggest."""
    return f"; did you mean {name}?" if name else ""


def first_word(name: str) -> str:
    """The part of a variable's name before its first underscore; "" if it has none."""
    word, underscore, _ = name.partition("_")
    return word if underscore else ""


def nearest(name: str, known: Iterable[str], *, slips: int) -> str | None:
    """The known name at most this many slips away, or None; case is no slip.

    A slip is a letter missing, added or wrong, or two neighbours swapped.
    """
    letters = set(name.casefold())
    distances = {
        other: _distance(name.casefold(), other.casefold())
        for other in sorted(known)
        # To compare letter by letter is slow, and a slip changes at most two letters of the set.
        if abs(len(other) - len(name)) <= slips
        and len(letters.symmetric_difference(other.casefold())) <= 2 * slips
    }
    best = min(distances, key=distances.__getitem__, default=None)
    return best if best is not None and distances[best] <= slips else None


def by_words(name: str, known: Iterable[str], *, least: float = _ALIKE) -> str | None:
    """The known name that has most words in common with this one; None if few are, or if another
    has as many.

    Words are between underscores and count by their first four letters: RETRY is RETRIES.
    """
    words = _stems(name)
    alike = {other: 2 * len(words & _stems(other)) / len(words | _stems(other)) for other in known}
    most = max(alike.values(), default=0.0)
    best = [other for other in alike if alike[other] == most]
    return best[0] if most >= least and len(best) == 1 else None


def _stems(name: str) -> set[str]:
    return {word[:4] for word in name.upper().split("_")}


def _beginning(name: str) -> str:
    """The first two words of a name of at least three, else ""."""
    words = name.split("_")
    return "_".join(words[:2]) if len(words) > 2 else ""


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
