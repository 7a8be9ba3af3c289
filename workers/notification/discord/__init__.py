"""Discord: posts an embed to a webhook, and keeps to its rate limits."""
