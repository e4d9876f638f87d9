"""The names a request may use, as plain data: models with their taps, data sets with their splits. No torch."""
