"""Every cloud that the program knows: the one place where a cloud's folder is registered."""

from __future__ import annotations

from twokey.ports import CloudModule
from twokey.providers.aws.module import AwsModule
from twokey.providers.azure.module import AzureModule

CLOUDS: tuple[CloudModule, ...] = (AwsModule(), AzureModule())
"""As they are without any setting. The first reads what no cloud recognises."""
