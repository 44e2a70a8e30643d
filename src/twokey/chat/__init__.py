"""Chats: delivery knows when a message goes out, a folder per chat knows what it looks like there."""
