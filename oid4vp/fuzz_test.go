package oid4vp_test

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
)

// FuzzParseQuery: a query that is read is written and read alike, and what a wallet
// discloses for one that a verifier may write is there, answers it, and is no more
// than it points at.
func FuzzParseQuery(f *testing.F) {
	for _, name := range queryVectors {
		f.Add(string(vector(f, "examples", name)))
	}
	f.Add(good)
	for _, tt := range matchRows {
		if tt.members != "" {
			f.Add(`{"credentials":[{"id":"card","format":"dc+sd-jwt","meta":{"vct_values":["` + identity + `"]},` + tt.members + `}]}`)
		}
	}
	s := newScene(f)
	wallet := []oid4vp.Credential{s.held(f)}
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		q, err := oid4vp.ParseQuery([]byte(text))
		if err != nil {
			if _, ok := errors.AsType[*oid4vp.Error](err); !ok {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		b, err := q.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := oid4vp.ParseQuery(b); err != nil || !reflect.DeepEqual(q, again) {
			t.Fatalf("written as %s: %v", b, err)
		}
		m := q.Match(wallet)
		choices, err := m.Default()
		if (err == nil) != m.Possible() {
			t.Fatalf("possible %v: %v", m.Possible(), err)
		}
		if err != nil || q.Validate() != nil {
			return
		}
		if err := m.Check(choices); err != nil && len(choices) > 0 {
			t.Fatal(err)
		}
		var presented []oid4vp.Presented
		for _, c := range choices {
			p, err := sdjwt.Present(s.issued, c.Disclose()...)
			if err != nil {
				t.Fatal(err)
			}
			shown := shown(t, p)
			shown.Holder = true
			presented = append(presented, oid4vp.Presented{Query: c.Query, Credential: shown})
		}
		a, err := q.Answered(presented)
		if err != nil {
			t.Fatal(err)
		}
		if !a.Complete && !places(q) {
			t.Fatalf("disclosed, and not answered: %+v", a)
		}
	})
}

// places reports whether a query asks for a value at one place of an array, which a
// presentation that hides other elements does not prove.
func places(q *oid4vp.Query) bool {
	for _, c := range q.Credentials {
		for _, claim := range c.Claims {
			for _, step := range claim.Path {
				if _, ok := step.(int); ok && claim.Values != nil {
					return true
				}
			}
		}
	}
	return false
}

// FuzzOpen: no request opens that the verifier has not signed.
func FuzzOpen(f *testing.F) {
	s := newScene(f)
	object := s.object(f)
	link := "openid4vp://?client_id=" + url.QueryEscape(s.request.Client.ID.String()) + "&request_uri=" + url.QueryEscape(fetchFrom)
	f.Add(link, object)
	f.Add(strings.Replace(link, "request_uri=", "request=", 1), "")
	f.Add("openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fa.example%2Fcb&response_type=vp_token&response_mode=direct_post&nonce=n&dcql_query=%7B%7D", "")
	f.Add(link, "e30.e30.AA")
	boundtest.Fuzz(f, func(t *testing.T, link, token string) {
		i, err := oid4vp.ParseInvocation(link)
		if err != nil {
			return
		}
		want := s.want
		want.Unsigned, want.Plain = true, true
		r, err := i.Open(t.Context(), token, want)
		if err != nil {
			return
		}
		if i.RequestURI == "" {
			token = i.Object
		}
		if r.Client.ID.Signed() && !signedBy(token, s.signature.Signer.Key().Public) {
			t.Fatalf("opened %+v", r)
		}
		if !r.Client.ID.Signed() && (r.Policy != nil || r.Client.Anchor != "" || r.ResponseURI != r.Client.ID.Name) {
			t.Fatalf("somebody vouches for %+v", r)
		}
	})
}

// signedBy reports whether a token is signed by this key.
func signedBy(token string, key keys.PublicKey) bool {
	m, err := jose.Parse(strings.TrimSpace(token), jose.Expect{Types: []string{oid4vp.RequestType}, MaxBytes: oid4vp.MaxRequest})
	return err == nil && m.Verify(key.Algorithm(), key) == nil
}

// FuzzParseResponse: what is read is bounded, is one of the two kinds, and says the
// same when it is sent again.
func FuzzParseResponse(f *testing.F) {
	s := newScene(f)
	r := s.request
	f.Add("vp_token=%7B%22card%22%3A%5B%22x~%22%5D%7D&state="+r.State, true)
	f.Add("error=access_denied&state="+r.State, false)
	for _, members := range []string{"", `"multiple":true`} {
		r.Query = ask(f, members)
		form, err := r.Respond(oid4vp.VPToken{"card": {"x~"}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(form.Encode(), false)
	}
	r.Query.Credentials[0].Multiple = true
	boundtest.Fuzz(f, func(t *testing.T, body string, plain bool) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		want := s.expected()
		if plain {
			want.Mode, want.Key = oid4vp.DirectPost, nil
		}
		got, err := oid4vp.ParseResponse(form, want)
		if err != nil {
			if _, ok := errors.AsType[*oid4vp.Error](err); !ok {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if (got.Token == nil) == (got.Refusal == nil) || got.Token.Count() > oid4vp.MaxPresentations {
			t.Fatalf("read %+v", got)
		}
		if list := got.Token["card"]; len(list) > 0 && len(got.Token) == 1 {
			form, err := r.Respond(got.Token)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := oid4vp.ParseResponse(form, s.expected()); err != nil || !reflect.DeepEqual(got, again) {
				t.Fatalf("sent again: %+v, %v", again, err)
			}
		}
	})
}

// FuzzParseTransactionData: what is read travels as it came.
func FuzzParseTransactionData(f *testing.F) {
	f.Add("eyJ0eXBlIjoidCIsImNyZWRlbnRpYWxfaWRzIjpbImEiXX0")
	f.Add(loan(f, []string{"card"}, "17").Encoded())
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		d, err := oid4vp.ParseTransactionData(text)
		if err != nil {
			return
		}
		if d.Encoded() != text || d.Type == "" || len(d.CredentialIDs) == 0 {
			t.Fatalf("read %+v", d)
		}
	})
}

// FuzzParseReply: a person is sent to https only.
func FuzzParseReply(f *testing.F) {
	f.Add(`{"redirect_uri":"https://client.example.org/cb#response_code=091535f699ea575c7937fa5f0f454aee"}`)
	f.Add(`{"redirect_uri":"org.example.app:/done"}`)
	f.Add(`{}`)
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		r, err := oid4vp.ParseReply([]byte(text), false)
		if err != nil || r.RedirectURI == "" {
			return
		}
		// A website, or an app whose scheme is a domain name in reverse.
		scheme, _, _ := strings.Cut(strings.ToLower(r.RedirectURI), ":")
		if !strings.HasPrefix(strings.ToLower(r.RedirectURI), "https://") && !strings.Contains(scheme, ".") {
			t.Fatalf("sent to %q", r.RedirectURI)
		}
	})
}
