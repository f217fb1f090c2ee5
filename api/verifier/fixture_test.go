package verifier_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// The moments and names of the fixtures.
var (
	asOf  = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	start = asOf.AddDate(-2, 0, 0)
	now   = asOf.Add(26 * time.Hour)
)

const (
	ministry = "agri.xa"
	school   = "school.xa"
	farmer   = "urn:xa:farmer:1"
	diploma  = "urn:xa:diploma:1"
	list     = "https://status.xa/1"
	revoked  = 17

	person  = "Rahima Begum-Canary"
	apiKey  = "a key of the city library, 0123456789abcdef"
	bankKey = "a key of a bank, 0123456789abcdef 0123456789"
	browser = "session cookie digest 1"
)

func newSigner(t testing.TB, purpose keys.Purpose) keys.Signer {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.NewPublicKey(keys.ES256, secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{
		Public: pub, Purpose: purpose, State: keys.Active, Created: start.AddDate(0, -2, 0), Published: start.AddDate(0, -2, 0),
		SignFrom: start, SignUntil: start.AddDate(20, 0, 0),
	}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A country is what signs, and the bundle that says so.
type country struct {
	bundleKey, issuer, teacher keys.Signer
	content                    trust.Content
}

func newCountry(t testing.TB) *country {
	t.Helper()
	c := &country{bundleKey: newSigner(t, keys.TrustBundle), issuer: newSigner(t, keys.Credential), teacher: newSigner(t, keys.Credential)}
	root := newSigner(t, keys.TrustRoot)
	chain, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: start, Expires: asOf.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{c.bundleKey.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, start)
	if err != nil {
		t.Fatal(err)
	}
	english := func(s string) map[string]string { return map[string]string{"en": s} }
	key := func(s keys.Signer, types ...string) trust.IssuerKey {
		k := trust.NewIssuerKey(s.Key(), types, nil)
		k.SignUntil = asOf.AddDate(1, 0, 0)
		return k
	}
	c.content = trust.Content{
		Roots: chain, Version: 1, AsOf: asOf, RefreshBy: asOf.AddDate(0, 0, 10), OldAfter: asOf.AddDate(0, 0, 60), Jurisdiction: "XA",
		Issuers: []trust.Issuer{
			{ID: ministry, URL: "https://agri.xa", Names: english("Ministry of Agriculture"), Country: "XA", Keys: []trust.IssuerKey{key(c.issuer, farmer)}},
			{ID: school, Names: english("High School"), Country: "XA", Keys: []trust.IssuerKey{key(c.teacher, diploma)}},
		},
		Types: []credential.Type{
			{ID: farmer, Labels: english("Farmer card"), Person: true, FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, StatusRequired: true,
				Policy: "farmer-card/1", Fields: []credential.TypeField{{Key: 2, Name: "district", Labels: english("District"), Kind: "text"}}},
			{ID: diploma, Labels: english("Diploma"), FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, Policy: "diploma/1"},
		},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
	bits, err := status.NewList(2, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	if err := bits.Set(revoked, status.Invalid); err != nil {
		t.Fatal(err)
	}
	snapshot, err := status.NewSnapshot(list, bits, asOf)
	if err != nil {
		t.Fatal(err)
	}
	c.content.Status = []status.Snapshot{snapshot}
	return c
}

func (c *country) file(t testing.TB) []byte {
	t.Helper()
	b, err := c.content.Sign(rand.Reader, []keys.Signer{c.bundleKey}, c.content.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// codes is credential/cwt as programs wire it.
type codes struct{}

func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// policies are those of the fixtures.
var policies = map[string]string{
	"card": `
policy: card
version: 3
verifier: {name: {en: City library}}
purpose: {en: To lend you books., bn: "বই"}
retention_days: 0
ask:
  - id: farmer
    types: ["urn:xa:farmer:1"]
    claims: [full_name, {path: [crop], values: [3, 4]}]
return_to: ["https://library.example/done", "https://library.example/other"]
webhook: https://library.example/hook
`,
	"open": `
policy: open
version: 1
verifier: {name: {en: City library}}
purpose: {en: To look.}
retention_days: 30
plain_response: true
keep_presentation: true
lifetime: 1m
issuers: [agri.xa]
status_fresh: 24h
ask:
  - id: farmer
    types: ["urn:xa:farmer:1"]
    claims: [full_name, district]
`,
	"both": `
policy: both
version: 1
verifier: {name: {en: City library}}
purpose: {en: To compare.}
retention_days: 0
ask:
  - {id: farmer, types: ["urn:xa:farmer:1"], claims: [full_name]}
  - {id: diploma, types: ["urn:xa:diploma:1"], claims: [subject]}
`,
	"pay": `
policy: pay
version: 1
verifier: {name: {en: City library}}
purpose: {en: To be paid.}
retention_days: 0
ask:
  - {id: farmer, types: ["urn:xa:farmer:1"], claims: [full_name]}
transaction_data:
  - {type: "urn:xa:payment:1", credentials: [farmer], fields: [amount, payee], required: true}
`,
	"pay-either": `
policy: pay-either
version: 1
verifier: {name: {en: City library}}
purpose: {en: To be paid.}
retention_days: 0
query: {credentials: [` + askDiploma + `, ` + askFarmer + `], credential_sets: [{options: [[farmer]]}, {options: [[diploma]], required: false}]}
transaction_data:
  - {type: "urn:xa:payment:1", credentials: [diploma, farmer], fields: [amount], required: true}
`,
	"host": `
policy: host
version: 1
verifier: {name: {en: City library}, prefix: x509_san_dns}
purpose: {en: To look.}
retention_days: 0
ask:
  - {id: farmer, types: ["urn:xa:farmer:1"], claims: [district]}
`,
	"strange": `
policy: strange
version: 1
verifier: {name: {en: City library}, prefix: redirect_uri}
purpose: {en: To look.}
retention_days: 0
ask:
  - {id: farmer, types: ["urn:xa:farmer:1"], claims: [district]}
`,
}

func parsed(t testing.TB) map[string]*verifier.Policy {
	t.Helper()
	texts := maps.Clone(policies)
	for id := range queries {
		texts[id] = whole(id)
	}
	all := map[string]*verifier.Policy{}
	for id, text := range texts {
		p, err := verifier.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all[id] = p
	}
	return all
}

// A scene is a verifier that serves, and a wallet with credentials.
type scene struct {
	*country
	service *verifier.Service
	server  *web.Server
	db      *once.DB
	path    string // of the store
	http    *http.Client
	log     *logbook
	posts   *posts

	clock   atomic.Int64 // nanoseconds beyond now
	bundle  atomic.Pointer[trust.Bundle]
	problem string
	judging func()            // called when the bundle is asked for
	alarmTo string            // who is told that something ages
	sources []verifier.Source // how updates went
	keyring verifier.KeyStore
	usage   verifier.UsageStore
	tallies verifier.TallyStore
	roots   []verifier.IssuerRoot             // issuers by certificate
	lists   verifier.ListSource               // of these
	once    func(verifier.Once) verifier.Once // what is around the store; nil for nothing
	places  int                               // for requests of one rate; as a server's if zero

	signature oid4vp.Signature
	holder    keys.Signer
	token     sdjwt.Token // the wallet's farmer card
	signer    keys.Signer // of it
	oldType   bool        // of a draft before November 2024
	// Steps of the wallet that a test may spoil.
	expect      oid4vp.Expect
	proof       func(*sdjwt.Proof)
	shown       func(presentation string) string
	answer      func(r *oid4vp.Request, t oid4vp.VPToken)
	form        func(url.Values)
	also        []string // further credentials that the wallet has
	alsoHolders []keys.Signer
	choices     func([]oid4vp.Choice) []oid4vp.Choice
}

func (s *scene) now() time.Time { return now.Add(time.Duration(s.clock.Load())) }

func newScene(t testing.TB, change ...func(*scene)) *scene {
	t.Helper()
	path := filepath.Join(t.TempDir(), "once.db")
	s := newSceneOn(t, path, change...)
	s.path = path
	return s
}

func newSceneOn(t testing.TB, location string, change ...func(*scene)) *scene {
	t.Helper()
	db, err := once.Open(t.Context(), location, once.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &scene{country: newCountry(t), db: db, log: new(logbook), posts: &posts{status: http.StatusNoContent}, http: &http.Client{
		Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	b, err := trust.Open(s.file(t))
	if err != nil {
		t.Fatal(err)
	}
	s.bundle.Store(b)
	s.signature = oid4vp.Signature{Signer: newSigner(t, keys.Request)}
	s.signature.X5C = [][]byte{certificate(t, s.signature.Signer.Key().Public)}
	s.holder, s.signer = newSigner(t, keys.Holder), s.issuer
	pub := s.holder.Key().Public
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	s.token = sdjwt.Token{
		Issuer: ministry, Type: farmer, IssuedAt: asOf.AddDate(0, -1, 0), Expires: asOf.AddDate(3, 0, 0), Holder: &pub,
		Status: &credential.StatusRef{URI: list, Index: 3},
		Claims: map[string]any{"full_name": h(person), "crop": h(3), "district": h("Jessore"), "phone": h("01711-CANARY"), "office": "Dhaka"},
	}
	for _, f := range change {
		f(s)
	}
	s.service = s.serve(t, verifier.APIKey{Name: "library", Digest: sha256.Sum256([]byte(apiKey))}, verifier.APIKey{Name: "bank", Digest: sha256.Sum256([]byte(bankKey))})
	s.expect = oid4vp.Expect{
		Chains:  roots{string(s.signature.X5C[0]): {Key: s.signature.Signer.Key().Public, Subject: "City library", Anchor: "National root", Hosts: []string{"127.0.0.1", "localhost"}}},
		DevHTTP: true, Plain: true, Unsigned: true,
		TransactionTypes: map[string]oid4vp.TransactionType{"urn:xa:payment:1": func(map[string]any) error { return nil }},
	}
	return s
}

// serve starts a server on the scene's store.
func (s *scene) serve(t testing.TB, keys ...verifier.APIKey) *verifier.Service {
	t.Helper()
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	metrics := web.NewMetrics()
	var values verifier.Once = s.db
	if s.once != nil {
		values = s.once(values)
	}
	service, err := verifier.New(verifier.Config{
		URL: "https://verifier.example", Prefix: oid4vp.X509Hash, Signature: func(time.Time) (oid4vp.Signature, error) { return s.signature, nil },
		Policies: parsed(t), Once: values, COSE: codes{}, Keys: keys, Poster: s.posts, Metrics: metrics, Log: log, Now: s.now, Watch: 5 * time.Millisecond,
		Trust: func() (*trust.Bundle, string) {
			if s.judging != nil {
				s.judging()
			}
			return s.bundle.Load(), s.problem
		}, Alarm: s.alarmTo, Release: "v1.2.3",
		Updates: func() []verifier.Source { return s.sources }, KeyStore: s.keyring, Usage: s.usage,
		IssuerRoots: s.roots, Lists: s.lists, Tallies: s.tallies, TallyOrigins: []string{"https://scanner.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	generous := web.Rate{Requests: 1 << 20, Per: time.Second, Burst: 1 << 20}
	s.server, err = web.Listen(t.Context(), web.Config{
		Addr: "127.0.0.1:0", Private: "127.0.0.1:0", DevHTTP: true, Log: log, Metrics: metrics, Ready: service.Ready(), Degraded: service.Degraded, MaxRequests: s.places,
		Rates: map[string]web.Rate{web.DefaultRate: generous, "heavy": generous, "light": generous, "people": generous},
	}, service.Routes())
	if err != nil {
		t.Fatal(err)
	}
	service.URL = s.server.URL() // known only now
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	server := s.server
	go func() {
		_ = server.Serve(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return service
}

// logbook keeps what was logged.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// posts are the webhooks that arrived.
type posts struct {
	mu     sync.Mutex
	status int // of the answer; 0 for none
	got    []string
}

func (p *posts) Post(_ context.Context, _, _ string, content []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, string(content))
	if p.status == 0 {
		return 0, errors.New("nobody there")
	}
	return p.status, nil
}

func (p *posts) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

func (p *posts) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// certificate is one for this key by an authority that nobody knows: roots vouch for it.
func certificate(t testing.TB, key keys.PublicKey) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, SubjectKeyId: []byte("root")}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "library"}, NotBefore: start, NotAfter: start.AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Crypto(), private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// roots vouch for leaves by their bytes.
type roots map[string]oid4vp.Vouched

func (r roots) Leaf(_ context.Context, x5c [][]byte, _ time.Time) (oid4vp.Vouched, error) {
	if v, ok := r[string(x5c[0])]; ok && len(x5c) == 1 {
		return v, nil
	}
	return oid4vp.Vouched{}, errors.New("no such chain")
}

// got is an answer that was read.
type got struct {
	status int
	header http.Header
	body   []byte
}

// code is the code of a problem, or the error of OAuth.
func (g got) code() string {
	var p struct{ Code, Error string }
	_ = json.Unmarshal(g.body, &p)
	return p.Code + p.Error
}

func (s *scene) call(t testing.TB, method, address, media string, body []byte, header ...string) got {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.server.URL() + address
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{res.StatusCode, res.Header, b}
}

// relying calls as the relying party.
func (s *scene) relying(t testing.TB, method, path string, body any) got {
	t.Helper()
	if body == nil {
		return s.call(t, method, path, "", nil, "Authorization", "Bearer "+apiKey)
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.call(t, method, path, web.MediaJSON, b, "Authorization", "Bearer "+apiKey)
}

type object = map[string]any

// create makes a request.
func (s *scene) create(t testing.TB, body object) verifier.Created {
	t.Helper()
	g := s.relying(t, "POST", "/requests", body)
	if g.status != http.StatusCreated {
		t.Fatalf("create: %d %s", g.status, g.body)
	}
	return decode[verifier.Created](t, g.body)
}

func decode[T any](t testing.TB, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// open has the wallet fetch and open a request.
func (s *scene) open(t testing.TB, link string) *oid4vp.Request {
	t.Helper()
	i, err := oid4vp.ParseInvocation(link)
	if err != nil {
		t.Fatal(err)
	}
	want, token := s.expect, ""
	want.Now = s.now()
	if i.RequestURI != "" {
		want.WalletNonce = "wallet nonce"
		form, err := i.Form(nil, want.WalletNonce)
		if err != nil {
			t.Fatal(err)
		}
		g := s.call(t, "POST", i.RequestURI, web.MediaForm, []byte(form.Encode()))
		if g.status != http.StatusOK || g.header.Get("Content-Type") != oid4vp.RequestMediaType {
			t.Fatalf("request object: %d %s", g.status, g.body)
		}
		token = string(g.body)
	}
	r, err := i.Open(t.Context(), token, want)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// issue signs a credential.
func issue(t testing.TB, token sdjwt.Token, s keys.Signer) string {
	t.Helper()
	d, err := sdjwt.NewDraft(nil, token, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Sign(rand.Reader, s, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// present makes the wallet's answer to a request.
func (s *scene) present(t testing.TB, r *oid4vp.Request) url.Values {
	t.Helper()
	return s.presentToken(t, r, s.token)
}

// presentToken is present for a wallet with this card.
func (s *scene) presentToken(t testing.TB, r *oid4vp.Request, card sdjwt.Token) url.Values {
	t.Helper()
	first := issue(t, card, s.signer)
	if s.oldType {
		first = ofOldType(t, first, s.signer)
	}
	texts := append([]string{first}, s.also...)
	var held []oid4vp.Credential
	for _, text := range texts {
		p, err := sdjwt.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := oid4vp.HeldSDJWT(p)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	choices, err := r.Query.Match(held).Default()
	if err != nil && s.choices == nil {
		t.Fatal(err)
	}
	if s.choices != nil {
		choices = s.choices(choices)
	}
	data, err := r.Authorise(choices)
	if err != nil {
		t.Fatal(err)
	}
	token := oid4vp.VPToken{}
	for i, c := range choices {
		text, err := sdjwt.Present(texts[c.Credential], c.Disclose()...)
		if err != nil {
			t.Fatal(err)
		}
		proof := r.Proof(s.now(), data[i])
		if s.proof != nil {
			s.proof(&proof)
		}
		if proof.Audience != "" {
			holder := append([]keys.Signer{s.holder}, s.alsoHolders...)[c.Credential]
			if text, err = sdjwt.Bind(rand.Reader, text, proof, holder); err != nil {
				t.Fatal(err)
			}
		}
		if s.shown != nil {
			text = s.shown(text)
		}
		token[c.Query] = append(token[c.Query], text)
	}
	if s.answer != nil {
		s.answer(r, token)
	}
	form, err := r.Respond(token)
	if err != nil {
		t.Fatal(err)
	}
	if s.form != nil {
		s.form(form)
	}
	return form
}

// respond has the wallet answer a request as it should.
func (s *scene) respond(t testing.TB, link string) got {
	t.Helper()
	r := s.open(t, link)
	return s.post(t, r, s.present(t, r))
}

func (s *scene) post(t testing.TB, r *oid4vp.Request, form url.Values) got {
	t.Helper()
	return s.call(t, "POST", r.ResponseURI, web.MediaForm, []byte(form.Encode()))
}

// state asks where a request stands.
func (s *scene) state(t testing.TB, id string) (string, *verifier.Result) {
	t.Helper()
	g := s.relying(t, "GET", "/requests/"+id, nil)
	if g.status != http.StatusOK {
		t.Fatalf("state: %d %s", g.status, g.body)
	}
	st := decode[struct {
		Status string
		Result *verifier.Result
	}](t, noReports(t, g.body))
	return st.Status, st.Result
}

// noReports takes the reports of the rules away, which have no Go form to read into.
func noReports(t testing.TB, b []byte) []byte {
	t.Helper()
	v := decode[any](t, b)
	var clean func(any)
	clean = func(v any) {
		switch v := v.(type) {
		case object:
			delete(v, "report")
			for _, e := range v {
				clean(e)
			}
		case []any:
			for _, e := range v {
				clean(e)
			}
		}
	}
	clean(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// count is how often a loop runs: change for every change, night for a nightly run.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(1, change/4)
	}
	return change
}

// open is the bundle as a verifier has it.
func (c *country) open(t testing.TB) *trust.Bundle {
	t.Helper()
	b, err := trust.Open(c.file(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
