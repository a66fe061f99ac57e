-- The demo's online store. Runs on MySQL 8 and 9 and on MariaDB.
CREATE TABLE users (
  id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email     VARCHAR(160) NOT NULL,
  name      VARCHAR(80)  NOT NULL,
  points    INT UNSIGNED NOT NULL DEFAULT 0,
  joined_at DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  UNIQUE KEY users_email (email)
);

CREATE TABLE products (
  id       INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name     VARCHAR(80)  NOT NULL,
  category ENUM('books', 'garden', 'kitchen', 'toys') NOT NULL,
  price    DECIMAL(10, 2) NOT NULL,
  priced_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  KEY products_category (category)
);

CREATE TABLE carts (
  user_id    BIGINT UNSIGNED NOT NULL,
  product_id INT UNSIGNED NOT NULL,
  quantity   SMALLINT UNSIGNED NOT NULL,
  PRIMARY KEY (user_id, product_id),
  CONSTRAINT carts_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  CONSTRAINT carts_product FOREIGN KEY (product_id) REFERENCES products (id)
);

CREATE TABLE orders (
  id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id   BIGINT UNSIGNED NOT NULL,
  status    ENUM('placed', 'shipped', 'delivered') NOT NULL DEFAULT 'placed',
  total     DECIMAL(12, 2) NOT NULL DEFAULT 0,
  placed_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  KEY orders_status (status),
  CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE order_items (
  order_id   BIGINT UNSIGNED NOT NULL,
  line       SMALLINT UNSIGNED NOT NULL,
  product_id INT UNSIGNED NOT NULL,
  label      VARCHAR(80) NOT NULL,
  quantity   SMALLINT UNSIGNED NOT NULL,
  unit_price DECIMAL(10, 2) NOT NULL,
  PRIMARY KEY (order_id, line),
  CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  CONSTRAINT order_items_product FOREIGN KEY (product_id) REFERENCES products (id)
)
