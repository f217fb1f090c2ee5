package wallet_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
)

// newWorldWithRoot is another root than that of the worlds.
func newWorldWithRoot(t testing.TB) []*x509.Certificate {
	t.Helper()
	der, err := chain.NewRoot(rand.Reader, keystest.Signer(t, keys.CertificateRoot, keys.ES256, "other root"), chain.Name{Organization: "Other", Country: "XB"}, now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	root, err := chain.ParseRoot(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{root}
}

// holding is an agent that has the licence.
func (w *world) holding() (*wallet.Agent, *wallet.Wallet) {
	w.t.Helper()
	a, kept := w.agent(nil)
	if _, _, err := w.accept(a); err != nil {
		w.t.Fatal(err)
	}
	return a, kept
}

// verified is what the verifier reads of the one presentation.
func (w *world) verified() (text string, claims []string) {
	w.t.Helper()
	if w.response == nil || len(w.response.Token["card"]) != 1 {
		w.t.Fatalf("response: %+v", w.response)
	}
	text = w.response.Token["card"][0]
	v, err := sdjwt.Verify(text, sdjwt.Expect{
		Keys: oneKey{w.signer.Key().Public}, Now: w.now, Binding: sdjwt.BindingRequired, Audience: w.request.Client.ID.String(), Nonce: w.request.Nonce, MaxAge: time.Minute,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range v.Fields {
		claims = append(claims, f.Name)
	}
	slices.Sort(claims)
	return text, claims
}

type oneKey struct{ key keys.PublicKey }

func (k oneKey) KeysFor(string, []byte) []keys.PublicKey { return []keys.PublicKey{k.key} }

// TestPresent answers a request with two claims of ten, then with a third that is
// optional, each time with another copy.
func TestPresent(t *testing.T) {
	for _, method := range []oid4vp.Method{oid4vp.Post, oid4vp.Get} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.method = method
			a, kept := w.holding()
			var holders []string
			for round, with := range [][]string{nil, {"village"}, nil, nil} {
				w.now = w.now.Add(time.Second)
				q, err := a.Inquire(t.Context(), w.requestLink())
				if err != nil {
					t.Fatal(err)
				}
				if q.Verifier.Vouched != wallet.ByCertificate || q.Verifier.Anchor != "National root" || q.Verifier.Names["en"] != "City library" ||
					q.Purpose["en"] != "To make your library card." || q.Kept == nil || *q.Kept != 48*time.Hour || !q.Possible {
					t.Errorf("facts: %+v", q)
				}
				if len(q.Asks) != 1 || len(q.Asks[0].Options) != 1 || len(q.Asks[0].Options[0].Claims) != 2 || len(q.Asks[0].Options[0].Optional) != 1 ||
					q.Asks[0].Options[0].Optional[0].Path != "village" || q.Asks[0].Options[0].Claims[0].Labels["fr"] != "Nom" {
					t.Fatalf("asks: %+v", q.Asks)
				}
				if log, err := kept.Log(); err != nil || len(log) != 1+round {
					t.Errorf("looking at a request left %d entries, %v", len(log), err)
				}
				choices, err := q.Least()
				if err != nil {
					t.Fatal(err)
				}
				choices[0].With = with
				next, err := a.Present(t.Context(), q, choices)
				if err != nil || next != w.next {
					t.Fatalf("Present: %q, %v", next, err)
				}
				want := append([]string{"class", "name"}, with...)
				text, claims := w.verified()
				if !slices.Equal(claims, want) {
					t.Errorf("shown %v, want %v", claims, want)
				}
				head, _, _ := strings.Cut(text, "~")
				holders = append(holders, head)
				log, err := kept.Log()
				if err != nil || len(log) != 2+round {
					t.Fatalf("log: %+v, %v", log, err)
				}
				e := log[len(log)-1]
				if e.Deed != wallet.Presented || !slices.Equal(slices.Sorted(slices.Values(e.Claims)), want) || *e.Kept != 2 || e.Party != w.request.Client.ID.String() || strings.Contains(strings.Join(e.Claims, ""), "Amina") {
					t.Errorf("entry: %+v", e)
				}
			}
			// Three copies, then the first one again.
			if len(maps.Collect(func(yield func(string, bool) bool) {
				for _, h := range holders[:3] {
					if !yield(h, true) {
						return
					}
				}
			})) != 3 || holders[3] != holders[0] {
				t.Error("copies are not used in turn")
			}
		})
	}
}

// oneDamaged is a wallet with a file that cannot be read beside the others.
type oneDamaged struct{ wallet.Keeper }

// Held implements [wallet.Keeper].
func (k oneDamaged) Held() ([]wallet.Held, error) {
	all, err := k.Keeper.Held()
	return all, errors.Join(err, wallet.ErrCorrupt)
}

// TestOneDamaged: what can be read is shown as ever. If it does not answer, the other may
// have: the person hears of it, and the verifier nothing.
func TestOneDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, _ := w.agent(func(c *wallet.Config) { c.Wallet = oneDamaged{c.Wallet} })
	if _, err := a.Inquire(t.Context(), w.requestLink()); !errors.Is(err, wallet.ErrCorrupt) {
		t.Errorf("with nothing that answers: %v, want %v", err, wallet.ErrCorrupt)
	}
	if _, _, err := w.accept(a); err != nil {
		t.Fatal(err)
	}
	if err := w.present(a); err != nil {
		t.Error(err)
	}
	w.verified()
}

