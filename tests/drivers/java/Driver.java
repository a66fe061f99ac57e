// What MariaDB Connector/J makes of a server, as lines of text that begin with the step:
// java -cp JAR Driver.java NAME PORT USER PASSWORD DATABASE plain|tls FOLDER. NAME `bulk` sends batches as bulk
// executions and prepares at the server; `text` leaves both to the driver's defaults.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;

public class Driver {
    static String[] arguments;

    interface Work {
        Object run() throws Exception;
    }

    static String hash(byte[] bytes) throws Exception {
        return "sha1 " + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(bytes));
    }

    static String shown(Object value) throws Exception {
        if (value instanceof byte[] bytes) return bytes.length > 500 ? hash(bytes) : HexFormat.of().formatHex(bytes);
        if (value instanceof int[] numbers) return Arrays.toString(numbers);
        if (value instanceof Blob blob) return shown(blob.getBytes(1, (int) blob.length()));
        String text = String.valueOf(value);
        return text.length() > 1000 ? hash(text.getBytes(StandardCharsets.UTF_8)) : text;
    }

    static void attempt(String step, Work work) throws Exception {
        try {
            System.out.println(step + " | " + work.run());
        } catch (SQLException error) {
            String text = String.valueOf(error.getMessage()).replaceAll("\\((conn|port)=\\d+\\)", "($1)");
            System.out.println(step + " | error " + error.getErrorCode() + " " + error.getSQLState() + " " + text);
        }
    }

    static Connection connect(String password, String more) throws SQLException {
        boolean bulk = arguments[0].equals("bulk");
        String url = "jdbc:mariadb://127.0.0.1:" + arguments[1] + "/" + arguments[4]
            + "?allowMultiQueries=true&allowLocalInfile=true&allowPublicKeyRetrieval=true&maxAllowedPacket=67108864"
            + "&serverTimezone=UTC&useServerPrepStmts=" + bulk + "&useBulkStmts=" + bulk + "&useBatchMultiSend=" + !bulk
            + (arguments[5].equals("tls") ? "&useSsl=true&trustServerCertificate=true" : "&useSsl=false") + more;
        return DriverManager.getConnection(url, arguments[2], password);
    }

    static String rows(ResultSet found) throws Exception {
        StringBuilder text = new StringBuilder();
        ResultSetMetaData about = found.getMetaData();
        for (int i = 1; i <= about.getColumnCount(); i++) {
            text.append(about.getColumnLabel(i)).append(':').append(about.getColumnTypeName(i)).append(':')
                .append(about.getPrecision(i)).append(':').append(about.isNullable(i)).append(' ');
        }
        while (found.next()) {
            text.append("/ ");
            for (int i = 1; i <= about.getColumnCount(); i++) text.append(shown(found.getObject(i))).append(", ");
        }
        return text.toString().replace("\n", "\\n");
    }

    static String all(Statement statement, boolean isRows) throws Exception {
        StringBuilder text = new StringBuilder();
        while (true) {
            if (isRows) text.append(rows(statement.getResultSet()));
            else if (statement.getUpdateCount() < 0) return text.toString();
            else text.append("changed ").append(statement.getUpdateCount());
            text.append(" ; ");
            isRows = statement.getMoreResults();
        }
    }

    static String run(Connection c, String sql) throws Exception {
        try (Statement statement = c.createStatement()) {
            return all(statement, statement.execute(sql, Statement.RETURN_GENERATED_KEYS));
        }
    }

    static void parameters(Connection c) throws Exception {
        Object[] values = {0, -1L, 1.5, new java.math.BigDecimal("12.50"), "ü€😀", "it's \\", new byte[] {0, -1}, null, true,
            java.time.LocalDateTime.of(2024, 2, 29, 1, 2, 3, 456000), java.sql.Date.valueOf("2024-02-29")};
        for (Object value : values) {
            attempt("parameter", () -> {
                try (PreparedStatement s = c.prepareStatement("SELECT ?, id, n, u, d, f, y, s, b, day, moment, clock, flag FROM facts WHERE id < ? ORDER BY id")) {
                    s.setObject(1, value);
                    s.setInt(2, 4);
                    return rows(s.executeQuery()) + rows(s.executeQuery());
                }
            });
        }
        attempt("batch", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')", Statement.RETURN_GENERATED_KEYS)) {
                for (int i = 0; i < 30; i++) {
                    s.setString(1, "b" + i);
                    s.setString(2, i % 5 == 0 ? "ü" + i : "b" + i);
                    s.addBatch();
                }
                return Arrays.toString(s.executeBatch()) + rows(s.getGeneratedKeys());
            }
        });
        attempt("batch update", () -> {
            try (PreparedStatement s = c.prepareStatement("UPDATE users SET first_name = ? WHERE username = ?")) {
                for (int i = 0; i < 30; i++) {
                    s.setString(1, i % 7 == 0 ? null : "B" + i);
                    s.setString(2, "b" + i);
                    s.addBatch();
                }
                return Arrays.toString(s.executeBatch());
            }
        });
        attempt("batch error", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')")) {
                for (int i : new int[] {40, 41, 40, 42}) {
                    s.setString(1, "b" + i);
                    s.setString(2, "b" + i);
                    s.addBatch();
                }
                return Arrays.toString(s.executeBatch());
            }
        });
        attempt("text batch", () -> {
            try (Statement s = c.createStatement()) {
                for (int i = 0; i < 20; i++) s.addBatch("INSERT INTO scratch (id, content) VALUES (" + (800 + i) + ", 'b')");
                return Arrays.toString(s.executeBatch());
            }
        });
        attempt("after batches", () -> run(c, "SELECT COUNT(*), MIN(username), MAX(first_name), SUM(id) FROM users"));
        attempt("callable", () -> {
            try (CallableStatement s = c.prepareCall("{call give_back(?, ?)}")) {
                s.setInt(1, 21);
                s.registerOutParameter(1, Types.INTEGER);
                s.registerOutParameter(2, Types.VARCHAR);
                s.execute();
                return s.getInt(1) + s.getString(2);
            }
        });
        attempt("fetch size", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT id, s FROM facts ORDER BY id")) {
                s.setFetchSize(2);
                return rows(s.executeQuery());
            }
        });
    }

    static void transactions(Connection c) throws Exception {
        String insert = "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')";
        c.setAutoCommit(false);
        attempt("insert", () -> run(c, insert));
        attempt("savepoint", () -> {
            Savepoint point = c.setSavepoint("here");
            run(c, "UPDATE users SET first_name = 'gone'");
            c.rollback(point);
            return run(c, "SELECT COUNT(*) FROM users WHERE first_name = 'gone'");
        });
        attempt("twice", () -> run(c, insert));
        attempt("rollback", () -> { c.rollback(); return ""; });
        attempt("update", () -> run(c, "UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'"));
        attempt("commit", () -> { c.commit(); return ""; });
        c.setAutoCommit(true);
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        attempt("users", () -> run(c, "SELECT @@autocommit, username, first_name FROM users ORDER BY id LIMIT 5"));
    }

    static void large(Connection c) throws Exception {
        attempt("large result", () -> {
            MessageDigest digest = MessageDigest.getInstance("SHA-1");
            int count = 0;
            try (Statement s = c.createStatement()) {
                s.setFetchSize(100);
                ResultSet found = s.executeQuery("SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b "
                    + "WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id");
                for (; found.next(); count++) digest.update(found.getString(1).getBytes(StandardCharsets.UTF_8));
            }
            return count + HexFormat.of().formatHex(digest.digest());
        });
        attempt("large packet", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO every_type (long_words) VALUES (?)")) {
                s.setString(1, "wide".repeat(4_500_000));
                return s.executeUpdate();
            }
        });
        attempt("large value", () -> run(c, "SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1"));
    }

    public static void main(String[] given) throws Exception {
        arguments = given;
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        String folder = given[6];
        Connection c;
        try {
            c = connect(given[3], "");
        } catch (SQLException error) {
            System.out.println("connect | " + error.getErrorCode() + " " + error.getMessage());
            return;
        }
        int number = 0;
        for (String sql : Files.readAllLines(Path.of(folder, "statements.sql"))) attempt("statement " + number++, () -> run(c, sql));
        parameters(c);
        transactions(c);
        for (String sql : List.of("SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'", "CALL many_results(3)",
            "SELECT 1; SELECT * FROM no_such_table; SELECT 2", "CALL fails(3)")) attempt(sql, () -> run(c, sql));
        large(c);
        attempt("local file", () -> run(c, "LOAD DATA LOCAL INFILE '" + folder + "/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4"));
        attempt("timeout", () -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                s.execute("SELECT * FROM numbers a, numbers b, numbers c, numbers d, numbers e WHERE a.id + b.id + c.id + d.id + e.id < 0");
                return "no timeout";
            }
        });
        attempt("valid", () -> c.isValid(5));
        attempt("columns", () -> rows(c.getMetaData().getColumns(given[4], null, "facts", "%")));
        attempt("keys", () -> rows(c.getMetaData().getImportedKeys(given[4], null, "shopping_carts")));
        c.close();
        attempt("wrong password", () -> connect("wrong", ""));
    }
}
