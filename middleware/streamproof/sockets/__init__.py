"""What carries bytes on the wire: the relay, the probe, HTTP/1. What happens in a process is in ``adapters/``."""
