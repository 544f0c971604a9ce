"""The engine "torch": the network in PyTorch, for GPUs; needs the extra `torch`.

The folder has PyTorch's long name so that no tool takes it for the package that it imports.
"""
