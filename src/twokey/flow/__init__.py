"""The story: intake -> response -> containment -> execution -> review. Read these files to know twokey."""
