"""Describe data as a table of fields, and read data from outside by it: settings, profiles, traces, options of a via.

A field has a ``kind``, bounds and the words of its errors. ``read`` takes parsed data (JSON, TOML, Python), ``parse``
takes text (an environment variable, a via). Both return the value or raise :class:`~.fault.Fault`.
"""
