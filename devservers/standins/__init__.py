"""Stand-ins for the remote APIs: real servers on loopback, with failures that a test orders.

``discord.DiscordServer``, ``battle_net.BattleNetServer``, ``sse.SseServer`` and
``webhook_receiver.WebhookReceiver``; each module is also a command that serves until a signal.
"""
