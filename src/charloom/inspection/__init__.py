"""What happens inside a model while it reads: as data, told, drawn, and as tested claims."""
