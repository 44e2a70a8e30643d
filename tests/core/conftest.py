"""What is said in these tests is watched."""

from twokey.testing.manners import what_is_said

__all__ = ["what_is_said"]
