package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"verifier": mainAt})
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
	os.Exit(newProgram(now).run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// TestScripts runs the commands as people do. Each script finds the files that
// makeFixtures describes in its folder.
func TestScripts(t *testing.T) {
	holder := newSigner(t, keys.Holder)
	files := makeFixturesFor(t, holder)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"answers": func(ts *testscript.TestScript, neg bool, args []string) {
				answers(ts, neg, args, files["card.bin"], holder)
			},
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			for name, b := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), b, 0o600); err != nil {
					return err
				}
			}
			env.Setenv("FINGERPRINT", string(files["fingerprint"]))
			return nil
		},
	})
}

// answers is a phone that answers a question: answers STATE TIME FILE
func answers(ts *testscript.TestScript, neg bool, args []string, card []byte, holder keys.Signer) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: answers STATE TIME FILE")
	}
	var q askedQuestion
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &q))
	nonce, err := base64.RawURLEncoding.DecodeString(q.Nonce)
	ts.Check(err)
	at, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	b, err := cwt.Bind(rand.Reader, card, cwt.Proof{Audience: q.Verifier, IssuedAt: at, Nonce: nonce}, holder)
	ts.Check(err)
	text, err := qr.Encode(b)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// exits runs a command and compares its exit status: exits 20 verifier check x
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s\n%s%s", got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// asOf is the date of the first bundle.
var asOf = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)

const (
	farmer  = "urn:xa:farmer:1"
	licence = "urn:xa:licence:1"
	lists   = "https://status.xa/1"
)

