package once

import (
	"context"
	"errors"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// disclosedFor is how long a disclosed key is remembered: longer than the credentials that
// are bound to it and the telephone that made it. Who has the key has it for good, but every
// value ends.
const disclosedFor = 10 * 365 * 24 * time.Hour

// Disclosed finds the mark of a key whose private half was sent ([Disclose]). It names neither
// an issuer nor an epoch: whoever uses these values shares the list, and a restore of the
// issuer's database leaves it as it is.
func Disclosed(k keys.PublicKey) Key { return KeyOf(DisclosedKey, k.JWKThumbprint()) }

// Disclose remembers keys whose private halves were sent to somebody who should have got the
// public ones: nothing that they sign says who signed. A key that is on the list already stays
// there. In is a [DB].
func Disclose(ctx context.Context, in interface {
	Steps(context.Context, time.Time, ...Step) (int, error)
}, now time.Time, list ...keys.PublicKey) error {
	steps := make([]Step, len(list))
	for i, k := range list {
		steps[i].Put = []Value{{Kind: DisclosedKey, Digest: Disclosed(k).Digest, Expires: now.Add(disclosedFor)}}
	}
	for len(steps) > 0 {
		done, err := in.Steps(ctx, now, steps[:min(len(steps), MaxKeys)]...)
		if errors.Is(err, ErrExists) {
			done, err = done+1, nil
		}
		if err != nil {
			return err
		}
		steps = steps[done:]
	}
	return nil
}
