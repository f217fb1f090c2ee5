package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// Once is what the server keeps; *once.DB has it.
type Once interface {
	Put(ctx context.Context, values ...once.Value) error
	Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error)
	Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) ([]once.Value, error)
	Swap(ctx context.Context, now time.Time, old, next once.Value) error
	Steps(ctx context.Context, now time.Time, steps ...once.Step) (done int, err error)
	Sweep(ctx context.Context, now time.Time) (int, error)
	Secret() []byte
	// Durable tells whether values are anywhere but in the memory of this process. Results
	// are sealed there.
	Durable() bool
}

// A Poster sends webhooks. Its error means that there was no answer.
type Poster interface {
	Post(ctx context.Context, address, contentType string, content []byte) (status int, err error)
}

// Config is what a [Service] needs. Fields without "optional" must be set.
type Config struct {
	// URL is the server's public address, such as https://verifier.example.
	URL string
	// Prefix is that of the client identifier.
	Prefix oid4vp.Prefix
	// DID is the client for the prefix decentralized_identifier, and DIDDocument what it
	// resolves to now: with it every key that signed requests. Optional.
	DID         string
	DIDDocument func(now time.Time) ([]byte, error)
	// Signature is what requests, receipts and webhooks are signed with now.
	Signature func(now time.Time) (oid4vp.Signature, error)
	// Policies by their id.
	Policies map[string]*Policy
	// Once is where transactions live.
	Once Once
	// Trust is the bundle to judge by now, or why there is none.
	Trust func() (bundle *trust.Bundle, problem string)
	// COSE reads codes for POST /verify.
	COSE verification.Format
	// IssuerRoots are the authorities whose certificates are believed about issuers of
	// SD-JWT VCs that the bundle does not name, and Lists asks for their status lists.
	// Optional; Lists must be set if there are roots.
	IssuerRoots []IssuerRoot
	Lists       ListSource
	// OldType also takes SD-JWT VCs of drafts before November 2024 (typ vc+sd-jwt). Optional.
	OldType bool
	// Keys are those of relying parties. Optional: without them their routes are on
	// the private port.
	Keys []APIKey
	// KeyStore has further keys, which come and go. Optional; with it keys are needed even
	// if there are none.
	KeyStore KeyStore
	// Usage keeps how much relying parties used the service. Optional.
	Usage UsageStore
	// Tallies keeps what counters did without a network, TallyDays for how many days (31 if
	// zero), and TallyOrigins are the websites whose pages may upload it beside our own.
	// Optional.
	Tallies      TallyStore
	TallyDays    int
	TallyOrigins []string
	// Poster sends webhooks. It must be set if a policy has one.
	Poster Poster
	// Updates says how the sources of trust bundles did. Optional.
	Updates func() []Source
	// Release is the version of the program, for the status page. Optional.
	Release string
	// Alarm is an https address that is told when something ages that verdicts rest on.
	// Optional; Poster must be set with it.
	Alarm string
	// Metrics and Log are those of the server.
	Metrics *web.Metrics
	Log     *slog.Logger
	// Now and Rand are the clock and the source of randomness. Optional.
	Now  func() time.Time
	Rand io.Reader
	// Watch is how often a stream of events looks for news. Optional; 500 ms if zero.
	Watch time.Duration
}

// A Service is the verifier's side of every request. Its methods may be called at
// once from several goroutines, and several processes may share one store.
type Service struct {
	Config
	recent   recent
	open     openLists
	host     string
	verdicts *web.Counter
	hooks    *web.Counter

	ring    *keyring
	refused *web.Counter
	tallies *web.Counter
	ledger  *ledger
	levels  map[string]Level // that were told, by what; of watch

	mu     sync.Mutex
	newest time.Time // the newest date that was verified
}

