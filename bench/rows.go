package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// A raw row is about as large as what is stored of a credential, and is found by one
// random key. So many of them are inserted, a chunk of a batch to a transaction.
const (
	rawRows     = 200_000
	rawRowBytes = 250 // and a key of 32
	rawChunk    = 500
)

// rawSQLite is how many rows a second one connection inserts into a file beside the
// batch's, with as much memory and as much durability.
func (t trial) rawSQLite(ctx context.Context) (float64, error) {
	db, err := sqldb.OpenFile(filepath.Join(t.dir, "rows.db"), "rwc", 1, 1, "journal_mode(WAL)", "cache_size(-8192)", "wal_autocheckpoint(16384)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	const atOnce = 50
	insert := "INSERT INTO raw_row (random_key, rest) VALUES (?, ?)" + strings.Repeat(", (?, ?)", atOnce-1)
	return insertRows(ctx, db, "INTEGER", "BLOB", func(tx *sql.Tx, keys, rests [][]byte) error {
		for from := 0; from < rawChunk; from += atOnce {
			args := make([]any, 0, 2*atOnce)
			for i := from; i < from+atOnce; i++ {
				args = append(args, keys[i], rests[i])
			}
			if _, err := tx.ExecContext(ctx, insert, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// rawPostgres is the same on a database of the batch's server.
func rawPostgres(ctx context.Context, owner string) (float64, error) {
	db, err := sqldb.OpenServer(owner, "", nil, 1, 1)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return insertRows(ctx, db, "bigint GENERATED ALWAYS AS IDENTITY", "bytea", func(tx *sql.Tx, keys, rests [][]byte) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO raw_row (random_key, rest) SELECT * FROM unnest($1::bytea[], $2::bytea[])", keys, rests)
		return err
	})
}

// insertRows has all rows inserted and returns the rate.
func insertRows(ctx context.Context, db *sql.DB, number, bytes string, chunk func(tx *sql.Tx, keys, rests [][]byte) error) (float64, error) {
	create := fmt.Sprintf("CREATE TABLE raw_row (row_no %s PRIMARY KEY, random_key %s NOT NULL UNIQUE, rest %s NOT NULL)", number, bytes, bytes)
	if _, err := db.ExecContext(ctx, create); err != nil {
		return 0, err
	}
	rest := make([]byte, rawRowBytes)
	keys, rests := make([][]byte, rawChunk), make([][]byte, rawChunk)
	for i := range rests {
		keys[i], rests[i] = make([]byte, 32), rest
	}
	began := time.Now()
	for range rawRows / rawChunk {
		for i := range keys {
			_, _ = rand.Read(keys[i]) // never fails
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		if err := chunk(tx, keys, rests); err != nil {
			_ = tx.Rollback()
			return 0, err
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return rawRows / time.Since(began).Seconds(), nil
}
