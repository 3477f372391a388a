//! Raw stock-protocol client and server fixtures for tests and benchmarks.