// TestPurposeInTheLog: the log says why as the person read it, whatever the languages that
// the verifier speaks.
func TestPurposeInTheLog(t *testing.T) {
	for _, tt := range []struct {
		language string
		purpose  map[string]string
		want     string
	}{
		{"sw", map[string]string{"en": "Your card.", "sw": "Kadi yako."}, "Kadi yako."},
		{"sw", map[string]string{"fr": "Votre carte."}, "Votre carte."},
		{"en", map[string]string{"fr": "Votre carte."}, "Votre carte."},
		{"fr", map[string]string{"en": "Your card."}, "Your card."},
	} {
		w := newWorld(t)
		w.request.Policy.Purpose = tt.purpose
		a, kept := w.agent(func(c *wallet.Config) { c.Language = i18n.For(tt.language) })
		if _, _, err := w.accept(a); err != nil {
			t.Fatal(err)
		}
		if err := w.present(a); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Decline(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		log, err := kept.Log()
		if err != nil || len(log) != 3 {
			t.Fatalf("log: %+v, %v", log, err)
		}
		for _, e := range log {
			if e.Deed != wallet.Accepted && e.Purpose != tt.want {
				t.Errorf("%s of %v: the log of what was %s says %q, want %q", tt.language, tt.purpose, e.Deed, e.Purpose, tt.want)
			}
		}
	}
}

// TestAlternatives: of several options of a set one is shown, the verifier's first unless
// the person chooses another; what can be left out comes with all that belongs to it.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.request.Query.Credentials[0]
	one.ClaimSets = nil
	w.request.Query.Credentials = nil
	for id, path := range []string{"name", "class", "village", "number", "height"} {
		c := one
		c.ID, c.Claims = string(rune('a'+id)), []oid4vp.ClaimQuery{{Path: sdjwt.Path{path}}}
		w.request.Query.Credentials = append(w.request.Query.Credentials, c)
	}
	w.request.Query.Credentials[3].Types = []string{"urn:not-held"}
	w.request.Query.Sets = []oid4vp.CredentialSet{{Options: [][]string{{"a"}, {"b"}, {"d"}}}, {Options: [][]string{{"c", "e"}}, Optional: true}}
	a, _ := w.holding()
	q, err := a.Inquire(t.Context(), w.requestLink())
	if err != nil || !q.Possible {
		t.Fatalf("Inquire: %+v, %v", q, err)
	}
	for i, ask := range q.Asks {
		if alternative := ask.Query != "c" && ask.Query != "e"; ask.Alternative != alternative || ask.Optional == alternative {
			t.Errorf("ask %d: %+v", i, ask)
		}
	}
	least, err := q.Least()
	if err != nil {
		t.Fatal(err)
	}
	shown := func(choices []wallet.Choice) (ids string) {
		for _, c := range choices {
			ids += c.Query
		}
		return ids
	}
	if shown(least) != "a" {
		t.Errorf("the least is %q", shown(least))
	}
	for _, tt := range []struct {
		with, want string
		ok         bool
	}{
		{"b", "b", true}, {"a", "a", true}, {"c", "ace", true}, {"bc", "bce", true}, {"cb", "ceb", true}, {"ba", "a", true}, {"d", "a", false}, {"x", "a", false},
	} {
		choices, ok := least, true
		for _, id := range tt.with {
			choices, ok = q.With(choices, string(id))
		}
		if got := shown(choices); got != tt.want || ok != tt.ok {
			t.Errorf("with %s: %q %t, want %q %t", tt.with, got, ok, tt.want, tt.ok)
		}
	}
	other, _ := q.With(least, "b")
	if _, err := a.Present(t.Context(), q, other); err != nil {
		t.Fatal(err)
	}
	if len(w.response.Token) != 1 || len(w.response.Token["b"]) != 1 {
		t.Errorf("the verifier got %v", w.response.Token)
	}
}