func newSigner(t *testing.T, purpose keys.Purpose) keys.Signer {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.NewPublicKey(keys.ES256, secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	from := asOf.AddDate(-2, 0, 0)
	s, err := keys.NewSigner(keys.Key{
		Public: pub, Purpose: purpose, State: keys.Active, Created: from.AddDate(0, -2, 0), Published: from.AddDate(0, -2, 0),
		SignFrom: from, SignUntil: from.AddDate(10, 0, 0),
	}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// must returns a function that takes the results of another and fails the test on
// an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// content is a bundle of one ministry.
func content(t *testing.T, root, bundle, issuer keys.Signer) trust.Content {
	chain := must[[][]byte](t)(trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: asOf.AddDate(-1, 0, 0), Expires: asOf.AddDate(8, 0, 0),
		Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1, BundleKeys: []keys.PublicKey{bundle.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, asOf.AddDate(-1, 0, 0)))
	both := func(en, fr string) map[string]string { return map[string]string{"en": en, "fr": fr} }
	return trust.Content{
		Roots: chain, Version: 1, AsOf: asOf, RefreshBy: asOf.AddDate(0, 0, 10), OldAfter: asOf.AddDate(0, 0, 60), Jurisdiction: "XA",
		Issuers: []trust.Issuer{{
			ID: "agri.xa", Names: both("Ministry of Agriculture", "Ministère de l'Agriculture"), Country: "XA",
			Keys: []trust.IssuerKey{trust.NewIssuerKey(issuer.Key(), []string{farmer, licence}, nil)},
		}},
		Types: []credential.Type{
			{
				ID: farmer, Labels: both("Farmer card", "Carte d'agriculteur"), Person: true, PersonCheck: "photo",
				FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, StatusRequired: true, Policy: "farmer-card/2",
				Fields: []credential.TypeField{
					{Key: 4, Name: "full_name", Labels: both("Name", "Nom"), Person: true, Kind: "text"},
					{Key: 8, Name: "birth_date", Labels: both("Born", "Naissance"), Person: true, Kind: "date"},
					{Key: 1, Name: "crop", Labels: both("Crop", "Culture"), Kind: "code", Values: map[string]map[string]string{"3": both("Rice", "Riz")}},
					{Key: 2, Name: "household", Labels: both("Household", "Ménage"), Kind: "text", Sensitive: true},
				},
			},
			{ID: licence, Labels: both("Trade licence", "Patente"), FreshFor: 3 * 24 * time.Hour, OldAfter: 14 * 24 * time.Hour, Policy: "trade-licence/2"},
		},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
}

func listOf(t *testing.T, at time.Time, values map[uint64]byte) []status.Snapshot {
	l := must[*status.List](t)(status.NewList(2, 1<<10))
	for i, v := range values {
		if err := l.Set(i, v); err != nil {
			t.Fatal(err)
		}
	}
	return []status.Snapshot{must[status.Snapshot](t)(status.NewSnapshot(lists, l, at))}
}

// makeFixtures returns the files of every script:
//
//	office.trust      version 1 of 2026-11-12; slot 1 is revoked, 2 suspended
//	newer.trust       version 2 of 2026-11-18; slot 3, that of good.*, is revoked too
//	keys.trust        version 3 of 2026-11-19, without status lists
//	other.trust       of another authority
//	edited.trust      version 1 with a byte changed
//	fingerprint       that of office.trust
//	good.txt png jpg hex bin   a farmer card of 2026-10-12, slot 3, until 2029
//	young.txt         one of 2026-11-16, after the bundle
//	revoked.png suspended.png expired.txt unknown.txt forged.txt licence.txt
//	issued.sdjwt      the card for a phone, as it was issued; shown.sdjwt: three claims of it,
//	                  proven at 09:00 on 2026-11-12 to x509_hash:gate for the request n-1
//	revoked.sdjwt altered.sdjwt (a claim taken out after) cut.sdjwt old.sdjwt (typ vc+sd-jwt)
//	card.bin          the card for a phone, as it was issued; live.txt live.png: shown to whoever
//	                  is there at 09:00 on 2026-11-12; bank.txt: to bank.xa-12 then; copy.txt: made
//	                  out to Janata Bank Jessore until 2026-12-12. The date of birth is left out.
//	nasty.txt         a good card whose name holds terminal sequences
//	two.png           two different certificates; help.png: one with a help code
//	blank.png half.png link.png link.txt garbage.bin issuer.jwk issuer.pem stranger.jwk
func makeFixtures(t *testing.T) map[string][]byte {
	return makeFixturesFor(t, newSigner(t, keys.Holder))
}

// makeFixturesFor makes them for a wallet with this key.
func makeFixturesFor(t *testing.T, holder keys.Signer) map[string][]byte {
	root, bundle, issuer := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle), newSigner(t, keys.Credential)
	stranger := newSigner(t, keys.Credential)
	files := map[string][]byte{}

	c := content(t, root, bundle, issuer)
	c.Status = listOf(t, asOf, map[uint64]byte{1: status.Invalid, 2: status.Suspended})
	sign := func(c trust.Content, by keys.Signer) ([]byte, *trust.Bundle) {
		f := must[[]byte](t)(c.Sign(rand.Reader, []keys.Signer{by}, c.AsOf))
		return f, must[*trust.Bundle](t)(trust.Open(f))
	}
	var b *trust.Bundle
	files["office.trust"], b = sign(c, bundle)
	files["fingerprint"] = []byte(b.Fingerprint())
	edited := bytes.Clone(files["office.trust"])
	edited[len(edited)/2] ^= 1
	files["edited.trust"] = edited

	next := b.Next(asOf.AddDate(0, 0, 6))
	next.Status = listOf(t, next.AsOf, map[uint64]byte{1: status.Invalid, 2: status.Suspended, 3: status.Invalid})
	files["newer.trust"], b = sign(next, bundle)
	next = b.Next(asOf.AddDate(0, 0, 7))
	next.Status = nil
	files["keys.trust"], _ = sign(next, bundle)
	otherRoot, otherBundle := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle)
	files["other.trust"], _ = sign(content(t, otherRoot, otherBundle, stranger), otherBundle)

	card := func(slot uint64) cwt.Token {
		return cwt.Token{
			Issuer: "agri.xa", Type: farmer, IssuedAt: asOf.AddDate(0, -1, 0), Expires: asOf.AddDate(3, 0, 0),
			Status: &credential.StatusRef{URI: lists, Index: slot},
			Person: map[int64]any{4: "Rahima Begum", 8: "19840418"}, Fields: map[int64]any{1: 3, 2: "Household 77"},
		}
	}
	issue := func(by keys.Signer, token cwt.Token) []byte {
		d := must[*cwt.Draft](t)(cwt.NewDraft(token, by.Key().Public))
		return must[[]byte](t)(d.Sign(rand.Reader, by, asOf))
	}
	text := func(m []byte) string { return must[string](t)(qr.Encode(m)) }
	picture := func(text string) []byte {
		return must[[]byte](t)(must[*image.Code](t)(image.Draw(text, image.M)).PNG(4))
	}

	good := issue(issuer, card(3))
	files["good.bin"], files["good.txt"] = good, []byte(text(good)+"\n")
	files["good.hex"], files["good.png"] = []byte(hex.EncodeToString(good)), picture(text(good))
	files["half.png"] = files["good.png"][:len(files["good.png"])/2]
	var j bytes.Buffer
	if err := jpeg.Encode(&j, must[stdimage.Image](t)(png.Decode(bytes.NewReader(files["good.png"]))), nil); err != nil {
		t.Fatal(err)
	}
	files["good.jpg"] = j.Bytes()
	files["revoked.png"], files["suspended.png"] = picture(text(issue(issuer, card(1)))), picture(text(issue(issuer, card(2))))

	token := card(3)
	token.Expires = asOf.AddDate(0, 0, 1)
	files["expired.txt"] = []byte(text(issue(issuer, token)))
	token = card(3)
	token.IssuedAt = asOf.AddDate(0, 0, 4)
	files["young.txt"] = []byte(text(issue(issuer, token)))
	files["unknown.txt"] = []byte(text(issue(stranger, card(3))))
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	files["forged.txt"] = []byte(text(forged))
	token = cwt.Token{Issuer: "agri.xa", Type: licence, IssuedAt: asOf.AddDate(0, -1, 0), Fields: map[int64]any{1: "Tea stall", 2: true}}
	files["licence.txt"] = []byte(text(issue(issuer, token)))
	// No issuer of ours signs this: the message is put together by hand.
	payload := must[[]byte](t)(cbor.Marshal(map[int64]any{
		cwt.ClaimIssuer: "agri.xa", cwt.ClaimType: licence, cwt.ClaimIssuedAt: asOf.AddDate(0, -1, 0).Unix(),
		cwt.ClaimFields: map[int64]any{
			1: "\u202eahamiR\u202c " + strings.Repeat("e"+strings.Repeat("\u0301", 9), 3) + "رحيمة",
			2: "\x1b]0;Genuine\x07\x1b[2J\u009b1m", 3: strings.Repeat("x", 1000),
		},
	}))
	id := issuer.Key().ID()
	files["nasty.txt"] = []byte(text(must[[]byte](t)(cose.Sign1(rand.Reader, issuer, cose.Header{KeyID: id.Bytes()}, payload))))

	shownByWallets(t, files, issuer, holder)
	shownLive(t, files, issuer, holder)

	second := picture(text(issue(issuer, card(5))))
	files["two.png"] = beside(t, files["good.png"], second)
	files["help.png"] = beside(t, files["good.png"], picture("HTTPS://CHECK.EXAMPLE/HELP"))
	files["link.png"], files["link.txt"] = picture("https://evil.example/\u001b[31m"), []byte("https://evil.example/pay")
	var blank bytes.Buffer
	white := stdimage.NewGray(stdimage.Rect(0, 0, 200, 200))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	if err := png.Encode(&blank, white); err != nil {
		t.Fatal(err)
	}
	files["blank.png"] = blank.Bytes()
	files["garbage.bin"] = []byte{0, 1, 2, 3, 255}
	files["issuer.jwk"], files["issuer.pem"] = issuer.Key().Public.JWK(), issuer.Key().Public.PEM()
	files["issuer.cose"], files["stranger.jwk"] = issuer.Key().Public.COSEKey(), stranger.Key().Public.JWK()
	return files
}

// shownLive makes a card and live codes of 09:00 on 2026-11-12.
func shownLive(t *testing.T, files map[string][]byte, issuer, holder keys.Signer) {
	t.Helper()
	key := holder.Key().Public
	d := must[*cwt.Draft](t)(cwt.NewDraft(cwt.Token{
		Issuer: "agri.xa", Type: farmer, IssuedAt: asOf.AddDate(0, -1, 0), Expires: asOf.AddDate(3, 0, 0), Holder: &key,
		Status: &credential.StatusRef{URI: lists, Index: 3},
		Person: map[int64]any{4: "Rahima Begum", 8: cwt.Hidden{Value: "19840418"}}, Fields: map[int64]any{1: 3},
	}, issuer.Key().Public))
	card := must[[]byte](t)(d.Sign(rand.Reader, issuer, asOf))
	at := asOf.Add(3 * time.Hour)
	show := func(p cwt.Proof) []byte {
		b := must[[]byte](t)(cwt.Bind(rand.Reader, must[[]byte](t)(cwt.Present(card)), p, holder))
		return []byte(must[string](t)(qr.Encode(b)))
	}
	files["card.bin"] = card
	files["live.txt"] = show(cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: at})
	files["live.png"] = must[[]byte](t)(must[*image.Code](t)(image.Draw(string(files["live.txt"]), image.L)).PNG(4))
	files["bank.txt"] = show(cwt.Proof{Audience: "bank.xa-12", IssuedAt: at})
	files["copy.txt"] = show(cwt.Proof{Audience: "Janata Bank Jessore", IssuedAt: at, Expires: asOf.AddDate(0, 1, 0)})
}

// shownByWallets makes what wallets show.
func shownByWallets(t *testing.T, files map[string][]byte, issuer, holder keys.Signer) {
	t.Helper()
	key := holder.Key().Public
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	card := func(slot uint64) string {
		d := must[*sdjwt.Draft](t)(sdjwt.NewDraft(nil, sdjwt.Token{
			Issuer: "agri.xa", Type: farmer, IssuedAt: asOf.AddDate(0, -1, 0), Expires: asOf.AddDate(3, 0, 0), Holder: &key,
			Status: &credential.StatusRef{URI: lists, Index: slot},
			Claims: map[string]any{
				"full_name": h("Rahima Begum"), "birth_date": h("19840418"), "crop": 3, "household": h("Household 77"),
				"address": h(map[string]any{"district": "Jessore", "ward": h("Sadar")}),
			},
		}, issuer.Key().Public))
		return must[string](t)(d.Sign(rand.Reader, issuer, asOf))
	}
	show := func(issued string) []byte {
		p := must[string](t)(sdjwt.Present(issued, sdjwt.Path{"full_name"}, sdjwt.Path{"address", "district"}))
		proof := sdjwt.Proof{Audience: "x509_hash:gate", Nonce: "n-1", IssuedAt: asOf.Add(3 * time.Hour)}
		return []byte(must[string](t)(sdjwt.Bind(rand.Reader, p, proof, holder)))
	}
	issued := card(3)
	files["issued.sdjwt"], files["shown.sdjwt"], files["revoked.sdjwt"] = []byte(issued+"\n"), show(issued), show(card(1))
	parts := strings.SplitN(string(files["shown.sdjwt"]), "~", 3)
	files["altered.sdjwt"] = []byte(parts[0] + "~" + parts[2])
	m := must[*jose.Message](t)(jose.Parse(strings.SplitN(issued, "~", 2)[0], jose.Expect{Types: []string{sdjwt.Typ}, MaxBytes: sdjwt.MaxSize}))
	old := must[[]byte](t)(jose.Sign(rand.Reader, issuer, jose.Header{Type: sdjwt.OldTyp, KeyID: m.KeyID}, m.Payload))
	files["old.sdjwt"] = append(old, issued[strings.IndexByte(issued, '~'):]...)
	files["cut.sdjwt"] = files["shown.sdjwt"][:len(files["shown.sdjwt"])-30]
}

// beside puts two pictures next to each other.
func beside(t *testing.T, left, right []byte) []byte {
	t.Helper()
	a := must[stdimage.Image](t)(png.Decode(bytes.NewReader(left)))
	b := must[stdimage.Image](t)(png.Decode(bytes.NewReader(right)))
	gap := a.Bounds().Dx() + 20
	page := stdimage.NewGray(stdimage.Rect(0, 0, gap+b.Bounds().Dx(), max(a.Bounds().Dy(), b.Bounds().Dy())))
	for y := range page.Rect.Dy() {
		for x := range page.Rect.Dx() {
			var c color.Color = color.White
			if p := (stdimage.Point{X: x, Y: y}); p.In(a.Bounds()) {
				c = a.At(x, y)
			} else if p.X -= gap; p.In(b.Bounds()) {
				c = b.At(p.X, y)
			}
			page.Set(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, page); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
