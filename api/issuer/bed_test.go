package issuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/redistest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/once"
)

// count is how many of something a test does: at every change, or at night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 1)
	}
	return change
}

// licence is a programme with a code and a wallet form.
const licence = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence, fr: Permis, ar: رخصة}
languages: [en, fr, ar]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, fr: Nom, ar: الاسم}, type: text, person: fullName, from: name, required: true}
  - {name: village, labels: {en: Village, fr: Village, ar: القرية}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, decoys: 3, copies: 8}
`

// configuration is what wallets call its wallet form.
const configuration = "licence.wallet"

// nestedConfiguration is the same of [nestedProgramme].
const nestedConfiguration = "nested.wallet"

var columns = func() *registry.Columns {
	c, err := registry.NewColumns([]string{"id", "name", "village"})
	if err != nil {
		panic(err)
	}
	return c
}()

// canary is the name of person n: a text that is nowhere else.
func canary(n int) string { return fmt.Sprintf("Canary%04dBird", n) }

func recordID(n int) string { return fmt.Sprintf("REC%07d", n) }

// A clock is moved by tests.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) add(d time.Duration) { c.ahead.Add(int64(d)) }

// An office is the issuer behind one replica. Its parts fail when told to.
type office struct {
	service  *issuance.Service
	db       *store.DB
	registry *register
	audit    atomic.Pointer[error] // what the audit log answers
}

// A register is the registry of all replicas.
type register struct{ down atomic.Bool }

var errRegistry = errors.New("the registry does not answer")

func (o *office) MayAct(context.Context) error {
	if e := o.audit.Load(); e != nil {
		return *e
	}
	return nil
}

func (o *office) Epoch(context.Context) (int64, error) { return o.db.Epoch(), nil }

func (o *office) Deliver(ctx context.Context, d issuance.Delivery) (*issuance.Issued, error) {
	return o.service.Deliver(ctx, d)
}

func (o *office) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	return o.service.Programmes(ctx)
}

func (o *office) Record(_ context.Context, _, id string) (registry.Record, error) {
	if o.registry.down.Load() {
		return registry.Record{}, errRegistry
	}
	n, err := strconv.Atoi(strings.TrimPrefix(id, "REC"))
	if err != nil || n >= 9_000_000 {
		return registry.Record{}, registry.ErrNoRecord
	}
	return registry.NewRecord(id, 0, columns, []string{id, canary(n), "Jessore Sadar"}), nil
}

// A bed is an issuer of several replicas behind one address.
type bed struct {
	testing.TB
	url      string
	clock    *clock
	keys     *keys.File
	offices  []*office
	servers  []*issuer.Endpoints
	values   []*once.DB
	registry *register
	logs     *lockedBuffer
	metrics  []*web.Metrics
	private  []string
	dir      string            // of what it has on disk
	stores   [2]string         // locations of credentials, and of values that work once
	redis    *redistest.Server // nil without

	limited bool      // by the default rates
	fenced  bool      // its database can be fenced and confirmed
	people  *web.Rate // and this one
	places  int       // of each replica, for requests of one rate; as a server's if zero

	mu     sync.Mutex
	events map[string]int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An engine says where a bed keeps its things.
type engine struct {
	name     string
	replicas int
	store    func(t testing.TB, dir string) (location, once string)
	redis    bool // where requests are counted
}

var engines = []engine{
	{"one replica on SQLite", 1, onSQLite, false},
	{"two replicas on PostgreSQL", 2, onPostgres, false},
}

func onSQLite(_ testing.TB, dir string) (location, values string) {
	return filepath.Join(dir, "issuer.db"), filepath.Join(dir, "once.db")
}

func onPostgres(t testing.TB, _ string) (location, values string) {
	owner, service := pgtest.New(t)
	c, err := pgx.ParseConfig(service)
	if err != nil {
		t.Fatal(err)
	}
	if err := once.Prepare(context.Background(), owner, once.Options{ServiceRole: c.User}); err != nil {
		t.Fatal(err)
	}
	return owner, service
}

// everywhere runs f on each engine.
func everywhere(t *testing.T, f func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { f(t, e) })
	}
}

const instance = "xa-office test"

func newBed(t testing.TB, e engine, change ...func(*issuer.Config)) *bed {
	t.Helper()
	return (&bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}}).start(e, change...)
}

// start starts the replicas.
func (b *bed) start(e engine, change ...func(*issuer.Config)) *bed {
	t := b.TB
	t.Helper()
	dir := t.TempDir()
	b.dir = dir
	var err error
	cost := keys.Cost{Time: 1, Memory: 8, Threads: 1}
	b.keys, err = cost.CreateFile(filepath.Join(dir, "keystore.sanad"), []byte("a passphrase for tests"), rand.Reader)
	b.must(err)
	ctx := context.Background()
	var backends []*url.URL
	front := httptest.NewServer(http.HandlerFunc(func() http.HandlerFunc {
		var turn atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			to := backends[int(turn.Add(1))%len(backends)]
			(&httputil.ReverseProxy{
				Rewrite:      func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host },
				ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
			}).ServeHTTP(w, r)
		}
	}()))
	t.Cleanup(front.Close)
	b.url = front.URL
	location, values := e.store(t, dir)
	b.stores = [2]string{location, values}
	if e.redis {
		b.redis = redistest.New(t)
	}
	for i := range e.replicas {
		open := store.Open
		if i == 0 {
			open = store.Create
		}
		db, err := open(ctx, location, store.Options{Instance: instance, Now: b.clock.Now, WhileFenced: b.fenced})
		b.must(err)
		t.Cleanup(func() { b.must(db.Close()) })
		v, err := once.Open(ctx, values, once.Options{})
		b.must(err)
		t.Cleanup(func() { b.must(v.Close()) })
		service, err := issuance.New(issuance.Config{
			Issuer: "xa-office", URL: b.url, StatusBase: b.url + "/status/", Store: db, Keys: b.keys, Secret: b.keys.Secret, Now: b.clock.Now, ListSize: 1 << 12,
		})
		b.must(err)
		if i == 0 {
			for _, p := range []keys.Purpose{keys.Audit, keys.StatusList, keys.Credential, keys.Metadata} {
				_, err := service.FirstKey(ctx, keys.Spec{Purpose: p}, "tester")
				b.must(err)
			}
			_, err := service.AddProgramme(ctx, []byte(licence), "tester")
			b.must(err)
		}
		o := &office{service: service, db: db, registry: b.registry}
		b.offices, b.values = append(b.offices, o), append(b.values, v)
		backends = append(backends, b.serve(o, v, change))
	}
	return b
}

// serve starts a replica.
func (b *bed) serve(o *office, values *once.DB, change []func(*issuer.Config)) *url.URL {
	b.Helper()
	secret, err := b.keys.Secret("credential requests")
	b.must(err)
	key, err := jose.RestoreDecryptionKey("requests-1", secret)
	b.must(err)
	log := slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := issuer.Config{
		Issuer: b.url, Names: map[string]string{"en": "Office of Licences", "ar": "مكتب الرخص"}, DevHTTP: true, Office: o, Once: values, Secret: func() ([]byte, error) { return values.Secret(), nil },
		EncryptionKeys: []*jose.DecryptionKey{key}, AnyClient: true, Log: log, Now: b.clock.Now,
		Count: func(event string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events[event]++
		},
		Metadata: func(ctx context.Context) (issuer.Signing, error) {
			all, err := b.keys.Keys(ctx)
			if err != nil {
				return issuer.Signing{}, err
			}
			k, err := keys.SigningKey(all, keys.Metadata, b.clock.Now())
			if err != nil {
				return issuer.Signing{}, err
			}
			s, err := b.keys.Signer(ctx, k.ID())
			return issuer.Signing{Signer: s}, err
		},
		Keys: func(ctx context.Context) (map[string]issuer.Document, error) {
			all, err := b.keys.Keys(ctx)
			return map[string]issuer.Document{issuer.PathJWKS: {Type: "application/jwk-set+json", Content: keys.JWKS(all)}}, err
		},
	}
	for _, f := range change {
		f(&c)
	}
	endpoints, err := issuer.New(c)
	b.must(err)
	metrics := web.NewMetrics()
	rates := web.DefaultRates()
	for name := range rates {
		if !b.limited {
			rates[name] = web.Rate{Requests: 1_000_000, Per: time.Second, Burst: 1_000_000}
		}
	}
	if b.people != nil {
		rates["people"] = *b.people
	}
	config := web.Config{Addr: "127.0.0.1:0", DevHTTP: true, Private: "127.0.0.1:0", Log: log, Rates: rates, Metrics: metrics, MaxRequests: b.places}
	if b.redis != nil {
		config.Redis = b.redis.URL()
	}
	s, err := web.Listen(context.Background(), config, endpoints.Routes())
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	b.Cleanup(func() {
		cancel()
		b.must(<-ended)
	})
	b.servers, b.private, b.metrics = append(b.servers, endpoints), append(b.private, s.PrivateURL()), append(b.metrics, metrics)
	u, err := url.Parse(s.URL())
	b.must(err)
	return u
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// offer makes an offer for record n.
func (b *bed) offer(n int, change ...func(*issuer.OfferRequest)) *issuer.OfferMade {
	b.Helper()
	r := issuer.OfferRequest{Programme: "licence", Record: recordID(n), Actor: "counter"}
	for _, f := range change {
		f(&r)
	}
	made, err := b.servers[n%len(b.servers)].Offer(context.Background(), r)
	b.must(err)
	return made
}

// happened is how often an event was counted.
func (b *bed) happened(event string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[event]
}

// credentials are those that the issuer has on record.
func (b *bed) credentials() []issuance.Credential {
	b.Helper()
	var all []issuance.Credential
	for c, err := range b.offices[0].db.Find(context.Background(), issuance.Query{}) {
		b.must(err)
		all = append(all, c)
	}
	return all
}

// A wallet speaks with an issuer as a stranger would.
type wallet struct {
	*bed
	client *http.Client
	dpop   keys.Signer
	holder func(i int) keys.Signer
	nonce  string // the last for DPoP
	token  *oid4vci.TokenResponse
	id     string // client_id
}

var walletNumber atomic.Int64

func (b *bed) wallet() *wallet {
	b.Helper()
	n := walletNumber.Add(1)
	jar, err := cookiejar.New(nil)
	b.must(err)
	return &wallet{
		bed: b, dpop: keystest.Signer(b, keys.Holder, keys.ES256, fmt.Sprint("dpop ", n)),
		holder: func(i int) keys.Signer {
			return keystest.Signer(b, keys.Holder, keys.ES256, fmt.Sprint("holder ", n, " ", i))
		},
		client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// An answer is what a server answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// code is the error that an answer names.
func (a answer) code() oid4vci.Code {
	if a.status < 400 {
		return ""
	}
	return oid4vci.ReadError(a.status, a.body).Code
}

// do sends a request.
func (w *wallet) do(r *http.Request) answer {
	w.Helper()
	res, err := w.client.Do(r)
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	if n := res.Header.Get(oid4vci.DPoPNonceHeader); n != "" {
		w.nonce = n
	}
	return answer{res.StatusCode, res.Header, b}
}

func (w *wallet) get(path string, header ...string) answer {
	w.Helper()
	address := path
	if !strings.HasPrefix(path, "http") {
		address = w.url + path
	}
	r, err := http.NewRequest(http.MethodGet, address, nil)
	w.must(err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return w.do(r)
}

// A post is a request that tests spoil.
type post struct {
	path, media string
	body        []byte
	header      http.Header
	noDPoP      bool
	token       oid4vci.Secret
	scheme      string
	proof       func(oid4vci.DPoPRequest) string // in place of the wallet's own
}

func formPost(path string, form url.Values) post {
	return post{path: path, media: oid4vci.FormType, body: []byte(form.Encode()), header: http.Header{}}
}

// send sends a post with a DPoP proof, once more if the server wants a nonce.
func (w *wallet) send(p post) answer {
	w.Helper()
	a := w.sendOnce(p)
	if a.code() == oid4vci.UseDPoPNonce && p.proof == nil {
		a = w.sendOnce(p)
	}
	return a
}

func (w *wallet) sendOnce(p post) answer {
	w.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url+p.path, bytes.NewReader(p.body))
	w.must(err)
	for name, values := range p.header {
		r.Header[name] = values
	}
	if p.media != "" {
		r.Header.Set("Content-Type", p.media)
	}
	if p.token != "" {
		scheme := p.scheme
		if scheme == "" {
			scheme = string(oid4vci.DPoPToken)
		}
		r.Header.Set("Authorization", scheme+" "+string(p.token))
	}
	if !p.noDPoP {
		d := oid4vci.DPoPRequest{Method: http.MethodPost, URL: w.url + p.path, Now: w.clock.Now(), Nonce: w.nonce, AccessToken: p.token}
		proof := ""
		if p.proof != nil {
			proof = p.proof(d)
		} else if proof, err = oid4vci.MakeDPoP(rand.Reader, w.dpop, d); err != nil {
			w.Fatal(err)
		}
		if proof != "" {
			r.Header.Add(oid4vci.DPoPHeader, proof)
		}
	}
	return w.do(r)
}

// accept fetches the offer that a link refers to.
func (w *wallet) accept(link string) *oid4vci.Offer {
	w.Helper()
	reader := oid4vci.Reader{LoopbackHTTP: true}
	l, err := reader.OfferLink(link)
	w.must(err)
	o := l.Offer
	if o == nil {
		a := w.get(l.URI)
		if a.status != http.StatusOK {
			w.Fatalf("the offer: %v", a)
		}
		o, err = reader.Offer(a.body)
		w.must(err)
	}
	if o.Issuer != w.url || len(o.Configurations) != 1 || o.Configurations[0] != configuration && o.Configurations[0] != nestedConfiguration {
		w.Fatalf("the offer is %+v", o)
	}
	return o
}

// redeem is the token request for a pre-authorized code.
func redeem(o *oid4vci.Offer, txCode string) url.Values {
	form := url.Values{"grant_type": {string(oid4vci.PreAuthorizedCode)}, "pre-authorized_code": {string(o.PreAuthorized.Code)}}
	if txCode != "" {
		form.Set("tx_code", txCode)
	}
	return form
}

// signIn redeems the code of an offer.
func (w *wallet) signIn(made *issuer.OfferMade) {
	w.Helper()
	w.tokens(w.send(formPost("/oauth/token", redeem(w.accept(made.Link), made.TxCode))))
}

// tokens reads a token response.
func (w *wallet) tokens(a answer) {
	w.Helper()
	var err error
	if w.token, err = oid4vci.ReadTokenResponse(a.status, a.body, oid4vci.DPoPToken); err != nil {
		w.Fatalf("token request: %v", a)
	}
}

// cNonce asks for a nonce.
func (w *wallet) cNonce() string {
	w.Helper()
	a := w.send(post{path: "/oid4vci/nonce", noDPoP: true})
	n, err := oid4vci.ReadNonceResponse(a.status, a.body)
	w.must(err)
	if a.header.Get("Cache-Control") != "no-store" {
		w.Errorf("a nonce that may be cached: %q", a.header.Get("Cache-Control"))
	}
	return n
}

// request is a credential request with proofs for n keys.
func (w *wallet) request(n int) oid4vci.CredentialRequest {
	w.Helper()
	nonce := w.cNonce()
	r := oid4vci.CredentialRequest{Configuration: configuration, Proofs: oid4vci.Proofs{Type: oid4vci.JWTProof}}
	for i := range n {
		p, err := oid4vci.MakeProof(rand.Reader, w.holder(i), oid4vci.ProofClaims{Issuer: w.url, Nonce: nonce, Now: w.clock.Now(), ClientID: w.id})
		w.must(err)
		r.Proofs.Tokens = append(r.Proofs.Tokens, p)
	}
	return r
}

// ask is the post of a credential request.
func (w *wallet) ask(r oid4vci.CredentialRequest) post {
	w.Helper()
	media, body, err := r.Encode(nil)
	w.must(err)
	return post{path: "/oid4vci/credential", media: media, body: body, token: w.token.AccessToken}
}

// fetch gets credentials for n keys.
func (w *wallet) fetch(n int) *oid4vci.CredentialResponse {
	w.Helper()
	return w.read(w.send(w.ask(w.request(n))), n)
}

func (w *wallet) read(a answer, n int) *oid4vci.CredentialResponse {
	w.Helper()
	c, err := oid4vci.ResponseExpect{Keys: n}.CredentialResponse(a.status, a.header.Get("Content-Type"), a.body)
	if err != nil {
		w.Fatalf("credential request: %v", a)
	}
	return c
}
