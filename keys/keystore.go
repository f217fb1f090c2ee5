package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNoKey: the keystore has no such key, or none that may sign.
var ErrNoKey = errors.New("keys: no such key")

// A Keystore keeps private keys and what is known about them. Its methods may be
// called at once from several goroutines, and from several processes on one
// store. Package keys/keystest holds the test of this contract.
type Keystore interface {
	// Keys returns every key there ever was, in the order they were made. A key
	// is never deleted: what it signed must keep verifying.
	Keys(ctx context.Context) ([]Key, error)

	// Signer returns the signer of a key in whatever state it is, or ErrNoKey.
	// Whether it may sign is asked by CheckSigner, each time.
	Signer(ctx context.Context, id ID) (Signer, error)

	// Generate makes a key in state planned and has tried it before it returns.
	// The key is stored durably by then.
	Generate(ctx context.Context, spec Spec) (Key, error)

	// Update stores a change in the life of a key, durably once it returns nil.
	// It returns ErrTransition for anything that Key.CheckUpdate refuses, judged
	// against what is stored at that moment, and ErrNoKey for an unknown key.
	Update(ctx context.Context, k Key) error
}

// A Spec says what key to make.
type Spec struct {
	// Purpose must be set.
	Purpose Purpose
	// Algorithm is optional: ES256 if empty, EdDSA for Audit and Witness, which
	// allow no other.
	Algorithm Algorithm
	// Created is the present time; it must be set.
	Created time.Time
	// SignFrom is optional; Created if zero.
	SignFrom time.Time
	// SignUntil is optional. If zero the key signs for 1 year from SignFrom, a
	// TrustRoot and a Witness for 10, a CertificateRoot for 20, Audit and Backup keys
	// for 5.
	SignUntil time.Time
	// VerifyUntil is optional; zero means that the key is listed for ever.
	VerifyUntil time.Time
}

// Plan returns s as the planned key that it describes, without the key itself,
// and the algorithm to make it for. Every [Keystore] calls it in Generate.
func (s Spec) Plan() (Key, Algorithm, error) {
	years := s.Purpose.years()
	if years == 0 {
		return Key{}, "", fmt.Errorf("keys: Spec.Purpose is %q, want one of %v", cut(string(s.Purpose)), Purposes())
	}
	if s.Created.IsZero() {
		return Key{}, "", errors.New("keys: Spec.Created is not set")
	}
	alg := s.Algorithm
	notes := s.Purpose == Audit || s.Purpose == Witness
	if alg == "" {
		alg = ES256
		if notes {
			alg = EdDSA
		}
	}
	if alg.row() == nil {
		return Key{}, "", fmt.Errorf("%w: algorithm %q is not one of %v", ErrUnsupportedKey, cut(string(alg)), Algorithms())
	}
	if notes && alg != EdDSA {
		return Key{}, "", fmt.Errorf("%w: a key of purpose %s is for %s, not %s", ErrUnsupportedKey, s.Purpose, EdDSA, alg)
	}
	k := Key{
		Purpose: s.Purpose, State: Planned, Created: whole(s.Created),
		SignFrom: whole(s.SignFrom), SignUntil: whole(s.SignUntil), VerifyUntil: whole(s.VerifyUntil),
	}
	if k.SignFrom.IsZero() {
		k.SignFrom = k.Created
	}
	if k.SignUntil.IsZero() {
		k.SignUntil = k.SignFrom.AddDate(years, 0, 0)
	}
	switch {
	case k.SignFrom.Before(k.Created):
		return Key{}, "", errors.New("keys: Spec.SignFrom lies before Spec.Created")
	case !k.SignUntil.After(k.SignFrom):
		return Key{}, "", errors.New("keys: Spec.SignUntil does not lie after Spec.SignFrom")
	case earlier(k.VerifyUntil, k.SignUntil):
		return Key{}, "", errors.New("keys: Spec.VerifyUntil lies before Spec.SignUntil")
	}
	return k, alg, nil
}

// SigningKey returns the key to sign with: of those for p that may sign at the
// time now, the one whose window began last. Without one it returns [ErrNoKey]
// with a word on what to do.
func SigningKey(all []Key, p Purpose, now time.Time) (Key, error) {
	var best Key
	var why error
	for _, k := range all {
		if k.Purpose != p {
			continue
		}
		err := k.MaySign(now)
		if err == nil && (best.Public.IsZero() || newer(k, best)) {
			best = k
		}
		why = cmp.Or(err, why) // the newest key's reason serves best
	}
	switch {
	case !best.Public.IsZero():
		return best, nil
	case why == nil:
		return Key{}, fmt.Errorf("%w: there is no %s key; rotate to make one", ErrNoKey, p)
	default:
		return Key{}, fmt.Errorf("%w: no %s key may sign: %w", ErrNoKey, p, why)
	}
}

// newer reports whether a is to be preferred to b for signing.
func newer(a, b Key) bool {
	return cmp.Or(a.SignFrom.Compare(b.SignFrom), a.Created.Compare(b.Created), slices.Compare(a.ID().Bytes(), b.ID().Bytes())) > 0
}

// Bootstrap makes the first key of a purpose in ks and activates it at once.
// Nobody can hold a bundle from before it, so there is nobody to wait for. It
// returns [ErrTransition] if the purpose has a key already.
func Bootstrap(ctx context.Context, ks Keystore, spec Spec) (Key, error) {
	all, err := ks.Keys(ctx)
	if err != nil {
		return Key{}, err
	}
	if slices.ContainsFunc(all, func(k Key) bool { return k.Purpose == spec.Purpose }) {
		return Key{}, fmt.Errorf("%w: there is a %s key already; rotate instead", ErrTransition, spec.Purpose)
	}
	k, err := ks.Generate(ctx, spec)
	if err != nil {
		return Key{}, err
	}
	if k, err = k.Publish(k.Created); err == nil {
		k, err = k.Activate(k.Created, 0)
	}
	if err != nil {
		return Key{}, err
	}
	return k, ks.Update(ctx, k)
}
