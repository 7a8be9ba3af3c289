"""What operators tell running workers, by tables of our own."""
