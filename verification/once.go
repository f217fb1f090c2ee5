package verification

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
)

// A Once counts entitlements: each credential is accepted once a day, and whoever brings
// it again is looked at by a person. What is remembered is [OnceHash], never anything
// that names somebody.
type Once struct {
	// Key is what the counters of a programme share, so that their hashes can be
	// compared. Whoever has it can try out all slots of a status list.
	Key OnceKey
	// Day is the counter's own, as in 2026-11-22.
	Day string
	// Type is the only credential type that counts. Optional; every one if empty.
	Type string
	// Admit returns when an entitlement was first accepted today, by the clock on the
	// wall, and remembers it as accepted now if it was not: then it returns the zero time.
	Admit func(hash [sha256.Size]byte) time.Time
}

// OnceHash is how an entitlement is known again on one day:
//
//	SHA-256( "sanad once v1" 00 salt day 00 status uri 00 index in decimal )
//
// with the 16 bytes of [OnceKey.Salt]. The slot in a status list is what names a
// credential: there is one for each that was issued, and no two share it.
func OnceHash(salt [OnceSize]byte, day string, ref credential.StatusRef) [sha256.Size]byte {
	b := append([]byte("sanad once v1\x00"), salt[:]...)
	b = append(append(append(b, day...), 0), ref.URI...)
	return sha256.Sum256(strconv.AppendUint(append(b, 0), ref.Index, 10))
}

// OnceSize is the size of an [OnceKey] and of its salts in bytes.
const OnceSize = 16

// An OnceKey is a random secret that the counters of a programme share.
type OnceKey [OnceSize]byte

// Salt is that of one day. It gives away neither the key nor the salt of another day.
func (k OnceKey) Salt(day string) (salt [OnceSize]byte) {
	b := append([]byte("sanad once salt v1\x00"), k[:]...)
	sum := sha256.Sum256(append(append(b, 0), day...))
	return [OnceSize]byte(sum[:OnceSize])
}

// onceKeyPrefix stands before the text of a key. All of it fits the alphanumeric mode of
// a QR code.
const onceKeyPrefix = "SANADONCE1:"

// ErrOnceKey: the text is not that of an [OnceKey].
var ErrOnceKey = errors.New("verification: not a key for counting once")

// onceKeySum is the size of the check sum in a key's text.
const onceKeySum = 4

// Text is the key for other counters to scan or to type, with a check sum.
func (k OnceKey) Text() string {
	sum := sha256.Sum256(append([]byte(onceKeyPrefix), k[:]...))
	return onceKeyPrefix + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(k[:], sum[:onceKeySum]...))
}

// ParseOnceKey reads the text of a key. Small letters and spaces do not matter. It returns
// [ErrOnceKey] for anything else.
func ParseOnceKey(text string) (OnceKey, error) {
	if len(text) > 200 {
		return OnceKey{}, ErrOnceKey
	}
	text = strings.ToUpper(strings.Join(strings.Fields(text), ""))
	digits, ok := strings.CutPrefix(text, onceKeyPrefix)
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(digits)
	if !ok || err != nil || len(b) != OnceSize+onceKeySum {
		return OnceKey{}, ErrOnceKey
	}
	k := OnceKey(b[:OnceSize])
	if k.Text() != text {
		return OnceKey{}, ErrOnceKey
	}
	return k, nil
}

// String says that there is a key and nothing more.
func (k OnceKey) String() string { return "key for counting once" }

// GoString is String.
func (k OnceKey) GoString() string { return k.String() }

// check refuses what could not remember anything.
func (o *Once) check() error {
	if o != nil && (o.Admit == nil || o.Day == "") {
		return errors.New("verification: Once.Day or Once.Admit is not set")
	}
	return nil
}

// once says so if this entitlement was accepted before on the same day. Like
// [judgement.again] it looks at what is accepted otherwise.
func (j *judgement) once(verdict Verdict) Verdict {
	o := j.Counter.Once
	if o == nil || j.v == nil || verdict != Valid && verdict != CheckNeeded || o.Type != "" && o.Type != j.v.Type {
		return verdict
	}
	reason, detail := credential.OnceUnknown, "it has no slot in a status list"
	if j.v.Status != nil {
		first := o.Admit(OnceHash(o.Key.Salt(o.Day), o.Day, *j.v.Status))
		if first.IsZero() {
			return verdict
		}
		j.r.AcceptedAt = first
		reason, detail = credential.AlreadySeen, "accepted before today, at "+first.Format("15:04")
	}
	// This says more to whoever looks than a reason of the same weight that stood there.
	for i := range j.r.Checks {
		if j.r.Checks[i].ID == CheckHolder {
			j.r.Checks[i] = Check{ID: CheckHolder, Result: Unknown, Reason: reason, Detail: detail}
		}
	}
	return Worse(verdict, VerdictFor(reason))
}
