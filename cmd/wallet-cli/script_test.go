package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/wallet"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wallet-cli": mainAt})
}

// mainAt is main by the clock of the script, which is that of the computer unless it
// says something else.
func mainAt() {
	now := time.Now
	if v := os.Getenv("TEST_NOW"); v != "" {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			panic(err)
		}
		now = func() time.Time { return at }
	}
	os.Exit(runAt(context.Background(), now, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// TestScripts runs the commands as people do. Each finds a wallet with a card of
// 2026-11-12 in the folder card, under the passphrase of the file pass.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(env *testscript.Env) error { return makeCard(filepath.Join(env.WorkDir, "card")) },
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"shows": shows},
	})
}

// cardIssued is the day of the card.
var cardIssued = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)

// cheapWallet makes an empty wallet whose passphrase costs nothing to try, for tests
// that open it many times. A wallet that people make takes a second.
func cheapWallet(dir, passphrase string) error {
	for _, folder := range []string{"held", "log", "pending"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return err
		}
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	to.SetWorkFactor(8)
	var sealed bytes.Buffer
	out, err := age.Encrypt(&sealed, to)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, `{"sanad_wallet":1,"identity":%q}`, key); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "wallet.age"), sealed.Bytes(), 0o600)
}

// makeCard makes a wallet with a card.
func makeCard(dir string) error {
	const passphrase = "correct horse battery"
	if err := cheapWallet(dir, passphrase); err != nil {
		return err
	}
	w, err := wallet.Open(dir, []byte(passphrase))
	if err != nil {
		return err
	}
	der, holder, err := wallet.NewKey()
	if err != nil {
		return err
	}
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := keys.PublicKeyOf(secret.Public())
	if err != nil {
		return err
	}
	issuer, err := keys.NewSigner(keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active, Published: cardIssued, SignFrom: cardIssued, SignUntil: cardIssued.AddDate(1, 0, 0),
	}, secret)
	if err != nil {
		return err
	}
	key := holder.Key().Public
	d, err := cwt.NewDraft(cwt.Token{
		Issuer: "office.xa", Type: "urn:xa:card:1", IssuedAt: cardIssued, Expires: cardIssued.AddDate(1, 0, 0), Holder: &key,
		Person: map[int64]any{4: "Amina Juma", 8: cwt.Hidden{Value: "19900102"}},
	}, public)
	if err != nil {
		return err
	}
	token, err := d.Sign(rand.Reader, issuer, cardIssued)
	if err != nil {
		return err
	}
	err = w.Put(wallet.Held{
		ID: "0123456789abcdef", Issuer: "https://office.example", Configuration: "card", Format: oid4vci.CWTFormat, Type: "urn:xa:card:1", Accepted: cardIssued,
		ClaimNames: map[string]string{"169/4": "name", "169/8": "born"},
		Copies:     []wallet.Copy{{Credential: base64.RawURLEncoding.EncodeToString(token), Key: der}},
	})
	return errors.Join(err, w.Close())
}

// shows compares what the code in a file says: shows FILE AUDIENCE TIME [CLAIMS]
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: shows FILE AUDIENCE TIME [CLAIMS]")
	}
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	text := strings.TrimSpace(string(b))
	if image.IsPicture(b) {
		codes, err := image.Read(b)
		ts.Check(err)
		text = codes[0]
	}
	message, err := qr.Decode(text)
	ts.Check(err)
	p, err := cwt.Parse(message)
	ts.Check(err)
	if p.KeyBinding == nil {
		ts.Fatalf("shown without a proof")
	}
	var claims []string
	for _, c := range p.Person {
		claims = append(claims, c.Name)
	}
	got := []string{p.KeyBinding.Audience, p.KeyBinding.IssuedAt.Format(time.RFC3339)}
	if e := p.KeyBinding.Expires; !e.IsZero() {
		got = append(got, "until "+e.Format(time.RFC3339))
	}
	if got = append(got, claims...); !slices.Equal(got, args[1:]) {
		ts.Fatalf("shows %q, want %q", got, args[1:])
	}
}

// TestAlternativesOnTheScreen: what is held and stays in the wallet is not listed as if it
// were shown.
func TestAlternativesOnTheScreen(t *testing.T) {
	ask := func(id string) wallet.Ask {
		return wallet.Ask{Query: id, Alternative: true, Options: []wallet.Option{{Credential: id + " card", Type: "urn:xa:" + id, Fresh: 1}}}
	}
	q := &wallet.Inquiry{Verifier: wallet.Party{ID: "x", Vouched: wallet.ByNobody}, Asks: []wallet.Ask{ask("licence"), ask("passport")}, Possible: true}
	for chosen, other := range map[string]string{"licence": "passport", "passport": "licence"} {
		var out bytes.Buffer
		showInquiry(&out, q, []wallet.Choice{{Query: chosen, Credential: chosen + " card"}}, nil, i18n.For("en"))
		if want := "urn:xa:" + other + " (not shown; in place of the other: --with " + other + ")"; strings.Count(out.String(), "not shown") != 1 || !strings.Contains(out.String(), want) {
			t.Errorf("it shows %s, and says:\n%s", chosen, out.String())
		}
	}
}

