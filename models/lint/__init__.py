"""Compare a hand-edited model YAML with the base that it was made from."""
