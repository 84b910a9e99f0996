"""Spans: conventions, capture, the durable log, the store that is asked, and `@trace`."""
