"""The rules that `make mutations` breaks stand in the code: it cannot go stale unseen."""

import pytest
from mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_rule_to_break_is_there(mutation: Mutation) -> None:
    assert mutation.fits()
    assert mutation.broken != mutation.rule
