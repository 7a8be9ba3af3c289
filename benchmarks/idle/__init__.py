"""What costs nothing but waiting: idle workers, and passes that find nothing due."""
