"""SIP as far as phones are told to fetch by it: messages, Digest, transports and client transactions (RFC 3261)."""