// TestSeveralThatWouldDo: of the credentials of two children the person names the one that is
// shown, or both where the verifier takes several (OpenID4VP section 6.1), and the log says to
// whom by name.
func TestSeveralThatWouldDo(t *testing.T) {
	for _, several := range []bool{false, true} {
		w := newWorld(t)
		w.sign = true // somebody vouches for the issuer's name
		w.request.Query.Credentials[0].Multiple = several
		a, kept := w.holding()
		usual := w.token
		w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
			token := usual(i, holder)
			token.Claims["name"] = sdjwt.Hidden{Value: "Juma Amina"}
			return token
		}
		w.now = w.now.Add(time.Second)
		if _, _, err := w.accept(a); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil || len(q.Asks[0].Options) != 2 || q.Asks[0].Several != several {
			t.Fatalf("%+v, %v", q, err)
		}
		least, err := q.Least()
		if err != nil || len(least) != 1 {
			t.Fatalf("%+v, %v", least, err)
		}
		first, second := q.Asks[0].Options[0], q.Asks[0].Options[1]
		if !slices.Equal(first.Claims[0].Values, []any{"Amina Juma"}) || !slices.Equal(second.Claims[0].Values, []any{"Juma Amina"}) {
			t.Errorf("values %v and %v", first.Claims[0].Values, second.Claims[0].Values)
		}
		if _, ok := q.Take(least, "none"); ok {
			t.Error("a credential that is not held was taken")
		}
		chosen, ok := q.Take(least, second.Credential)
		again, _ := q.Take(chosen, second.Credential)
		if !ok || !slices.EqualFunc(again, chosen, func(a, b wallet.Choice) bool { return a.Credential == b.Credential }) {
			t.Errorf("taken once %+v, twice %+v", chosen, again)
		}
		if _, err := a.Present(t.Context(), q, chosen); err != nil {
			t.Fatal(err)
		}
		want := []any{"Juma Amina"}
		if several {
			want = []any{"Amina Juma", "Juma Amina"}
		}
		var got []any
		for _, text := range w.response.Token["card"] {
			p, err := sdjwt.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Claims["name"])
		}
		if !slices.Equal(got, want) {
			t.Errorf("several %t: the verifier reads %v, want %v", several, got, want)
		}
		log, err := kept.Log()
		shown := func(e wallet.Entry) bool { return e.Credential == second.Credential && e.Name == "City library" }
		if err != nil || len(log) != 2+len(want) || log[0].Name != "Ministry of licences" || !slices.ContainsFunc(log[2:], shown) {
			t.Errorf("log: %+v, %v", log, err)
		}
	}
}

