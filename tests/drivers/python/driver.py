"""What one Python driver makes of a server, as lines of JSON:
python driver.py NAME PORT USER PASSWORD DATABASE plain|tls FOLDER. The same lines must come directly and
through Segue. FOLDER has the shared statements."""

import datetime
import decimal
import hashlib
import json
import sys
import warnings

NAME, PORT, USER, PASSWORD, DATABASE, TLS, FOLDER = sys.argv[1:8]
warnings.simplefilter("ignore")
MARK = "%s"


def shown(value):
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value)
        return value.hex() if len(value) < 100 else "sha1 " + hashlib.sha1(value).hexdigest()
    if isinstance(value, (list, tuple)) or hasattr(value, "_mapping"):
        return [shown(part) for part in value]
    if isinstance(value, set):
        return sorted(map(str, value))
    if isinstance(value, (datetime.date, datetime.timedelta, decimal.Decimal)):
        return f"{type(value).__name__} {value}"
    return repr(value)


def say(step, **facts):
    print(json.dumps({"step": step, **facts}, sort_keys=True, ensure_ascii=False), flush=True)


def attempt(step, work):
    try:
        say(step, result=shown(work()))
    except Exception as error:  # what the driver makes of it is what is compared
        say(step, error=type(error).__name__, text=str(error))


def connect(**more):
    plain = TLS == "plain"
    settings = dict(host="127.0.0.1", port=int(PORT), user=USER, password=PASSWORD, database=DATABASE)
    if NAME == "pymysql":
        import pymysql
        from pymysql.constants import CLIENT
        ssl = {} if plain else {"ssl": {"verify_mode": "none", "check_hostname": False}}
        return pymysql.connect(**settings, **ssl, ssl_disabled=plain, local_infile=True,
                               client_flag=CLIENT.MULTI_STATEMENTS, **{"charset": "utf8mb4", **more})
    if NAME in ("mysqldb", "sqlalchemy-mysqldb"):
        import MySQLdb
        from MySQLdb.constants import CLIENT
        mode = {} if plain else {"ssl": {"cipher": "DEFAULT"}}
        return MySQLdb.connect(**settings, **mode, local_infile=1, client_flag=CLIENT.MULTI_STATEMENTS,
                               **{"charset": "utf8mb4", **more})
    import mysql.connector
    pure = NAME == "connector"
    return mysql.connector.connect(**settings, ssl_disabled=plain, use_pure=pure, allow_local_infile=True,
                                   **{"charset": "utf8mb4", **more})


def run(connection, sql, values=None):
    cursor = connection.cursor()
    try:
        cursor.execute(sql, values)
        rows = cursor.fetchall() if cursor.description else None
        description = [column[:2] for column in cursor.description or []]
        return rows, description, cursor.rowcount, cursor.lastrowid
    finally:
        cursor.close()


def autocommit(connection, on):
    if callable(getattr(connection, "autocommit", None)):
        connection.autocommit(on)
    else:
        connection.autocommit = on


def parameters(connection):
    values = [0, -1, 2**63 - 1, 1.5, decimal.Decimal("12.50"), "ü€😀", "it's \\", b"\x00\xff", None, True,
              datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 456), datetime.timedelta(hours=26)]
    for value in values:
        attempt(f"parameter {value!r}", lambda: run(connection, f"SELECT {MARK}, {MARK}", (value, "x")))
    attempt("many", lambda: run_many(connection))
    if "connector" in NAME:
        cursor = connection.cursor(prepared=True)
        for value in values:
            def prepared():
                cursor.execute("SELECT ?, id FROM facts WHERE id < ? ORDER BY id", (value, 3))
                return cursor.fetchall()
            attempt(f"prepared {value!r}", prepared)
        cursor.close()
        cursor = connection.cursor(prepared=True)

        def change():
            found = []
            for name in ("p1", "p2", "p1"):
                try:
                    cursor.execute("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')",
                                   (name, f"{name}@x.org"))
                    found.append((cursor.rowcount, cursor.lastrowid))
                except Exception as error:
                    found.append(str(error))
            return found
        attempt("prepared insert", change)


def run_many(connection):
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO scratch (id, content) VALUES (%s, %s)", [(i, f"m{i}") for i in range(500, 520)])
    return cursor.rowcount


def transactions(connection):
    count = "SELECT COUNT(*), MAX(first_name) FROM users"
    autocommit(connection, False)
    insert = "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')"
    attempt("in transaction", lambda: run(connection, insert))
    attempt("rolled back", connection.rollback)
    attempt("after rollback", lambda: run(connection, count))
    attempt("update", lambda: run(connection, "UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'"))
    attempt("fails", lambda: run(connection, insert.replace("t1", "cy")))
    attempt("committed", connection.commit)
    attempt("after commit", lambda: run(connection, count))
    attempt("end", connection.rollback)
    autocommit(connection, True)


