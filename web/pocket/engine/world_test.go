package engine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/wallet"
	"github.com/sanad-id/sanad/web/pocket/engine"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

const (
	issuerURL = "https://issuer.example"
	// The status list in the bundle, and what it says of two of its places.
	statusURL = issuerURL + "/status/1"
	revoked   = 5
	suspended = 6
	cardType  = "urn:xa:card:1"
	bank      = "bank.xa-12"
)

var es256 = []keys.Algorithm{keys.ES256}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// memory is a [engine.Memory] that can be lost and kept.
type memory map[string]map[string][]byte

func (m memory) Put(kind, id string, b []byte) error {
	if m[kind] == nil {
		m[kind] = map[string][]byte{}
	}
	m[kind][id] = append([]byte{}, b...)
	return nil
}

func (m memory) Delete(kind, id string) error {
	delete(m[kind], id)
	return nil
}

func (m memory) All(kind string) (map[string][]byte, error) { return m[kind], nil }

// ring is what WebCrypto is: keys that sign messages and do not come out.
type ring struct {
	keys map[string]*ecdsa.PrivateKey
	// spoil changes what a device answers.
	spoil func([]byte) []byte
}

func (r *ring) New() ([]byte, keys.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	public, err := keys.NewPublicKey(keys.ES256, key.Public())
	if err != nil {
		return nil, nil, err
	}
	handle := public.JWK()
	r.keys[string(handle)] = key
	s, err := r.Signer(handle)
	return handle, s, err
}

func (r *ring) Signer(handle []byte) (keys.Signer, error) {
	return engine.NewKey(handle, func(message []byte) ([]byte, error) {
		key := r.keys[string(handle)]
		if key == nil {
			return nil, errors.New("the key is not here any more")
		}
		digest := sha256.Sum256(message)
		x, y, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		raw := append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)
		if r.spoil != nil {
			raw = r.spoil(raw)
		}
		return raw, nil
	})
}

// A world is an office, a bank and a phone.
type world struct {
	t      testing.TB
	now    time.Time
	memory memory
	ring   *ring
	away   bool // no network
	asked  []string

	office, bank keys.Signer
	bundle       []byte
	print        string
	txCode       oid4vci.Secret
	sdjwt        bool // the office offers no card
	put          func(holder keys.PublicKey) cwt.Token
	nonces       int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, now: start, memory: memory{}, ring: &ring{keys: map[string]*ecdsa.PrivateKey{}}, txCode: "493536",
		office: keystest.Signer(t, keys.Credential, keys.ES256, "issuer"), bank: keystest.Signer(t, keys.Request, keys.ES256, "bank"),
	}
	root, signs := keystest.Signer(t, keys.TrustRoot, keys.ES256, "trust root"), keystest.Signer(t, keys.TrustBundle, keys.ES256, "trust bundle")
	chain := must[[][]byte](t)(trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: start.AddDate(0, -1, 0), Expires: start.AddDate(5, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{signs.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, start))
	issuer := trust.NewIssuerKey(w.office.Key(), []string{cardType}, nil)
	issuer.ValidFrom = start.AddDate(0, -1, 0)
	names := func(en, fr string) map[string]string { return map[string]string{"en": en, "fr": fr} }
	list := must[*status.List](t)(status.NewList(2, 1<<10))
	for i, v := range map[uint64]byte{revoked: status.Invalid, suspended: status.Suspended} {
		if err := list.Set(i, v); err != nil {
			t.Fatal(err)
		}
	}
	w.bundle = must[[]byte](t)(trust.Content{
		Roots: chain, Version: 1, AsOf: start.Add(-time.Hour), RefreshBy: start.AddDate(0, 1, 0), OldAfter: start.AddDate(0, 2, 0), Jurisdiction: "XA",
		Issuers: []trust.Issuer{{ID: "office.xa", URL: issuerURL, Names: names("Office", "Bureau"), Keys: []trust.IssuerKey{issuer}}},
		Types: []credential.Type{{
			ID: cardType, Labels: names("Farmer card", "Carte d’agriculteur"), Person: true, PersonCheck: "other_id", FreshFor: time.Hour, OldAfter: 24 * time.Hour,
			Fields: []credential.TypeField{
				{Key: 4, Name: "full_name", Labels: names("Name", "Nom"), Person: true, Kind: "text"},
				{Key: 8, Name: "birth_date", Labels: names("Born", "Né le"), Person: true, Kind: "date"},
				{Key: 1, Name: "crop", Labels: names("Crop", "Culture"), Kind: "code", Values: map[string]map[string]string{"2": names("Rice", "Riz")}},
			},
		}},
		Verifiers: []trust.Verifier{{
			ID: bank, Names: names("Bank, branch 12", "Banque, agence 12"), Keys: []keys.PublicKey{w.bank.Key().Public},
			Asks: []trust.Asked{{Type: cardType, Claims: []string{"full_name", "birth_date"}}},
		}},
		Status:     []status.Snapshot{must[status.Snapshot](t)(status.NewSnapshot(statusURL, list, start.Add(-time.Hour)))},
		Algorithms: es256,
	}.Sign(rand.Reader, []keys.Signer{signs}, start.Add(-time.Hour)))
	w.print = must[*trust.Bundle](t)(trust.Open(w.bundle)).Fingerprint()
	w.put = func(holder keys.PublicKey) cwt.Token {
		return cwt.Token{
			Issuer: "office.xa", Type: cardType, IssuedAt: start.Add(-time.Minute), Expires: start.AddDate(1, 0, 0), Holder: &holder,
			Person: map[int64]any{4: "Amina Juma", 8: cwt.Hidden{Value: "19900102"}}, Fields: map[int64]any{1: cwt.Hidden{Value: int64(2)}},
		}
	}
	return w
}

