"""What happens inside a model while it reads: stories, files, pictures, tested claims."""
