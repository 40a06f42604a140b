"""What has moved away from what: the gateway from the SDKs that are installed, models.toml from the tables of others, recordings from the providers."""
