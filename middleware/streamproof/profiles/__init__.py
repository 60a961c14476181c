"""Facts: what products and platforms do to a response, as data, and the catalogue that loads them.

Each product is one TOML file in this folder. ``catalogue.py`` finds them, ``via.py`` turns a text such as
``nginx:gzip=on+cloudflare`` into a chain of hops.
"""

from .catalogue import catalogue
from .options import Option
from .profile import Fact, Profile, read_profile
from .servers import app_server
from .via import Via, resolve

__all__ = ["Fact", "Option", "Profile", "Via", "app_server", "catalogue", "read_profile", "resolve"]
