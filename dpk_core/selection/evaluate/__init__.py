"""Records and rules looked back at: correlations, regret of cheaper rules, calibration of stated chances."""
