#!/bin/sh
# What a command line client makes of a server: sh driver.sh "COMMAND..." PORT USER PASSWORD DATABASE plain|tls FOLDER.
# COMMAND is the client with its TLS option. Output is the client's own, of batch mode and of table mode with
# column types.
command=$1 port=$2 user=$3 password=$4 database=$5 folder=$7
client() { $command --protocol=tcp --host=127.0.0.1 --port="$port" --user="$user" --password="$password" --local-infile=1 --default-character-set=utf8mb4 "$@" 2>&1; }
while IFS= read -r line; do printf '%s;\n' "$line"; done <"$folder/statements.sql" | client --force --batch --show-warnings "$database"
echo "exit $?"
client --table --column-type-info "$database" --execute "SELECT * FROM facts ORDER BY id; CALL many_results(2)"
printf 'BEGIN; UPDATE users SET first_name = "Zoe"; ROLLBACK; SELECT first_name FROM users ORDER BY id; DELIMITER //\nCALL fails(1)//\n' | client --force "$database"
client "$database" --quick --skip-column-names --execute "SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id" | sha1sum
client "$database" -vvv --execute "LOAD DATA LOCAL INFILE '$folder/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4" | grep -v 'rows affected\|sec)'
client "$database" --execute "SELECT * FROM scratch ORDER BY id; USE mysql; SELECT DATABASE(); KILL CONNECTION_ID()" | sed 's/[0-9]* (HY000)/(HY000)/'
client --default-character-set=latin1 "$database" --execute "SELECT HEX(l), l FROM facts WHERE id IN (1, 5)" | od -c
client --xml "$database" --execute "SELECT s, HEX(b), j FROM facts ORDER BY id"
password=wrong
client "$database" --execute "SELECT 1"
exit 0
