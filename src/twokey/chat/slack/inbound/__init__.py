"""What people do in Slack: listeners, the dispatcher, the verbs, and who somebody is."""
