"""Stand-ins for the parts of AWS that no emulator has: SNS's signing hosts, Health, Security Hub's findings."""

from __future__ import annotations

from twokey.testing.aws.lists import FakeLists
from twokey.testing.aws.sns import FakeSns

__all__ = ["FakeLists", "FakeSns"]
