package verifier_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/verification"
)

const (
	university = "https://university.xb"
	theirList  = "https://status.xb/7"
	rootName   = "Universities of Xb"
)

// A stranger is an issuer that no bundle names: a root, two authorities below and the
// certificate of its key, and a status list with a key of its own.
type stranger struct {
	t    testing.TB
	n    int64
	root *x509.Certificate
	// lower is the authority above the leaf.
	lower    *x509.Certificate
	leaf     func(*x509.Certificate) // changes the leaf
	key      keys.Signer
	issuer   string
	settings verifier.IssuerRoot

	signed  bool                    // the list names its key by a certificate
	listed  time.Time               // when the list was made
	listKey string                  // the name of the authority that certified its key
	value   byte                    // of the credential in it
	claims  func(map[string]any)    // changes the list
	typ     string                  // of the list
	away    error                   // the list is not to be had
	asked   []string                // addresses that were asked for
	change  func(*scene)            // changes the verifier
	x5cAs   func([][]byte) [][]byte // changes the chain
}

func newStranger(t testing.TB) *stranger {
	p := &stranger{
		t: t, issuer: university, key: keystest.Signer(t, keys.Credential, keys.ES256, "university"), leaf: func(*x509.Certificate) {},
		signed: true, listed: now.Add(-time.Hour), listKey: "root", claims: func(map[string]any) {}, typ: status.TypeJWT,
		change: func(*scene) {}, x5cAs: func(x5c [][]byte) [][]byte { return x5c },
	}
	p.root = p.certificate("root", nil, "root", authority)
	p.settings = verifier.IssuerRoot{Name: rootName, Certificates: []*x509.Certificate{p.root}, Types: []string{farmer}, StatusFresh: 24 * time.Hour}
	return p
}

func (p *stranger) private(name string) crypto.Signer { return keystest.Private(p.t, keys.ES256, name) }

// certificate is one for the key of this name, by another.
func (p *stranger) certificate(name string, parent *x509.Certificate, by string, change func(*x509.Certificate)) *x509.Certificate {
	p.t.Helper()
	p.n++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(p.n), Subject: pkix.Name{CommonName: "The " + name, Country: []string{"XB"}}, NotBefore: start, NotAfter: now.AddDate(3, 0, 0),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(c)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, p.private(name).Public(), p.private(by))
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

func addressed(address string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		u, err := url.Parse(address)
		if err != nil {
			panic(err)
		}
		c.URIs = []*url.URL{u}
	}
}

// certify makes the chain of the leaf.
func (p *stranger) certify() [][]byte {
	upper := p.certificate("upper", p.root, "root", authority)
	p.lower = p.certificate("lower", upper, "upper", authority)
	leaf := p.certificate("university", p.lower, "lower", func(c *x509.Certificate) {
		addressed(university)(c)
		p.leaf(c)
	})
	return p.x5cAs([][]byte{leaf.Raw, p.lower.Raw, upper.Raw})
}

// List implements [verifier.ListSource].
func (p *stranger) List(_ context.Context, address string) ([]byte, error) {
	p.asked = append(p.asked, address)
	if p.away != nil {
		return nil, p.away
	}
	l, err := status.NewList(2, 64)
	if err != nil {
		return nil, err
	}
	if err := l.Set(3, p.value); err != nil {
		return nil, err
	}
	above := p.root
	if p.listKey != "root" {
		above = p.certificate(p.listKey, nil, p.listKey, authority)
	}
	header := jose.Header{Type: p.typ}
	if p.signed {
		header.X5C = [][]byte{p.certificate("list", above, p.listKey, func(*x509.Certificate) {}).Raw}
	}
	// The writer of ours has no room for a certificate.
	token, err := status.SignJWT(rand.Reader, keystest.Signer(p.t, keys.StatusList, keys.ES256, "list"),
		status.TokenInfo{URI: theirList, IssuedAt: p.listed, Expires: p.listed.AddDate(0, 0, 7), TTL: time.Hour, List: l}, p.listed, jose.Tokens{})
	if err != nil {
		return nil, err
	}
	payload, err := strict.DecodeBase64URL(strings.Split(string(token), ".")[1])
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	p.claims(claims)
	if payload, err = json.Marshal(claims); err != nil {
		return nil, err
	}
	return jose.Sign(rand.Reader, keystest.Signer(p.t, keys.StatusList, keys.ES256, "list"), header, payload)
}

