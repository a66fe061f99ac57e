"""One Python driver's view of a server, as lines of text: python driver.py NAME PORT USER PASSWORD
DATABASE tls|plain. The same lines must come directly and through Segue."""

import sys

name, port, user, password, database, tls = sys.argv[1:7]


def connect():
    settings = dict(host="127.0.0.1", port=int(port), user=user, password=password)
    if database:
        settings["database"] = database
    if name == "pymysql":
        import pymysql
        if tls == "tls":
            settings["ssl"] = {"verify_mode": "none", "check_hostname": False}
        return pymysql.connect(ssl_disabled=tls != "tls", **settings)
    import mysql.connector
    return mysql.connector.connect(ssl_disabled=tls != "tls", use_pure=True, **settings)


def attempt(label, work):
    try:
        print(label, work())
    except Exception as error:  # what the driver makes of it is what is compared
        print(label, type(error).__name__, error)


def run(connection, sql, values=None):
    cursor = connection.cursor()
    cursor.execute(sql, values)
    rows = cursor.fetchall() if cursor.description else None
    return rows, cursor.rowcount, cursor.lastrowid


def many(connection, sql, rows):
    cursor = connection.cursor()
    cursor.executemany(sql, rows)
    return cursor.rowcount, cursor.lastrowid


def prepared(connection):
    cursor = connection.cursor(prepared=True)
    found = []
    for value in (1, "two", None, 3.5, b"\x00\xff"):
        cursor.execute("SELECT %s, %s", (value, "again"))
        found.append(cursor.fetchall())
    cursor.execute("UPDATE users SET first_name = %s WHERE username = %s", ("Prepared", "py1"))
    return found, cursor.rowcount


def main():
    try:
        connection = connect()
    except Exception as error:
        print("login", type(error).__name__, error)
        return
    attempt("who", lambda: run(connection, "SELECT CURRENT_USER(), DATABASE()"))
    insert = "INSERT INTO users (username, email, password_hash) VALUES (%s, %s, 'h')"
    attempt("insert", lambda: run(connection, insert, ("py1", "py1@x.org")))
    attempt("many", lambda: many(connection, insert, [(f"m{i}", f"m{i}@x.org") for i in range(3)]))
    attempt("twice", lambda: run(connection, insert, ("py1", "py2@x.org")))
    attempt("update", lambda: run(connection, "UPDATE users SET last_name = 'L' WHERE email LIKE 'm%'"))
    attempt("commit", connection.commit)
    attempt("delete", lambda: run(connection, "DELETE FROM users WHERE username = 'm1'"))
    attempt("rollback", connection.rollback)
    attempt("rows", lambda: run(connection, "SELECT username, last_name FROM users ORDER BY id"))
    connection.autocommit(True) if name == "pymysql" else setattr(connection, "autocommit", True)
    attempt("own", lambda: run(connection, "UPDATE users SET email = 'n@x.org' WHERE username = 'm2'"))
    attempt("warned", lambda: run(connection, "UPDATE IGNORE users SET last_name = REPEAT('x', 60)"))
    attempt("warnings", lambda: run(connection, "SHOW WARNINGS"))
    attempt("unknown", lambda: run(connection, "SELECT * FROM nowhere"))
    if name != "pymysql":
        attempt("prepared", lambda: prepared(connection))
        attempt("reset", connection.cmd_reset_connection)
    attempt("ping", lambda: connection.ping(False))
    attempt("remove", lambda: run(connection, "DELETE FROM users"))
    connection.close()


main()
