"""What makes, serves and tests the course."""
