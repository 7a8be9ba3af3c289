"""What watches over a pass under way: its progress, rests, end and failures, the clocks, and the
lock that keeps it to one machine."""
