"""What can be asked of the gateway over HTTP, beside the calls themselves."""
