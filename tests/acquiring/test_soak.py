"""The soak, a short one. `make soak` runs it for as long as you like."""

from __future__ import annotations

import pytest
from soak import Soak


@pytest.mark.parametrize("processes", [2, 12])
def test_no_violation_and_no_residue(processes: int) -> None:
    report = Soak(processes, seed=processes).run(2.5)
    assert report.violations == []
    assert report.operations > 0
    assert report.kills > 0
