"""Exhibits of the zoo under a policy, for servers that load an app by its name."""

from __future__ import annotations

from demo_apps.zoo.blocking_async_generator import app as _blocking
from streamproof import wrap
from streamproof.sansio.flush import FlushPolicy

gives_way = wrap(_blocking, policy=FlushPolicy())
keeps_going = wrap(_blocking, policy=FlushPolicy(yields=False))