// phone is the page as it starts, with what is in memory.
func (w *world) phone() *engine.Engine {
	w.t.Helper()
	return must[*engine.Engine](w.t)(engine.New(engine.Config{
		Memory: w.memory, Sender: w, Keys: w.ring, Now: w.tick,
		Draw: func(text string) (string, int, error) { return "<svg>" + text[:8] + "</svg>", 57, nil },
	}))
}

// tick is the phone's clock, which goes on with every look at it.
func (w *world) tick() time.Time {
	w.now = w.now.Add(time.Microsecond)
	return w.now
}

// trusting is a phone with the trust bundle.
func (w *world) trusting() *engine.Engine {
	w.t.Helper()
	e := w.phone()
	if changed, err := e.Trust(w.bundle, w.print); err != nil || !changed {
		w.t.Fatalf("trust: %v, %v", changed, err)
	}
	return e
}

// holding is a phone with a card, and the card's id.
func (w *world) holding() (*engine.Engine, string) {
	w.t.Helper()
	e := w.trusting()
	must[*engine.Offer](w.t)(e.Offer(w.t.Context(), w.link(), en))
	got := must[*engine.Accepted](w.t)(e.Accept(w.t.Context(), string(w.txCode), false))
	if len(got.Cards) != 1 || got.Later != 0 {
		w.t.Fatalf("accepted: %+v", got)
	}
	return e, got.Cards[0]
}

var en, fr = i18n.For("en"), i18n.For("fr")

func (w *world) link() string {
	return must[string](w.t)(oid4vci.ReferenceLink(oid4vci.OfferScheme, issuerURL+"/offer/1"))
}

// judge is what a verifier says of a code at the phone's time.
func (w *world) judge(text string, k verification.Counter) verification.Report {
	w.t.Helper()
	at := w.now
	c := must[*verification.Checker](w.t)(verification.New(verification.Config{
		COSE: cards{}, Trust: must[*trust.Bundle](w.t)(trust.Open(w.bundle)), Counter: k, Now: func() time.Time { return at },
	}))
	return c.Check([]byte(text))
}

type cards struct{}

func (cards) Verify(message []byte, k verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: k})
}

// question is the text of a question.
func (w *world) question(q cwt.Question, s keys.Signer) string {
	w.t.Helper()
	return must[string](w.t)(qr.Encode(must[[]byte](w.t)(cwt.Ask(rand.Reader, q, s))))
}

// Send implements [wallet.Sender]: it is the office.
func (w *world) Send(_ context.Context, r wallet.Request) (wallet.Answer, error) {
	if w.away {
		return wallet.Answer{}, errors.New("no network")
	}
	u, err := url.Parse(r.Address)
	if err != nil {
		return wallet.Answer{}, err
	}
	w.asked = append(w.asked, u.Path)
	form, _ := url.ParseQuery(string(r.Body))
	switch u.Path {
	case "/offer/1":
		return w.json(oid4vci.Offer{Issuer: issuerURL, Configurations: []string{"card"}, PreAuthorized: &oid4vci.PreAuthorizedGrant{
			Code: "code-1", TxCode: &oid4vci.TxCodeInput{Length: 6, Description: "on the letter"},
		}}.JSON()), nil
	case "/.well-known/openid-credential-issuer":
		return w.json(w.metadata().JSON()), nil
	case "/.well-known/oauth-authorization-server":
		return w.json(oid4vci.ServerMetadata{
			Issuer: issuerURL, TokenEndpoint: issuerURL + "/token", GrantTypes: []oid4vci.GrantType{oid4vci.PreAuthorizedCode},
			ClientAuth: []string{oid4vci.NoClientAuth}, DPoPAlgorithms: es256, Anonymous: true,
		}.JSON()), nil
	case "/token":
		return w.token(r, form), nil
	case "/nonce":
		w.nonces++
		return w.json(oid4vci.NonceResponse("nonce-1")), nil
	case "/credential":
		return w.credential(r), nil
	}
	return wallet.Answer{Status: 404}, nil
}

