"""Define the error to raise when the user's data are at fault."""


class DataError(ValueError):
    """A data set or its YAML cannot be used; the text is one line that names file, key and remedy."""
