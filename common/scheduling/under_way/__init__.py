"""What watches over a pass under way: whether it makes progress, and whether it is to end."""
