"""Pure compositions of ``sansio`` and ``profiles``: replay, diagnosis, production. Nothing here touches a socket."""
