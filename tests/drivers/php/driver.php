<?php
// What mysqli or PDO makes of a server, as lines of JSON:
// php driver.php mysqli|pdo PORT USER PASSWORD DATABASE plain|tls FOLDER
[, $name, $port, $user, $password, $database, $tls, $folder] = $argv;
ini_set('memory_limit', '1G');
ini_set('mysqli.allow_local_infile', '1');
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
error_reporting(E_ALL & ~E_WARNING & ~E_DEPRECATED);

function shown($value) {
    if (is_array($value)) return array_map('shown', $value);
    if (is_object($value)) return shown(get_object_vars($value));
    if (!is_string($value)) return $value;
    if (strlen($value) > 1000) return 'sha1 ' . sha1($value);
    return mb_check_encoding($value, 'UTF-8') ? $value : 'hex ' . bin2hex($value);
}
function attempt($step, $work) {
    $facts = ['step' => $step];
    try {
        $facts['result'] = shown($work());
    } catch (Throwable $error) {
        $facts += ['error' => get_class($error), 'code' => $error->getCode(), 'text' => $error->getMessage()];
        if (method_exists($error, 'getSqlState')) $facts['state'] = $error->getSqlState();
    }
    echo json_encode($facts, JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR), "\n";
}

$big = "SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id";
$insert = "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')";
$values = [0, -1, PHP_INT_MAX, 1.5, 'ü€😀', "it's \\", "\x00\xff", null, '2024-02-29 01:02:03'];