// scene is a verifier that knows the stranger's root, and a wallet with its card.
func (p *stranger) scene() *scene {
	return newScene(p.t, func(s *scene) {
		s.roots, s.lists = []verifier.IssuerRoot{p.settings}, p
		s.signer = p.key
		s.token.Issuer, s.token.X5C, s.token.Status.URI = p.issuer, p.certify(), theirList
		p.change(s)
	})
}

// present has the wallet answer a policy, and returns the result with all that was answered.
func (p *stranger) present(policy string) (*verifier.Result, string) {
	p.t.Helper()
	s := p.scene()
	c := s.create(p.t, object{"policy": policy})
	s.respond(p.t, c.Link)
	g := s.relying(p.t, "GET", "/requests/"+c.ID, nil)
	_, result := s.state(p.t, c.ID)
	if result == nil {
		p.t.Fatalf("no result: %s", g.body)
	}
	return result, string(g.body)
}

// TestIssuersByCertificate: HAIP 1.0 section 6.1.1, for who is under a root of the settings.
func TestIssuersByCertificate(t *testing.T) {
	p := newStranger(t)
	result, body := p.present("card")
	if result.Verdict != verification.Valid || len(result.Reasons) != 0 || claims(result.Presentations[0])["full_name"] != person {
		t.Errorf("%+v", result)
	}
	if !slices.Equal(p.asked, []string{theirList}) {
		t.Errorf("asked %q", p.asked)
	}
	for _, want := range []string{`"vouched_by":"` + rootName + `"`, `"bundle_version":0`, `"issuer":"` + university + `"`, `"status_age_s":3600`} {
		if !strings.Contains(body, want) {
			t.Errorf("the report does not say %s: %s", want, body)
		}
	}
}

