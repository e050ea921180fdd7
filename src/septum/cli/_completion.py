"""Completion in bash, which ends words at colons: `app:Id` comes as three, and of an answer it wants what is behind the colon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from click.shell_completion import BashComplete, split_arg_string

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class BashWithColons(BashComplete):
    """click's completion for bash, for arguments with colons.

    A shell whose `COMP_WORDBREAKS` has no colon sends, and gets, whole words.
    """

    _cut = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the arguments before the one that is being typed, and that one."""
        place = int(os.environ["COMP_CWORD"])
        words = split_arg_string(os.environ["COMP_WORDS"])
        joined: list[str] = []
        is_open = False
        for word in words[: place + 1]:
            if joined and (is_open or word == ":"):
                joined[-1] += word
                self._cut = joined[-1].rindex(":") + 1
            else:
                joined.append(word)
                self._cut = 0
            is_open = word == ":"
        if place >= len(words):
            self._cut = 0
            return joined[1:], ""
        return joined[1:-1], joined[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return *item* as click's script for bash reads it."""
        return f"{item.type},{item.value[self._cut :]}"
