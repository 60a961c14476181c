"""A client for the streamed text model. It prints each line with its arrival time.

    python -m demo_apps.llm_client --url http://127.0.0.1:8000/search --prompt 'Tell me something funny'

Evenly spaced times mean that the tokens streamed. One time for all lines means that a hop held them.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from demo_apps.requirement import requires

with requires("requests"):
    import requests


URL = "http://127.0.0.1:8000/search"
PROMPT = "Tell me something funny"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the stream while it arrives. Return 0 when it is complete, else 1."""
    options = _parser().parse_args(arguments)
    arrivals: list[float] = []
    answered = False
    begin = time.monotonic()
    try:
        # Without stream=True, requests collects the whole body first.
        with requests.post(
            options.url, params={"ai_prompt": options.prompt}, stream=True, timeout=options.timeout
        ) as response:
            if not response.ok:
                return _fail(f"{options.url} answered {response.status_code}: {response.text.strip()[:500]}")
            answered = True
            print("--- the stream begins ---", flush=True)
            for line in response.iter_lines(chunk_size=options.chunk_size):
                if line:
                    arrivals.append(time.monotonic() - begin)
                    print(f"+{arrivals[-1]:.2f}s {line.decode(errors='replace')}", flush=True)
    except requests.RequestException as error:
        if answered:
            return _fail(f"The stream broke off after {len(arrivals)} lines: {error}")
        if isinstance(error, requests.Timeout):
            return _fail(f"{options.url} sent nothing for {options.timeout:g} seconds.")
        if isinstance(error, requests.ConnectionError):
            return _fail(f"No server answers at {options.url}. Is it running?")
        return _fail(f"{options.url} cannot be read: {error}")
    print(f"--- the stream ends: {_summary(arrivals)} ---")
    return 0


def _summary(arrivals: Sequence[float]) -> str:
    if not arrivals:
        return "no lines"
    return f"{len(arrivals)} lines, the first after {arrivals[0]:.2f} s, the last after {arrivals[-1]:.2f} s"


def _size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo_apps.llm_client", description="Print a streamed answer with arrival times."
    )
    parser.add_argument("--url", default=URL, help="where to POST the prompt (default: %(default)s)")
    parser.add_argument("--prompt", default=PROMPT, help="the prompt (default: %(default)s)")
    parser.add_argument(
        "--timeout", type=float, default=60, help="the longest silence in seconds (default: %(default)s)"
    )
    # The default of requests is 512. A body without chunked coding would then be held until 512 bytes have arrived.
    parser.add_argument(
        "--chunk-size", type=_size, default=1, help="bytes per read of iter_lines (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
