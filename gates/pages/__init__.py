"""What the pages draw: grids and curves as plain data, rows read in few queries."""