function my_connect($secret, $charset = 'utf8mb4') {
    global $port, $user, $database, $tls;
    $c = mysqli_init();
    $c->options(MYSQLI_OPT_LOCAL_INFILE, true);
    if ($tls == 'tls') $c->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, false);
    $c->real_connect('127.0.0.1', $user, $secret, $database, (int)$port, null,
        $tls == 'tls' ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0);
    $c->set_charset($charset);
    return $c;
}
function my_result($c, $found) {
    $rows = is_object($found) ? $found->fetch_all() : null;
    $fields = is_object($found) ? array_map(fn($f) => [$f->name, $f->type, $f->flags, $f->charsetnr, $f->length, $f->table], $found->fetch_fields()) : null;
    return [$rows, $fields, $c->affected_rows, $c->insert_id, $c->warning_count, $c->info];
}
function my_several($c, $sql) {
    $all = [];
    $c->multi_query($sql);
    do {
        $found = $c->store_result();
        $all[] = $found ? $found->fetch_all() : $c->affected_rows;
    } while ($c->next_result());
    return $all;
}
function with_mysqli() {
    global $folder, $values, $big, $insert, $user, $password, $database;
    $c = my_connect($password);
    $query = fn($sql) => my_result($c, $c->query($sql));
    foreach (file("$folder/statements.sql", FILE_IGNORE_NEW_LINES) as $i => $sql) attempt("statement $i", fn() => $query($sql));
    foreach ($values as $i => $value) attempt("prepared $i", function () use ($c, $value) {
        $s = $c->prepare('SELECT ?, id, n, u, d, f, s, b, day, moment, clock, flag FROM facts WHERE id < ? ORDER BY id');
        $limit = 5;
        $s->bind_param(is_int($value) ? 'ii' : (is_float($value) ? 'di' : 'si'), $value, $limit);
        $s->execute();
        return $s->get_result()->fetch_all();
    });
    attempt('cursor', function () use ($c) {
        $s = $c->prepare('SELECT id, s FROM facts ORDER BY id');
        $s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
        $s->execute();
        $s->bind_result($id, $text);
        $all = [];
        while ($s->fetch()) $all[] = [$id, $text];
        return $all;
    });
    attempt('long data', function () use ($c) {
        $s = $c->prepare('INSERT INTO every_type (long_bytes) VALUES (?)');
        $null = null;
        $s->bind_param('b', $null);
        for ($i = 0; $i < 5; $i++) $s->send_long_data(0, str_repeat("part $i\0", 20000));
        $s->execute();
        return [$s->affected_rows, my_result($c, $c->query('SELECT LENGTH(long_bytes), SHA1(long_bytes) FROM every_type ORDER BY id DESC LIMIT 1'))];
    });
    foreach (['p1', 'p2', 'p1'] as $who) attempt("prepared insert $who", function () use ($c, $who) {
        $s = $c->prepare("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')");
        $mail = "$who@x.org";
        $s->bind_param('ss', $who, $mail);
        $s->execute();
        return [$s->affected_rows, $s->insert_id];
    });
    attempt('begin', fn() => $c->begin_transaction());
    attempt('insert', fn() => $query($insert));
    attempt('rollback', fn() => $c->rollback());
    attempt('count', fn() => $query('SELECT COUNT(*) FROM users'));
    attempt('autocommit off', fn() => $c->autocommit(false));
    attempt('update', fn() => $query("UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'"));
    attempt('commit', fn() => $c->commit());
    attempt('autocommit on', fn() => $c->autocommit(true));
    foreach (["SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'", 'SELECT 1; SELECT * FROM no_such_table; SELECT 2',
        'CALL many_results(3)', 'CALL fails(3)'] as $sql) attempt($sql, fn() => my_several($c, $sql));
    attempt('large result', function () use ($c, $big) {
        $found = $c->query($big, MYSQLI_USE_RESULT);
        $hash = hash_init('sha1');
        $count = 0;
        while ($row = $found->fetch_row()) { hash_update($hash, $row[0]); $count++; }
        return [$count, hash_final($hash)];
    });
    attempt('large packet', fn() => $query("INSERT INTO every_type (long_words) VALUES ('" . str_repeat('wide', 4500000) . "')"));
    attempt('large value', fn() => $query('SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1'));
    attempt('local file', fn() => $query("LOAD DATA LOCAL INFILE '$folder/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4"));
    attempt('no local file', fn() => $query("LOAD DATA LOCAL INFILE '$folder/none' INTO TABLE scratch"));
    attempt('async', function () use ($c) { $c->query('SELECT SLEEP(0.1), 7', MYSQLI_ASYNC); return $c->reap_async_query()->fetch_all(); });
    attempt('ping', fn() => $c->query('DO 1'));
    attempt('statistics', fn() => strlen($c->stat()) > 10);
    attempt('change user', fn() => $c->change_user($user, $password, $database));
    attempt('after change', fn() => $query('SELECT CURRENT_USER(), DATABASE(), @v'));
    attempt('kill own', fn() => $c->query('KILL CONNECTION_ID()'));
    attempt('after kill', fn() => $query('SELECT 1'));
    attempt('latin1', fn() => my_result($l = my_connect($password, 'latin1'), $l->query("SELECT s, l, HEX(l) FROM facts WHERE id IN (1, 5)")));
    attempt('wrong password', fn() => my_connect('wrong'));
}
function pdo_connect($secret, $more = []) {
    global $port, $user, $database, $tls;
    $options = [PDO::MYSQL_ATTR_LOCAL_INFILE => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION] + $more;
    if ($tls == 'tls') $options += [PDO::MYSQL_ATTR_SSL_CA => '/dev/null', PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false];
    return new PDO("mysql:host=127.0.0.1;port=$port;dbname=$database;charset=utf8mb4", $user, $secret, $options);
}
function pdo_result($s) {
    $all = [];
    do {
        $fields = [];
        for ($i = 0; $i < $s->columnCount(); $i++) { $f = $s->getColumnMeta($i); $fields[] = $f ? [$f['name'], $f['native_type'] ?? '', $f['len'], $f['flags']] : null; }
        $all[] = [$s->columnCount() ? $s->fetchAll(PDO::FETCH_NUM) : null, $fields, $s->rowCount()];
    } while ($s->nextRowset());
    return $all;
}
function with_pdo() {
    global $folder, $values, $big, $insert, $password;
    $c = pdo_connect($password);
    foreach (file("$folder/statements.sql", FILE_IGNORE_NEW_LINES) as $i => $sql) attempt("statement $i", fn() => [pdo_result($c->query($sql)), $c->lastInsertId()]);
    foreach ([true, false] as $emulated) {
        $c->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
        $kind = $emulated ? 'emulated' : 'prepared';
        foreach ($values as $i => $value) attempt("$kind $i", function () use ($c, $value) {
            $s = $c->prepare('SELECT :v, id, n, u, d, f, s, b, day, moment, clock FROM facts WHERE id < :n ORDER BY id');
            $s->bindValue(':v', $value, is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
            $s->bindValue(':n', 5, PDO::PARAM_INT);
            $s->execute();
            return pdo_result($s);
        });
        foreach (['1', '2', '1'] as $who) attempt("$kind insert $who", function () use ($c, $who, $kind) {
            $s = $c->prepare("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')");
            $s->execute(["$kind$who", "$kind$who@x.org"]);
            return [$s->rowCount(), $c->lastInsertId()];
        });
        attempt("$kind call", function () use ($c) { $s = $c->prepare('CALL many_results(?)'); $s->execute([3]); return pdo_result($s); });
    }
    attempt('begin', fn() => $c->beginTransaction());
    attempt('insert', fn() => $c->exec($insert));
    attempt('rollback', fn() => $c->rollBack());
    attempt('begin again', fn() => $c->beginTransaction());
    attempt('update', fn() => $c->exec("UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'"));
    attempt('commit', fn() => $c->commit());
    attempt('users', fn() => pdo_result($c->query('SELECT username, first_name FROM users ORDER BY id')));
    $c->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
    foreach (["SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'", 'SELECT 1; SELECT * FROM no_such_table; SELECT 2',
        'CALL fails(3)'] as $sql) attempt($sql, fn() => pdo_result($c->query($sql)));
    attempt('large result', function () use ($password, $big) {
        $c = pdo_connect($password, [PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => false]);
        $hash = hash_init('sha1');
        $count = 0;
        foreach ($c->query($big, PDO::FETCH_NUM) as $row) { hash_update($hash, $row[0]); $count++; }
        return [$count, hash_final($hash)];
    });
    attempt('large packet', function () use ($c) { $s = $c->prepare('INSERT INTO every_type (long_words) VALUES (?)'); $s->execute([str_repeat('wide', 4500000)]); return $s->rowCount(); });
    attempt('large value', fn() => pdo_result($c->query('SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1')));
    attempt('local file', fn() => $c->exec("LOAD DATA LOCAL INFILE '$folder/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4"));
    attempt('wrong password', fn() => pdo_connect('wrong'));
}
try {
    $name == 'pdo' ? with_pdo() : with_mysqli();
} catch (Throwable $error) {
    echo json_encode(['step' => 'connect', 'code' => $error->getCode(), 'text' => $error->getMessage()]), "\n";
}