// TestLabelsOfPaths: what is asked for by a path has a name for people if the list that it is
// in has one, or what is in it.
func TestLabelsOfPaths(t *testing.T) {
	labels := map[string]map[string]string{
		"degrees": {"en": "Degrees"}, "address.district": {"en": "District", "fr": "District"}, "address.village": {"en": "Village"}, "addressee": {"en": "To"},
		"people[*].name": {"en": "Name"},
	}
	for _, tt := range []struct {
		path sdjwt.Path
		want string
	}{
		{sdjwt.Path{"degrees"}, "Degrees"}, {sdjwt.Path{"degrees", nil}, "Degrees"}, {sdjwt.Path{"degrees", 1}, "Degrees"}, {sdjwt.Path{"degrees", nil, "year"}, ""},
		{sdjwt.Path{"address"}, "District, Village"}, {sdjwt.Path{"address", "village"}, "Village"}, {sdjwt.Path{"address", "other"}, ""}, {sdjwt.Path{"other"}, ""},
		{sdjwt.Path{"people", nil, "name"}, "Name"},
	} {
		got := wallet.LabelsOf(labels, tt.path)
		if got["en"] != tt.want || len(got) > 1 {
			t.Errorf("%v is called %v, want %q", tt.path, got, tt.want)
		}
	}
}

// TestCountsBeforeSending loses the answer: what might have been seen counts as shown.
func TestCountsBeforeSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, kept := w.holding()
	q, err := a.Inquire(t.Context(), w.requestLink())
	if err != nil {
		t.Fatal(err)
	}
	choices, err := q.Least()
	if err != nil {
		t.Fatal(err)
	}
	w.spoil["/response/7"] = func(answer *wallet.Answer) {
		held, err := kept.Held()
		if err != nil || held[0].Copies[0].Shown != 1 {
			t.Errorf("sent before it was counted: %v", err)
		}
		if log, err := kept.Log(); err != nil || len(log) != 2 {
			t.Errorf("sent before it was noted: %v", err)
		}
		answer.Status = 0
	}
	if _, err := a.Present(t.Context(), q, choices); err == nil || reasonOf(err) != "" {
		t.Errorf("Present: %v, want that there was no answer", err)
	}
}

// TestDecline tells the verifier the same whether the person declined or the wallet has
// nothing (VP-16).
func TestDecline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full, _ := w.holding()
	empty, _ := w.agent(nil)
	var heard []string
	for _, a := range []*wallet.Agent{full, empty} {
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil || q.Possible != (a == full) {
			t.Fatalf("Inquire: %+v, %v", q, err)
		}
		before := len(w.seen)
		if _, err := q.Least(); a == empty && reasonOf(err) != wallet.NothingToShow || len(w.seen) != before {
			t.Errorf("Least: %v", err)
		}
		if _, err := a.Decline(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		heard = append(heard, string(w.seen[len(w.seen)-1].Body))
		if w.response.Refusal == nil || w.response.Refusal.Code != oid4vp.AccessDenied {
			t.Errorf("response: %+v", w.response)
		}
	}
	if heard[0] != heard[1] {
		t.Errorf("VP-16 the verifier hears %q and %q", heard[0], heard[1])
	}
}

// TestProvesUnasked: a credential with a key of its holder is never shown without proof of
// it, also to a verifier that does not ask for one (HAIP section 6.1.1.1).
func TestProvesUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request.Query.Credentials[0].Unbound = true
	a, _ := w.holding()
	if err := w.present(a); err != nil {
		t.Fatal(err)
	}
	w.verified()
}

// TestNotTaken: what a verifier says it cannot check is not disclosed to it (OpenID4VP
// section B.3.4).
func TestNotTaken(t *testing.T) {
	for _, tt := range []struct {
		support oid4vp.FormatSupport
		want    bool
	}{
		{oid4vp.FormatSupport{}, true}, {oid4vp.FormatSupport{Issuer: []string{"ES384", "ES256"}, Holder: []string{"ES256"}}, true},
		{oid4vp.FormatSupport{Issuer: []string{"ES384"}}, false}, {oid4vp.FormatSupport{Holder: []string{"Ed25519"}}, false},
	} {
		w := newWorld(t)
		w.request.Metadata.Formats = map[credential.Format]oid4vp.FormatSupport{credential.FormatSDJWT: tt.support}
		a, _ := w.holding()
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil || q.Possible != tt.want {
			t.Fatalf("%+v: %+v, %v", tt.support, q, err)
		}
		if _, err := q.Least(); !tt.want && reasonOf(err) != wallet.NothingToShow {
			t.Errorf("%+v: %v", tt.support, err)
		}
	}
}

