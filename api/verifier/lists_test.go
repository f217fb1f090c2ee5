package verifier_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/verification"
)

// issue is a credential of the stranger with its place in the list at an address.
func (p *stranger) issue(x5c [][]byte, key keys.Signer, list string) []byte {
	p.t.Helper()
	payload := must(json.Marshal(object{
		"iss": university, "vct": farmer, "iat": asOf.AddDate(0, -1, 0).Unix(), "full_name": person, "status": object{"status_list": object{"uri": list, "idx": 3}},
	}))(p.t)
	return append(must(jose.Sign(rand.Reader, key, jose.Header{Type: "dc+sd-jwt", X5C: x5c}, payload))(p.t), '~')
}

// TestOpenListsFailClosed: a list that was opened serves the same token again, and nothing else.
// Each row changes one thing after a check that was good.
func TestOpenListsFailClosed(t *testing.T) {
	const valid, unknown, invalid = verification.Valid, verification.Undetermined, verification.Invalid
	for _, tt := range []struct {
		name    string
		change  func(p *stranger, s *scene, proof []byte) []byte
		verdict verification.Verdict
		says    string
		open    int
	}{
		{"nothing", func(_ *stranger, _ *scene, proof []byte) []byte { return proof }, valid, "", 1},
		{"the list says something else now", func(p *stranger, _ *scene, proof []byte) []byte {
			p.stays, p.value = false, status.Invalid
			return proof
		}, invalid, "revoked", 2},
		{"another signature", func(p *stranger, _ *scene, proof []byte) []byte {
			signature := bytes.LastIndexByte(p.answered, '.') + 1
			p.answered = append(bytes.Clone(p.answered[:signature]), bytes.Repeat([]byte{'A'}, 86)...)
			return proof
		}, unknown, "no trusted key signed", 1},
		{"the token is not to be had", func(p *stranger, _ *scene, proof []byte) []byte {
			p.away = fmt.Errorf("no answer")
			return proof
		}, unknown, "no answer", 1},
		{"the token at another address", func(p *stranger, s *scene, _ []byte) []byte {
			return p.issue(s.token.X5C, p.key, "https://status.xb/8")
		}, unknown, "token of another list", 1},
		{"an issuer under another root of the settings", func(p *stranger, _ *scene, _ []byte) []byte {
			key := keystest.Signer(t, keys.Credential, keys.ES256, "college")
			other := p.certificate("other", nil, "other", authority)
			return p.issue([][]byte{p.certificate("college", other, "other", addressed(university)).Raw}, key, theirList)
		}, unknown, "no path to a trusted root", 1},
		{"the token has ended", func(_ *stranger, s *scene, proof []byte) []byte {
			s.clock.Store(int64(40 * time.Minute))
			return proof
		}, unknown, "token has expired", 1},
		{"the certificate of its key has ended", func(_ *stranger, s *scene, proof []byte) []byte {
			s.clock.Store(int64(40 * time.Minute))
			return proof
		}, unknown, "certificate has expired", 1},
		{"the list is older than the settings allow", func(_ *stranger, s *scene, proof []byte) []byte {
			s.clock.Store(int64(20 * time.Minute))
			return proof
		}, unknown, "list older than", 1},
		{"a clock that goes back before the certificate of its key", func(_ *stranger, s *scene, proof []byte) []byte {
			s.clock.Store(int64(-20 * time.Minute))
			return proof
		}, unknown, "not valid yet", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newStranger(t)
			p.stays, p.settings.StatusFresh = true, 75*time.Minute
			p.listLeaf = func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-10*time.Minute), now.Add(39*time.Minute) }
			if tt.says == "token has expired" { // before the certificate
				p.listLeaf = func(c *x509.Certificate) {}
				p.claims = func(c map[string]any) { c["exp"] = now.Add(40 * time.Minute).Unix() }
			}
			p.change = func(s *scene) {
				other := p.settings
				other.Certificates = []*x509.Certificate{p.certificate("other", nil, "other", authority)}
				s.roots = append(s.roots, other)
			}
			s := p.scene()
			proof := p.issue(s.token.X5C, p.key, theirList)
			if r := s.service.Checking(t.Context(), proof); r.Verdict != verification.Valid {
				t.Fatalf("before: %+v", r)
			}
			r := s.service.Checking(t.Context(), tt.change(p, s, proof))
			c := r.Check(verification.CheckStatus)
			if n, _ := s.service.ListsOpen(); r.Verdict != tt.verdict || !strings.Contains(string(c.Reason)+" "+c.Detail, tt.says) || n != tt.open {
				t.Errorf("%s, %d open lists, %+v; want %s and %q, %d open", r.Verdict, n, r.Checks, tt.verdict, tt.says, tt.open)
			}
		})
	}
}

