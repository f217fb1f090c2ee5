package programme_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/programme"
)

// wallet is a good wallet form for testdata/good.yaml.
const wallet = `  wallet:
    kind: sd-jwt
    vct: https://registry.example.org/type/test-card/1
    disclosure: {number: always, sex: hidden, secret: never}
    decoys: 5
    copies: 10
    validity: {for: 30d}
`

// walletProgramme is testdata/good.yaml with a wallet form, some of it changed.
func walletProgramme(t testing.TB, old, new string) (*programme.Programme, error) {
	t.Helper()
	text := string(readFile(t, "testdata/good.yaml")) + wallet
	if !strings.Contains(text, old) {
		t.Fatalf("the good file does not contain %q", old)
	}
	return programme.Parse([]byte(strings.Replace(text, old, new, 1)))
}

func goodWallet(t testing.TB) *programme.Programme {
	t.Helper()
	p, err := walletProgramme(t, "", "")
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return p
}

func TestWalletForm(t *testing.T) {
	p := goodWallet(t)
	f, ok := p.Form("wallet")
	if !ok || !f.Wallet() || f.Kind != programme.FormSDJWT || f.Decoys != 5 || f.Copies != 10 || f.Validity.Days != 30 {
		t.Errorf("%+v", f)
	}
	if diff := cmp.Diff([]string{"number"}, f.Shown); diff != "" {
		t.Errorf("always shown (-want +got):\n%s", diff)
	}
	if len(f.Claims) != len(p.Claims)-1 {
		t.Errorf("carries %v, want all but the secret", f.Claims)
	}
	// The wallet form is no code, wherever it stands.
	if qr, _ := p.Form("qr"); qr.Wallet() || qr.Kind != programme.FormQR {
		t.Errorf("%+v", qr)
	}
	types := p.CredentialTypes()
	if len(types) != 2 || types[0].ID != p.Type || types[1].ID != f.VCT {
		t.Fatalf("types %+v", types)
	}
	types[1].ID = types[0].ID
	if diff := cmp.Diff(types[0], types[1]); diff != "" {
		t.Errorf("the two types differ in more than their names:\n%s", diff)
	}
	// Without a vct of its own the form has the programme's type, which is one.
	p, err := walletProgramme(t, "    vct: https://registry.example.org/type/test-card/1\n", "")
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := p.Form("wallet"); f.VCT != p.Type || len(p.CredentialTypes()) != 1 {
		t.Errorf("vct %q, %d types", f.VCT, len(p.CredentialTypes()))
	}
}

// TestWalletFormRefuses spoils one thing at a time in a wallet form.
func TestWalletFormRefuses(t *testing.T) {
	tests := []struct {
		name     string
		old, new string
		want     string
	}{
		{"kind that there is not", "kind: sd-jwt", "kind: sdjwt", `forms.wallet.kind: "sdjwt" is not one of qr, sd-jwt`},
		{"level of a code", "decoys: 5", "level: M", `forms.wallet: "level" is not known here`},
		{"version of a code", "decoys: 5", "max_version: 9", `forms.wallet: "max_version" is not known here`},
		{"copies of a code", "  wallet:", "  other: {copies: 2}\n  wallet:", `forms.other: "copies" is not known here`},
		{"disclosure of a code", "  wallet:", "  other: {disclosure: {number: always}}\n  wallet:", `forms.other: "disclosure" is not known here`},
		{"vct over http", "vct: https://", "vct: http://", "is neither an https address"},
		{"vct with a query", "test-card/1\n", "test-card/1?x=1\n", "is neither an https address"},
		{"vct with a login", "https://registry", "https://user@registry", "is neither an https address"},
		{"vct without a path", "/type/test-card/1", "", "is neither an https address"},
		{"vct that is long", "test-card/1\n", strings.Repeat("x", 250) + "\n", "is neither an https address"},
		{"disclosure of no claim", "{number: always", "{nummer: always", `forms.wallet.disclosure.nummer: there is no claim "nummer"; did you mean "number"?`},
		{"disclosure in another word", "number: always", "number: allways", `"allways" is not one of always, hidden, never; did you mean "always"?`},
		{"never shown and named", "    decoys: 5\n", "    decoys: 5\n    claims: [number, sex, secret]\n", "forms.wallet.disclosure.secret: is never shown, and claims names it"},
		{"always shown and left out", "    decoys: 5\n", "    decoys: 5\n    claims: [sex]\n", "forms.wallet.disclosure.number: is not among the claims of this form"},
		{"claim that there is not", "    decoys: 5\n", "    decoys: 5\n    claims: [number, sex, none]\n", `forms.wallet.claims[3]: there is no claim "none"`},
		{"too many decoys", "decoys: 5", "decoys: 33", "forms.wallet.decoys: must be a whole number from 0 to 32"},
		{"no copy", "copies: 10", "copies: 0", "forms.wallet.copies: must be a whole number from 1 to 16"},
		{"too many copies", "copies: 10", "copies: 17", "forms.wallet.copies: must be a whole number from 1 to 16"},
		{"validity with an end", "{for: 30d}", "{until: ends}", `forms.wallet.validity: "until" is not known here`},
		{"validity without a time", "{for: 30d}", "{}", `forms.wallet.validity: "for" is missing`},
		{"two forms of one vct", "  wallet:", "  other: {kind: sd-jwt, vct: \"https://registry.example.org/type/test-card/1\"}\n  wallet:", `forms.wallet: has the same vct as the form "other"`},
		{"SDJ-08 a name of SD-JWT's own", "name: sex\n", "name: vct\n", `forms.wallet: carries the claim "vct", a name that an SD-JWT VC keeps for itself`},
		{"photo in a wallet form", "form: photo", "form: wallet", `photo: names the form "wallet", which is no code`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := walletProgramme(t, tt.old, tt.new)
			faults, ok := errors.AsType[programme.Faults](err)
			if !ok {
				t.Fatalf("Parse: %v, want Faults", err)
			}
			if !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("Parse:\n%v\nwant\n%s", faults, tt.want)
			}
		})
	}
}

