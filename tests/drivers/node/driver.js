// What one Node.js driver makes of a server, as lines of JSON:
// node driver.js NAME PORT USER PASSWORD DATABASE plain|tls FOLDER MODULES. MODULES is where the drivers are.
const crypto = require("crypto");
const fs = require("fs");
const [name, port, user, password, database, tls, folder, modules] = process.argv.slice(2);
const driver = require("module").createRequire(`${modules}/driver.js`)(name);

function shown(value) {
  if (Buffer.isBuffer(value)) value = value.length < 100 ? value.toString("hex") : `sha1 ${hash(value)}`;
  if (typeof value === "bigint") return `bigint ${value}`;
  if (value instanceof Date) return `date ${value.getTime()}`;
  if (typeof value === "string" && value.length > 2000) return `sha1 ${hash(value)}`;
  if (Array.isArray(value)) return value.map(shown);
  if (value && typeof value === "object") {
    const own = Object.keys(value).filter((key) => key[0] !== "_").sort();
    return Object.fromEntries(own.map((key) => [key, shown(value[key])]));
  }
  return value === undefined ? "undefined" : value;
}
const hash = (bytes) => crypto.createHash("sha1").update(bytes).digest("hex");
const say = (step, facts) => console.log(JSON.stringify({ step, ...facts }));