// payload changes what stands in the request object, which is signed again.
func (w *world) payload(change func(map[string]any)) {
	w.object = func(object string) string {
		b, err := base64.RawURLEncoding.DecodeString(strings.Split(object, ".")[1])
		if err != nil {
			w.t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			w.t.Fatal(err)
		}
		change(m)
		if b, err = json.Marshal(m); err != nil {
			w.t.Fatal(err)
		}
		token, err := jose.Sign(rand.Reader, w.signature.Signer, jose.Header{Type: oid4vp.RequestType, X5C: w.signature.X5C}, b)
		if err != nil {
			w.t.Fatal(err)
		}
		return string(token)
	}
}

// TestBeside: the person is told what the verifier gets although it did not ask for it,
// and the log has it.
func TestBeside(t *testing.T) {
	t.Parallel()
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	claims := map[string]any{
		"name": h("Amina Juma"), "class": "B", "office": "Jessore", "number": h("L-17"),
		"address": map[string]any{"country": "XA", "street": h("Station Road"), "region": h("North")},
		"home":    h(map[string]any{"country": "XA", "town": h("Uhuru"), "zone": "7"}),
		"tags":    []any{"a", h("b")}, "marks": []any{h("x"), h("y")}, "plain": []any{"p", "q"},
		"degrees": []any{map[string]any{"type": h("MSc"), "year": int64(2020)}, map[string]any{"type": h("BSc"), "year": int64(2017)}},
		"whole":   map[string]any{"of": "it", "and": map[string]any{"more": true}},
	}
	always := []string{"address.country", "degrees[0].year", "degrees[1].year", "office", "plain", "tags", "whole"}
	for _, tt := range []struct {
		asked []sdjwt.Path
		more  []string // than always
		less  []string
	}{
		{[]sdjwt.Path{{"name"}}, []string{"class"}, nil},
		{[]sdjwt.Path{{"class"}, {"address", "street"}}, nil, nil},
		{[]sdjwt.Path{{"class"}, {"address"}}, nil, []string{"address.country"}},
		{[]sdjwt.Path{{"class"}, {"home", "town"}}, []string{"home.country", "home.zone"}, nil},
		{[]sdjwt.Path{{"class"}, {"home"}}, nil, nil},
		{[]sdjwt.Path{{"class"}, {"marks", 1}}, nil, nil},
		{[]sdjwt.Path{{"class"}, {"tags", nil}}, nil, []string{"tags"}},
		{[]sdjwt.Path{{"class"}, {"plain", 0}}, []string{"plain[1]"}, []string{"plain"}},
		{[]sdjwt.Path{{"class"}, {"degrees", nil, "type"}}, nil, nil},
		{[]sdjwt.Path{{"class"}, {"whole", "of"}}, []string{"whole.and"}, []string{"whole"}},
	} {
		w := newWorld(t)
		w.document = `{"vct":"` + typeURL + `","claims":[{"path":["office"],"display":[{"locale":"fr","label":"Bureau"}]}]}`
		usual := w.token
		w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
			token := usual(i, holder)
			token.Claims = claims
			return token
		}
		c := &w.request.Query.Credentials[0]
		c.Claims, c.ClaimSets = nil, nil
		for _, p := range tt.asked {
			c.Claims = append(c.Claims, oid4vp.ClaimQuery{Path: p})
		}
		a, kept := w.holding()
		w.now = w.now.Add(time.Second)
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil || len(q.Asks[0].Options) != 1 {
			t.Fatalf("%v: %+v, %v", tt.asked, q, err)
		}
		var got, asked []string
		for _, b := range q.Asks[0].Options[0].Beside {
			got = append(got, b.Path)
			if b.Path == "office" && b.Labels["fr"] != "Bureau" {
				t.Errorf("the labels of office are %v", b.Labels)
			}
		}
		want := slices.DeleteFunc(append(slices.Clone(always), tt.more...), func(s string) bool { return slices.Contains(tt.less, s) })
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("beside %v: %q, want %q", tt.asked, got, want)
		}
		if err := w.present(a); err != nil {
			t.Fatal(err)
		}
		for _, p := range tt.asked {
			asked = append(asked, p.Text())
		}
		want = append(want, asked...)
		slices.Sort(want)
		log, err := kept.Log()
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(log[len(log)-1].Claims)), want) {
			t.Errorf("beside %v: the log says %q, %v, want %q", tt.asked, log[len(log)-1].Claims, err, want)
		}
	}
}

