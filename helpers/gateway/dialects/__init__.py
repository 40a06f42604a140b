"""One folder or file a wire format. A dialect reads a provider's request into a Question and writes an Answer back."""