// New returns a Service, or an error that names what is missing.
func New(c Config) (*Service, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || checkAddress(c.URL) != nil || u.Path != "" || u.RawQuery != "":
		return nil, errors.New("verifier: Config.URL is not https://HOST")
	case c.Prefix == "":
		return nil, errors.New("verifier: Config.Prefix is not set")
	case c.Signature == nil:
		return nil, errors.New("verifier: Config.Signature is not set")
	case c.Policies == nil:
		return nil, errors.New("verifier: Config.Policies is not set")
	case c.Once == nil:
		return nil, errors.New("verifier: Config.Once is not set")
	case c.Trust == nil:
		return nil, errors.New("verifier: Config.Trust is not set")
	case c.COSE == nil:
		return nil, errors.New("verifier: Config.COSE is not set")
	case c.Metrics == nil || c.Log == nil:
		return nil, errors.New("verifier: Config.Metrics and Config.Log must be set")
	}
	for _, p := range c.Policies {
		if prefix := first(p.Prefix, c.Prefix); prefix == oid4vp.DecentralizedIdentifier && c.DID == "" {
			return nil, fmt.Errorf("verifier: policy %s: Config.DID is not set", p.ID)
		}
		if p.Webhook != "" && c.Poster == nil {
			return nil, fmt.Errorf("verifier: policy %s: Config.Poster is not set", p.ID)
		}
	}
	if c.TallyDays < 0 || c.TallyDays > MaxTallyDays {
		return nil, fmt.Errorf("verifier: Config.TallyDays is not 1 to %d", MaxTallyDays)
	}
	if c.Alarm != "" && (checkAddress(c.Alarm) != nil || c.Poster == nil) {
		return nil, errors.New("verifier: Config.Alarm is not an address https://HOST/PATH, or Config.Poster is not set")
	}
	if err := checkRoots(c.IssuerRoots, c.Lists); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	for _, k := range c.Keys {
		for _, id := range k.Policies {
			if c.Policies[id] == nil {
				return nil, fmt.Errorf("verifier: the key of %s names the policy %q, which there is not", k.Name, id)
			}
		}
	}
	c.Once = shelf{c.Once}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Watch == 0 {
		c.Watch = 500 * time.Millisecond
	}
	var words []string
	for _, v := range verification.Verdicts() {
		words = append(words, string(v))
	}
	s := &Service{
		Config: c, host: u.Hostname(), levels: map[string]Level{},
		ring:     &keyring{fixed: c.Keys, store: c.KeyStore, now: c.Now},
		ledger:   &ledger{store: c.Usage, now: c.Now, rand: c.Rand, fresh: map[parties.Count]int64{}},
		tallies:  c.Metrics.Counter("verifier_tallies_total", "Tallies of counters that were taken, and those of them with a conflict.", "outcome", "taken", "conflict"),
		refused:  c.Metrics.Counter("verifier_key_refusals_total", "Requests of relying parties refused for their key.", "reason", keyRefusals...),
		verdicts: c.Metrics.Counter("verifier_verdicts_total", "Verdicts on answers of wallets and on proofs.", "verdict", append(words, "refused")...),
		hooks:    c.Metrics.Counter("verifier_webhooks_total", "Webhooks by what became of them.", "outcome", "delivered", "retried", "given_up"),
	}
	s.figures()
	return s, nil
}

