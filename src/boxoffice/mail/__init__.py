"""Letters to buyers: where they go, which are to be sent, and the way out of the house."""
