"""Anthropic's wire format; Claude on Bedrock uses its messages too."""