// TestOpenListsAreBounded: in number and in memory, the ones that were used last stay; and what
// is found is what was kept, for the time that it was kept for.
func TestOpenListsAreBounded(t *testing.T) {
	list := func(entries uint64) *status.TokenInfo {
		return &status.TokenInfo{List: must(status.NewList(1, entries))(t)}
	}
	root, end := new(verifier.IssuerRoot), now.Add(time.Hour)
	var o verifier.OpenLists
	first := list(8)
	o.Keep("first", theirList, root, first, now, end)
	for i := range 99 {
		o.Keep(fmt.Sprint(i), theirList, root, list(64), now, end)
		o.Find("first", theirList, root, now)
	}
	if n, size := o.Size(); n != 64 || size != 63*8+1 || o.Find("first", theirList, root, now) != first || o.Find("35", theirList, root, now) != nil || o.Find("36", theirList, root, now) == nil {
		t.Errorf("%d lists of %d bytes", n, size)
	}
	for i := range 5 {
		o.Keep(fmt.Sprint("large", i), theirList, root, list(8*status.MaxBytes), now, end)
	}
	if n, size := o.Size(); n != 4 || size != 4*status.MaxBytes || o.Find("large0", theirList, root, now) != nil {
		t.Errorf("of large ones %d of %d bytes", n, size)
	}
	o.Keep("large4", theirList, root, list(8), now, end) // once more
	if n, size := o.Size(); n != 4 || size != 3*status.MaxBytes+1 {
		t.Errorf("after one was replaced %d of %d bytes", n, size)
	}
	for name, found := range map[string]*status.TokenInfo{
		"another token":   o.Find("x", theirList, root, now),
		"another address": o.Find("large4", university, root, now),
		"another root":    o.Find("large4", theirList, new(verifier.IssuerRoot), now),
		"before":          o.Find("large4", theirList, root, now.Add(-1)),
		"at the end":      o.Find("large4", theirList, root, end),
	} {
		if found != nil {
			t.Errorf("%s: found", name)
		}
	}
	o.Keep("new", theirList, root, list(8), end, end.Add(time.Hour))
	if n, size := o.Size(); n != 1 || size != 1 {
		t.Errorf("after the end of the others %d of %d bytes", n, size)
	}
}

// BenchmarkStranger checks one credential after the other with a status list of a stranger, a
// fiftieth of whose entries are revoked: by a token that is the same each time, and by a new one.
func BenchmarkStranger(b *testing.B) {
	for _, entries := range []uint64{1 << 16, 1 << 20, 1 << 23} {
		p := newStranger(b)
		p.entries, p.stays = entries, true
		p.claims = func(c map[string]any) {
			random, data := mathrand.New(mathrand.NewPCG(1, 2)), make([]byte, entries/4)
			for range entries / 50 {
				if i := random.Uint64N(entries); i > 3 {
					data[i/4] |= 1 << (i % 4 * 2)
				}
			}
			c["status_list"] = map[string]any{"bits": 2, "lst": zlibbed(data)}
		}
		s := p.scene()
		proof := p.issue(s.token.X5C, p.key, theirList)
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := s.service.Checking(b.Context(), proof); r.Verdict != verification.Valid {
					b.Fatalf("%+v", r)
				}
			}
			b.ReportMetric(float64(len(p.answered)), "token-B")
		})
	}
}
