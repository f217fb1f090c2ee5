package verifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strictyaml"
	"github.com/sanad-id/sanad/oid4vp"
)

// A Policy says what one relying party may ask for one purpose, and what becomes of
// the answer. A request asks what its policy names, or less.
type Policy struct {
	// ID names the policy, and Version its text.
	ID      string
	Version int
	// Prefix is that of the client identifier; "" for the server's own.
	Prefix oid4vp.Prefix
	// Name and Purpose are shown to the holder, by language.
	Name, Purpose map[string]string
	// Retention is how long the relying party keeps what it gets, as the holder is told.
	Retention time.Duration
	// Query is what is asked for.
	Query *oid4vp.Query
	// Issuers are those whose credentials are taken; empty for all that the trust
	// bundle allows to issue the type.
	Issuers []string
	// StatusFresh is how old the knowledge of revocations may be; zero leaves it to the
	// type.
	StatusFresh time.Duration
	// Lifetime is how long a request can be answered.
	Lifetime time.Duration
	// ResultLifetime is how long the result can be had after that.
	ResultLifetime time.Duration
	// Plain takes responses that are not encrypted beyond TLS.
	Plain bool
	// KeepPresentation puts what the wallet sent into the result, for relying parties
	// that must keep evidence.
	KeepPresentation bool
	// SeveralPeople takes credentials of different holders in one answer.
	SeveralPeople bool
	// Transactions are the types of transaction data that a request may have.
	Transactions []TransactionRule
	// Webhook is told that there is a result; "" for none.
	Webhook string
	// ReturnTo are the addresses to which the browser may be sent after the flow on
	// one device.
	ReturnTo []string
}

// A TransactionRule is a type of transaction data that a request may have.
type TransactionRule struct {
	Type string
	// Credentials are the credential queries that may authorise it.
	Credentials []string
	// Fields are the names of its fields, all of which a request must give.
	Fields []string
	// Required says that no request goes without it.
	Required bool
}

// Limits of a policy.
const (
	// MaxPolicy is the most bytes of a policy file.
	MaxPolicy = 64 << 10
	// maxPolicies is the most policies of one server.
	maxPolicies = 500
	// maxResultLifetime is the longest that a result can be had.
	maxResultLifetime = time.Hour

	maxText      = 1000 // characters of a text
	maxLanguages = 32
	maxAsked     = 32 // credentials, and twice that claims of one
)

// ErrPolicy: a policy file that may not be used. The text says why.
var ErrPolicy = errors.New("verifier: policy")

// policyFile is the YAML of a policy. Unknown keys are errors.
type policyFile struct {
	// Policy is its name: lower-case letters, digits and -.
	Policy string `yaml:"policy"`
	// Version is raised with every change that a holder would want to know of.
	Version int `yaml:"version"`
	// Verifier is who asks.
	Verifier struct {
		// Name by language.
		Name map[string]string `yaml:"name"`
		// Prefix of the client identifier. Optional: the server's own.
		Prefix string `yaml:"prefix"`
	} `yaml:"verifier"`
	// Purpose by language: why it asks.
	Purpose map[string]string `yaml:"purpose"`
	// RetentionDays is how long the relying party keeps what it gets.
	RetentionDays *int `yaml:"retention_days"`
	// Ask is the short form of what is asked for. Either it or query.
	Ask []askFile `yaml:"ask"`
	// Query is a DCQL query (OpenID4VP 1.0 section 6).
	Query map[string]any `yaml:"query"`
	// Issuers whose credentials are taken. Optional.
	Issuers []string `yaml:"issuers"`
	// StatusFresh is how old the knowledge of revocations may be, such as 24h. Optional.
	StatusFresh time.Duration `yaml:"status_fresh"`
	// Lifetime of a request. Optional: 5m, which is the most.
	Lifetime time.Duration `yaml:"lifetime"`
	// ResultLifetime is how long the result can be had. Optional: 10m; the most is 1h.
	ResultLifetime time.Duration `yaml:"result_lifetime"`
	// PlainResponse takes responses that are not encrypted beyond TLS. Optional.
	PlainResponse bool `yaml:"plain_response"`
	// KeepPresentation puts what the wallet sent into the result. Optional.
	KeepPresentation bool `yaml:"keep_presentation"`
	// SeveralPeople takes credentials of different holders in one answer. Optional.
	SeveralPeople bool `yaml:"several_people"`
	// Transactions that a request may have. Optional.
	Transactions []struct {
		Type        string   `yaml:"type"`
		Credentials []string `yaml:"credentials"`
		Fields      []string `yaml:"fields"`
		Required    bool     `yaml:"required"`
	} `yaml:"transaction_data"`
	// Webhook is an https address. Optional.
	Webhook string `yaml:"webhook"`
	// ReturnTo are https addresses. Optional: without them no flow on one device.
	ReturnTo []string `yaml:"return_to"`
}

