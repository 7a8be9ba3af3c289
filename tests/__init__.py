"""`make test`: the tests of each room, of promises over all schedulers, and fault campaigns."""
