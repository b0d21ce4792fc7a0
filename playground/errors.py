"""The page's own errors: one line in the language of the page."""

from engine.errors import UsageError
from playground.texts import LANGUAGES, Texts


class PageError(UsageError):
    """Say what the page cannot do, by a key of texts.yaml.

    Args:
        key: of the text.
        **values: filled in.
    """

    def __init__(self, key: str, **values: object) -> None:
        self.key, self.values = key, values
        super().__init__(self.line(Texts(LANGUAGES[0])))

    def line(self, say: Texts) -> str:
        """Return the line in a language; a `field` of a form is called as it is there."""
        return say(
            self.key, **{key: say(str(value)) if key == "field" else value for key, value in self.values.items()}
        )
