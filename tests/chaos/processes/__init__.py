"""Campaigns about processes and time: kills, stops, pauses, restarts, hangs, clocks, soak."""
