"""charloom's models in the program `llm`: llm -m charloom -o file book.run 'The Fox'."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import llm
from pydantic import Field

import charloom


@llm.hookimpl
def register_models(register) -> None:
    """Tell `llm` of the one model that is all of ours; which, an option says."""
    register(Charloom())


class Charloom(llm.Model):
    """A character-level model, which goes on from a prompt and knows no chat."""

    model_id = "charloom"
    can_stream = True

    class Options(llm.Options):
        """What `llm -o NAME VALUE` takes."""

        file: str = Field(description="a model file, or the folder of a run")
        length: int = Field(default=500, description="characters to generate")
        temperature: float | None = Field(default=None, description="0 always takes the likeliest")
        top_k: int | None = Field(default=None, description="only the k most likely characters")
        top_p: float | None = Field(default=None, description="only those of this share")
        seed: int | None = Field(default=None, description="the same seed gives the same text")
        stop: str | None = Field(default=None, description="the text ends before it")

    def execute(self, prompt, stream, response, conversation=None) -> Iterator[str]:
        """Yield the text in pieces, as it is made."""
        options = {name: value for name, value in prompt.options if value is not None}
        try:
            model = _load(options.pop("file"))
            yield from model.generate(prompt.prompt, **options)
        except charloom.CharloomError as error:
            raise llm.ModelError(str(error)) from error


@lru_cache(maxsize=1)
def _load(file: str) -> charloom.Model:
    return charloom.Model.load(file)
