"""What goes on inside a net: layer statistics, gradient norms, uncertainty."""
