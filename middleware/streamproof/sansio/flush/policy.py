"""The options of a flush policy, :class:`FlushPolicy`, and its machine for one response.

All options are checked here, once. Some are kept by the driver: ``send_timeout``, ``on_disconnect``, ``yield_to_loop``,
``on_hold``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from ..errors import ConfigurationError
from ..findings import Finding
from ..framing import OPAQUE, BodyFraming, Ends, framing_of
from ..http import Headers, content_length
from ..machine import Data, Event, Events, Head, Row, Stage
from ..trace import Request
from .annotate import annotate
from .encode import Coders, Encode, choose, encodable, encoded_head
from .failure import FailureEvent
from .heartbeat import Heartbeat
from .pace import Pace
from .recognize import STREAM_TYPES, ResponseKind, Rule, check_rules, recognize, unopted
from .tail import Tail

OnError = Literal["cut", "event"]
OnHold = Literal["log", "count", "raise"] | Callable[[Finding], object]
OnDisconnect = Literal["ignore", "raise", "cancel"]

CODINGS = ("zstd", "br", "gzip")

#: A reader cannot tell 50 ms from nothing in a text that grows (the verdicts of this package take it as prompt).
_TOKEN_DELAY = 0.05
#: WHATWG HTML section 9.2.7: "every 15 seconds or so", less than the 20 to 60 s after which hops close a connection.
_HEARTBEAT = 15.0
#: Two TLS records (RFC 8446 section 5.1: 2**14 bytes each): more in one write gains nothing on the way.
_EXPORT_SIZE = 32768


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPolicy:
    """What is done to the streams of an app. Sizes in bytes, times in seconds; the defaults change headers only.

    Which responses (:func:`~.recognize.recognize` has the order of the rules):
        always_stream, never_stream: Path globs, media type globs or callables ``(request, status, headers)``.
        types: Media types that are streams whenever no length is named.
        detect_untyped: A response of any other type without a length is a stream, too, if it has more than one chunk.
    Headers:
        accel_buffering, no_transform, incremental: ``X-Accel-Buffering: no``, ``Cache-Control: no-transform``,
            ``Incremental: ?1``, where the app did not say otherwise.
    Pace:
        head_first: The head leaves before a slow first chunk. A 200 once sent cannot become a 503.
        min_size, max_delay: Tiny chunks wait for more bytes, none longer than ``max_delay``.
        max_size: Huge chunks are split.
        align_to_boundaries: Join and split at the ends of events and lines where the type has them.
    Silence:
        heartbeat: Send bytes without meaning this long after the last byte.
        heartbeat_size: The fewest bytes of one heartbeat.
        heartbeat_via: Make each one large enough that this chain of hops lets go what it holds.
        before_first_byte: Send heartbeats before the first byte, too (the head leaves with the first one).
        blank_lines: Send empty lines as heartbeats to readers of JSON lines.
        framings: Media type globs and the :class:`~..framing.BodyFraming` of their bodies, asked before the known ones.
        send_timeout: The longest that one write may take; then its reader counts as gone (ASGI).
    Compression:
        compress: Codings, the best first, out of ``zstd``, ``br``, ``gzip``. Every write is flushed; ``max_delay``
            trades latency for a better ratio.
        hide_encodings: Hide Accept-Encoding from the app, so that no layer inside it compresses and holds. Its other
            responses are not compressed either.
    Ends:
        on_error: ``cut`` leaves an unclean end that the reader can see; ``event`` reports the error in the stream, at a
            boundary.
        error_text: The text of that report.
        on_disconnect: What happens to an ASGI app whose reader left and that does not listen for it: ``raise`` OSError
            from its next ``send``, ``cancel`` it, or ``ignore``.
    Inside:
        yield_to_loop: Let the event loop run at least once a millisecond while an ASGI app never waits.
        on_hold: What happens when a layer takes ``hold_limit`` chunks and lets none out (:func:`streamproof.tap`
            inside it): ``log``, ``count``, ``raise``, or a callable that takes the finding.

    Raises:
        ConfigurationError: A value cannot be used, or two contradict each other.
    """

    always_stream: tuple[Rule, ...] = ()
    never_stream: tuple[Rule, ...] = ()
    types: tuple[str, ...] = STREAM_TYPES
    detect_untyped: bool = True

    accel_buffering: bool = True
    no_transform: bool = True
    incremental: bool = True

    head_first: bool = False
    min_size: int = 0
    max_delay: float = 0.0
    max_size: int = 0
    align_to_boundaries: bool = False

    heartbeat: float | None = None
    heartbeat_size: int = 0
    heartbeat_via: str | None = None
    before_first_byte: bool = False
    blank_lines: bool = False
    framings: tuple[tuple[str, BodyFraming], ...] = ()
    send_timeout: float | None = None

    compress: tuple[str, ...] = ()
    hide_encodings: bool = False

    on_error: OnError = "cut"
    error_text: str = "The stream broke off."
    on_disconnect: OnDisconnect = "raise"
    yield_to_loop: bool = True
    on_hold: OnHold = "log"
    hold_limit: int = 3

    def __post_init__(self) -> None:
        for name in ("min_size", "max_size", "heartbeat_size"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise _unusable(name, value, "a whole number of bytes, 0 or more", "Is it a text from a file?")
        for name in ("max_delay", "heartbeat", "send_timeout"):
            value = getattr(self, name)
            if value is None and name != "max_delay":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise _unusable(name, value, "seconds, 0 or more", "Is the unit mistaken?")
            if name != "max_delay" and not value:
                raise _unusable(name, value, "more than 0 s, or None for never")
        for name, values in (("on_error", ("cut", "event")), ("on_disconnect", ("ignore", "raise", "cancel"))):
            if getattr(self, name) not in values:
                raise _unusable(name, getattr(self, name), f"one of {', '.join(values)}", "Is it mistyped?")
        if not callable(self.on_hold) and self.on_hold not in ("log", "count", "raise"):
            raise _unusable("on_hold", self.on_hold, "log, count, raise or a callable", "Is it mistyped?")
        for name in self.compress:
            if name not in CODINGS or isinstance(self.compress, str):
                raise _unusable("compress", self.compress, f"names out of {', '.join(CODINGS)}", "Is a comma missing?")
        if self.min_size and not self.max_delay:
            raise _unusable(
                "min_size", self.min_size, "max_delay with it", "How long may a byte wait when no more come?"
            )
        if (self.heartbeat_size or self.heartbeat_via or self.before_first_byte) and self.heartbeat is None:
            raise _unusable("heartbeat", None, "seconds, as its size or place is set", "Was it left out?")
        check_rules("always_stream", self.always_stream)
        check_rules("never_stream", self.never_stream)

    # The presets. Each takes any option on top, as in ``FlushPolicy.for_sse(heartbeat=5.0)``.

    @classmethod
    def for_sse(cls, **changes: Any) -> FlushPolicy:
        """Server-sent events: heartbeats, errors as events."""
        return replace(cls(heartbeat=_HEARTBEAT, on_error="event"), **changes)

    @classmethod
    def for_tokens(cls, **changes: Any) -> FlushPolicy:
        """A language model's tokens: tokens within 50 ms leave in one write, and heartbeats fill the silences."""
        settings = cls(
            max_delay=_TOKEN_DELAY,
            align_to_boundaries=True,
            heartbeat=_HEARTBEAT,
            on_error="event",
            on_disconnect="cancel",
        )
        return replace(settings, **changes)

    @classmethod
    def for_csv(cls, **changes: Any) -> FlushPolicy:
        """An export: large writes of whole lines, at least one a second, gzipped for whoever accepts it."""
        settings = cls(
            min_size=_EXPORT_SIZE // 2,
            max_delay=1.0,
            max_size=_EXPORT_SIZE,
            align_to_boundaries=True,
            compress=("gzip",),
        )
        return replace(settings, **changes)

    @classmethod
    def for_progress(cls, **changes: Any) -> FlushPolicy:
        """A page that grows: the head and each chunk leave at once, whatever the type, unless its length is known."""
        return replace(cls(head_first=True), **changes)

    @property
    def timed(self) -> bool:
        """May the machine want to be woken? Only then a WSGI app needs a thread of its own."""
        return self.heartbeat is not None or self.max_delay > 0

    def possible(self, request: Request) -> bool:
        """May the answer to ``request`` be a stream at all? Known before the app is called."""
        if request.method == "HEAD" or any(name.lower() == "upgrade" for name, _ in request.headers):
            return False
        path = request.target.partition("?")[0]
        if any(
            isinstance(rule, str) and rule.startswith("/") and fnmatchcase(path, rule) for rule in self.never_stream
        ):
            return False
        by_path = all(isinstance(rule, str) and rule.startswith("/") for rule in self.always_stream)
        if self.types or self.detect_untyped or not by_path:
            return True
        return any(isinstance(rule, str) and fnmatchcase(path, rule) for rule in self.always_stream)

    def kind(self, request: Request, status: int, headers: Headers) -> ResponseKind:
        """What the response with this head is under the rules of this policy."""
        found = recognize(
            request, status, headers, always=self.always_stream, never=self.never_stream, types=self.types
        )
        if found is ResponseKind.UNDECIDED:
            return ResponseKind.OTHER if not self.detect_untyped else ResponseKind.STREAM if self.head_first else found
        return found

    def start(self, request: Request, now: float, coders: Coders | None = None) -> FlushMachine:
        """The machine of one stream, asked for at ``now``; ``coders`` are what is installed of :attr:`compress`."""
        return FlushMachine(self, request, coders or {})


