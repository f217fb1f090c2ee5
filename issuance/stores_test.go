package issuance_test

import (
	"path/filepath"
	"testing"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// eachStore runs a test on the store that forgets and on the real one, over both
// of its databases.
func eachStore(t *testing.T, test func(*testing.T, issuance.Store)) {
	t.Helper()
	eachStoreNew(t, func(t *testing.T, newStore func(*testing.T) issuance.Store) { test(t, newStore(t)) })
}

// eachStoreNew is eachStore for tests that need several.
func eachStoreNew(t *testing.T, test func(t *testing.T, newStore func(*testing.T) issuance.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		test(t, func(*testing.T) issuance.Store { return newMemory() })
	})
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(t *testing.T) issuance.Store {
			db, err := store.Create(t.Context(), filepath.Join(t.TempDir(), "store.db"), store.Options{Instance: "xa-office"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			return db
		})
	})
	if testing.Short() {
		return // package store looks for races in what it does with PostgreSQL
	}
	t.Run("postgres", func(t *testing.T) {
		test(t, func(t *testing.T) issuance.Store {
			owner, service := pgtest.New(t)
			role, err := store.PostgresRole(service)
			if err != nil {
				t.Fatal(err)
			}
			db, err := store.Create(t.Context(), owner, store.Options{Instance: "xa-office", ServiceRole: role})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if db, err = store.Open(t.Context(), service, store.Options{Instance: "xa-office"}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			return db
		})
	})
}
