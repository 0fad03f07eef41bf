"""What is asked for: the recipes, their loader, and the plan made of them."""
