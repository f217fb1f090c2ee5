package parties

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// A Scope is something that a key allows.
type Scope string

// The scopes.
const (
	// Requests: asking wallets under policies, and reading what came of it.
	Requests Scope = "requests"
	// Verify: judging any proof.
	Verify Scope = "verify"
	// Usage: reading the party's own figures and its report of conflicts.
	Usage Scope = "usage"
	// Tallies: uploading what counters did without a network.
	Tallies Scope = "tallies"
)

// Scopes are all of them.
func Scopes() []Scope { return []Scope{Requests, Verify, Usage, Tallies} }

// A Key lets a relying party in. The key itself is not kept.
type Key struct {
	// ID names the key in commands: it begins the digest.
	ID string `json:"id"`
	// Party is the relying party that has it. A party may have several at a time, as
	// while one replaces another.
	Party string `json:"party"`
	// Digest is the SHA-256 of the key, which has at least 128 bits of chance.
	Digest [sha256.Size]byte `json:"-"`
	// Scopes are what it allows; Policies those that it may use, all if empty.
	Scopes   []Scope  `json:"scopes"`
	Policies []string `json:"policies,omitempty"`
	// Created, Expires and Revoked are times; zero for never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// Live reports whether a key lets anybody in at the time now.
func (k Key) Live(now time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || now.Before(k.Expires))
}

// KeyID is what a key with this digest is called.
func KeyID(digest [sha256.Size]byte) string { return hex.EncodeToString(digest[:6]) }

// Limits of a key.
const (
	maxParty = 100 // bytes of the name
	maxKeys  = 1000
)

var errKey = errors.New("parties: a key needs the name of a party (at most 100 bytes, on one line), scopes that there are, and a digest")

func (k *Key) check() error {
	if k.Party == "" || len(k.Party) > maxParty || strings.ContainsAny(k.Party, "\r\n\x00") || len(k.Scopes) == 0 || k.Digest == ([sha256.Size]byte{}) ||
		k.Digest == sha256.Sum256(nil) || k.Created.IsZero() {
		return errKey
	}
	for _, s := range k.Scopes {
		if !slices.Contains(Scopes(), s) {
			return errKey
		}
	}
	for _, p := range k.Policies {
		if p == "" || strings.ContainsAny(p, " \r\n\x00") {
			return errKey
		}
	}
	return nil
}

// AddKey keeps a new key. Its ID is set by the digest. With overlap, all other live keys
// of the party with the same scopes end that long after k was created, if not before:
// then both work in between. It returns ErrExists for a key that was there before.
func (db *DB) AddKey(ctx context.Context, k Key, overlap *time.Duration) (Key, error) {
	if err := k.check(); err != nil {
		return Key{}, err
	}
	slices.Sort(k.Scopes)
	k.ID = KeyID(k.Digest)
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = string(s)
	}
	err := db.write(ctx, func(t tx) error {
		var n int
		if _, err := t.one(`SELECT count(*) FROM api_key`, nil, &n); err != nil {
			return err
		}
		if n >= maxKeys {
			return fmt.Errorf("parties: more than %d keys; forget some", maxKeys)
		}
		if overlap != nil {
			end := milli(k.Created.Add(*overlap))
			if _, err := t.exec(`UPDATE api_key SET expires = $1 WHERE party = $2 AND scopes = $3 AND revoked = 0 AND (expires = 0 OR expires > $1)`,
				end, k.Party, strings.Join(scopes, " ")); err != nil {
				return err
			}
		}
		_, err := t.exec(`INSERT INTO api_key (id, digest, party, scopes, policies, created, expires, revoked) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
			k.ID, k.Digest[:], k.Party, strings.Join(scopes, " "), strings.Join(k.Policies, " "), milli(k.Created), milli(k.Expires))
		if sqldb.Duplicate(err) {
			return ErrExists
		}
		return err
	})
	return k, err
}

// Keys returns all keys, also those that let nobody in any more, by party and age.
func (db *DB) Keys(ctx context.Context) ([]Key, error) {
	var all []Key
	err := db.read(ctx, func(t tx) error {
		all = nil
		return t.each(`SELECT id, digest, party, scopes, policies, created, expires, revoked FROM api_key ORDER BY party, created, id`, nil, func(scan func(...any) error) error {
			var k Key
			var digest []byte
			var scopes, policies string
			var created, expires, revoked int64
			if err := scan(&k.ID, &digest, &k.Party, &scopes, &policies, &created, &expires, &revoked); err != nil {
				return err
			}
			copy(k.Digest[:], digest)
			for _, s := range strings.Fields(scopes) {
				k.Scopes = append(k.Scopes, Scope(s))
			}
			k.Policies, k.Created, k.Expires, k.Revoked = strings.Fields(policies), moment(created), moment(expires), moment(revoked)
			all = append(all, k)
			return nil
		})
	})
	return all, err
}

// RevokeKey ends a key for good. It returns ErrNone if there is no such key, or it was
// revoked before.
func (db *DB) RevokeKey(ctx context.Context, id string, now time.Time) error {
	return db.write(ctx, func(t tx) error {
		n, err := t.exec(`UPDATE api_key SET revoked = $1 WHERE id = $2 AND revoked = 0`, milli(now), id)
		if err == nil && n == 0 {
			err = ErrNone
		}
		return err
	})
}
