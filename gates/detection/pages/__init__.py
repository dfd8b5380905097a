"""The pages of planted defects: the catalogue as a matrix, and one defect down to the rows that are wrong."""
