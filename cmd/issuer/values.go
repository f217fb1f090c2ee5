package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/once"
)

// values are those that work once. They are opened when somebody needs them, if their
// database was out of reach before: what is public does not wait for it (promise P29).
type values struct {
	cfg Config

	mu     sync.Mutex
	db     *once.DB
	closed bool

	opening sqldb.Attempts
}

// outOfReach reports whether a database server does not answer now.
func outOfReach(err error) bool {
	return errors.Is(err, store.ErrUnreachable) || errors.Is(err, once.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded)
}

// openOnce opens the values that work once. They can be used later if the error is that
// they are out of reach.
func openOnce(ctx context.Context, cfg Config) (*values, error) {
	v := &values{cfg: cfg}
	_, err := v.open(ctx)
	return v, err
}

// openPatience is how long it may take to open them, whoever waits for it.
const openPatience = 10 * time.Second

func (v *values) current() (*once.DB, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, once.ErrClosed
	}
	return v.db, nil
}

func (v *values) open(ctx context.Context) (*once.DB, error) {
	if db, err := v.current(); db != nil || err != nil {
		return db, err
	}
	err := v.opening.Try(func() error {
		if db, err := v.current(); db != nil || err != nil {
			return err
		}
		password, err := v.cfg.passwordFor(v.cfg.Serve.Once)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openPatience)
		defer cancel()
		db, err := once.Open(ctx, v.cfg.Serve.Once, once.Options{Password: password})
		if err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.closed {
			return errors.Join(once.ErrClosed, db.Close())
		}
		v.db = db
		return nil
	})
	if err != nil {
		return nil, err
	}
	return v.current()
}

// Close ends them.
func (v *values) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.db == nil {
		return nil
	}
	return v.db.Close()
}

// secret is that of their database.
func (v *values) secret() ([]byte, error) {
	db, err := v.open(context.Background())
	if err != nil {
		return nil, err
	}
	return db.Secret(), nil
}

// Put implements [issuer.Once].
func (v *values) Put(ctx context.Context, all ...once.Value) error {
	db, err := v.open(ctx)
	if err != nil {
		return err
	}
	return db.Put(ctx, all...)
}

// Get implements [issuer.Once].
func (v *values) Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error) {
	db, err := v.open(ctx)
	if err != nil {
		return once.Value{}, err
	}
	return db.Get(ctx, now, kind, digest)
}

// Exchange implements [issuer.Once].
func (v *values) Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) ([]once.Value, error) {
	db, err := v.open(ctx)
	if err != nil {
		return nil, err
	}
	return db.Exchange(ctx, now, take, put)
}

// Guess implements [issuer.Once].
func (v *values) Guess(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte, limit int) (int, error) {
	db, err := v.open(ctx)
	if err != nil {
		return 0, err
	}
	return db.Guess(ctx, now, kind, digest, limit)
}

// Swap implements [issuer.Once].
func (v *values) Swap(ctx context.Context, now time.Time, old, next once.Value) error {
	db, err := v.open(ctx)
	if err != nil {
		return err
	}
	return db.Swap(ctx, now, old, next)
}

// Steps implements [issuer.Once].
func (v *values) Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error) {
	db, err := v.open(ctx)
	if err != nil {
		return 0, err
	}
	return db.Steps(ctx, now, steps...)
}

// Sweep removes what has expired.
func (v *values) Sweep(ctx context.Context, now time.Time) (int, error) {
	db, err := v.open(ctx)
	if err != nil {
		return 0, err
	}
	return db.Sweep(ctx, now)
}
