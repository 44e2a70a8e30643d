"""Delivery of the outbox's messages, whatever the chat: order, claims, retries, rate, channel health, supervision."""