// A wallet form says the same as the code of the record, under names.
func TestWalletContent(t *testing.T) {
	p := goodWallet(t)
	c, problems := p.Map(record(t, goodRow()), now)
	if programme.Fatal(problems) {
		t.Fatal(problems)
	}
	for _, name := range c.Forms() {
		if name == "wallet" {
			t.Error("a wallet form among the codes")
		}
	}
	f, _ := p.Form("wallet")
	if !c.Makes(f) {
		t.Error("the wallet form has nothing to say")
	}
	token := c.SDJWT("wallet")
	if token.Type != f.VCT || token.Decoys != 5 {
		t.Errorf("type %q, %d decoys", token.Type, token.Decoys)
	}
	if token.Claims["number"] != "AB-1" {
		t.Errorf("number is %v", token.Claims["number"])
	}
	for name, v := range token.Claims {
		if _, hidden := v.(sdjwt.Hidden); hidden != (name != "number") {
			t.Errorf("%s can be left out: %t", name, hidden)
		}
	}
	if _, there := token.Claims["secret"]; there {
		t.Error("carries the secret")
	}
	var claims []string
	for _, claim := range c.Claims("wallet") {
		claims = append(claims, claim.Name)
		h, ok := token.Claims[claim.Name].(sdjwt.Hidden)
		if ok && !cmp.Equal(h.Value, claim.Value) {
			t.Errorf("%s is %v, shown as %v", claim.Name, h.Value, claim.Value)
		}
	}
	if len(claims) != len(token.Claims) {
		t.Errorf("%d claims, shown are %v", len(token.Claims), claims)
	}
	if d := token.Claims["birth_date"].(sdjwt.Hidden).Value; d != "1984-04-18" {
		t.Errorf("the date of birth is %v", d)
	}
}

// A copy lives as long as its form says, and never longer than its credential.
func TestWalletValidity(t *testing.T) {
	whole := func(p *programme.Programme) (own, credential time.Time) {
		c, problems := p.Map(record(t, goodRow()), now)
		if programme.Fatal(problems) {
			t.Fatal(problems)
		}
		return c.SDJWT("wallet").Expires, c.Expires()
	}
	begin := now
	if c, _ := goodWallet(t).Map(record(t, goodRow()), now); c.SDJWT("wallet").NotBefore.After(begin) {
		begin = c.SDJWT("wallet").NotBefore
	}
	if own, _ := whole(goodWallet(t)); !own.Equal(begin.AddDate(0, 0, 30)) {
		t.Errorf("a copy ends %s, want 30 days after %s", own, begin)
	}
	for _, change := range []string{"    validity: {for: 90y}\n", ""} {
		p, err := walletProgramme(t, "    validity: {for: 30d}\n", change)
		if err != nil {
			t.Fatal(err)
		}
		if own, credential := whole(p); !own.Equal(credential) || own.IsZero() {
			t.Errorf("with %q a copy ends %s, its credential %s", change, own, credential)
		}
	}
}

// The metadata of a type names type and claims in every language, and a credential of
// the record is as it says.
func TestTypeMetadata(t *testing.T) {
	p := goodWallet(t)
	b, err := p.TypeMetadata("wallet")
	if err != nil {
		t.Fatal(err)
	}
	again, err := goodWallet(t).TypeMetadata("wallet")
	if err != nil || string(b) != string(again) {
		t.Errorf("the same programme gives other bytes: %v", err)
	}
	m, err := sdjwt.ParseTypeMetadata(b)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	f, _ := p.Form("wallet")
	if m.Type != f.VCT || len(m.Display) != len(p.Languages) || len(m.Claims) != len(f.Claims) {
		t.Fatalf("type %q, %d languages, %d claims", m.Type, len(m.Display), len(m.Claims))
	}
	for i, c := range m.Claims {
		want := "always"
		if f.Claims[i] == "number" {
			want = "never"
		}
		if len(c.Path) != 1 || c.Path[0] != f.Claims[i] || c.SD != want || len(c.Display) != len(p.Languages) {
			t.Errorf("claim %d: %+v, want %s with sd %s in %d languages", i, c, f.Claims[i], want, len(p.Languages))
		}
	}
	for _, name := range []string{"qr", "none"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("metadata of the form %s", name)
				}
			}()
			_, _ = p.TypeMetadata(name)
		}()
	}
}

func TestCheckWallet(t *testing.T) {
	report, err := goodWallet(t).Check(t.Context(), rows(t, goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	var f programme.FormReport
	for _, r := range report.Forms {
		if r.Name == "wallet" {
			f = r
		}
	}
	if f.Kind != programme.FormSDJWT || f.Longest < 1000 || f.Copies != 10 || len(f.Shown) != 1 || f.Absent[0] != "secret" || len(f.Hidden) < 5 {
		t.Errorf("%+v", f)
	}
	last := report.Sample[len(report.Sample)-1]
	if last.Form != "wallet" || last.Version != 0 || last.Characters != f.Longest || len(last.Claims) < 5 {
		t.Errorf("sample %s of %d characters with %d claims", last.Form, last.Characters, len(last.Claims))
	}
}
