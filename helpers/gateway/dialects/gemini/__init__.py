"""Google Gemini's wire format."""
