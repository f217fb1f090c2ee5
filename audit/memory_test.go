package audit_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/keys"
)

const origin = "sanad.example/audit"

var start = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// A memory is a [audit.Storage] without a database.
type memory struct {
	entries [][]byte
	hashes  []audit.Hash
	last    time.Time
}

func (m *memory) Tail() (int64, time.Time, error) { return int64(len(m.entries)), m.last, nil }

func (m *memory) Hashes(places []int64) ([]audit.Hash, error) {
	var hashes []audit.Hash
	for _, p := range places {
		hashes = append(hashes, m.hashes[p])
	}
	return hashes, nil
}

func (m *memory) Append(b audit.Block) error {
	if b.First != int64(len(m.entries)) || b.FirstHash != int64(len(m.hashes)) {
		return errors.New("not the next block")
	}
	for _, e := range b.Entries {
		m.entries = append(m.entries, append([]byte(nil), e...))
	}
	m.hashes = append(m.hashes, b.Hashes...)
	m.last = b.Last
	return nil
}

// ReadHashes implements tlog.HashReader.
func (m *memory) ReadHashes(places []int64) ([]audit.Hash, error) { return m.Hashes(places) }

func (m *memory) all() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, e := range m.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// event is the i'th event of a made-up history.
func event(i int) audit.Event {
	e := audit.Event{
		Time: start.Add(time.Duration(i) * 250 * time.Millisecond), Actor: "rahima", Programme: "birth-certificate",
		Credential: fmt.Sprintf("01JD5%021d", i), Record: fmt.Sprintf("%064x", i*i+7), Batch: "b-1",
		Slots: []audit.SlotRef{{URI: "https://sanad.example/status/1", Index: uint64(i * 7919 % (1 << 20))}},
	}
	switch i % 4 {
	case 0, 1:
		e.Kind, e.Key, e.Digest = audit.CredentialIntended, "6d1f00c2a1b37e55", fmt.Sprintf("%064x", i*31)
	case 2:
		e.Kind, e.Digest = audit.CredentialSigned, fmt.Sprintf("%064x", i*37)
	default:
		e.Kind, e.Reason, e.Detail = audit.CredentialRevoked, "lost", "told at the counter"
	}
	return e
}

// history is a log of n events, appended in blocks of changing size.
func history(t testing.TB, n int) *memory {
	t.Helper()
	m := &memory{}
	for i, block := 0, 1; i < n; block = block%13 + 1 {
		var events []audit.Event
		for ; len(events) < block && i < n; i++ {
			events = append(events, event(i))
		}
		if _, err := audit.Append(m, events); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// newSigner returns an active audit key that is always the same for a seed.
func newSigner(t testing.TB, seed byte, change ...func(*keys.Key)) keys.Signer {
	t.Helper()
	private := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	pub, err := keys.PublicKeyOf(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	k := keys.Key{
		Public: pub, Purpose: keys.Audit, State: keys.Active,
		Created: start, Published: start, SignFrom: start, SignUntil: start.AddDate(5, 0, 0),
	}
	for _, c := range change {
		c(&k)
	}
	s, err := keys.NewSigner(k, private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vkey(t testing.TB, s keys.Signer) string {
	t.Helper()
	v, err := audit.VerifierKey(origin, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	return v + "\n"
}

// checkpoint signs the head that the log had at this size.
func checkpoint(t testing.TB, m audit.Storage, size int64, s keys.Signer) []byte {
	t.Helper()
	h, err := audit.HeadAt(m, size)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := audit.SignCheckpoint(origin, h, start.Add(time.Hour), s)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
