package once

import (
	"context"
	"fmt"
)

// Kinds are all kinds.
func Kinds() []Kind {
	var all []Kind
	for k := range kinds {
		all = append(all, k)
	}
	return all
}

// Gate makes every transaction of db wait for a value from the channel, and says
// before each how many keys it is about.
func (db *DB) Gate(sizes chan<- int, pass <-chan struct{}) {
	db.engine = &gated{db.engine, sizes, pass}
}

type gated struct {
	engine
	sizes chan<- int
	pass  <-chan struct{}
}

func (g *gated) change(ctx context.Context, now int64, keys []Key, decide func(state)) error {
	g.sizes <- len(keys)
	<-g.pass
	return g.engine.change(ctx, now, keys, decide)
}

// Direct runs a statement past the rules of this package.
func (db *DB) Direct(ctx context.Context, query string, args ...any) error {
	switch e := db.engine.(type) {
	case *sqliteEngine:
		e.turn.Lock()
		defer e.turn.Unlock()
		return e.exec(ctx, query, args...)
	case *postgresEngine:
		_, err := e.pool.Exec(ctx, query, args...)
		return err
	}
	return fmt.Errorf("%T runs no statements", db.engine)
}

// Waiting is how many calls wait for the next transaction.
func (db *DB) Waiting() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.waiting)
}

// Left reports whether one of those who wait has gone.
func (db *DB) Left() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, c := range db.waiting {
		if c.begun.Load() {
			return true
		}
	}
	return false
}

// Stored is where the data of a value in memory are.
func (db *DB) Stored(k Key) []byte { return db.engine.(*memoryEngine).rows[k].data }
