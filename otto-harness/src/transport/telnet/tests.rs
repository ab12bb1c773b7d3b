//! The wire against scripted servers: faults of the protocol and of the line. The real servers are in `tests/`.
