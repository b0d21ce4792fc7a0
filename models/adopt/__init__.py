"""Turn a fork's model description and checkpoint into this project's."""
