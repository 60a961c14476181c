"""Carriers of bytes on the wire: the relay, the probe, HTTP/1. In-process carriers are in ``adapters/``."""
