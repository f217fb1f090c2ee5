package desk

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// FindCtx, CommitCtx and DeleteCtx keep web sessions for scs (CtxStore), by the hash of
// their token. A session that has expired is not found.
func (db *DB) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	err = db.read(ctx, func(t tx) (err error) {
		found, err = t.one(`SELECT data FROM session WHERE token = $1 AND expires > $2`, []any{token, time.Now().UnixMilli()}, &b)
		return err
	})
	return b, found, err
}

// CommitCtx stores a session.
func (db *DB) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO session (token, data, expires) VALUES ($1, $2, $3)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`, token, b, expiry.UnixMilli())
		return err
	})
}

// DeleteCtx removes a session; that there is none is no error.
func (db *DB) DeleteCtx(ctx context.Context, token string) error {
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`DELETE FROM session WHERE token = $1`, token)
		return err
	})
}

var errNoContext = errors.New("desk: sessions are kept with a context only")

// Find is not used: see FindCtx.
func (db *DB) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit is not used: see CommitCtx.
func (db *DB) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete is not used: see DeleteCtx.
func (db *DB) Delete(string) error { return errNoContext }

// A Ceremony is what a browser was asked to sign, until it did.
type Ceremony struct {
	// Kind is what for; one of another kind is not found.
	Kind string
	// Operator is who has to, "" if that will be seen.
	Operator string
	Data     []byte
	Expires  time.Time
}

// SaveCeremony stores a ceremony under a secret that the browser gets.
func (db *DB) SaveCeremony(ctx context.Context, secret string, c Ceremony) error {
	digest := sha256.Sum256([]byte(secret))
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO ceremony (digest, kind, operator, data, expires) VALUES ($1, $2, $3, $4, $5)`,
			digest[:], c.Kind, c.Operator, c.Data, milli(c.Expires))
		return err
	})
}

// TakeCeremony removes a ceremony and returns it to one caller, or [ErrNone].
func (db *DB) TakeCeremony(ctx context.Context, secret, kind string, now time.Time) (c Ceremony, err error) {
	digest := sha256.Sum256([]byte(secret))
	err = db.write(ctx, func(t tx) error {
		var expires int64
		found, err := t.one(`DELETE FROM ceremony WHERE digest = $1 RETURNING kind, operator, data, expires`, []any{digest[:]}, &c.Kind, &c.Operator, &c.Data, &expires)
		if err != nil || !found {
			return orElse(err, ErrNone)
		}
		c.Expires = moment(expires)
		return nil
	})
	// It is gone whatever was wrong with it.
	if err == nil && (c.Kind != kind || !now.Before(c.Expires)) {
		err = ErrNone
	}
	if err != nil {
		return Ceremony{}, err
	}
	return c, nil
}

// Attempt counts one more attempt on something, before it is looked at whether it is
// good, and reports whether there were fewer than most since the first within this
// time. [DB.Forgive] starts anew.
func (db *DB) Attempt(ctx context.Context, what []byte, most int, within time.Duration, now time.Time) (ok bool, err error) {
	digest := sha256.Sum256(what)
	err = db.write(ctx, func(t tx) error {
		var n int
		_, err := t.one(`INSERT INTO attempt (what, n, expires) VALUES ($1, 1, $2) ON CONFLICT (what) DO UPDATE
			SET n = CASE WHEN attempt.expires <= $3 THEN 1 ELSE attempt.n + 1 END,
			expires = CASE WHEN attempt.expires <= $3 THEN $2 ELSE attempt.expires END RETURNING n`,
			[]any{digest[:], milli(now.Add(within)), milli(now)}, &n)
		ok = n <= most
		return err
	})
	return ok && err == nil, err
}

// Forgive forgets the attempts on something.
func (db *DB) Forgive(ctx context.Context, what []byte) error {
	digest := sha256.Sum256(what)
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`DELETE FROM attempt WHERE what = $1`, digest[:])
		return err
	})
}

// Sweep removes what has expired, and returns how many rows that were.
func (db *DB) Sweep(ctx context.Context, now time.Time) (n int64, err error) {
	err = db.write(ctx, func(t tx) error {
		n = 0
		for _, table := range []string{"session", "ceremony", "attempt"} {
			removed, err := t.exec(`DELETE FROM `+table+` WHERE expires < $1`, now.Add(-time.Minute).UnixMilli())
			if err != nil {
				return err
			}
			n += removed
		}
		return nil
	})
	return n, err
}
