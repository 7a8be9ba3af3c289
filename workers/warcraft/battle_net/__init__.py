"""Client of the Battle.net API: tokens, rate limit, requests, and replies checked field by field.

The syncs use ``client.BattleNet``; ``json_reader.Reader`` reads one object of a reply.
"""
