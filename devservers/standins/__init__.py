"""Stand-ins for the remote sides: real servers on loopback that misbehave on order."""
