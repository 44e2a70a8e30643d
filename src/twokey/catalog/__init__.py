"""Files that people own and review: runbooks, the roster, the rules; each fault is told with file, line and key."""