func first[T ~string](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

// Sizes of bodies.
const (
	maxAsk      = 64 << 10
	maxForm     = 2 << 20 // of a wallet's answer: 1 MiB after decoding
	maxProof    = 11 << 20
	maxExchange = 4 << 10
)

// ratePeople is for what wallets ask. Whole halls and mobile networks come from one address:
// what keeps guesses away is that each address of an answer is long.
const ratePeople = "people"

// Routes is the table of the server.
func (s *Service) Routes() []web.Route {
	relying := func(scope parties.Scope, r web.Route, h func(http.ResponseWriter, *http.Request, *APIKey) error) web.Route {
		r.Private, r.Handler = s.private(), s.authorise(scope, h)
		return r
	}
	all := []web.Route{
		relying(parties.Requests, web.Route{Method: http.MethodPost, Pattern: "/requests", Name: "create-request", MaxBody: maxAsk, Media: []string{web.MediaJSON}, FailClosed: true}, s.create),
		relying(parties.Requests, web.Route{Method: http.MethodGet, Pattern: "/requests/{id}", Name: "request-state"}, s.state),
		relying(parties.Requests, web.Route{
			Method: http.MethodGet, Pattern: "/requests/{id}/events", Name: "request-events", Stream: true, Timeout: oid4vp.MaxLife + time.Minute,
		}, s.events),
		relying(parties.Requests, web.Route{
			Method: http.MethodPost, Pattern: "/requests/{id}/result", Name: "request-result", MaxBody: maxExchange, Media: []string{web.MediaJSON}, FailClosed: true, Rate: "heavy",
		}, s.exchange),
		relying(parties.Verify, web.Route{
			Method: http.MethodPost, Pattern: "/verify", Name: "verify", MaxBody: maxProof, Query: true, Rate: "heavy",
			Media: []string{"text/plain", "application/octet-stream", "image/png", "image/jpeg", "multipart/form-data", "application/dc+sd-jwt", "application/cwt"},
		}, s.verify),
		relying(parties.Usage, web.Route{Method: http.MethodGet, Pattern: "/usage", Name: "usage", Query: true}, s.usage),
		relying(parties.Tallies, web.Route{
			Method: http.MethodPost, Pattern: "/tallies", Name: "tallies", MaxBody: maxTally, Media: []string{web.MediaJSON}, Rate: "heavy", Origins: s.TallyOrigins,
		}, s.tally),
		relying(parties.Usage, web.Route{Method: http.MethodGet, Pattern: "/tallies/conflicts", Name: "tally-conflicts", Query: true}, s.conflicts),
		{Method: http.MethodGet, Pattern: "/request/{id}", Name: "request-object", Handler: s.object, AnyOrigin: true, Rate: ratePeople},
		{
			Method: http.MethodPost, Pattern: "/request/{id}", Name: "request-object-post", MaxBody: maxAsk, Media: []string{web.MediaForm},
			Handler: s.object, AnyOrigin: true, Rate: ratePeople,
		},
		{
			Method: http.MethodPost, Pattern: "/response/{id}", Name: "response", MaxBody: maxForm, Media: []string{web.MediaForm}, Handler: s.respond,
			AnyOrigin: true, Rate: ratePeople,
		},
		{Method: http.MethodGet, Pattern: "/status", Name: "status", Handler: s.page, Query: true, Rate: "light"},
		{Method: http.MethodGet, Pattern: "/.well-known/did.json", Name: "did", Handler: s.document, Cache: web.MaxAge(time.Minute), AnyOrigin: true, Rate: "light"},
		{Method: http.MethodGet, Pattern: "/openapi.json", Name: "openapi", Handler: OpenAPI.Serve, Cache: web.MaxAge(time.Hour), AnyOrigin: true, Rate: "light"},
	}
	for i := range all {
		all[i].Handler = s.logged(all[i].Handler)
	}
	return all
}

// client is the client identifier of a policy's requests now.
func (s *Service) client(p *Policy, sig oid4vp.Signature, responseURI string) (oid4vp.ClientID, error) {
	switch prefix := first(p.Prefix, s.Prefix); prefix {
	case oid4vp.X509Hash:
		if len(sig.X5C) == 0 {
			return oid4vp.ClientID{}, errors.New("verifier: the signing key has no certificate")
		}
		return oid4vp.NewX509Hash(sig.X5C[0]), nil
	case oid4vp.X509SANDNS:
		return oid4vp.ClientID{Prefix: prefix, Name: s.host}, nil
	case oid4vp.DecentralizedIdentifier:
		return oid4vp.ClientID{Prefix: prefix, Name: s.DID}, nil
	case oid4vp.RedirectURI:
		return oid4vp.ClientID{Prefix: prefix, Name: responseURI}, nil
	default:
		return oid4vp.ClientID{}, fmt.Errorf("verifier: requests of clients %s are not made here", prefix)
	}
}

// document answers with the document of the verifier's did:web.
func (s *Service) document(w http.ResponseWriter, _ *http.Request) error {
	if s.DIDDocument == nil {
		return web.Refuse(http.StatusNotFound, "not_found", "this verifier has no DID")
	}
	b, err := s.DIDDocument(s.Now())
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, did.MediaType, b)
	return nil
}

