package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
)

// Limits of a key set.
const (
	maxJWKS     = 256 << 10
	maxJWKSKeys = 512
)

// Verifying returns the keys for the given purposes whose signatures somebody may have
// to check at the time now or soon after, in the order of all: planned ones, so that
// whoever keeps a copy has them before they sign, active ones, and retired ones until
// VerifyUntil. Compromised keys are left out: a list of keys cannot say from when on a
// key is not to be believed, as a trust bundle does.
func Verifying(all []Key, now time.Time, purposes ...Purpose) []Key {
	var list []Key
	for _, k := range all {
		over := !k.VerifyUntil.IsZero() && !now.Before(k.VerifyUntil) || k.State == Planned && !now.Before(k.SignUntil)
		if slices.Contains(purposes, k.Purpose) && k.State != Compromised && !over {
			list = append(list, k)
		}
	}
	return list
}

// JWKS returns the public halves of keys as a JSON Web Key Set (RFC 7517 section 5).
// The kid of each is its ID.
func JWKS(list []Key) []byte {
	b := []byte(`{"keys":[`)
	for i, k := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, k.Public.JWK()...)
	}
	return append(b, "]}"...)
}

// A KeySet is a JSON Web Key Set of somebody else. The zero value is empty.
type KeySet struct {
	ids  []string
	keys []PublicKey
}

// ParseJWKS reads a JSON Web Key Set, as strictly as [ParseJWK] reads its keys. Keys
// of kinds or uses that Sanad does not accept are passed over, as RFC 7517 section 5
// wants; a private key is [ErrPrivate], and two keys with one kid are
// [ErrMalformedKey], since nobody could tell which one is meant. At most 256 KiB and
// 512 keys are read.
func ParseJWKS(b []byte) (KeySet, error) {
	v, err := strict.Limits{Bytes: maxJWKS, Depth: maxJWKDepth + 2, Items: 16 * maxJWKSKeys}.Object(b)
	if err != nil {
		return KeySet{}, fmt.Errorf("%w: key set: %v", ErrMalformedKey, err)
	}
	return KeySetOf(v)
}

// KeySetOf is [ParseJWKS] for a key set that stands in another text.
func KeySetOf(v strict.Value) (KeySet, error) {
	list := v.Get("keys")
	if list.Kind() != strict.Array || list.Len() > maxJWKSKeys {
		return KeySet{}, fmt.Errorf("%w: a key set has a member \"keys\" with at most %d keys", ErrMalformedKey, maxJWKSKeys)
	}
	var set KeySet
	seen := map[string]bool{}
	for i := range list.Len() {
		var id string
		if kid := list.At(i).Get("kid"); kid.Kind() != strict.None {
			var ok bool
			if id, ok = kid.Text(); !ok || len(id) > 512 {
				return KeySet{}, fmt.Errorf("%w: key %d of the set has a kid that is no short text", ErrMalformedKey, i+1)
			}
			if seen[id] {
				return KeySet{}, fmt.Errorf("%w: the set has two keys with kid %q", ErrMalformedKey, cut(id))
			}
			seen[id] = true
		}
		b, err := strict.AppendJSON(nil, list.At(i))
		if err != nil {
			return KeySet{}, fmt.Errorf("%w: key %d of the set: %v", ErrMalformedKey, i+1, err)
		}
		k, err := ParseJWK(b)
		if errors.Is(err, ErrUnsupportedKey) || errors.Is(err, ErrKeyUse) {
			continue
		}
		if err != nil {
			return KeySet{}, fmt.Errorf("key %d of the set: %w", i+1, err)
		}
		set.ids, set.keys = append(set.ids, id), append(set.keys, k)
	}
	return set, nil
}

// Find returns the key with this kid, or [ErrNoKey]. Without a kid it returns the only
// key of a set of one.
func (s KeySet) Find(kid string) (PublicKey, error) {
	if kid == "" && len(s.keys) == 1 {
		return s.keys[0], nil
	}
	if i := slices.Index(s.ids, kid); i >= 0 && kid != "" {
		return s.keys[i], nil
	}
	return PublicKey{}, fmt.Errorf("%w in the set: kid %q", ErrNoKey, cut(kid))
}

// All returns the keys of the set.
func (s KeySet) All() []PublicKey { return slices.Clone(s.keys) }