// TestBesideOnTheScreen: what is shown without having been asked for is among what is shown.
func TestBesideOnTheScreen(t *testing.T) {
	q := &wallet.Inquiry{Verifier: wallet.Party{ID: "x", Vouched: wallet.ByNobody}, Possible: true, Asks: []wallet.Ask{{Query: "card", Options: []wallet.Option{{
		Credential: "1", Type: "urn:xa:card", Fresh: 1, Claims: []wallet.AskedClaim{{Path: "name"}},
		Beside: []wallet.AskedClaim{{Path: "office", Labels: map[string]string{"fr": "Bureau"}}},
	}}}}}
	for language, want := range map[string]string{"en": "- Bureau (not asked for, always shown with it)", "fr": "- Bureau (non demandé, toujours montré avec)"} {
		var out bytes.Buffer
		if showInquiry(&out, q, []wallet.Choice{{Query: "card", Credential: "1"}}, nil, i18n.For(language)); !strings.Contains(out.String(), want) {
			t.Errorf("%s: want %q in\n%s", language, want, out.String())
		}
	}
}

// TestSeveralOnTheScreen: who has the credentials of two people sees whose is shown, and how
// to show the other.
func TestSeveralOnTheScreen(t *testing.T) {
	option := func(id, name string) wallet.Option {
		return wallet.Option{Credential: id, Type: "urn:xa:card", Fresh: 1, Claims: []wallet.AskedClaim{{Path: "name", Values: []any{name}}, {Path: "adult", Values: []any{true}}, {Path: "crop", Values: []any{int64(2)}}}}
	}
	known := func(_, claim string) credential.TypeField {
		if claim != "crop" {
			return credential.TypeField{}
		}
		return credential.TypeField{Kind: "code", Values: map[string]map[string]string{"2": {"en": "Rice"}}}
	}
	q := &wallet.Inquiry{Possible: true, Asks: []wallet.Ask{{Query: "card", Options: []wallet.Option{option("01aaa", "Amina"), option("01abb", "Juma")}}}}
	for _, tt := range []struct {
		with            string
		several         bool
		shown, not, why string
	}{
		{"", false, "card 01aaa\n            - name: Amina\n            - adult: yes\n            - crop: Rice\n", "card 01abb (not shown; in place of the other: --with 01abb)", ""},
		{"01ab", false, "card 01abb\n            - name: Juma\n            - adult: yes\n            - crop: Rice\n", "card 01aaa (not shown; in place of the other: --with 01aaa)", ""},
		{"01ab", true, "card 01abb\n            - name: Juma\n            - adult: yes\n            - crop: Rice\n", "", ""},
		{"", true, "card 01aaa\n", "card 01abb (optional, not shown: --with 01abb)", ""},
		{"01", false, "card 01aaa\n", "", "is not an optional part"},
	} {
		q.Asks[0].Several = tt.several
		var with []string
		if tt.with != "" {
			with = []string{tt.with}
		}
		var out bytes.Buffer
		choices, err := chooseOf(q, []wallet.Choice{{Query: "card", Credential: "01aaa"}}, with)
		showInquiry(&out, q, choices, known, i18n.For("en"))
		if (err != nil) != (tt.why != "") || err != nil && !strings.Contains(err.Error(), tt.why) {
			t.Errorf("with %q: %v", tt.with, err)
		}
		if !strings.Contains(out.String(), tt.shown) || !strings.Contains(out.String(), tt.not) || tt.not == "" && tt.several && strings.Contains(out.String(), "not shown") {
			t.Errorf("with %q, several %t:\n%s", tt.with, tt.several, out.String())
		}
	}
}