def results(connection):
    def several(sql):
        cursor = connection.cursor()
        if "connector" in NAME and not hasattr(cursor, "nextset"):
            return [shown(found.fetchall()) for found in cursor.execute(sql, multi=True) if found.with_rows]
        cursor.execute(sql)
        found = []
        while True:
            found.append((cursor.fetchall() if cursor.description else None, cursor.rowcount))
            if not cursor.nextset():
                return found
    attempt("several", lambda: several("SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'"))
    attempt("several with error", lambda: several("SELECT 1; SELECT * FROM no_such_table; SELECT 2"))
    attempt("call", lambda: several("CALL many_results(3)"))
    attempt("call fails", lambda: several("CALL fails(3)"))

    def procedure():
        cursor = connection.cursor()
        found = cursor.callproc("give_back", (21, ""))
        return found
    attempt("callproc", procedure)


def large(connection):
    def rows():
        cursor = connection.cursor()
        cursor.execute("SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b "
                       "WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id")
        digest, count, size = hashlib.sha1(), 0, 0
        for (text,) in cursor.fetchall():
            text = text if isinstance(text, bytes) else text.encode()
            digest.update(text)
            count, size = count + 1, size + len(text)
        return count, size, digest.hexdigest()
    attempt("large result", rows)
    wide = "wide" * 4_500_000
    attempt("large packet", lambda: run(connection, "INSERT INTO every_type (long_words) VALUES (%s)", (wide,)))
    attempt("large value", lambda: hashlib.sha1(run(
        connection, "SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1")[0][0][0].encode()).hexdigest())


def raw(connect):
    connection = connect()
    autocommit(connection, True)
    for number, line in enumerate(open(f"{FOLDER}/statements.sql", encoding="utf-8")):
        attempt(f"statement {number}", lambda: run(connection, line.rstrip("\n")))
    parameters(connection)
    transactions(connection)
    results(connection)
    large(connection)
    load = f"LOAD DATA LOCAL INFILE '{FOLDER}/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4"
    attempt("local file", lambda: run(connection, load))
    # Some leave the server waiting for the file: nothing that follows on such a connection is compared.
    attempt("no local file", lambda: run(connect(), load.replace("rows.tsv", "no_such_file")))
    if "connector" in NAME:
        attempt("reset", connection.cmd_reset_connection)
        attempt("change user", lambda: connection.cmd_change_user(USER, PASSWORD, DATABASE))
    if NAME == "mysqldb":
        attempt("change user", lambda: connection.change_user(USER, PASSWORD, DATABASE))
        attempt("statistics", lambda: len(connection.stat()) > 10)
    attempt("ping", lambda: connection.ping(False) if "connector" in NAME else connection.ping())
    connection.close()
    connection = connect(charset="latin1")
    attempt("latin1", lambda: run(connection, "SELECT 'é', s, l, @@character_set_results FROM facts WHERE id IN (1, 5)"))
    connection.close()
    attempt("wrong password", wrong)


def wrong():
    global PASSWORD
    right, PASSWORD = PASSWORD, "wrong"
    try:
        return connect()
    finally:
        PASSWORD = right


def orm():
    """SQLAlchemy's own layer."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, func, select, text
    engine = create_engine("mysql+mysqldb://" if "mysqldb" in NAME else "mysql+pymysql://", creator=connect)
    metadata = MetaData()
    attempt("reflect", lambda: metadata.reflect(engine, only=["users", "facts", "shopping_carts"]))
    users = metadata.tables["users"]
    notes = Table("orm_notes", metadata, Column("id", Integer, primary_key=True), Column("body", String(50)))
    attempt("create", lambda: metadata.create_all(engine))
    with engine.begin() as work:
        attempt("insert", lambda: work.execute(users.insert(), [
            {"username": f"o{i}", "email": f"o{i}@x.org", "password_hash": "h"} for i in range(5)]).rowcount)
        attempt("note", lambda: work.execute(notes.insert().values(body="b")).inserted_primary_key)
    with engine.connect() as work:
        attempt("select", lambda: work.execute(
            select(users.c.username, func.length(users.c.email)).order_by(users.c.id)).fetchall())
        attempt("facts", lambda: work.execute(select(metadata.tables["facts"])).fetchall())
        attempt("update", lambda: work.execute(
            users.update().where(users.c.username == "o1").values(first_name="O")).rowcount)
        work.rollback()
        attempt("nested", lambda: nested(work, users, text))
        work.commit()
        attempt("after", lambda: work.execute(text("SELECT username, first_name FROM users ORDER BY id")).fetchall())


def nested(work, users, text):
    with work.begin_nested() as inner:
        work.execute(users.delete().where(users.c.username == "o2"))
        inner.rollback()
    return work.execute(users.delete().where(users.c.username == "o3")).rowcount


with_orm = "sqlalchemy" in NAME
NAME = NAME.removeprefix("sqlalchemy-")
try:
    connect().close()
except Exception as error:
    say("connect", error=type(error).__name__, text=str(error))
else:
    orm() if with_orm else raw(connect)
