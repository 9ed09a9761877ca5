"""From a prompt to the embeddings that guide the U-Net: weights, tokens, chunks, encoding."""
