"""The wire formats of Microsoft's cloud: Azure OpenAI, and Claude on Foundry."""