// signs is the signature as a client of this kind makes it: it names its key by the DID,
// or by certificates, and not by both.
func signs(sig oid4vp.Signature, client oid4vp.ClientID) oid4vp.Signature {
	if client.Prefix == oid4vp.DecentralizedIdentifier {
		sig.X5C = nil
	} else {
		sig.KeyID = ""
	}
	return sig
}

// checker judges what was presented by what is known now: the bundle, or else certificates.
// Format reads what wallets show.
func (s *Service) checker(ctx context.Context, now time.Time, format verification.Format, presented []byte) (*checker, error) {
	bundle, problem := s.Trust()
	s.mu.Lock()
	newest := s.newest
	s.mu.Unlock()
	if bundle != nil {
		newest = latest(newest, bundle.AsOf) // also where the bundle is not what is judged by
	}
	var unlisted error
	if c := s.certified(latest(now, newest), bundle, presented); c != nil {
		if introduced, settled, err := c.introduce(ctx, format); err != nil {
			format = explained{format, err}
		} else {
			bundle, format, unlisted = introduced, settled, c.unlisted
		}
	}
	rules, err := verification.New(verification.Config{
		COSE: s.COSE, SDJWT: format, Trust: bundle, TrustProblem: problem, Now: func() time.Time { return now }, NewestSeen: newest,
	})
	return &checker{rules, unlisted}, err
}

// A checker says also why the status list of an issuer known by certificate is not at hand.
type checker struct {
	*verification.Checker
	unlisted error
}

// Check implements [Judge].
func (c *checker) Check(presented []byte) verification.Report {
	r := c.Checker.Check(presented)
	for i := range r.Checks {
		if one := &r.Checks[i]; c.unlisted != nil && one.ID == verification.CheckStatus && one.Reason == credential.StatusUnavailable {
			one.Detail += ": " + c.unlisted.Error()
		}
	}
	return r
}

// learn notes the newest date that was verified, against a clock that is set back. An issuer
// that only certificates vouch for does not set the clock by which all others are judged.
func (s *Service) learn(r verification.Report) {
	if r.Basis.VouchedBy != "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Seen.After(s.newest) {
		s.newest = r.Seen
	}
}

// Ready tells whether requests can be made: keys, store and trust are there.
func (s *Service) Ready() []web.Readiness {
	return []web.Readiness{
		{Name: "store", Check: func(ctx context.Context) error {
			_, err := s.Once.Get(ctx, s.Now(), once.Request, [32]byte{})
			if errors.Is(err, once.ErrNone) {
				return nil
			}
			return err
		}},
		{Name: "keys", Check: func(context.Context) error {
			_, err := s.Signature(s.Now())
			return err
		}},
		{Name: "trust", Check: func(context.Context) error {
			if bundle, problem := s.Trust(); bundle == nil {
				return errors.New(strings.TrimSpace("no trust bundle: " + problem))
			}
			return nil
		}},
	}
}

// Run delivers webhooks, watches what ages and forgets what has expired, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { every(ctx, time.Second, func() { s.deliver(ctx) }) })
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.ledger.flush(last); err != nil {
			s.Log.Error("usage of the last seconds is lost", "err", err)
		}
	}()
	wg.Go(func() {
		every(ctx, flushEvery, func() {
			if err := s.ledger.flush(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("usage is not stored yet", "err", err)
			}
		})
	})
	var swept, watched time.Time
	every(ctx, time.Second, func() {
		now := s.Now()
		if now.Sub(watched) >= watchEvery {
			watched = now
			s.watch(ctx)
		}
		if now.Sub(swept) > time.Minute {
			swept = now
			if _, err := s.Once.Sweep(ctx, now); err != nil && ctx.Err() == nil {
				s.Log.Warn("sweep", "err", err)
			}
			if err := s.foldTallies(ctx, now); err != nil && ctx.Err() == nil {
				s.Log.Warn("sweep of tallies", "err", err)
			}
		}
	})
}

// every calls f after each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}