def _unusable(name: str, value: object, expected: str, guess: str = "") -> ConfigurationError:
    return ConfigurationError(f"FlushPolicy({name}={value!r}) cannot be used. Expected {expected}. {guess}".rstrip())


class FlushMachine(Stage):
    """The policy at work on one stream: settled when its head comes, a row of stages from then on."""

    __slots__ = ("_coders", "_over", "_policy", "_request", "_row", "passes", "tail", "timed", "transparent")

    def __init__(self, policy: FlushPolicy, request: Request, coders: Coders) -> None:
        self._policy, self._coders = policy, coders
        self._request: Request | None = request
        self._row = Row(())
        self._over = False
        self.transparent = False
        #: Does each chunk leave at once and unchanged? A driver may then report it to :attr:`tail` alone.
        self.passes = False
        #: May it want to be woken?
        self.timed = False
        #: The end of what has left; None where nothing asks for it.
        self.tail: Tail | None = None

    @property
    def deadline(self) -> float | None:  # type: ignore[override]
        """When it next wants to be woken."""
        return None if self._over else self._row.deadline

    @property
    def held(self) -> int:
        return self._row.held

    def receive(self, event: Event, now: float) -> Events:
        if self._over:
            return ()
        out = self._begin(event, now) if type(event) is Head else self._row.receive(event, now)
        return self._settle(out)

    def wake(self, now: float) -> Events:
        return self._settle(self._row.wake(now))

    def _settle(self, out: Events) -> Events:
        self._over = bool(out) and type(out[-1]) not in (Head, Data)
        return out

    def _begin(self, head: Head, now: float) -> Events:
        policy, headers = self._policy, unopted(head.headers)
        request, self._request = self._request, None  # an open stream keeps no copy
        assert request is not None
        has_length = content_length(headers) is not None
        framing = framing_of(headers, policy.framings)
        coding: str | None = None
        if self._coders and encodable(head.status, headers):
            coding = choose(request.headers, self._coders)
            headers = encoded_head(headers, coding)
        stages: list[Stage] = []
        if policy.max_delay or policy.max_size:
            ends: Ends = framing.ends if policy.align_to_boundaries else "nowhere"
            stages.append(Pace(policy.min_size, policy.max_delay, policy.max_size, ends).start())
            self.timed = policy.max_delay > 0
        self.passes = coding is None and not stages
        if not has_length or coding is not None:  # else a byte more would make the length a lie
            stages += self._additions(framing, coded=coding is not None)
        if coding is not None:
            stages.append(Encode(coding, self._coders[coding]).start(request, now))
        headers = annotate(
            headers,
            accel_buffering=policy.accel_buffering,
            no_transform=policy.no_transform,
            incremental=policy.incremental,
        )
        self._row = Row(stages)
        self.transparent = not stages
        out = self._row.receive(head.replace(headers, framing=head.framing), now)
        return [*out, Data(b"")] if policy.head_first else out

    def _additions(self, framing: BodyFraming, *, coded: bool) -> list[Stage]:
        """What adds bytes to the stream, after the :class:`~.tail.Tail` that it looks at."""
        policy, found, tail = self._policy, list[Stage](), Tail(framing.ends)
        if policy.on_error == "event" and framing is not OPAQUE:
            found.append(FailureEvent(framing, policy.error_text).start(tail))
        if policy.heartbeat is not None and framing.beat is not None and (framing.permitted or policy.blank_lines):
            # Half of a hexadecimal digit is what a compressor leaves of it.
            size = policy.heartbeat_size * (2 if coded else 1)
            found.append(Heartbeat(framing, policy.heartbeat, size, policy.before_first_byte).start(tail))
            self.timed = True
        if not found:
            return found
        self.tail = tail
        return [tail, *found]