func (w *world) metadata() oid4vci.IssuerMetadata {
	c := oid4vci.Configuration{
		ID: "card", Format: oid4vci.CWTFormat, Type: cardType, Scope: "card", SigningAlgorithms: []string{"ES256"}, Bindings: []string{oid4vci.JWKBinding},
		Proofs: map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: es256}}, Display: []oid4vci.Display{{Locale: "en", Name: "Card"}},
		Claims: []oid4vci.Claim{{Path: []any{"full_name"}, Mandatory: true, Display: []oid4vci.Display{{Locale: "en", Name: "Full name"}}}},
	}
	if w.sdjwt {
		c.Format = oid4vci.SDJWTFormat
	}
	return oid4vci.IssuerMetadata{
		Issuer: issuerURL, CredentialEndpoint: issuerURL + "/credential", NonceEndpoint: issuerURL + "/nonce", BatchSize: 2,
		Display: []oid4vci.Display{{Locale: "en", Name: "The finest office"}}, Configurations: []oid4vci.Configuration{c},
	}
}

func (w *world) json(b []byte, err error) wallet.Answer {
	w.t.Helper()
	return wallet.Answer{Status: 200, Type: oid4vci.JSONType, Body: must[[]byte](w.t)(b, err)}
}

func failed(err error, at oid4vci.Server) wallet.Answer {
	e, ok := errors.AsType[*oid4vci.Error](err)
	if !ok {
		return wallet.Answer{Status: 500}
	}
	return wallet.Answer{Status: e.Status(at), Type: oid4vci.JSONType, Body: e.JSON(), Header: map[string][]string{}}
}

// token checks what a token request must prove.
func (w *world) token(r wallet.Request, form url.Values) wallet.Answer {
	if _, err := oid4vci.CheckDPoP([]string{r.Header[oid4vci.DPoPHeader]}, oid4vci.DPoPExpect{
		Method: "POST", URL: r.Address, Now: w.now, MaxAge: time.Minute, Algorithms: es256, At: oid4vci.AuthorizationServer,
	}); err != nil {
		return failed(err, oid4vci.AuthorizationServer)
	}
	request, err := oid4vci.ParseTokenRequest(form)
	if err == nil {
		err = request.CheckTxCode(true)
	}
	if err == nil && request.TxCode != w.txCode {
		err = oid4vci.WrongGrant()
	}
	if err != nil {
		return failed(err, oid4vci.AuthorizationServer)
	}
	return w.json(oid4vci.TokenResponse{AccessToken: "token-1", Type: oid4vci.DPoPToken, Lifetime: 5 * time.Minute}.JSON())
}

// credential checks the proofs of keys and hands out a card for each.
func (w *world) credential(r wallet.Request) wallet.Answer {
	request, err := oid4vci.RequestExpect{}.CredentialRequest(r.Type, r.Body)
	if err != nil {
		return failed(err, oid4vci.ResourceServer)
	}
	proven, err := oid4vci.CheckProofs(request.Proofs, oid4vci.ProofExpect{
		Issuer: issuerURL, Types: w.metadata().Configurations[0].Proofs, BatchSize: 2, Now: w.now, MaxAge: time.Minute, NeedNonce: true,
	})
	if err != nil {
		return failed(err, oid4vci.ResourceServer)
	}
	var response oid4vci.CredentialResponse
	for _, holder := range proven.Keys {
		d := must[*cwt.Draft](w.t)(cwt.NewDraft(w.put(holder), w.office.Key().Public))
		b := must[[]byte](w.t)(d.Sign(rand.Reader, w.office, start))
		response.Credentials = append(response.Credentials, base64.RawURLEncoding.EncodeToString(b))
	}
	status, media, body, err := response.Encode(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return wallet.Answer{Status: status, Type: media, Body: body}
}
