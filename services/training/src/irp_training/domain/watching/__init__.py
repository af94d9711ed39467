"""What people see of a run: Dice and distances after each pass, curves, pictures, event files."""
