"""What every call cost, durable, and asked again later."""
