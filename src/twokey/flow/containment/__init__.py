"""Containment: a runbook becomes a plan, and the plan gets its two approvals or another end."""

from twokey.flow.containment.commands import Containment

__all__ = ["Containment"]
