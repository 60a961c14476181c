"""What carries a WSGI response: its recording, the policy and the hops of a via. Sockets are in ``sockets/``."""
