// What go-sql-driver/mysql makes of a server, as lines of JSON:
// go run driver.go NAME PORT USER PASSWORD DATABASE plain|tls FOLDER
package main

import (
	"context"
	"crypto/sha1"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

var port, user, password, database, tls, folder string

func shown(value interface{}) interface{} {
	switch v := value.(type) {
	case []byte:
		if len(v) > 1000 {
			return fmt.Sprintf("sha1 %x", sha1.Sum(v))
		}
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case nil:
		return nil
	default:
		return fmt.Sprintf("%T %v", v, v)
	}
}

func attempt(step string, work func() (interface{}, error)) {
	facts := map[string]interface{}{"step": step}
	result, err := work()
	var server *mysql.MySQLError
	if errors.As(err, &server) {
		facts["error"], facts["text"] = server.Number, server.Message
	} else if err != nil {
		facts["text"] = err.Error()
	} else {
		facts["result"] = result
	}
	line, _ := json.Marshal(facts)
	fmt.Println(string(line))
}

func rowsOf(rows *sql.Rows, err error) (interface{}, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []interface{}{}
	for {
		types, err := rows.ColumnTypes()
		if err != nil {
			return all, err
		}
		for _, column := range types {
			length, _ := column.Length()
			nullable, _ := column.Nullable()
			all = append(all, []interface{}{column.Name(), column.DatabaseTypeName(), length, nullable})
		}
		for rows.Next() {
			values, places := make([]interface{}, len(types)), make([]interface{}, len(types))
			for i := range values {
				places[i] = &values[i]
			}
			if err := rows.Scan(places...); err != nil {
				return all, err
			}
			for i := range values {
				values[i] = shown(values[i])
			}
			all = append(all, values)
		}
		if !rows.NextResultSet() {
			return all, rows.Err()
		}
	}
}

func changed(result sql.Result, err error) (interface{}, error) {
	if err != nil {
		return nil, err
	}
	count, _ := result.RowsAffected()
	id, _ := result.LastInsertId()
	return []int64{count, id}, nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func open(secret string, more string) (*sql.Conn, error) {
	way := "false"
	if tls == "tls" {
		way = "skip-verify"
	}
	source := fmt.Sprintf("%s:%s@tcp(127.0.0.1:%s)/%s?tls=%s&multiStatements=true&allowAllFiles=true&maxAllowedPacket=67108864%s",
		user, secret, port, database, way, more)
	pool, err := sql.Open("mysql", source)
	if err != nil {
		return nil, err
	}
	return pool.Conn(context.Background())
}

func main() {
	port, user, password, database, tls, folder = os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	ctx := context.Background()
	c, err := open(password, "&parseTime=true")
	if err != nil {
		attempt("connect", func() (interface{}, error) { return nil, err })
		return
	}
	run := func(text string) (interface{}, error) {
		word := strings.ToUpper(strings.SplitN(text, " ", 2)[0])
		if strings.Contains("SELECT SHOW DESCRIBE CALL", word) {
			return rowsOf(c.QueryContext(ctx, text))
		}
		return changed(c.ExecContext(ctx, text))
	}
	text, _ := os.ReadFile(folder + "/statements.sql")
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		attempt(fmt.Sprintf("statement %d", i), func() (interface{}, error) { return run(line) })
	}
	values := []interface{}{0, -1, uint64(1<<64 - 1), 1.5, float32(2.25), "ü€😀", "it's \\", []byte{0, 255}, nil, true,
		time.Date(2024, 2, 29, 1, 2, 3, 456000, time.UTC)}
	for i, value := range values {
		attempt(fmt.Sprintf("prepared %d", i), func() (interface{}, error) {
			return rowsOf(c.QueryContext(ctx, "SELECT ?, id, n, u, d, f, y, s, b, k, m, day, moment, clock, stamp, j, flag FROM facts WHERE id < ? ORDER BY id", value, 6))
		})
	}
	for _, who := range []string{"p1", "p2", "p1"} {
		attempt("prepared insert "+who, func() (interface{}, error) {
			return changed(c.ExecContext(ctx, "INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')", who, who+"@x.org"))
		})
	}
	attempt("kept statement", func() (interface{}, error) {
		s, err := c.PrepareContext(ctx, "UPDATE users SET first_name = ? WHERE username = ?")
		if err != nil {
			return nil, err
		}
		defer s.Close()
		all := []interface{}{}
		for _, who := range []string{"ann", "cy", "p1", "nobody"} {
			done, err := changed(s.ExecContext(ctx, "K"+who, who))
			all = append(all, done, err)
		}
		return all, nil
	})
	for _, end := range []string{"rollback", "commit"} {
		attempt(end, func() (interface{}, error) {
			tx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
			if err != nil {
				return nil, err
			}
			done, err := changed(tx.ExecContext(ctx, "INSERT INTO users (username, email, password_hash) VALUES ('t1', 't1@x.org', 'h')"))
			if end == "rollback" {
				return done, first(err, tx.Rollback())
			}
			return done, first(err, tx.Commit())
		})
	}
	attempt("users", func() (interface{}, error) { return run("SELECT id, username, first_name FROM users ORDER BY id") })
	// This driver waits for ever after an error between two results, directly as well.
	for _, text := range []string{"SELECT 1; SELECT 2, 'x'; SELECT 'end'", "CALL many_results(3)"} {
		attempt(text, func() (interface{}, error) { return rowsOf(c.QueryContext(ctx, text)) })
	}
	attempt("large result", func() (interface{}, error) {
		rows, err := c.QueryContext(ctx, "SELECT REPEAT(MD5(a.id * 100 + b.id), 500) FROM numbers a JOIN numbers b WHERE a.id < 32 AND b.id < 100 ORDER BY a.id, b.id")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		digest, count := sha1.New(), 0
		var bytes sql.RawBytes
		for rows.Next() {
			if err := rows.Scan(&bytes); err != nil {
				return nil, err
			}
			digest.Write(bytes)
			count++
		}
		return []interface{}{count, fmt.Sprintf("%x", digest.Sum(nil))}, rows.Err()
	})
	attempt("large packet", func() (interface{}, error) {
		return changed(c.ExecContext(ctx, "INSERT INTO every_type (long_words) VALUES (?)", strings.Repeat("wide", 4500000)))
	})
	attempt("large value", func() (interface{}, error) { return run("SELECT long_words FROM every_type ORDER BY id DESC LIMIT 1") })
	load := "LOAD DATA LOCAL INFILE '" + folder + "/rows.tsv' INTO TABLE scratch CHARACTER SET utf8mb4"
	attempt("local file", func() (interface{}, error) { return run(load) })
	attempt("no local file", func() (interface{}, error) { return run(strings.Replace(load, "rows.tsv", "none", 1)) })
	attempt("ping", func() (interface{}, error) { return nil, c.PingContext(ctx) })
	attempt("cancelled", func() (interface{}, error) {
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := rowsOf(c.QueryContext(short, "SELECT SLEEP(30)"))
		return nil, err
	})
	attempt("interpolated", func() (interface{}, error) {
		i, err := open(password, "&interpolateParams=true&clientFoundRows=true&charset=latin1")
		if err != nil {
			return nil, err
		}
		done, err := changed(i.ExecContext(ctx, "UPDATE users SET first_name = ? WHERE username = ?", "Kcy", "cy"))
		if err != nil {
			return done, err
		}
		rows, err := rowsOf(i.QueryContext(ctx, "SELECT l FROM facts WHERE id IN (?, 5)", 1))
		return []interface{}{done, rows}, err
	})
	attempt("wrong password", func() (interface{}, error) { _, err := open("wrong", ""); return nil, err })
}