type askFile struct {
	// ID names the credential in the result.
	ID string `yaml:"id"`
	// Types are the vct that will do.
	Types []string `yaml:"types"`
	// Claims are paths such as address.street, or {path: [degrees, null, type], values: [...]}.
	Claims []any `yaml:"claims"`
	// Several allows more than one. Optional.
	Several bool `yaml:"several"`
	// WithoutHolder takes a credential that anybody may show. Optional.
	WithoutHolder bool `yaml:"without_holder"`
}

// ReadPolicies reads the policies of a folder, each in a file *.yaml, by their ids.
func ReadPolicies(dir string) (map[string]*Policy, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: there is no file *.yaml in %s", ErrPolicy, dir)
	}
	if len(files) > maxPolicies {
		return nil, fmt.Errorf("%w: more than %d files in %s", ErrPolicy, maxPolicies, dir)
	}
	all := map[string]*Policy{}
	for _, path := range files {
		p, err := readPolicy(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if all[p.ID] != nil {
			return nil, fmt.Errorf("%s: %w: another file has the policy %s, too", path, ErrPolicy, p.ID)
		}
		all[p.ID] = p
	}
	return all, nil
}

func readPolicy(path string) (*Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxPolicy+1))
	if err != nil {
		return nil, err
	}
	return ParsePolicy(b)
}

// ParsePolicy reads one policy. Its error is ErrPolicy.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrPolicy, MaxPolicy)
	}
	var f policyFile
	if err := strictyaml.Decode(text, strictyaml.MaxMembers, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	p, err := f.policy()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return p, nil
}

var policyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (f *policyFile) policy() (*Policy, error) {
	p := &Policy{
		ID: f.Policy, Version: f.Version, Prefix: oid4vp.Prefix(f.Verifier.Prefix), Name: f.Verifier.Name, Purpose: f.Purpose,
		Issuers: f.Issuers, StatusFresh: f.StatusFresh, Lifetime: f.Lifetime, ResultLifetime: f.ResultLifetime, Plain: f.PlainResponse,
		KeepPresentation: f.KeepPresentation, SeveralPeople: f.SeveralPeople, Webhook: f.Webhook, ReturnTo: f.ReturnTo,
	}
	if p.Lifetime == 0 {
		p.Lifetime = oid4vp.MaxLife
	}
	if p.ResultLifetime == 0 {
		p.ResultLifetime = 10 * time.Minute
	}
	switch {
	case !policyName.MatchString(p.ID):
		return nil, fmt.Errorf("the name %q cannot be", p.ID)
	case p.Version < 1:
		return nil, errors.New("version is not set")
	case f.RetentionDays == nil:
		return nil, errors.New("retention_days is not set; 0 if nothing is kept")
	case *f.RetentionDays < 0 || *f.RetentionDays > 36500:
		return nil, errors.New("retention_days must be 0 to 36500")
	case p.Lifetime < 0 || p.Lifetime > oid4vp.MaxLife:
		return nil, fmt.Errorf("lifetime must be at most %s", oid4vp.MaxLife)
	case p.ResultLifetime < 0 || p.ResultLifetime > maxResultLifetime:
		return nil, fmt.Errorf("result_lifetime must be at most %s", maxResultLifetime)
	case p.StatusFresh < 0:
		return nil, errors.New("status_fresh is negative")
	case p.Prefix != "" && !slices.Contains([]oid4vp.Prefix{oid4vp.X509Hash, oid4vp.X509SANDNS, oid4vp.DecentralizedIdentifier, oid4vp.RedirectURI}, p.Prefix):
		return nil, fmt.Errorf("verifier.prefix %q cannot be", p.Prefix)
	}
	p.Retention = time.Duration(*f.RetentionDays) * 24 * time.Hour
	for what, texts := range map[string]map[string]string{"verifier.name": p.Name, "purpose": p.Purpose} {
		if err := checkTexts(what, texts); err != nil {
			return nil, err
		}
	}
	// What is not readable to a wallet is not sent: with the longest client identifier that
	// there is, so that no request fails for the policy's sake.
	if _, err := p.info().Info(oid4vp.ClientID{Prefix: oid4vp.PreRegistered, Name: strings.Repeat("x", 2048)}); err != nil {
		return nil, fmt.Errorf("verifier.name and purpose are more than a request can hold: %w", err)
	}
	if err := f.query(p); err != nil {
		return nil, err
	}
	if err := f.transactions(p); err != nil {
		return nil, err
	}
	for what, addresses := range map[string][]string{"webhook": {p.Webhook}, "return_to": p.ReturnTo} {
		for _, a := range addresses {
			if err := checkAddress(a); err != nil && !(what == "webhook" && a == "") {
				return nil, fmt.Errorf("%s: %w", what, err)
			}
		}
	}
	return p, nil
}

