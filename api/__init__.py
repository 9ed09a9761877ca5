"""HTTP and WebSocket handlers: thin, typed at the edge, and free of torch."""
