SELECT CURRENT_USER(), DATABASE(), @@autocommit, @@character_set_client, @@character_set_results, @@collation_connection
SELECT VERSION(), @@version_comment, @@sql_mode
SHOW SESSION STATUS LIKE 'Ssl_version'
SELECT 1, 'two', NULL, 3.5, 4e0, x'00ff', TRUE, -9223372036854775808, 18446744073709551615
SELECT id, g, n, u, d, f, y, flag FROM facts ORDER BY id
SELECT id, s, l, HEX(b), k, m FROM facts ORDER BY id
SELECT id, b FROM facts ORDER BY id
SELECT id, day, moment, clock, stamp FROM facts WHERE id < 5 ORDER BY id
SELECT id, j FROM facts ORDER BY id
SELECT CAST('ü€😀' AS CHAR) AS `ü€`, '' AS empty, ' ' AS blank, POINT(1, 2) AS place
SELECT e.id, o.name, COUNT(*) OVER () FROM facts e LEFT JOIN others o ON o.fact_id = e.id ORDER BY e.id, o.id
SELECT COUNT(*), SUM(n), AVG(d), MAX(moment), GROUP_CONCAT(s ORDER BY id) FROM facts
SELECT * FROM facts WHERE 1 = 0
INSERT INTO users (username, email, password_hash, first_name) VALUES ('ann', 'ann@x.org', 'h', 'Ann'), ('bob', 'bob@x.org', 'h', NULL)
INSERT INTO users (username, email, password_hash, first_name) VALUES ('cy', 'cy@x.org', 'h', 'ü€😀')
SELECT LAST_INSERT_ID()
INSERT INTO users (username, email, password_hash) VALUES ('cy', 'again@x.org', 'h')
INSERT IGNORE INTO users (username, email, password_hash) VALUES ('cy', 'again@x.org', 'h')
SHOW WARNINGS
UPDATE users SET first_name = 'Anna' WHERE username = 'ann'
UPDATE users SET first_name = 'Anna' WHERE username = 'ann'
UPDATE users SET last_name = 'All'
UPDATE users SET last_name = REPEAT('x', 60) WHERE id = 1
UPDATE IGNORE users SET last_name = REPEAT('x', 60) WHERE id = 1
DELETE FROM users WHERE username = 'bob'
DELETE FROM users WHERE username = 'bob'
SELECT id, username, email, first_name, last_name, is_seller FROM users ORDER BY id
INSERT INTO categories (name) VALUES ('Books')
INSERT INTO products (seller_id, category_id, name, price) VALUES (1, 1, 'Atlas', 12.5), (1, 1, 'Novel', 8)
INSERT INTO products (seller_id, category_id, name, price) VALUES (999, 1, 'Nothing', 1)
DELETE FROM categories WHERE id = 1
SELECT p.id, p.name, p.price, u.username FROM products p JOIN users u ON u.id = p.seller_id ORDER BY p.id
INSERT INTO every_type (tiny, small, medium, big, flag, exact, single, wide) VALUES (-128, 65535, -8388608, 18446744073709551615, b'101010101', 12345678901234567890.0123456789, 1.5, -2.25e300)
INSERT INTO every_type (day, clock, moment, stamp, made) VALUES ('2024-02-29', '-12:59:59.5', '9999-12-31 23:59:59.999999', '2001-01-01 01:01:01.25', 2155)
INSERT INTO every_type (letters, words, raw, bytes, long_words, long_bytes, choice, several, document) VALUES ('abc', 'ü€😀', x'00', x'00ff00ff', REPEAT('long ', 1000), REPEAT('00ff', 5000), 'ü', 'x,z', '{"a": [1, 2.5, "x", null, true]}')
INSERT INTO every_type (tiny) VALUES (200)
INSERT INTO every_type (day) VALUES ('2023-02-30')
INSERT INTO every_type (document) VALUES ('{broken')
SELECT id, tiny, small, medium, big, exact, single, wide, tripled FROM every_type ORDER BY id
SELECT id, letters, words, raw, bytes, LENGTH(long_words), choice, several, document FROM every_type ORDER BY id
SELECT no_such_column FROM users
SELECT * FROM no_such_table
SELECT * FROM no_such_database.t
SELEC 1
SELECT 1 / 0, 'abc' + 1
SHOW WARNINGS
SELECT 18446744073709551615 + 1
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'told so', MYSQL_ERRNO = 30001
CALL no_such_procedure()
SHOW TABLES
DESCRIBE facts
SET @v = 'kept'
SELECT @v
CREATE TEMPORARY TABLE brief (id INT PRIMARY KEY, t TEXT)
INSERT INTO brief VALUES (1, 'one'), (2, NULL)
SELECT * FROM brief ORDER BY id
DROP TEMPORARY TABLE brief
SELECT /* comment */ 1 -- end
