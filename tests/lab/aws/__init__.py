"""Stand-ins for the parts of AWS that no emulator has: SNS's signing hosts, Health, Security Hub's findings."""

from __future__ import annotations

from tests.lab.aws.lists import FakeLists
from tests.lab.aws.sns import FakeSns

__all__ = ["FakeLists", "FakeSns"]
