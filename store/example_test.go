package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sanad-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "issuer.db")

	db, err := store.Create(ctx, path, store.Options{Instance: "registrar.example"})
	if err != nil {
		log.Fatal(err)
	}
	err = db.Write(ctx, func(tx issuance.Tx) error {
		return tx.SaveProgramme(programmeRow())
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}

	// The next day.
	_, err = store.Open(ctx, path, store.Options{Instance: "somebody.else"})
	if state, ok := errors.AsType[*store.StateError](err); ok {
		fmt.Println("refused:", state.Err)
		fmt.Println("hint:", state.Hint)
	}
	db, err = store.Open(ctx, path, store.Options{Instance: "registrar.example"})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	programmes, err := db.Programmes(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(programmes[0].ID, programmes[0].Version)
	// Output:
	// refused: store: the database belongs to another issuer
	// hint: settings and database do not belong together; check both paths
	// farmer-card 1
}
