package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

// openStore opens the database as the service, with its journal if there is one.
func (c *Config) openStore(ctx context.Context, ks *keys.File, now func() time.Time, j *audit.Journal, readOnly bool) (*store.DB, error) {
	o, err := c.storeOptions(ks, now)
	if err != nil {
		return nil, err
	}
	o.ReadOnly = readOnly
	keep(&o, j)
	db, err := store.Open(ctx, c.Store, o)
	if err != nil {
		return nil, explainStore(err)
	}
	return db, nil
}

// createStore makes the database, and opens it as the service.
func (c *Config) createStore(ctx context.Context, ks *keys.File, now func() time.Time, j *audit.Journal) (*store.DB, error) {
	location, o, err := c.ownerStore(ks, now)
	if err != nil {
		return nil, err
	}
	keep(&o, j)
	db, err := store.Create(ctx, location, o)
	if err != nil {
		return nil, explainStore(err)
	}
	if location == c.Store {
		return db, nil
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	// The service may not make what `serve` keeps in the same database.
	all := *c
	all.Serve.Once, all.Console.Desk = cmp.Or(c.Serve.Once, c.Store), cmp.Or(c.Console.Desk, c.Store)
	if err := errors.Join(prepareOnce(ctx, all), preparePeople(ctx, all)); err != nil {
		return nil, err
	}
	return c.openStore(ctx, ks, now, j, false)
}

// keep sets the journal, if there is one.
func keep(o *store.Options, j *audit.Journal) {
	if j != nil {
		o.Journal = j
	}
}

// storeOptions say how the service opens its database.
func (c *Config) storeOptions(ks *keys.File, now func() time.Time) (store.Options, error) {
	password, err := readSecret(c.StorePasswordFile)
	return store.Options{
		Instance: instance(*c, ks), Password: password, SynchronousStandby: c.StoreStandby == standbySynchronous, Now: now,
		ClockLead: clockLead,
	}, err
}

// ownerStore says where and how the owner of the tables opens the database: to
// make it, to migrate it, to restore it. On SQLite that is whoever has the file.
func (c *Config) ownerStore(ks *keys.File, now func() time.Time) (location string, o store.Options, err error) {
	if o, err = c.storeOptions(ks, now); err != nil || c.StoreOwner == "" {
		return c.Store, o, err
	}
	if o.Password, err = readSecret(c.StoreOwnerPasswordFile); err != nil {
		return "", o, err
	}
	o.ServiceRole, err = store.PostgresRole(c.Store)
	return c.StoreOwner, o, explainStore(err)
}

// readSecret is the first line of a file, and empty if none is named.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return readLine(path, "password")
}

// readLine reads the first line of a file that nobody else may read; what says what is
// in it.
func readLine(path, what string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", cli.Hint(fmt.Errorf("%s: others may read the %s (mode %v)", path, what, info.Mode().Perm()), "chmod 600 it, and change the %s", what)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("%s: no %s in it", path, what)
	}
	return line, nil
}

// checkStoreURL refuses a URL with a password: settings are not secret.
func checkStoreURL(location string) error {
	u, err := url.Parse(location)
	if err != nil {
		return errors.New("not a URL")
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return errors.New("no password belongs into the settings; use store_password_file, PGPASSFILE or peer authentication")
	}
	return nil
}

// passwordFor is the password for a part of the server that is kept at this location:
// that of the store if it stands beside it, otherwise none.
func (c Config) passwordFor(location string) (string, error) {
	if location != c.Store {
		return "", nil
	}
	return readSecret(c.StorePasswordFile)
}

// asOwnerOf has the tables of a part of the server made by the owner of the store's
// database, if the part stands beside the store and the settings name an owner. Elsewhere
// whoever opens it makes them.
func (c Config) asOwnerOf(location string, prepare func(owner, password, role string) error) error {
	if c.StoreOwner == "" || location != c.Store {
		return nil
	}
	password, err := readSecret(c.StoreOwnerPasswordFile)
	if err != nil {
		return err
	}
	role, err := store.PostgresRole(c.Store)
	if err != nil {
		return explainStore(err)
	}
	return prepare(c.StoreOwner, password, role)
}
