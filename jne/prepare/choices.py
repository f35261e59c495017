"""Options of which only some values are accepted."""

from __future__ import annotations

from collections.abc import Collection


def check_choice(argument: str, value: object, accepted: Collection) -> None:
    if value not in accepted:
        raise ValueError(f"{argument}={value!r}; accepted: {', '.join(str(choice) for choice in accepted)}")
