-- Beside the tables of the relay's tests.
CREATE TABLE numbers (id INT PRIMARY KEY);
INSERT INTO numbers WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT i FROM n
