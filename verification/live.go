package verification

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/credential"
)

// InPerson is the audience of a live code that is not made for one verifier.
const InPerson = "in-person"

const (
	// LiveFor is how far the moment of a live code may lie from the clock of this
	// device, either way.
	LiveFor = time.Minute
	// AnswerFor is how long after a question its answer is taken.
	AnswerFor = 2 * time.Minute
	// rememberFor is how long an accepted code is remembered: one that is a minute ahead
	// stays fresh for so long.
	rememberFor = 2*LiveFor + time.Second
	// maxRemembered bounds the memory; a busy counter accepts some dozens of codes in two
	// minutes.
	maxRemembered = 4096
)

// A Mode is the way in which a credential was shown with its holder's key.
type Mode string

// The modes. A credential that was shown without its holder's key, or with one for a
// request of OpenID4VP, has none.
const (
	ModeRotating Mode = "rotating" // a live code for whoever is there
	ModePoster   Mode = "poster"   // a live code for this counter
	ModeQuestion Mode = "question" // the answer to the question of this counter
	ModeCopy     Mode = "copy"     // a copy made out to somebody, until a date
)

// Modes is every mode, for the tests that keep catalogues complete.
func Modes() []Mode { return []Mode{ModeRotating, ModePoster, ModeQuestion, ModeCopy} }

// A Counter is who checks live codes, and what was asked for. The zero Counter has no
// name and asked for nothing: it takes live codes that are for whoever is there.
type Counter struct {
	// ID is how posters and questions name this verifier. Optional.
	ID string
	// Names are names that a copy may be made out to, beside ID. Case and spaces do
	// not matter. Optional.
	Names []string
	// Poster asks for a live code that was made for ID, and takes nothing else.
	Poster bool
	// Nonce is that of the question which was asked at Asked, by the clock of this
	// device. If it is set nothing is taken but the answer to it.
	Nonce []byte
	Asked time.Time
	// Memory keeps codes from being shown twice here. Optional; without it they can
	// be for as long as they are fresh.
	Memory *Memory
	// Once counts each entitlement once a day. Optional.
	Once *Once
}

// check refuses a counter that could not ask for what it does.
func (k Counter) check() error {
	switch {
	case (k.Poster || len(k.Nonce) > 0) && k.ID == "":
		return errors.New("verification: Counter.ID is not set")
	case k.ID == InPerson:
		return errors.New("verification: Counter.ID is the name for nobody in particular")
	case (len(k.Nonce) > 0) != !k.Asked.IsZero():
		return errors.New("verification: Counter.Nonce and Counter.Asked belong together")
	}
	return k.Once.check()
}

// asks reports whether a proof by the holder's key was asked for.
func (k Counter) asks() bool { return k.Poster || len(k.Nonce) > 0 }

// is reports whether a copy was made out to this verifier.
func (k Counter) is(name string) bool {
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return slices.ContainsFunc(append([]string{k.ID}, k.Names...), func(own string) bool {
		return own != "" && strings.EqualFold(plain(own), plain(name))
	})
}

// At returns a Checker for what this counter asked.
func (c *Checker) At(k Counter) (*Checker, error) {
	config := c.Config
	config.Counter = k
	return New(config)
}

// live judges what the holder's key signed along with a CWT (qr-and-offline 3.3).
func (j *judgement) live(b *credential.KeyBinding) {
	k := j.Counter
	refuse := func(r credential.Reason, detail string) {
		j.r.Holder = BindingNone
		j.set(Check{ID: CheckHolder, Result: Fail, Reason: r, Detail: detail, AsOf: b.IssuedAt})
	}
	if !b.NotBefore.IsZero() && b.NotBefore.After(j.device.Add(j.Skew)) {
		refuse(credential.HolderProofAhead, "the proof begins later")
		return
	}
	if !b.Expires.IsZero() {
		j.copyFor(b, refuse)
		return
	}
	switch {
	case len(k.Nonce) > 0 && !bytes.Equal(b.Nonce, k.Nonce):
		refuse(credential.WrongNonce, "it does not answer the question that was asked")
		return
	case len(k.Nonce) == 0 && b.Nonce != nil:
		refuse(credential.WrongNonce, "it answers a question that was not asked here")
		return
	case b.Audience == k.ID && k.ID != "":
		j.r.Mode = ModePoster
	case b.Audience == InPerson && !k.asks():
		j.r.Mode = ModeRotating
	default:
		refuse(credential.WrongAudience, "it was made for another counter, or for none")
		return
	}
	if len(k.Nonce) > 0 {
		j.answered(b, refuse)
		return
	}
	j.r.Holder = BindingKey
	switch age := j.device.Sub(b.IssuedAt); {
	case b.IssuedAt.IsZero():
		refuse(credential.HolderProofBad, "the proof says no time")
	case j.r.Check(CheckClock).Result != Pass:
		// A device that does not know the time cannot tell a picture from a phone.
		j.r.AgeUnknown = true
		j.set(Check{ID: CheckHolder, Result: Unknown, Reason: credential.ClockDoubtful, Detail: "how fresh the code is cannot be told"})
	case age > LiveFor:
		refuse(credential.HolderProofOld, "a live code is good for a minute; this may be a picture of one")
	case age < -LiveFor:
		refuse(credential.HolderProofAhead, "the code is of the future, by the clock of this device")
	default:
		j.r.Age, j.digest = max(0, age), b.Digest
		j.r.Warnings = append(j.r.Warnings, WarnRelay)
		j.set(Check{ID: CheckHolder, Result: Pass, Detail: "signed with the holder's key", AsOf: b.IssuedAt})
	}
}

