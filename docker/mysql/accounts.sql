-- The application's account, and Segue's own with what it needs and no more (docs/reference/grants.md).
CREATE USER 'shop'@'%' IDENTIFIED BY 'shop';
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, CREATE, ALTER, INDEX, DROP ON shop.* TO 'shop'@'%';

CREATE USER 'segue'@'%' IDENTIFIED BY 'segue-example';
GRANT SELECT, TRIGGER ON shop.* TO 'segue'@'%';
GRANT PROCESS ON *.* TO 'segue'@'%';