func checkTexts(what string, texts map[string]string) error {
	if len(texts) == 0 || len(texts) > maxLanguages {
		return fmt.Errorf("%s needs a text in at least one language", what)
	}
	for language, text := range texts {
		if language == "" || strings.TrimSpace(text) == "" || len(text) > maxText {
			return fmt.Errorf("%s: a text is empty or longer than %d bytes", what, maxText)
		}
	}
	return nil
}

// checkAddress takes https addresses, and plain http on the loopback for development.
func checkAddress(a string) error {
	u, err := url.Parse(a)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return errors.New("not an address https://HOST/PATH")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())) {
		return errors.New("not an address https://HOST/PATH")
	}
	return nil
}

func (f *policyFile) query(p *Policy) error {
	if (len(f.Ask) == 0) == (len(f.Query) == 0) {
		return errors.New("either ask or query must be set")
	}
	if len(f.Query) > 0 {
		b, err := json.Marshal(f.Query)
		if err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if p.Query, err = oid4vp.ParseQuery(b); err != nil {
			return fmt.Errorf("query: %w", err)
		}
	} else {
		if len(f.Ask) > maxAsked {
			return fmt.Errorf("ask names more than %d credentials", maxAsked)
		}
		p.Query = &oid4vp.Query{}
		for _, a := range f.Ask {
			c, err := a.query()
			if err != nil {
				return fmt.Errorf("ask %s: %w", a.ID, err)
			}
			p.Query.Credentials = append(p.Query.Credentials, c)
		}
		// What a wallet would refuse is refused here.
		b, err := p.Query.JSON()
		if err == nil {
			_, err = oid4vp.ParseQuery(b)
		}
		if err != nil {
			return fmt.Errorf("ask: %w", err)
		}
	}
	if err := p.Query.Validate(); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	for _, c := range p.Query.Credentials {
		if len(c.Types) == 0 {
			return fmt.Errorf("%s: a policy must name the types that it asks for", c.ID)
		}
		// Only the key identifiers of certificates are compared with what is shown (HAIP
		// section 5): by other kinds alone no answer would ever do.
		if len(c.Authorities) > 0 && !slices.ContainsFunc(c.Authorities, func(a oid4vp.Authority) bool { return a.Type == oid4vp.AKI }) {
			return fmt.Errorf("%s: trusted_authorities of the type %s cannot be checked here, only aki", c.ID, c.Authorities[0].Type)
		}
	}
	return nil
}