// TestCertificatesRefuse spoils one thing at a time.
func TestCertificatesRefuse(t *testing.T) {
	const unknown, invalid = verification.Undetermined, verification.Invalid
	unlisted := func(name string, spoil func(*stranger)) certificateRow {
		return certificateRow{name, spoil, unknown, "status_unavailable", 1}
	}
	tests := []certificateRow{
		{"JWS-18 no root at all", func(p *stranger) { p.change = func(s *scene) { s.roots = nil } }, unknown, "unknown_issuer", 0},
		{"JWS-18 an unknown root", func(p *stranger) {
			p.settings.Certificates = []*x509.Certificate{p.certificate("other", nil, "other", authority)}
		}, unknown, "unknown_issuer", 0},
		{"JWS-18 order shuffled", func(p *stranger) {
			p.x5cAs = func(c [][]byte) [][]byte { return [][]byte{c[0], c[2], c[1]} }
		}, unknown, "unknown_issuer", 0},
		{"JWS-18 the first is an authority", func(p *stranger) { p.leaf = authority }, unknown, "unknown_issuer", 0},
		{"JWS-18 50 certificates", func(p *stranger) {
			p.change = func(s *scene) {
				s.shown = func(text string) string { return manyCertificates(t, text) }
			}
		}, invalid, "too_large", 0},
		{"X-05 the root in the chain", func(p *stranger) {
			p.x5cAs = func(c [][]byte) [][]byte { return append(c, p.root.Raw) }
		}, unknown, "unknown_issuer", 0},
		{"X-05 a self-signed leaf", func(p *stranger) {
			p.x5cAs = func([][]byte) [][]byte {
				return [][]byte{p.certificate("university", nil, "university", addressed(university)).Raw}
			}
		}, unknown, "unknown_issuer", 0},
		{"X-05 a self-signed leaf that is a root of the settings", func(p *stranger) {
			own := p.certificate("university", nil, "university", addressed(university))
			p.settings.Certificates = append(p.settings.Certificates, own)
			p.x5cAs = func([][]byte) [][]byte { return [][]byte{own.Raw} }
		}, unknown, "unknown_issuer", 0},
		{"X-01 an expired leaf", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }
		}, unknown, "unknown_issuer", 0},
		{"no certificate", func(p *stranger) { p.x5cAs = func([][]byte) [][]byte { return nil } }, unknown, "unknown_issuer", 0},

		{"X-02 the certificate names another address", func(p *stranger) { p.leaf = addressed("https://college.xb") }, invalid, "wrong_issuer", 0},
		{"X-02 the certificate names no address", func(p *stranger) { p.leaf = func(c *x509.Certificate) { c.URIs = nil } }, invalid, "wrong_issuer", 0},
		{"signed with another key than the certificate's", func(p *stranger) { p.key = keystest.Signer(t, keys.Credential, keys.ES256, "thief") }, invalid, "bad_signature", 0},
		{"issued before the certificate", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.NotBefore = asOf }
		}, invalid, "key_not_in_window", 1},
		{"a type that the root is not for", func(p *stranger) { p.settings.Types = []string{diploma} }, unknown, "unknown_type", 0},

		{"revoked", func(p *stranger) { p.value = status.Invalid }, invalid, "revoked", 1},
		{"suspended", func(p *stranger) { p.value = status.Suspended }, invalid, "suspended", 1},
		{"a slot beyond the list", func(p *stranger) { p.change = func(s *scene) { s.token.Status.Index = 64 } }, invalid, "status_out_of_range", 1},
		{"a list older than the settings allow", func(p *stranger) { p.listed = now.Add(-25 * time.Hour) }, unknown, "status_old", 1},
		unlisted("a list that has expired", func(p *stranger) { p.listed = now.AddDate(0, 0, -8) }),
		unlisted("a list that is not to be had", func(p *stranger) { p.away = errors.New("no answer") }),
		unlisted("a list by a key under another root", func(p *stranger) { p.listKey = "other" }),
		unlisted("a list by a key under another root of the settings", func(p *stranger) {
			p.listKey = "other"
			p.change = func(s *scene) {
				other := p.settings
				other.Certificates = []*x509.Certificate{p.certificate("other", nil, "other", authority)}
				s.roots = append(s.roots, other)
			}
		}),
		unlisted("a list by a key that nobody certified", func(p *stranger) { p.signed = false }),
		unlisted("a list of another address", func(p *stranger) { p.claims = func(c map[string]any) { c["sub"] = "https://status.xb/8" } }),
		unlisted("a token of another kind in place of the list", func(p *stranger) { p.typ = "JWT" }),

		{"an issuer that the bundle names by its id", func(p *stranger) { p.issuer = ministry }, unknown, "unknown_issuer", 0},
		{"an issuer that the bundle names", func(p *stranger) { p.issuer, p.leaf = "https://agri.xa", addressed("https://agri.xa") }, unknown, "unknown_issuer", 0},
		{"a key that the bundle has, for another issuer", func(p *stranger) {
			p.change = func(s *scene) {
				s.signer = s.issuer
				der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
					SerialNumber: big.NewInt(99), Subject: pkix.Name{CommonName: "Thief", Country: []string{"XB"}}, NotBefore: start, NotAfter: now.AddDate(1, 0, 0),
					BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{{Scheme: "https", Host: "university.xb"}},
				}, p.lower, s.issuer.Key().Public.Crypto(), p.private("lower"))
				if err != nil {
					t.Fatal(err)
				}
				s.token.X5C[0] = der
			}
		}, invalid, "wrong_issuer", 0},
		{"no bundle, which would say whom it names", func(p *stranger) { p.change = func(s *scene) { s.bundle.Store(nil) } }, unknown, "no_trust", 0},
		{"a clock behind the bundle", func(p *stranger) {
			p.listed = asOf.Add(-time.Hour)
			p.change = func(s *scene) { s.clock.Store(int64(-48 * time.Hour)) }
		}, verification.CheckNeeded, "clock_doubtful", 1},
		{"a clock that is years ahead", func(p *stranger) {
			p.change = func(s *scene) { s.clock.Store(int64(367 * 24 * time.Hour)) }
		}, unknown, "unknown_issuer", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newStranger(t)
			tt.spoil(p)
			result, body := p.present("card")
			if result.Verdict != tt.verdict || !slices.Contains(result.Reasons, tt.reason) || len(p.asked) != tt.asked {
				t.Errorf("%s %q, asked %q; want %s for %s, asked %d times\n%s", result.Verdict, result.Reasons, p.asked, tt.verdict, tt.reason, tt.asked, body)
			}
		})
	}
}

// A certificateRow is a refusal: how often the list is asked for says that nothing is asked of
// anybody for a credential that is refused anyway.
type certificateRow struct {
	name    string
	spoil   func(*stranger)
	verdict verification.Verdict
	reason  string
	asked   int
}

// manyCertificates is a credential with 50 certificates in its header, which are counted
// before any signature is looked at.
func manyCertificates(t testing.TB, text string) string {
	t.Helper()
	jwt, rest, _ := strings.Cut(text, "~")
	parts := strings.Split(jwt, ".")
	b, err := strict.DecodeBase64URL(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	header := decode[object](t, b)
	x5c := header["x5c"].([]any)
	header["x5c"] = slices.Repeat(x5c[len(x5c)-1:], 50)
	if b, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	return strict.Base64URL(b) + "." + parts[1] + "." + parts[2] + "~" + rest
}

// TestPolicyLimitsCertificates: what a policy takes is no less for a certificate.
func TestPolicyLimitsCertificates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		listed time.Duration
		reason string
	}{
		{"issuers", time.Hour, verifier.IssuerNotAccepted},
		{"status_fresh", 30 * time.Hour, verifier.StatusTooOld},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newStranger(t)
			p.settings.StatusFresh, p.listed = 48*time.Hour, now.Add(-tt.listed)
			if result, _ := p.present("open"); !slices.Contains(result.Reasons, tt.reason) || result.Verdict == verification.Valid {
				t.Errorf("%s %q, want %s", result.Verdict, result.Reasons, tt.reason)
			}
		})
	}
}