// TestNoIsAskedFurther: who says no to the card of one child is asked for that of the other before
// the verifier hears anything, and every card is seen as it would be shown.
func TestNoIsAskedFurther(t *testing.T) {
	option := func(id, name string, optional ...wallet.AskedClaim) wallet.Option {
		return wallet.Option{Credential: id, Type: "urn:xa:card", Fresh: 1, Claims: []wallet.AskedClaim{{Path: "name", Values: []any{name}}}, Optional: optional}
	}
	village := wallet.AskedClaim{Path: "village", Values: []any{"Savar"}}
	three := []wallet.Option{option("01aaa", "Amina", village), option("01abb", "Juma", village), option("01acc", "Neema")}
	for _, tt := range []struct {
		name, typed string
		options     []wallet.Option
		shown       string // "" if nothing is
		with        []string
		says        []string
		asks        int
		also        []string
	}{
		{"yes at once", "yes\n", three, "01aaa", []string{"village"}, nil, 1, nil},
		{"no, then the second", "no\n1\nyes\n", three, "01abb", []string{"village"}, []string{"1. urn:xa:card 01abb\n            - name: Juma", "2. urn:xa:card 01acc\n            - name: Neema"}, 2, nil},
		{"no, then one without what was added", "no\n2\nyes\n", three, "01acc", nil, nil, 2, nil},
		{"no to each, and back", "no\n1\nno\n1\nyes\n", three, "01aaa", []string{"village"}, []string{"1. urn:xa:card 01aaa\n            - name: Amina"}, 3, nil},
		{"no, and nothing", "no\n\nyes\n", three, "", nil, nil, 1, nil},
		{"no, and no again", "no\n1\nno\n\n", three, "", nil, nil, 2, nil},
		{"no, and the end of it", "no\n", three, "", nil, nil, 1, nil},
		{"no, and what is no number of the list", "no\n3\nyes\n", three, "", nil, nil, 1, nil},
		{"no, and yes", "no\nyes\nyes\n", three, "", nil, nil, 1, nil},
		{"no, and there is no other", "no\n1\nyes\n", three[:1], "", nil, nil, 1, nil},
		{"no to two, yes to the second alone", "no\n2\nyes\n", three, "01abb", []string{"village"}, []string{"1. urn:xa:card 01aaa", "3. urn:xa:card 01acc"}, 2, []string{"01abb"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := &wallet.Inquiry{Possible: true, Asks: []wallet.Ask{{Query: "card", Options: tt.options}}}
			var said bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetIn(iotest.OneByteReader(strings.NewReader(tt.typed))) // as a terminal: no more than a line is read
			cmd.SetErr(&said)
			asks := 0
			choices := []wallet.Choice{{Query: "card", Credential: "01aaa", With: []string{"village"}}}
			for _, also := range tt.also {
				choices = append(choices, wallet.Choice{Query: "card", Credential: also})
			}
			choices, yes, err := settle(cmd, q, choices,
				func(_, _ string) credential.TypeField { return credential.TypeField{} }, i18n.For("en"), func() (bool, error) {
					asks++
					return cli.Agreed(cmd, "Show this?", "yes", "no"), nil
				})
			if err != nil || yes != (tt.shown != "") || asks != tt.asks || yes && (len(choices) != 1 || choices[0].Credential != tt.shown || !slices.Equal(choices[0].With, tt.with)) {
				t.Errorf("%+v, %v, %v after %d questions; want %q with %q after %d\n%s", choices, yes, err, asks, tt.shown, tt.with, tt.asks, said.String())
			}
			for _, want := range tt.says {
				if !strings.Contains(said.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, said.String())
				}
			}
		})
	}
}

// TestRevokedInTheList: what the wallet has learnt to be revoked is not listed as good, nor
// copies of it as unused.
func TestRevokedInTheList(t *testing.T) {
	h := wallet.Held{ID: "01aaa", Copies: []wallet.Copy{{Credential: "x", Revoked: true}, {Credential: "x"}}}
	for _, tt := range []struct {
		spoil   func()
		revoked bool
		fresh   int
		says    string
	}{
		{func() {}, false, 1, "without end"},
		{func() { h.Copies[1].Revoked = true }, true, 0, "The issuer has revoked it."},
	} {
		tt.spoil()
		if v := views([]wallet.Held{h}, time.Now())[0]; v.Revoked != tt.revoked || v.Fresh != tt.fresh || v.until(i18n.For("en")) != tt.says {
			t.Errorf("%+v, %q", v, v.until(i18n.For("en")))
		}
	}
}

// TestEveryRefusalHasAdvice: no refusal leaves a person without a next step, and there
// is no advice for one that is gone.
func TestEveryRefusalHasAdvice(t *testing.T) {
	for _, r := range wallet.Refusals() {
		for _, key := range []string{"wallet.advice." + advice[r], "wallet.refused." + string(r)} {
			if !i18n.Has(key) {
				t.Errorf("%s: no sentence %s", r, key)
			}
		}
	}
	if len(advice) != len(wallet.Refusals()) {
		t.Errorf("%d pieces of advice for %d refusals", len(advice), len(wallet.Refusals()))
	}
}

// TestTxCodeQuestion: whoever is asked for a transaction code is told what it looks like.
func TestTxCodeQuestion(t *testing.T) {
	for _, tt := range []struct {
		offered *oid4vci.TxCodeInput
		want    string
	}{
		{nil, "Transaction code: "},
		{&oid4vci.TxCodeInput{}, "Transaction code (digits): "},
		{&oid4vci.TxCodeInput{Mode: oid4vci.Numeric, Length: 6, Description: "on the \x1b[31mletter"}, "Transaction code (6 digits; on the " + cli.Visible("\x1b[31m") + "letter): "},
		{&oid4vci.TxCodeInput{Mode: oid4vci.AnyText, Length: 8}, "Transaction code (8 characters): "},
	} {
		if got := txCodeQuestion(tt.offered); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.offered, got, tt.want)
		}
	}
}
