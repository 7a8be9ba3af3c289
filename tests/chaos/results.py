"""What rounds have found, kept in .cache/, so that a campaign goes on where it was stopped."""

import hashlib
import json
from datetime import UTC, datetime

from devservers.checkout import CACHE, ROOT
from tests.chaos.campaign import Campaign, Figures

FOLDER = CACHE / "chaos"

# A round counts only for the code in these folders that it was played on.
JUDGED = ("common", "workers")


class Results:
    """The rounds that one campaign has played with one seed, on the code as it is."""

    def __init__(self, campaign: Campaign, seed: int) -> None:
        self._campaign = campaign
        self._path = FOLDER / code_digest() / f"{campaign.name}-{seed}.jsonl"
        self._rounds: dict[int, tuple[float, Figures]] = {}
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        for line in lines:
            found = json.loads(line)
            self._rounds[found["round"]] = found["seconds"], found["figures"]

    def has(self, number: int) -> bool:
        """Whether this round has been played."""
        return number in self._rounds

    def add(self, number: int, seconds: float, figures: Figures) -> None:
        """Keep what a round has found."""
        self._rounds[number] = seconds, figures
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            found = {"round": number, "seconds": round(seconds, 1), "figures": figures}
            file.write(f"{json.dumps(found)}\n")

    @property
    def rounds(self) -> int:
        """How many have been played."""
        return len(self._rounds)

    @property
    def day(self) -> str:
        """The day of the last round, as in ISO 8601."""
        return datetime.fromtimestamp(self._path.stat().st_mtime, UTC).date().isoformat()

    @property
    def seconds(self) -> float:
        """How long they took, all together."""
        return sum(seconds for seconds, _ in self._rounds.values())

    @property
    def figures(self) -> dict[str, float]:
        """One figure per limit over all of them."""
        return self._campaign.merged([figures for _, figures in self._rounds.values()])


def code_digest() -> str:
    """A name for the code that the campaigns judge."""
    digest = hashlib.sha256()
    for folder in JUDGED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".sql"):
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
