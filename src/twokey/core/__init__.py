"""The nouns and the rules: standard library only, in the order in which the data travels."""