func (a *askFile) query() (oid4vp.CredentialQuery, error) {
	c := oid4vp.CredentialQuery{ID: a.ID, Format: credential.FormatSDJWT, Types: a.Types, Multiple: a.Several, Unbound: a.WithoutHolder}
	if len(a.Claims) > 2*maxAsked {
		return c, fmt.Errorf("more than %d claims", 2*maxAsked)
	}
	for _, v := range a.Claims {
		q, err := claimQuery(v)
		if err != nil {
			return c, err
		}
		c.Claims = append(c.Claims, q)
	}
	return c, nil
}

// claimQuery reads a claim of the short form.
func claimQuery(v any) (oid4vp.ClaimQuery, error) {
	wrong := errors.New("a claim is a name such as address.street, or {path: [...], values: [...]}")
	switch v := v.(type) {
	case string:
		var path sdjwt.Path
		for _, step := range strings.Split(v, ".") {
			if step == "" {
				return oid4vp.ClaimQuery{}, wrong
			}
			path = append(path, step)
		}
		return oid4vp.ClaimQuery{Path: path}, nil
	case map[string]any:
		path, ok := v["path"].([]any)
		values, listed := v["values"].([]any)
		for name := range v {
			ok = ok && (name == "path" || name == "values" && listed)
		}
		if !ok {
			return oid4vp.ClaimQuery{}, wrong
		}
		for i, value := range values {
			if n, ok := value.(int); ok {
				values[i] = int64(n)
			}
		}
		return oid4vp.ClaimQuery{Path: path, Values: values}, nil
	}
	return oid4vp.ClaimQuery{}, wrong
}

func (f *policyFile) transactions(p *Policy) error {
	for _, t := range f.Transactions {
		if t.Type == "" || len(t.Credentials) == 0 || len(t.Fields) == 0 || len(t.Fields) > maxAsked {
			return errors.New("transaction_data needs type, credentials and fields")
		}
		for _, id := range t.Credentials {
			if c := p.Query.Credential(id); c == nil || c.Unbound {
				return fmt.Errorf("transaction_data %s: the credential %q is not asked for with proof by its holder", t.Type, id)
			}
		}
		if slices.ContainsFunc(p.Transactions, func(r TransactionRule) bool { return r.Type == t.Type }) {
			return fmt.Errorf("transaction_data %s stands there twice", t.Type)
		}
		p.Transactions = append(p.Transactions, TransactionRule{t.Type, t.Credentials, t.Fields, t.Required})
	}
	return nil
}

// info is what the holder is told.
func (p *Policy) info() *oid4vp.Policy {
	return &oid4vp.Policy{Name: p.Name, Purpose: p.Purpose, Retention: p.Retention, Reference: fmt.Sprintf("%s/%d", p.ID, p.Version)}
}

// errOverAsking: a request wants more than its policy names.
var errOverAsking = errors.New("the policy does not name that")

// less is the query of the policy with only these claims, by credential and path. A
// credential that is not named stays as it is.
func (p *Policy) less(claims map[string][]string) (*oid4vp.Query, error) {
	if len(claims) == 0 {
		return p.Query, nil
	}
	q := &oid4vp.Query{Sets: p.Query.Sets}
	left := maps.Clone(claims)
	for _, c := range p.Query.Credentials {
		names, ok := left[c.ID]
		delete(left, c.ID)
		if ok {
			if c.ClaimSets != nil {
				return nil, fmt.Errorf("%w: the claims of %s are asked for in sets", errOverAsking, c.ID)
			}
			var some []oid4vp.ClaimQuery
			for _, name := range names {
				i := slices.IndexFunc(c.Claims, func(q oid4vp.ClaimQuery) bool { return oid4vp.PathText(q.Path) == name })
				if i < 0 {
					return nil, errOverAsking
				}
				some = append(some, c.Claims[i])
			}
			c.Claims = some
		}
		q.Credentials = append(q.Credentials, c)
	}
	if len(left) > 0 {
		return nil, errOverAsking
	}
	return q, q.Validate()
}