// TestComplaint: a request that the wallet cannot serve is refused, and the verifier told
// once the person agrees (OpenID4VP sections 5.1, 8.2 and 8.5); nobody is told who is not
// established.
func TestComplaint(t *testing.T) {
	data := func(w *world) {
		d, err := oid4vp.NewTransactionData("urn:payment", []string{"card"}, map[string]any{"amount": "1"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.request.TransactionData = []oid4vp.TransactionData{d}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*world)
		want  wallet.Refusal
		code  oid4vp.Code // "" if nobody is told
	}{
		{"VP-12 transaction data that it does not know", data, wallet.BadMessage, oid4vp.InvalidTransactionData},
		{"VP-04 redirect_uri beside response_uri", func(w *world) { w.payload(func(m map[string]any) { m["redirect_uri"] = reply }) }, wallet.BadMessage, oid4vp.InvalidRequest},
		{"no encryption that it can do", func(w *world) { w.request.Metadata.Encryptions = []jose.Encryption{"A128CBC-HS256"} }, wallet.PlainAnswer, oid4vp.InvalidRequest},
		{"somebody else's address", func(w *world) { data(w); w.request.ResponseURI = "https://evil.example/response/7" }, wallet.OtherAddress, ""},
		{"a name that nobody vouches for", func(w *world) {
			data(w)
			signer := keystest.Signer(w.t, keys.Request, keys.ES256, "thief")
			root, rootKey := keystest.Signer(w.t, keys.CertificateRoot, keys.ES256, "other root"), newWorldWithRoot(w.t)[0]
			leaf, err := chain.Issue(rand.Reader, rootKey, root, chain.Subject{Name: chain.Name{Organization: "Thief"}, Address: "https://" + library, Key: signer.Key().Public}, now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
			if err != nil {
				w.t.Fatal(err)
			}
			w.signature = oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}}
			w.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: library}
		}, wallet.BadMessage, ""},
		{"changed on the way", func(w *world) { data(w); w.object = func(s string) string { return s[:len(s)-6] + "AAAAAA" } }, wallet.ForgedRequest, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, kept := w.holding()
			w.now = w.now.Add(time.Second)
			tt.spoil(w)
			_, err := a.Inquire(t.Context(), w.requestLink())
			if reasonOf(err) != tt.want {
				t.Fatalf("Inquire: %v, want %s", err, tt.want)
			}
			c := a.Complaint(err)
			if w.response != nil || (c != nil) != (tt.code != "") {
				t.Fatalf("complaint %+v; before the person was asked the verifier has %+v", c, w.response)
			}
			if c == nil {
				return
			}
			if next, err := a.Complain(t.Context(), c); err != nil || next != w.next || c.Verifier.Vouched != wallet.ByCertificate {
				t.Fatalf("Complain: %q, %v, of %+v", next, err, c.Verifier)
			}
			if w.response.Refusal == nil || w.response.Refusal.Code != tt.code {
				t.Errorf("the verifier hears %+v, want %s", w.response.Refusal, tt.code)
			}
			if log, err := kept.Log(); err != nil || log[len(log)-1].Deed != wallet.Refused || log[len(log)-1].Party != c.Verifier.ID {
				t.Errorf("log: %+v, %v", log, err)
			}
		})
	}
}

