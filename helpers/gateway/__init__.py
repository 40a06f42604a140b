"""The offline gateway: a loopback server that speaks the providers' wire formats."""
