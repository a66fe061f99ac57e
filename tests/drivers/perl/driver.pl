#!/usr/bin/perl
# What DBD::mysql or DBD::MariaDB makes of a server, as lines of JSON:
# perl driver.pl mysql|MariaDB PORT USER PASSWORD DATABASE plain|tls FOLDER
use strict;
use warnings;
use utf8;
use DBI;
use Digest::SHA qw(sha1_hex);
use Encode qw(encode_utf8);
use JSON::PP;

my ($name, $port, $user, $password, $database, $tls, $folder) = @ARGV;
my $json = JSON::PP->new->canonical->allow_nonref->ascii;
my $prefix = $name eq 'mysql' ? 'mysql' : 'mariadb';
$| = 1;

sub shown {
    my ($value) = @_;
    return [map { shown($_) } @$value] if ref $value;
    return $value if !defined $value || length $value < 1000;
    return 'sha1 ' . sha1_hex(utf8::is_utf8($value) ? encode_utf8($value) : $value);
}
sub attempt {
    my ($step, $work) = @_;
    my $result = eval { shown($work->()) };
    my %facts = (step => $step);
    if ($@) { %facts = (%facts, error => $DBI::err, state => $DBI::state, text => $DBI::errstr // "$@"); }
    else { $facts{result} = $result; }
    print $json->encode(\%facts), "\n";
}
sub login {
    my ($secret) = @_;
    my $source = "DBI:$name:database=$database;host=127.0.0.1;port=$port;${prefix}_local_infile=1;${prefix}_multi_statements=1";
    # Debian's builds do not offer to enforce TLS; that it is there is seen from the server's status.
    $source .= $tls eq 'tls' ? ";${prefix}_ssl=1;${prefix}_ssl_optional=1" : '';
    $source .= ';mariadb_ssl_verify_server_cert=0' if $tls eq 'tls' && $name eq 'MariaDB';
    my %more = $name eq 'mysql' ? (mysql_enable_utf8mb4 => 1) : ();
    return DBI->connect($source, $user, $secret, { RaiseError => 1, PrintError => 0, AutoCommit => 1, %more });
}
sub run {
    my ($c, $sql, @values) = @_;
    my $s = $c->prepare($sql);
    my $count = $s->execute(@values);
    return [$count, $s->{"${prefix}_insertid"}, $s->{"${prefix}_warning_count"}] unless $s->{NUM_OF_FIELDS};
    # They are gone when the rows have been fetched.
    my @about = map { [@{ $s->{$_} }] } 'NAME', 'TYPE', 'PRECISION', 'NULLABLE', "${prefix}_type_name";
    return [$s->fetchall_arrayref, @about];
}
sub several {
    my ($c, $sql) = @_;
    my $s = $c->prepare($sql);
    $s->execute;
    my @all;
    do { push @all, $s->{NUM_OF_FIELDS} ? $s->fetchall_arrayref : $s->rows } while $s->more_results;
    return \@all;
}

my $c = eval { login($password) };
if (!$c) { print $json->encode({ step => 'connect', text => $DBI::errstr }), "\n"; exit 0; }
open my $lines, '<:encoding(UTF-8)', "$folder/statements.sql" or die;
my $number = 0;
while (my $sql = <$lines>) { chomp $sql; attempt('statement ' . $number++, sub { run($c, $sql) }); }
for my $prepared (0, 1) {
    $c->{"${prefix}_server_prepare"} = $prepared;
    for my $value (0, -1, 1.5, 'ü€😀', "it's \\", undef, '2024-02-29 01:02:03') {
        attempt("parameter $prepared " . ($value // 'NULL'), sub {
            run($c, 'SELECT ?, id, n, u, d, f, s, day, moment, clock FROM facts WHERE id < ? ORDER BY id', $value, 5) });
    }
    for my $who (1, 2, 1) {
        attempt("insert $prepared $who", sub {
            run($c, "INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')", "p$prepared$who", "p$prepared$who\@x.org") });
    }
}
$c->{"${prefix}_server_prepare"} = 0;
my $insert = "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1\@x.org', 'h')";
attempt('begin', sub { $c->begin_work; 1 });
attempt('insert', sub { run($c, $insert) });
attempt('rollback', sub { $c->rollback; 1 });
attempt('count', sub { run($c, 'SELECT COUNT(*) FROM users') });
$c->{AutoCommit} = 0;
attempt('update', sub { run($c, "UPDATE users SET first_name = 'Zoe' WHERE username = 'cy'") });
attempt('commit', sub { $c->commit; 1 });
$c->{AutoCommit} = 1;
attempt('several', sub { several($c, "SELECT 1; SELECT 2, 'x'; UPDATE scratch SET other = 3; SELECT 'end'") });
attempt('several with error', sub { several($c, 'SELECT 1; SELECT * FROM no_such_table; SELECT 2') });
attempt('call', sub { several($c, 'CALL many_results(3)') });
attempt('call fails', sub { several($c, 'CALL fails(3)') });
attempt('large result', sub {
    my $s = $c->prepare('SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b '
        . 'WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id', { "${prefix}_use_result" => 1 });
    $s->execute;
    my ($digest, $count) = (Digest::SHA->new(1), 0);
    while (my ($text) = $s->fetchrow_array) { $digest->add(encode_utf8($text)); $count++; }
    [$count, $digest->hexdigest];
});
attempt('large packet', sub { run($c, 'INSERT INTO every_type (long_words) VALUES (?)', 'wide' x 4_500_000) });
attempt('large value', sub { run($c, 'SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1') });
attempt('local file', sub { run($c, "LOAD DATA LOCAL INFILE '$folder/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4") });
attempt('no local file', sub { run($c, "LOAD DATA LOCAL INFILE '$folder/none' INTO TABLE scratch") });
attempt('columns', sub { $c->column_info(undef, $database, 'facts', '%')->fetchall_arrayref });
attempt('keys', sub { [$c->primary_key(undef, $database, 'others')] });
attempt('ping', sub { $c->ping });
attempt('quote', sub { $c->quote("it's \\") });
$c->disconnect;
attempt('wrong password', sub { login('wrong'); 1 });
