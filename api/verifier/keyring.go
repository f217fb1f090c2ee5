package verifier

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/parties"
)

// A KeyStore has keys of relying parties that come and go while the server runs;
// *parties.DB is one.
type KeyStore interface {
	Keys(ctx context.Context) ([]parties.Key, error)
}

// An APIKey lets a relying party in.
type APIKey struct {
	// Name is the relying party's. It owns what is done with the key: another key of the
	// same name gets at it, too.
	Name string
	// Digest is the SHA-256 of the key, which has at least 128 bits of chance.
	Digest [sha256.Size]byte
	// Policies are those that it may use; all if empty.
	Policies []string
	// Scopes are what it allows; requests, verify and usage if nil.
	Scopes []parties.Scope
	// Expires and Revoked are when it ended; zero for never.
	Expires, Revoked time.Time
}

// usualScopes are those of a key that names none.
var usualScopes = []parties.Scope{parties.Requests, parties.Verify, parties.Usage}

// ParseDigest reads the digest of a key in hexadecimal.
func ParseDigest(s string) (d [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, errors.New("verifier: a digest has 64 hexadecimal digits")
	}
	copy(d[:], b)
	return d, nil
}

// may tells whether a relying party may use a policy.
func (k *APIKey) may(policy string) bool {
	return len(k.Policies) == 0 || slices.Contains(k.Policies, policy)
}

// allows tells whether a key has a scope.
func (k *APIKey) allows(scope parties.Scope) bool {
	if k.Scopes == nil {
		return slices.Contains(usualScopes, scope)
	}
	return slices.Contains(k.Scopes, scope)
}

const (
	// keysFresh is how long keys are used without a look at the store: what is revoked
	// works no longer than that.
	keysFresh = time.Second
	// keysKept is how long they are used while the store does not answer.
	keysKept = time.Minute
)

// A keyring is the keys of the settings and those of a store.
type keyring struct {
	fixed []APIKey
	store KeyStore
	now   func() time.Time

	mu     sync.Mutex
	stored []APIKey
	read   time.Time // when they were read
	asked  time.Time // when that was tried last
}

// errKeys: it is not known who has keys.
var errKeys = &web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "keys cannot be checked now; try again later", Retry: 5 * time.Second}

// all returns the keys as they are now.
func (k *keyring) all(ctx context.Context) ([]APIKey, error) {
	if k.store == nil {
		return k.fixed, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	within := func(t time.Time, d time.Duration) bool { return !t.IsZero() && now.Sub(t) < d && !now.Before(t) }
	if !within(k.asked, keysFresh) {
		k.asked = now
		found, err := k.store.Keys(ctx)
		if err != nil && !within(k.read, keysKept) {
			k.asked = time.Time{} // the next one asks again
			return nil, fmt.Errorf("%w: %w", errKeys, err)
		}
		if err == nil {
			k.read, k.stored = now, slices.Clone(k.fixed)
			for _, f := range found {
				k.stored = append(k.stored, APIKey{Name: f.Party, Digest: f.Digest, Policies: f.Policies, Scopes: f.Scopes, Expires: f.Expires, Revoked: f.Revoked})
			}
		}
	}
	return k.stored, nil
}

// keyRefusals are the reasons why a key does not let somebody in, as figures have them.
var keyRefusals = []string{"unknown", "expired", "revoked", "scope"}

// admit finds the key of a request and holds it against what is wanted.
func (s *Service) admit(w http.ResponseWriter, r *http.Request, scope parties.Scope) (*APIKey, error) {
	all, err := s.ring.all(r.Context())
	if err != nil {
		s.Log.Error("keys", "request_id", web.RequestID(r.Context()), "err", err)
		return nil, errKeys
	}
	digest := sha256.Sum256([]byte(web.Bearer(r)))
	var who *APIKey
	for i := range all { // all of them, so that the time says nothing
		if subtle.ConstantTimeCompare(digest[:], all[i].Digest[:]) == 1 {
			who = &all[i]
		}
	}
	refuse := func(reason, code, detail string) (*APIKey, error) {
		s.refused.Add(reason)
		w.Header().Set("WWW-Authenticate", `Bearer realm="verifier"`)
		return nil, web.Refuse(http.StatusUnauthorized, code, "%s", detail)
	}
	switch {
	case who == nil:
		return refuse("unknown", "unauthorized", "this needs the key of a relying party")
	case !who.Revoked.IsZero():
		return refuse("revoked", "key_revoked", "this key was revoked")
	case !who.Expires.IsZero() && !s.Now().Before(who.Expires):
		return refuse("expired", "key_expired", "this key has expired")
	case !who.allows(scope):
		s.refused.Add("scope")
		return nil, web.Refuse(http.StatusForbidden, "scope", "this key does not have the scope %s", scope)
	}
	return who, nil
}

// private reports whether there are no keys: then relying parties are whoever gets at the
// private port.
func (s *Service) private() bool { return len(s.Keys) == 0 && s.KeyStore == nil }

// authorise lets relying parties in: whoever gets at the private port, or has a key with
// the scope.
func (s *Service) authorise(scope parties.Scope, h func(http.ResponseWriter, *http.Request, *APIKey) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.private() {
			return h(w, r, &APIKey{Scopes: parties.Scopes()})
		}
		who, err := s.admit(w, r, scope)
		if err != nil {
			return err
		}
		return h(w, r, who)
	}
}
