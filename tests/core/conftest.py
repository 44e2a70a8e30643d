"""What is said in these tests is watched."""

from tests.lab.message_lint import message_lint

__all__ = ["message_lint"]
