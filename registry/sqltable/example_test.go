package sqltable_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/sqltable"
)

// A view of a registry is read record by record. For PostgreSQL only Database is
// another one: postgres://sanad@registry.example/trade
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "trade.db")
	if err := makeRegistry(path); err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	source, err := sqltable.Open(ctx, sqltable.Options{Database: path, Table: "trade_licence", IDColumn: "licence"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	for record, err := range source.Records(ctx) {
		if row, ok := errors.AsType[*registry.RowError](err); ok {
			fmt.Println("not read:", row)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		name, _ := record.Value("trade_name")
		fmt.Println(record.ID, name)
	}
	// Output:
	// TL-1 Rahim; Sons
	// TL-3 ຮ້ານ ບຸນເລີດ
	// not read: line 3: the column that identifies a record is empty
}

func makeRegistry(path string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), `
		CREATE TABLE licences (number TEXT, name TEXT, status TEXT);
		INSERT INTO licences VALUES ('TL-3', 'ຮ້ານ ບຸນເລີດ', 'ACTIVE'), ('TL-1', 'Rahim; Sons', 'ACTIVE'), ('TL-2', 'Gone', 'EXPIRED'), (NULL, 'Lost', 'ACTIVE');
		CREATE VIEW trade_licence AS SELECT number AS licence, name AS trade_name FROM licences WHERE status = 'ACTIVE'`)
	return err
}
