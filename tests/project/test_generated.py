"""Nothing that `make generate` writes is stale."""

import pytest

from generate import targets


@pytest.mark.parametrize("name", targets.NAMES)
def test_a_generated_file_follows_from_the_code(name: str) -> None:
    assert targets.current(name) == targets.expected(name), "run `make generate`"
