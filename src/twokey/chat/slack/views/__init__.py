"""What people see in Slack: the record drawn as blocks; nothing here calls Slack."""
