"""Client of the Battle.net API: tokens, rate limit, requests, and replies checked field by field.

``client.BattleNet`` is what the syncs use; ``json_reader.Reader`` reads one object of a reply.
"""
