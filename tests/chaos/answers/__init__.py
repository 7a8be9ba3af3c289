"""Strange answers of remote sides: a grammar of them, the clients that get them, the campaign."""
