package programme_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/programme"
)

// card is a good form of kind cwt for testdata/good.yaml.
const card = `  card:
    kind: cwt
    disclosure: {sex: hidden, secret: never}
    decoys: 1
    copies: 4
    validity: {for: 30d}
`

func cardProgramme(t testing.TB, old, new string) (*programme.Programme, error) {
	t.Helper()
	text := string(readFile(t, "testdata/good.yaml")) + card
	if !strings.Contains(text, old) {
		t.Fatalf("the good file does not contain %q", old)
	}
	return programme.Parse([]byte(strings.Replace(text, old, new, 1)))
}

func TestCardForm(t *testing.T) {
	p, err := cardProgramme(t, "", "")
	if err != nil {
		t.Fatal(err)
	}
	f, ok := p.Form("card")
	if !ok || !f.Wallet() || f.Kind != programme.FormCWT || f.VCT != p.Type || f.Level != "L" || f.MaxVersion != 20 || f.Decoys != 1 || f.Copies != 4 || f.Validity.Days != 30 {
		t.Errorf("%+v", f)
	}
	// What the file says nothing of is always shown: each hidden claim makes the code larger.
	for _, name := range f.Claims {
		if shown := name != "sex"; shown != bytes.Contains([]byte(strings.Join(f.Shown, " ")), []byte(name)) {
			t.Errorf("claim %q: shown are %v", name, f.Shown)
		}
	}
	if len(p.CredentialTypes()) != 1 {
		t.Errorf("%d types, want that of the programme", len(p.CredentialTypes()))
	}

	content, problems := p.Map(record(t, goodRow()), now)
	if programme.Fatal(problems) {
		t.Fatal(problems)
	}
	token := content.Token("card")
	hidden := 0
	for _, m := range []map[int64]any{token.Person, token.Fields} {
		for _, v := range m {
			if _, ok := v.(cwt.Hidden); ok {
				hidden++
			}
		}
	}
	if hidden != 1 || token.Decoys != 1 || !token.Expires.Before(now.AddDate(0, 0, 31)) {
		t.Errorf("%d hidden claims, %d decoys, until %v", hidden, token.Decoys, token.Expires)
	}
	for _, name := range content.Forms() {
		if name == "card" {
			t.Error("a card is made with the paper")
		}
	}
	if diff := cmp.Diff(content.Claims("qr")[0], content.Claims("card")[0]); diff != "" {
		t.Error(diff)
	}

	report, err := p.Check(t.Context(), rows(t, goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Forms {
		if f.Name == "card" && (f.Kind != programme.FormCWT || len(f.Versions) != 1 || f.Longest < 400 || !cmp.Equal(f.Hidden, []string{"sex"})) {
			t.Errorf("%+v", f)
		}
	}

	// A card that would be too dense is found before it is issued.
	if p, err = cardProgramme(t, "    copies: 4\n", "    copies: 4\n    max_version: 5\n"); err != nil {
		t.Fatal(err)
	}
	if report, err = p.Check(t.Context(), rows(t, goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader}); err != nil || report.Fatal[programme.CodeTooBig] != 1 {
		t.Errorf("%v, %+v", err, report.Fatal)
	}
}

// TestCardFormRefuses spoils one thing at a time.
func TestCardFormRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"vct of its own", "    decoys: 1\n", "    vct: https://x.example/1\n", `forms.card: "vct" is not known here`},
		{"level of paper", "    decoys: 1\n", "    level: M\n", `forms.card: "level" is not known here`},
		{"too dense for a screen", "    decoys: 1\n", "    max_version: 21\n", "forms.card.max_version: must be a whole number from 1 to 20"},
		{"too many decoys", "decoys: 1", "decoys: 17", "forms.card.decoys: must be a whole number from 0 to 16"},
		{"too many copies", "copies: 4", "copies: 17", "forms.card.copies: must be a whole number from 1 to 16"},
		{"disclosure of no claim", "{sex: hidden", "{sexx: hidden", `forms.card.disclosure.sexx: there is no claim "sexx"`},
		{"two cards", "  card:", "  a: {kind: cwt}\n  card:", `forms.card: has the same vct as the form "a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := cardProgramme(t, tt.old, tt.new); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	// A card may stand beside an SD-JWT VC of the same type.
	if _, err := cardProgramme(t, "  card:", "  wallet: {kind: sd-jwt}\n  card:"); err != nil {
		t.Error(err)
	}
}