// TestCertificatesOfProofs: POST /verify goes by the same; iss may be left out, and the
// certificate then says who it is, unless that is somebody whom the bundle names.
func TestCertificatesOfProofs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		issuer  any
		leaf    func(*x509.Certificate)
		verdict verification.Verdict
		is      string
	}{
		{"iss", university, func(*x509.Certificate) {}, verification.Valid, university},
		{"the address of the certificate", nil, func(*x509.Certificate) {}, verification.Valid, university},
		{"a certificate without an address", nil, func(c *x509.Certificate) { c.URIs = nil }, verification.Valid, "x509_hash:"},
		{"the address of an issuer of the bundle", nil, addressed("https://agri.xa"), verification.Undetermined, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newStranger(t)
			p.leaf = tt.leaf
			s := p.scene()
			claims := object{"vct": farmer, "iat": asOf.AddDate(0, -1, 0).Unix(), "full_name": person}
			if tt.issuer != nil {
				claims["iss"] = tt.issuer
			}
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			jwt, err := jose.Sign(rand.Reader, p.key, jose.Header{Type: "dc+sd-jwt", X5C: s.token.X5C}, payload)
			if err != nil {
				t.Fatal(err)
			}
			g := s.call(t, "POST", "/verify", "application/dc+sd-jwt", append(jwt, '~'), "Authorization", "Bearer "+apiKey)
			if g.status != http.StatusOK {
				t.Fatalf("%d %s", g.status, g.body)
			}
			report := decode[struct {
				Verdict verification.Verdict
				Issuer  string
			}](t, g.body)
			if report.Verdict != tt.verdict || !strings.HasPrefix(report.Issuer, tt.is) || (tt.is == "") != (report.Issuer == "") {
				t.Errorf("%s by %q, want %s by %q: %s", report.Verdict, report.Issuer, tt.verdict, tt.is, g.body)
			}
		})
	}
}

// TestStrangersSetNoClock: an issue date ahead of all clocks, under a certificate, leaves the
// verdicts on all others as they are.
func TestStrangersSetNoClock(t *testing.T) {
	p := newStranger(t)
	p.change = func(s *scene) { s.token.IssuedAt = now.AddDate(0, 6, 0) }
	s := p.scene()
	c := s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	if _, result := s.state(t, c.ID); result.Verdict != verification.CheckNeeded {
		t.Fatalf("%+v, want the issue date to be doubted", result)
	}
	s.signer, s.token.Issuer, s.token.X5C, s.token.Status.URI, s.token.IssuedAt = s.issuer, ministry, nil, list, asOf.AddDate(0, -1, 0)
	c = s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	if _, result := s.state(t, c.ID); result.Verdict != verification.Valid {
		t.Errorf("%+v", result)
	}
}

// TestRootsNeedAll: what a root of the settings is not complete without.
func TestRootsNeedAll(t *testing.T) {
	good := newStranger(t)
	for _, tt := range []struct {
		name  string
		spoil func(c *verifier.Config)
	}{
		{"a name", func(c *verifier.Config) { c.IssuerRoots[0].Name = "" }},
		{"certificates", func(c *verifier.Config) { c.IssuerRoots[0].Certificates = nil }},
		{"types", func(c *verifier.Config) { c.IssuerRoots[0].Types = nil }},
		{"a type that is one", func(c *verifier.Config) { c.IssuerRoots[0].Types = []string{""} }},
		{"how old a list may be", func(c *verifier.Config) { c.IssuerRoots[0].StatusFresh = 0 }},
		{"who asks for lists", func(c *verifier.Config) { c.Lists = nil }},
		{"certificates of its own", func(c *verifier.Config) { c.IssuerRoots = append(c.IssuerRoots, c.IssuerRoots[0]) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newScene(t).service.Config
			c.IssuerRoots, c.Lists = []verifier.IssuerRoot{good.settings}, good
			tt.spoil(&c)
			if _, err := verifier.New(c); err == nil || !strings.Contains(err.Error(), "verifier: ") {
				t.Errorf("New: %v", err)
			}
		})
	}
}
