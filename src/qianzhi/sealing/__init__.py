"""What makes a message provable and safe to carry: envelopes, digests, receipts, tokens. Pure."""
