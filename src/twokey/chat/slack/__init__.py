"""Slack: `inbound` is what people do there, `views` what they see, and `api` what the sender calls."""
