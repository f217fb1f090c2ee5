package oid4vp_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/oid4vp"
)

// TestNothingPrints tries every way of printing what must not reach a log.
func TestNothingPrints(t *testing.T) {
	s := newScene(t)
	r := s.received(t)
	m := r.Query.Match([]oid4vp.Credential{s.held(t)})
	token := oid4vp.VPToken{"card": {s.issued}}
	data := loan(t, []string{"card"}, "the-book")
	secrets := []string{"Arthur", "Market", "Dent", s.request.Nonce, s.request.State, s.issued[:40], "the-book", data.Encoded()}
	for name, v := range map[string]any{
		"request": r, "credential": s.held(t), "match": m.Queries[0], "candidate": m.Queries[0].Candidates[0], "claim": m.Queries[0].Candidates[0].Claims[0],
		"token": token, "response": oid4vp.Response{Token: token}, "presented": oid4vp.Presented{Query: "card", Credential: s.held(t)},
		"answer": oid4vp.AnswerItem{Claims: m.Queries[0].Candidates[0].Claims}, "transaction data": data,
	} {
		var b bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%s"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
		if name != "match" && name != "candidate" && name != "answer" && name != "request" && name != "response" {
			fmt.Fprintf(&b, "%#v\n", v)
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		for _, secret := range secrets {
			if strings.Contains(b.String(), secret) {
				t.Errorf("%s prints %q: %s", name, secret, b.String())
			}
		}
		if b.Len() == 0 {
			t.Errorf("%s prints nothing", name)
		}
	}
}