// answered judges the answer to the question of this counter. How old it is the
// counter knows by its own clock, so that the phone's may be wrong, and its own, too.
func (j *judgement) answered(b *credential.KeyBinding, refuse func(credential.Reason, string)) {
	age := j.device.Sub(j.Counter.Asked.Truncate(time.Second)) // as the clock of the device
	if age > AnswerFor || age < 0 {
		refuse(credential.HolderProofOld, "the question was asked more than two minutes ago, or the clock was set since")
		return
	}
	j.r.Mode, j.r.Holder, j.r.Age, j.digest = ModeQuestion, BindingKeyChallenge, age, b.Digest
	j.set(Check{ID: CheckHolder, Result: Pass, Detail: "signed with the holder's key for this question", AsOf: j.Counter.Asked})
}

// copyFor judges a copy that is made out to somebody until a date. It is no better
// than paper, and no worse in the hands of the one it names.
func (j *judgement) copyFor(b *credential.KeyBinding, refuse func(credential.Reason, string)) {
	j.r.Mode, j.r.For, j.r.Until = ModeCopy, b.Audience, b.Expires
	switch {
	case !j.now.Before(b.Expires):
		refuse(credential.CopyExpired, "")
	case j.Counter.asks():
		refuse(credential.HolderProofMissing, "a copy, where a live code was asked for")
	case j.Counter.is(b.Audience):
		j.paper()
	case j.Counter.ID == "" && len(j.Counter.Names) == 0:
		j.paper()
		j.set(Check{ID: CheckHolder, Result: Unknown, Reason: credential.RecipientNotConfirmed, Detail: "nobody said who checks it"})
	default:
		refuse(credential.WrongAudience, "a copy that is made out to somebody else")
	}
}

// again refuses a live code that was accepted here before. It is the last to be
// looked at: a code counts as shown once it is accepted.
func (j *judgement) again(verdict Verdict) Verdict {
	accepted := verdict == Valid || verdict == CheckNeeded
	if j.Counter.Memory == nil || j.digest == [sha256.Size]byte{} || !accepted || j.Counter.Memory.Admit(j.digest, j.device) {
		return verdict
	}
	j.r.Holder = BindingNone
	j.set(Check{ID: CheckHolder, Result: Fail, Reason: credential.Replayed, Detail: "this very code was accepted here within the last two minutes", AsOf: j.device})
	return Worse(verdict, VerdictFor(credential.Replayed))
}

// A Memory is what a counter remembers of the codes that it accepted: the SHA-256 of
// each, for two minutes. The zero Memory is empty. It is safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time
}

// Admit reports whether the code with this digest was not accepted before, and
// remembers it. Of two calls at once with one digest one gets true.
func (m *Memory) Admit(digest [sha256.Size]byte, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if _, again := m.seen[digest]; again {
		return false
	}
	if m.seen == nil {
		m.seen = make(map[[sha256.Size]byte]time.Time)
	}
	if len(m.seen) >= maxRemembered {
		var oldest [sha256.Size]byte
		for d, at := range m.seen {
			if t, ok := m.seen[oldest]; !ok || at.Before(t) {
				oldest = d
			}
		}
		delete(m.seen, oldest)
	}
	m.seen[digest] = now
	return true
}

// forget drops what is over. What lies ahead, because the clock was set back, stays.
func (m *Memory) forget(now time.Time) {
	for d, at := range m.seen {
		if now.Sub(at) > rememberFor {
			delete(m.seen, d)
		}
	}
}

const entrySize = sha256.Size + 8

// MarshalBinary is the memory for a program that ends between two codes: digests with
// their times, in the order of the digests.
func (m *Memory) MarshalBinary() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := make([]byte, 0, len(m.seen)*entrySize)
	byDigest := func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) }
	for _, d := range slices.SortedFunc(maps.Keys(m.seen), byDigest) {
		b = binary.BigEndian.AppendUint64(append(b, d[:]...), uint64(m.seen[d].Unix()))
	}
	return b, nil
}

// UnmarshalBinary takes a memory over. One that is damaged is an error, and the
// memory is then empty.
func (m *Memory) UnmarshalBinary(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = nil
	if len(b)%entrySize != 0 || len(b) > maxRemembered*entrySize {
		return errors.New("verification: the memory of accepted codes is damaged")
	}
	m.seen = make(map[[sha256.Size]byte]time.Time, len(b)/entrySize)
	for ; len(b) > 0; b = b[entrySize:] {
		m.seen[[sha256.Size]byte(b)] = time.Unix(int64(binary.BigEndian.Uint64(b[sha256.Size:])), 0).UTC()
	}
	return nil
}
