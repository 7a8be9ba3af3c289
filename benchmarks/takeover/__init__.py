"""Taking over: a first pass with few events, and the pace at which the live consumers follow."""
