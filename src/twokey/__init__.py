"""twokey: whose side is a cloud incident on, and two people before anything is contained."""

__version__ = "0.1.0"
