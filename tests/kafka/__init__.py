"""Apache Kafka itself, for the tests that must see what it does rather than what the embedded broker does."""
