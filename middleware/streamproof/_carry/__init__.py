"""What the two middlewares, the relay and the probe share: they carry, ``sansio`` decides."""
