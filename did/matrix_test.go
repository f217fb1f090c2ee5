package did_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// TestFailsClosed is promise P13 for DID documents: each fault has a cell or a reason
// why there is none, and none of them gives a key.
func TestFailsClosed(t *testing.T) {
	const id = "did:web:issuer.example"
	good, err := did.WebDocument(id, []keys.Key{keystest.Key(t, keys.Credential, keys.ES256, "issuer")}, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	gives := func(b []byte, err error) did.Fetcher {
		return func(context.Context, string) ([]byte, error) { return b, err }
	}
	cells := map[string]struct {
		fetch did.Fetcher
		want  error
	}{
		"missing":       {gives(nil, errors.New("status 404")), did.ErrUnresolved},
		"unreachable":   {gives(nil, errors.New("connection refused")), did.ErrUnresolved},
		"timeout":       {gives(nil, context.DeadlineExceeded), did.ErrUnresolved},
		"malformed":     {gives(good[:len(good)/2], nil), did.ErrDocument},
		"wrong subject": {gives([]byte(strings.ReplaceAll(string(good), id, "did:web:evil.example")), nil), did.ErrSubject},
		"too large":     {gives([]byte(string(good)+strings.Repeat(" ", 1<<20)), nil), did.ErrTooLarge},
		"wrong type":    {gives([]byte(`<html>not a document</html>`), nil), did.ErrDocument},
	}
	none := map[string]string{
		"stale":           "a document has no date; internal/fetch bounds how long one is kept",
		"wrong signature": "a document is not signed: its words are those of whoever holds the address (TLS, internal/fetch)",
	}
	for _, fault := range []string{"missing", "unreachable", "timeout", "stale", "malformed", "wrong signature", "wrong subject", "too large", "wrong type"} {
		c, cell := cells[fault]
		if !cell {
			if none[fault] == "" {
				t.Errorf("P13 DID document, %s: neither a cell nor a reason", fault)
			}
			continue
		}
		if doc, err := did.New(did.Config{Fetch: c.fetch}).Resolve(t.Context(), id); !errors.Is(err, c.want) || doc != nil {
			t.Errorf("P13 DID document, %s: %v, %v, want %v", fault, doc, err, c.want)
		}
	}
	if _, err := did.New(did.Config{Fetch: gives(good, nil)}).Resolve(t.Context(), id); err != nil {
		t.Errorf("the good document: %v", err)
	}
}
