"""OpenAI's wire format; Azure and compatible servers build on it."""