async function attempt(step, work) {
  try {
    say(step, { result: shown(await work()) });
  } catch (error) {
    const text = String(error.message).replace(/\(conn(:|=)\d+,/, "(conn,");
    say(step, { error: error.code, number: error.errno, state: error.sqlState, text: text.slice(0, 300) });
  }
}

// One face for all drivers: query, execute (prepared), end.
async function connect(more = {}) {
  const settings = { host: "127.0.0.1", port: Number(port), user, password, database, ...more,
    multipleStatements: true, dateStrings: true, supportBigNumbers: true, bigNumberStrings: true };
  if (tls === "tls") settings.ssl = { rejectUnauthorized: false };
  const file = (path) => fs.createReadStream(path);
  if (name === "mariadb") {
    const made = await driver.createConnection({ ...settings, permitLocalInfile: true, allowPublicKeyRetrieval: true });
    return { made, query: (sql, values) => made.query(sql, values), execute: (sql, values) => made.execute(sql, values),
      batch: (sql, rows) => made.batch(sql, rows), ping: () => made.ping(), reset: () => made.reset(),
      change: () => made.changeUser({ user, password, database }), end: () => made.end(),
      stream: (sql, row) => new Promise((done, fail) => {
        made.queryStream(sql).on("data", row).on("end", done).on("error", fail); }) };
  }
  const made = driver.createConnection({ ...settings, infileStreamFactory: file });
  const call = (method, ...rest) => new Promise((done, fail) => made[method](...rest, (error, found, fields) =>
    error ? fail(error) : done(fields ? { found, fields: names(fields) } : found)));
  await call("connect");
  return { made, query: (sql, values) => call("query", sql, values), ping: () => call("ping"),
    execute: made.execute ? (sql, values) => call("execute", sql, values) : undefined,
    change: () => call("changeUser", { user, password, database }),
    reset: made.reset ? () => call("reset") : undefined, end: () => call("end"),
    stream: (sql, row) => new Promise((done, fail) => {
      made.query(sql).on("result", row).on("end", done).on("error", fail); }) };
}
const names = (fields) => [fields].flat(2).map((f) => f && [f.name, f.columnType ?? f.type, f.flags, f.columnLength ?? f.length]);

async function parameters(c) {
  const values = [0, -1, 1.5, 2 ** 40, "ü€😀", "it's \\", Buffer.from([0, 255]), null, true, "2024-02-29 01:02:03"];
  for (const value of values) await attempt(`parameter ${value}`, () => c.query("SELECT ?, ?", [value, "x"]));
  if (c.execute) {
    for (const value of [...values, 12345678901234567890n]) {
      await attempt(`prepared ${value}`, () => c.execute("SELECT ?, id, d, moment, s FROM facts WHERE id < ? ORDER BY id", [value, 4]));
    }
    for (const who of ["p1", "p2", "p1"]) {
      await attempt(`prepared insert ${who}`, () =>
        c.execute("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')", [who, `${who}@x.org`]));
    }
    await attempt("all types", () => c.execute("SELECT * FROM every_type ORDER BY id"));
    await attempt("prepared update", () => c.execute("UPDATE users SET first_name = ? WHERE username LIKE ?", ["Pre", "p%"]));
    await attempt("prepared error", () => c.execute("SELECT ? FROM no_such_table", [1]));
  }
  if (c.batch) {
    const rows = Array.from({ length: 50 }, (_, i) => [600 + i, `batch ${i}`]);
    await attempt("batch", () => c.batch("INSERT INTO scratch (id, content) VALUES (?, ?)", rows));
    const users = Array.from({ length: 20 }, (_, i) => [`b${i}`, `b${i}@x.org`]);
    await attempt("batch of users", () => c.batch("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')", users));
    await attempt("batch update", () => c.batch("UPDATE users SET first_name = ? WHERE username = ?", users.map(([n]) => [n.toUpperCase(), n])));
    await attempt("batch error", () => c.batch("INSERT INTO scratch (id, content) VALUES (?, ?)", [[700, "a"], [700, "b"]]));
    await attempt("after batch", () => c.query("SELECT id, username, first_name FROM users ORDER BY id"));
    await attempt("batch sum", () => c.query("SELECT COUNT(*), SUM(id) FROM scratch"));
  }
}

async function transactions(c) {
  const insert = "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')";
  for (const sql of ["BEGIN", insert, "ROLLBACK", "SELECT COUNT(*) FROM users", "START TRANSACTION",
    "UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'", insert.replace("'t1'", "'cy'"), "COMMIT",
    "SELECT username, first_name FROM users ORDER BY id", "SET autocommit = 0", insert, "COMMIT", "SET autocommit = 1"]) {
    await attempt(sql, () => c.query(sql));
  }
}

async function large(c) {
  await attempt("large result", async () => {
    const digest = crypto.createHash("sha1");
    let [count, size] = [0, 0];
    await c.stream("SELECT REPEAT(MD5(a.id * 100 + b.id), 500) AS t FROM numbers a JOIN numbers b " +
      "WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id", (row) => {
      digest.update(row.t); count += 1; size += row.t.length; });
    return { count, size, sha1: digest.digest("hex") };
  });
  const wide = "wide".repeat(4500000);
  await attempt("large packet", () => c.query("INSERT INTO every_type (long_words) VALUES (?)", [wide]));
  await attempt("large value", () => c.query("SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1"));
}

async function main() {
  const c = await connect();
  const lines = fs.readFileSync(`${folder}/statements.sql`, "utf8").split("\n").filter(Boolean);
  for (const [number, sql] of lines.entries()) await attempt(`statement ${number}`, () => c.query(sql));
  await parameters(c);
  await transactions(c);
  for (const sql of ["SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'", "CALL many_results(3)",
    "SELECT 1; SELECT * FROM no_such_table; SELECT 2", "CALL fails(3)"]) await attempt(sql, () => c.query(sql));
  if (c.execute) await attempt("prepared call", () => c.execute("CALL many_results(?)", [2]));
  await large(c);
  const load = `LOAD DATA LOCAL INFILE '${folder}/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4`;
  await attempt("local file", () => c.query(name === "mysql" ? load : { sql: load, infileStreamFactory: () => fs.createReadStream(`${folder}/rows.tsv`) }));
  await attempt("ping", () => c.ping());
  await attempt("many at once", () => Promise.all(Array.from({ length: 50 }, (_, i) => c.query(`SELECT ${i} AS n`))));
  if (c.reset) await attempt("reset", () => c.reset());
  await attempt("change user", () => c.change());
  await attempt("after change", () => c.query("SELECT CURRENT_USER(), DATABASE(), @v"));
  await c.end();
  await attempt("wrong password", () => connect({ password: "wrong" }));
  await attempt("unknown database", () => connect({ database: "no_such_database" }));
}

main().then(() => process.exit(0), (error) => { say("connect", { error: error.code, text: error.message }); process.exit(0); });
