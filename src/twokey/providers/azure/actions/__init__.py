"""What can be done in Azure: one action, one file. A new action is added to ACTIONS, and nowhere else."""

from __future__ import annotations

from twokey.providers.azure.actions.get_account import GetAccount
from twokey.providers.azure.actions.list_public_containers import ListPublicContainers
from twokey.providers.azure.actions.set_public_access import SetPublicAccess
from twokey.providers.azure.actions.set_public_network_access import SetPublicNetworkAccess

ACTIONS = (GetAccount, ListPublicContainers, SetPublicAccess, SetPublicNetworkAccess)
