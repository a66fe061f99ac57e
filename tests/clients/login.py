"""Logins of Python drivers: reads a JSON list of cases from standard input and prints what comes of each, one
JSON text a line. A case: driver, port, user, password, database, tls, and perhaps

    flush        port of the server whose cache of passwords is emptied before
    change       [user, password, database] to change to after the login
    certificate  [certificate, key] that the client shows

The same lines must come directly and through Segue."""

import json
import sys

import mysql.connector
import pymysql


def flush(port):
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    connection.cursor().execute("FLUSH PRIVILEGES")
    connection.close()


def connect(case):
    settings = dict(host="127.0.0.1", port=case["port"], user=case["user"], password=case["password"])
    if case["database"]:
        settings["database"] = case["database"]
    certificate = case.get("certificate") or [None, None]
    if case["driver"] == "pymysql":
        if case["tls"]:
            settings["ssl"] = {"verify_mode": "none", "check_hostname": False}
            if certificate[0]:
                settings["ssl"].update(cert=certificate[0], key=certificate[1])
        return pymysql.connect(ssl_disabled=not case["tls"], **settings)
    if certificate[0]:
        settings.update(ssl_cert=certificate[0], ssl_key=certificate[1])
    return mysql.connector.connect(ssl_disabled=not case["tls"], use_pure=True, **settings)


def who(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT CURRENT_USER(), DATABASE()")
    return cursor.fetchall()


def outcome(case):
    found = []
    try:
        if case.get("flush"):
            flush(case["flush"])
        connection = connect(case)
        found.append(who(connection))
        if case.get("change"):
            if case.get("flush"):
                flush(case["flush"])
            user, password, database = case["change"]
            try:
                connection.cmd_change_user(user, password, database)
            except Exception as error:
                found.append(f"{type(error).__name__} {error}")
            found.append(who(connection))
        connection.close()
    except Exception as error:  # what the driver makes of it is what is compared
        found.append(f"{type(error).__name__} {error}")
    return repr(found)


for case in json.load(sys.stdin):
    print(json.dumps(outcome(case)), flush=True)
