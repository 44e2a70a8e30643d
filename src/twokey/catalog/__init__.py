"""Files that people own and review: runbooks, roster, rules; every fault names its file, line and key."""
