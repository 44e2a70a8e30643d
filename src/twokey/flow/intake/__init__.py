"""Intake: `receive` keeps what arrives, `decide` says where each signal goes, `apply` carries that out."""

from twokey.flow.intake.receive import Intake

__all__ = ["Intake"]