// TestUnknownVerifier shows one that no root vouches for as such, and never under the
// name that its own certificate gives it.
func TestUnknownVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, _ := w.agent(func(c *wallet.Config) { c.Roots = newWorldWithRoot(t) })
	q, err := a.Inquire(t.Context(), w.requestLink())
	if err != nil || q.Verifier.Vouched != wallet.ByNobody || q.Verifier.Anchor != "" || len(q.Verifier.Names) != 0 {
		t.Errorf("Inquire: %+v, %v", q, err)
	}
	w.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: library}
	if _, err := a.Inquire(t.Context(), w.requestLink()); reasonOf(err) != wallet.UnknownVerifier {
		t.Errorf("a name that nobody vouches for: %v", err)
	}
}

// TestRegisteredName: the registration of a name is for whoever has a certificate of it
// under a root of the wallet, and for nobody with a certificate of their own making.
func TestRegisteredName(t *testing.T) {
	name := func(*world) oid4vp.ClientID { return oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: library} }
	hash := func(w *world) oid4vp.ClientID { return oid4vp.NewX509Hash(w.signature.X5C[0]) }
	for _, tt := range []struct {
		name             string
		asks, registered func(*world) oid4vp.ClientID
		stranger         bool // the root of its certificate is not the wallet's
		vouched          wallet.Voucher
		want             wallet.Refusal
	}{
		{"by its name", name, name, false, wallet.ByBundle, ""},
		{"by the hash, registered by its name", hash, name, false, wallet.ByBundle, ""},
		{"by its name, under an authority of its own", name, name, true, "", wallet.UnknownVerifier},
		{"by the hash, registered by its name, under an authority of its own", hash, name, true, wallet.ByNobody, ""},
		{"by the hash that is registered, whoever certifies it", hash, hash, true, wallet.ByBundle, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.request.Client.ID = tt.asks(w)
			b := w.bundle(trust.Verifier{ID: tt.registered(w).String(), Names: map[string]string{"en": "City library"}})
			a, _ := w.agent(func(c *wallet.Config) {
				c.Trust = b
				if tt.stranger {
					c.Roots = newWorldWithRoot(t)
				}
			})
			q, err := a.Inquire(t.Context(), w.requestLink())
			if reasonOf(err) != tt.want || tt.want == "" && err != nil {
				t.Fatalf("Inquire: %v, want %q", err, tt.want)
			}
			if tt.want == "" && (q.Verifier.Vouched != tt.vouched || (len(q.Verifier.Names) > 0) != (tt.vouched == wallet.ByBundle)) {
				t.Errorf("shown as %+v, want by %s", q.Verifier, tt.vouched)
			}
		})
	}
}

