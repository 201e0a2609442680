-- A row of some formats makes several charges, such as a cost and its credits.
COMMENT ON COLUMN charges.row_number IS '1-based place among the charges of the file; the data row, unless rows make several';
