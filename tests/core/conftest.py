"""What is said in these tests is watched."""

from tests.lab.message_lint import what_is_said

__all__ = ["what_is_said"]
