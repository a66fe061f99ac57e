# What Ruby's mysql2 makes of a server, as lines of JSON:
# ruby driver.rb mysql2 PORT USER PASSWORD DATABASE plain|tls FOLDER
require 'digest'
require 'json'
require 'mysql2'

$stdout.sync = true
# A statement that the collector closes in the midst of a streamed result disturbs it, directly as well.
GC.disable
_name, PORT, USER, PASSWORD, DATABASE, TLS, FOLDER = ARGV

def shown(value)
  case value
  when Array then value.map { |part| shown(part) }
  when Hash then value.transform_values { |part| shown(part) }
  when String
    return "sha1 #{Digest::SHA1.hexdigest(value)}" if value.bytesize > 1000
    value.encoding == Encoding::BINARY ? "hex #{value.unpack1('H*')}" : value
  when Time then value.utc.iso8601(6)
  when NilClass, Integer, TrueClass, FalseClass then value
  else "#{value.class} #{value}"
  end
end

def attempt(step)
  facts = { step: step }
  begin
    facts[:result] = shown(yield)
  rescue Mysql2::Error => error
    facts.merge!(error: error.error_number, state: error.sql_state, text: error.message)
  rescue StandardError => error
    facts.merge!(error: error.class.to_s, text: error.message)
  end
  puts JSON.generate(facts)
end

def connect(more = {})
  settings = { host: '127.0.0.1', port: PORT.to_i, username: USER, password: PASSWORD, database: DATABASE,
               local_infile: true, encoding: 'utf8mb4', database_timezone: :utc,
               flags: Mysql2::Client::MULTI_STATEMENTS, ssl_mode: TLS == 'tls' ? :required : :disabled }
  Mysql2::Client.new(settings.merge(more))
end

def outcome(client, found)
  rows = found && [found.fields, found.map { |row| row.values }]
  [rows, client.affected_rows, client.last_id, client.query_info]
end

def several(client, sql)
  all = [client.query(sql)&.to_a]
  while client.next_result
    all << client.store_result&.to_a
  end
  all
ensure
  client.abandon_results!
end

begin
  client = connect
rescue Mysql2::Error => error
  puts JSON.generate(step: 'connect', error: error.error_number, text: error.message)
  exit 0
end
File.readlines("#{FOLDER}/statements.sql", chomp: true, encoding: 'UTF-8').each_with_index do |sql, i|
  attempt("statement #{i}") { outcome(client, client.query(sql)) }
end
select = client.prepare('SELECT ?, id, n, u, d, f, s, b, day, moment, clock, flag FROM facts WHERE id < ? ORDER BY id')
[0, -1, 2**63 - 1, 1.5, 'ü€😀', "it's \\", "\x00\xFF".b, nil, true, Time.utc(2024, 2, 29, 1, 2, 3, 456)].each do |value|
  attempt("prepared #{value.inspect}") { select.execute(value, 5).map(&:values) }
end
insert = client.prepare("INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')")
%w[p1 p2 p1].each do |who|
  attempt("prepared insert #{who}") { insert.execute(who, "#{who}@x.org"); [insert.affected_rows, insert.last_id] }
end
attempt('cursor') { client.prepare('SELECT id, s FROM facts ORDER BY id').execute(stream: true, cache_rows: false).map(&:values) }
attempt('prepared error') { client.prepare('SELECT ? FROM no_such_table') }
["BEGIN", "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')", "ROLLBACK",
 "SELECT COUNT(*) FROM users", "SET autocommit = 0", "UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'",
 "COMMIT", "SET autocommit = 1", "SELECT username, first_name FROM users ORDER BY id"].each do |sql|
  attempt(sql) { outcome(client, client.query(sql)) }
end
["SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'", 'SELECT 1; SELECT * FROM no_such_table; SELECT 2',
 'CALL many_results(3)', 'CALL fails(3)'].each { |sql| attempt(sql) { several(client, sql) } }
attempt('large result') do
  digest, count = Digest::SHA1.new, 0
  client.query('SELECT REPEAT(MD5(a.id * 100 + b.id), 500) AS t FROM numbers a JOIN numbers b ' \
               'WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id', stream: true, cache_rows: false).each do |row|
    digest << row['t']
    count += 1
  end
  [count, digest.hexdigest]
end
attempt('large packet') { outcome(client, client.query("INSERT INTO every_type (long_words) VALUES ('#{'wide' * 4_500_000}')")) }
attempt('large value') { client.query('SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1').map(&:values) }
attempt('local file') { outcome(client, client.query("LOAD DATA LOCAL INFILE '#{FOLDER}/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4")) }
attempt('no local file') { client.query("LOAD DATA LOCAL INFILE '#{FOLDER}/none' INTO TABLE scratch") }
attempt('async') { client.query('SELECT SLEEP(0.1), 7', async: true); client.async_result.map(&:values) }
attempt('ping') { client.ping }
attempt('select db') { client.select_db('information_schema'); client.query('SELECT DATABASE()').map(&:values) }
attempt('warnings') { client.select_db(DATABASE); client.query("SELECT 1 / 0, 'x' + 1"); client.warning_count }
client.close
attempt('latin1') { connect(encoding: 'latin1').query('SELECT l, HEX(l) FROM facts WHERE id IN (1, 5)').map { |row| row.values.map(&:b) } }
attempt('wrong password') { connect(password: 'wrong') }