// TestInquireRefuses spoils one thing at a time in a request that is good otherwise.
func TestInquireRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*world)
		want  wallet.Refusal
	}{
		{"VP-01: unsigned", func(w *world) {
			w.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.RedirectURI, Name: reply}
		}, wallet.UnsignedRequest},
		{"a client that must be registered", func(w *world) {
			w.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.PreRegistered, Name: "library"}
		}, wallet.UnknownVerifier},
		{"changed on the way", func(w *world) { w.object = func(s string) string { return s[:len(s)-6] + "AAAAAA" } }, wallet.ForgedRequest},
		{"VP-06: of another client", func(w *world) {
			signer := keystest.Signer(w.t, keys.Request, keys.ES256, "thief")
			leaf := w.certificate(signer, "Thief", "https://"+library)
			w.linked = w.request.Client.ID
			w.signature = oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}}
			w.request.Client.ID = oid4vp.NewX509Hash(leaf)
		}, wallet.ForgedRequest},
		{"VP-04: an answer to somebody else", func(w *world) { w.request.ResponseURI = "https://evil.example/response" }, wallet.OtherAddress},
		{"VP-14: expired", func(w *world) { w.now = w.now.Add(6 * time.Minute) }, wallet.OldRequest},
		{"an answer that is not encrypted", func(w *world) { w.request.ResponseMode = oid4vp.DirectPost }, wallet.PlainAnswer},
		{"VP-06: without the wallet's nonce", func(w *world) {
			other := *w.request
			other.WalletNonce = "another"
			token, err := other.Sign(rand.Reader, w.signature)
			if err != nil {
				w.t.Fatal(err)
			}
			w.object = func(string) string { return token }
		}, wallet.OtherWallet},
		{"a way of answering that it does not know", func(w *world) { w.payload(func(m map[string]any) { m["response_mode"] = "fragment" }) }, wallet.BadMessage},
		{"formats that it does not have", func(w *world) {
			w.request.Metadata.Formats = map[credential.Format]oid4vp.FormatSupport{oid4vp.FormatMDoc: {}}
		}, wallet.BadMessage},
		{"not a request", func(w *world) { w.object = func(string) string { return "x" } }, wallet.BadMessage},
		{"a request of another media type", func(w *world) {
			w.spoil["/request/7"] = func(a *wallet.Answer) { a.Type = "text/html" }
		}, wallet.BadMessage},
		{"VP-07: a request that has moved", func(w *world) {
			w.spoil["/request/7"] = func(a *wallet.Answer) {
				a.Status, a.Header = 307, http.Header{"Location": {"https://verifier.example/request/8"}}
			}
		}, wallet.PeerRefused},
		{"no request there", func(w *world) { w.spoil["/request/7"] = func(a *wallet.Answer) { a.Status = 404 } }, wallet.PeerRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // the disk is what they wait for
			w := newWorld(t)
			a, kept := w.holding()
			tt.spoil(w)
			before := len(w.seen)
			_, err := a.Inquire(t.Context(), w.requestLink())
			if reasonOf(err) != tt.want {
				t.Errorf("Inquire: %v, want %s", err, tt.want)
			}
			for _, r := range w.seen[before:] {
				if strings.Contains(r.Address, "response") {
					t.Errorf("sent something to %s", r.Address)
				}
			}
			if held, err := kept.Held(); err != nil || held[0].Copies[0].Shown != 0 {
				t.Errorf("counted as shown, %v", err)
			}
		})
	}
	t.Run("a request by http", func(t *testing.T) {
		w := newWorld(t)
		a, _ := w.agent(nil)
		i := oid4vp.Invocation{ClientID: w.request.Client.ID, RequestURI: "http://127.0.0.1:1/request/7", Method: oid4vp.Get}
		if _, err := a.Inquire(t.Context(), i.URL(oid4vp.Scheme)); reasonOf(err) != wallet.UnsafeAddress || len(w.seen) != 0 {
			t.Errorf("Inquire: %v", err)
		}
	})
	t.Run("not a link", func(t *testing.T) {
		a, _ := newWorld(t).agent(nil)
		if _, err := a.Inquire(t.Context(), "openid4vp://"); reasonOf(err) != wallet.BadLink {
			t.Errorf("Inquire: %v", err)
		}
	})
	t.Run("a choice that was not asked for", func(t *testing.T) {
		w := newWorld(t)
		a, _ := w.holding()
		q, err := a.Inquire(t.Context(), w.requestLink())
		if err != nil {
			t.Fatal(err)
		}
		choices, err := q.Least()
		if err != nil {
			t.Fatal(err)
		}
		choices[0].With = []string{"height"}
		before := len(w.seen)
		if _, err := a.Present(t.Context(), q, choices); reasonOf(err) != wallet.BadChoice || len(w.seen) != before {
			t.Errorf("Present: %v", err)
		}
	})
	for name, status := range map[string]int{
		"the verifier refuses": 400, "VP-07: the verifier says that it has moved": 307, "VP-07: for good": 308, "VP-07: and that nothing is sent again": 302,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, _ := w.holding()
			q, err := a.Inquire(t.Context(), w.requestLink())
			if err != nil {
				t.Fatal(err)
			}
			choices, err := q.Least()
			if err != nil {
				t.Fatal(err)
			}
			w.spoil["/response/7"] = func(answer *wallet.Answer) {
				answer.Status, answer.Body, answer.Header = status, nil, http.Header{"Location": {"https://verifier.example/elsewhere"}}
			}
			before := len(w.seen)
			if next, err := a.Present(t.Context(), q, choices); reasonOf(err) != wallet.PeerRefused || next != "" {
				t.Errorf("Present: %q, %v", next, err)
			}
			for _, r := range w.seen[before:] {
				if r.Body != nil && r.Address != reply {
					t.Errorf("sent again to %s", r.Address)
				}
			}
		})
	}
}
