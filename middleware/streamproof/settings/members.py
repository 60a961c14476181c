"""The members of the settings ``policy`` and ``budget``, as tables of fields. The other settings are in ``schema.py``.

What contradicts something else is found by :class:`~..sansio.flush.policy.FlushPolicy` itself.
"""

from __future__ import annotations

from ..sansio.decode.containers import Either, Items, Optional
from ..sansio.decode.fields import Choice, Field, Flag, Seconds, Text, Whole
from ..sansio.decode.limits import VIA_LENGTH
from ..sansio.decode.tables import Table, optional
from ..sansio.flush.policy import CODINGS, FlushPolicy

_UNIT = "Is the unit mistaken?"
_PRESETS = tuple(sorted(name.removeprefix("for_") for name in vars(FlushPolicy) if name.startswith("for_")))
_TEXT = Text(longest=VIA_LENGTH)
_GLOBS = Items(item=_TEXT, single=True, hint="path globs such as '/events/*' or media type globs such as 'text/*'")
_BYTES = Whole(what="a whole number of bytes", guess=_UNIT)
_NEVER_OR_SECONDS = Optional(field=Seconds(above=True, guess=_UNIT))

_MEMBERS: dict[str, Field] = {
    "preset": Choice(values=_PRESETS),
    "always_stream": _GLOBS,
    "never_stream": _GLOBS,
    "types": Items(item=_TEXT, single=True, hint="a list of media types"),
    "detect_untyped": Flag(),
    "accel_buffering": Flag(),
    "no_transform": Flag(),
    "incremental": Flag(),
    "head_first": Flag(),
    "min_size": _BYTES,
    "max_delay": Seconds(guess=_UNIT),
    "max_size": _BYTES,
    "align_to_boundaries": Flag(),
    "heartbeat": _NEVER_OR_SECONDS,
    "heartbeat_size": _BYTES,
    "heartbeat_via": Optional(field=_TEXT),
    "before_first_byte": Flag(),
    "blank_lines": Flag(),
    "send_timeout": _NEVER_OR_SECONDS,
    "compress": Items(item=Choice(values=CODINGS), single=True, hint=f"a list of names out of {', '.join(CODINGS)}"),
    "hide_encodings": Flag(),
    "on_error": Choice(values=("cut", "event")),
    "error_text": _TEXT,
    "on_disconnect": Choice(values=("ignore", "raise", "cancel")),
    "yield_to_loop": Flag(),
    "on_hold": Choice(values=("log", "count", "raise")),
    "hold_limit": Whole(low=1, what="a number of chunks"),
}

_LIMIT = Optional(field=Seconds(guess=_UNIT))

#: The name of a preset, or the members of a policy; ``preset`` names the preset that they change.
POLICY = Optional(
    field=Either(
        fields=(
            Choice(values=_PRESETS),
            Table(members=tuple(optional(*member) for member in _MEMBERS.items()), others="refuse", only_given=True),
        ),
        hint=f"a preset ({', '.join(_PRESETS)}), or members as heartbeat=15",
    )
)

#: The members of a budget.
BUDGET = Table(
    members=(
        optional("first_byte", _LIMIT),
        optional("max_silence", _LIMIT),
        optional("max_hold", _LIMIT),
        optional("min_bursts", Optional(field=Whole(what="a whole number of bursts"))),
        optional("max_backpressure", _LIMIT),
        optional("closes_within", _LIMIT),
    ),
    others="refuse",
    only_given=True,
    hint="members as max_silence=15",
)
