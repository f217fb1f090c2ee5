package verifier_test

import (
	"bytes"
	"compress/zlib"
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
	"github.com/sanad-id/sanad/trust"
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
	above    func(*x509.Certificate) // changes lower
	key      keys.Signer
	issuer   string
	settings verifier.IssuerRoot

	signed   bool                    // the list names its key by a certificate
	listed   time.Time               // when the list was made
	listKey  string                  // the name of the authority that certified its key
	listLeaf func(*x509.Certificate) // changes the certificate of that key
	signs    string                  // the name of the key that signs the list
	value    byte                    // of the credential in it
	entries  uint64                  // of the list
	claims   func(map[string]any)    // changes the list
	typ      string                  // of the list
	own      [][]byte                // the issuer's certificates, if its own key signs the list
	token    func([]byte) []byte     // changes what is answered
	answered []byte                  // the last answer, and the next one if it stays
	stays    bool
	away     error                   // the list is not to be had
	asked    []string                // addresses that were asked for
	change   func(*scene)            // changes the verifier
	x5cAs    func([][]byte) [][]byte // changes the chain
}

func newStranger(t testing.TB) *stranger {
	p := &stranger{
		t: t, issuer: university, key: keystest.Signer(t, keys.Credential, keys.ES256, "university"), leaf: func(*x509.Certificate) {}, above: func(*x509.Certificate) {},
		signed: true, listed: now.Add(-time.Hour), listKey: "root", listLeaf: func(*x509.Certificate) {}, signs: "list", entries: 64,
		claims: func(map[string]any) {}, typ: status.TypeJWT, token: func(b []byte) []byte { return b },
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
	p.lower = p.certificate("lower", upper, "upper", func(c *x509.Certificate) {
		authority(c)
		p.above(c)
	})
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
	if p.answered == nil || !p.stays {
		p.answered = p.token(p.list())
	}
	return p.answered, nil
}

// list is the Status List Token now.
func (p *stranger) list() []byte {
	p.t.Helper()
	l := must(status.NewList(2, p.entries))(p.t)
	if err := l.Set(3, p.value); err != nil {
		p.t.Fatal(err)
	}
	above := p.root
	if p.listKey != "root" {
		above = p.certificate(p.listKey, nil, p.listKey, authority)
	}
	header := jose.Header{Type: p.typ}
	if p.signed {
		header.X5C = [][]byte{p.certificate("list", above, p.listKey, p.listLeaf).Raw}
	}
	// The writer of ours has no room for a certificate.
	token := must(status.SignJWT(rand.Reader, keystest.Signer(p.t, keys.StatusList, keys.ES256, "list"),
		status.TokenInfo{URI: theirList, IssuedAt: p.listed, Expires: p.listed.AddDate(0, 0, 7), TTL: time.Hour, List: l}, p.listed, jose.Tokens{}))(p.t)
	var claims map[string]any
	if err := json.Unmarshal(must(strict.DecodeBase64URL(strings.Split(string(token), ".")[1]))(p.t), &claims); err != nil {
		p.t.Fatal(err)
	}
	p.claims(claims)
	if p.own != nil {
		header.X5C = p.own
		return must(jose.Sign(rand.Reader, p.key, header, must(json.Marshal(claims))(p.t)))(p.t)
	}
	return must(jose.Sign(rand.Reader, keystest.Signer(p.t, keys.StatusList, keys.ES256, p.signs), header, must(json.Marshal(claims))(p.t)))(p.t)
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

// present has the wallet answer a policy of a new verifier.
func (p *stranger) present(policy string) (*verifier.Result, string) {
	p.t.Helper()
	return p.presentTo(p.scene(), policy)
}

// presentTo has the wallet answer a policy, and returns the result with all that was answered.
func (p *stranger) presentTo(s *scene, policy string) (*verifier.Result, string) {
	p.t.Helper()
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

// TestCertificatesRefuse spoils one thing at a time. All causes of one reason have words of
// their own beside it.
func TestCertificatesRefuse(t *testing.T) {
	const unknown, invalid = verification.Undetermined, verification.Invalid
	unmet := func(name, cause string, spoil func(*stranger)) certificateRow {
		return certificateRow{name, spoil, unknown, "unknown_issuer", cause, 0}
	}
	tests := []certificateRow{
		unmet("JWS-18 no root at all", "", func(p *stranger) { p.change = func(s *scene) { s.roots = nil } }),
		unmet("JWS-18 an unknown root", "certificates: chain: no path to a trusted root\"", func(p *stranger) {
			p.settings.Certificates = []*x509.Certificate{p.certificate("other", nil, "other", authority)}
		}),
		unmet("JWS-18 order shuffled", "not in its order", func(p *stranger) {
			p.x5cAs = func(c [][]byte) [][]byte { return [][]byte{c[0], c[2], c[1]} }
		}),
		unmet("JWS-18 the first is an authority", "is one of an authority", func(p *stranger) { p.leaf = authority }),
		{"JWS-18 50 certificates", func(p *stranger) {
			p.change = func(s *scene) {
				s.shown = func(text string) string { return manyCertificates(t, text) }
			}
		}, invalid, "too_large", "", 0},
		unmet("X-05 the root in the chain", "trust anchor inside of the chain", func(p *stranger) {
			p.x5cAs = func(c [][]byte) [][]byte { return append(c, p.root.Raw) }
		}),
		unmet("X-05 a self-signed leaf", "self-signed", func(p *stranger) {
			p.x5cAs = func([][]byte) [][]byte {
				return [][]byte{p.certificate("university", nil, "university", addressed(university)).Raw}
			}
		}),
		unmet("X-05 a self-signed leaf that is a root of the settings", "self-signed", func(p *stranger) {
			own := p.certificate("university", nil, "university", addressed(university))
			p.settings.Certificates = append(p.settings.Certificates, own)
			p.x5cAs = func([][]byte) [][]byte { return [][]byte{own.Raw} }
		}),
		unmet("X-01 an expired leaf", "has expired: certificate 1", func(p *stranger) { p.leaf = ended }),
		unmet("X-01 an expired authority", "has expired: certificate 2", func(p *stranger) { p.above = ended }),
		unmet("X-01 an expired root", "or the root", func(p *stranger) {
			p.settings.Certificates = []*x509.Certificate{p.certificate("root", nil, "root", func(c *x509.Certificate) {
				authority(c)
				ended(c)
			})}
		}),
		unmet("X-01 a leaf that is not valid yet", "not valid yet: certificate 1", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }
		}),
		unmet("X-02 an authority that is for other names", "may not sign for this name", func(p *stranger) {
			p.above = func(c *x509.Certificate) {
				c.PermittedURIDomains, c.PermittedDNSDomainsCritical = []string{"college.xb"}, true
			}
		}),
		unmet("a leaf for time stamps", "certificate 1: chain: certificate for another use", func(p *stranger) { p.leaf = used(x509.ExtKeyUsageTimeStamping) }),
		unmet("an authority for time stamps", "certificate 2: chain: certificate for another use", func(p *stranger) { p.above = used(x509.ExtKeyUsageTimeStamping) }),
		unmet("a leaf that is not for signatures", "not for digital signatures", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }
		}),
		unmet("X-07 a leaf of another country", "another country", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.Subject.Country = []string{"XC"} }
		}),
		unmet("no certificate", "", func(p *stranger) { p.x5cAs = func([][]byte) [][]byte { return nil } }),

		{"X-02 the certificate names another address", func(p *stranger) { p.leaf = addressed("https://college.xb") }, invalid, "wrong_issuer", "", 0},
		{"X-02 the certificate names no address", func(p *stranger) { p.leaf = func(c *x509.Certificate) { c.URIs = nil } }, invalid, "wrong_issuer", "", 0},
		{"signed with another key than the certificate's", func(p *stranger) { p.key = keystest.Signer(t, keys.Credential, keys.ES256, "thief") }, invalid, "bad_signature", "", 0},
		{"issued before the certificate", func(p *stranger) {
			p.leaf = func(c *x509.Certificate) { c.NotBefore = asOf }
		}, invalid, "key_not_in_window", "before the key came into use", 1},
		{"issued after the authority ends", func(p *stranger) {
			p.above = func(c *x509.Certificate) { c.NotAfter = now.Add(time.Minute) }
			p.change = func(s *scene) { s.token.IssuedAt = now.Add(2 * time.Minute) }
		}, invalid, "key_not_in_window", "after the key went out of use", 1},
		{"a type that the root is not for", func(p *stranger) { p.settings.Types = []string{diploma} }, unknown, "unknown_type", "under this root", 0},

		{"revoked", func(p *stranger) { p.value = status.Invalid }, invalid, "revoked", "", 1},
		{"suspended", func(p *stranger) { p.value = status.Suspended }, invalid, "suspended", "", 1},
		{"ST-09 a value without a meaning", bits(func(l map[string]any) { l["lst"] = zlibbed(bytes.Repeat([]byte{0xff}, 16)) }), unknown, "status_unknown_value", "the list says 3", 1},
		{"ST-02 a slot beyond the list", func(p *stranger) { p.change = func(s *scene) { s.token.Status.Index = 64 } }, invalid, "status_out_of_range", "", 1},
		{"ST-02 a slot beyond the list, by its bits", bits(func(l map[string]any) { l["bits"], l["lst"] = 8, zlibbed([]byte{0, 0, 0}) }), invalid, "status_out_of_range", "", 1},
		{"ST-05 a list older than the settings allow", func(p *stranger) { p.listed = now.Add(-25 * time.Hour) }, unknown, "status_old", "list older than", 1},
		{"ST-06 a list by a key under another root of the settings", func(p *stranger) {
			p.listKey = "other"
			p.change = func(s *scene) {
				other := p.settings
				other.Certificates = []*x509.Certificate{p.certificate("other", nil, "other", authority)}
				s.roots = append(s.roots, other)
			}
		}, unknown, "status_unavailable", "is not at hand: chain: no path to a trusted root", 1},

		unmet("an issuer that the bundle names by its id", "", func(p *stranger) { p.issuer = ministry }),
		unmet("an issuer that the bundle names", "", func(p *stranger) { p.issuer, p.leaf = "https://agri.xa", addressed("https://agri.xa") }),
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
		}, invalid, "wrong_issuer", "", 0},
		unmet("a stolen key that the bundle has in a form which this program cannot use", "the trust bundle has this key", func(p *stranger) {
			p.change = func(s *scene) {
				issuer := &s.bundle.Load().Issuers[0] // as it is opened then
				issuer.Keys = append(issuer.Keys, trust.IssuerKey{KeyID: p.key.Key().ID(), State: keys.Compromised, CompromisedSince: asOf})
			}
		}),
		{"no bundle, which would say whom it names", func(p *stranger) { p.change = func(s *scene) { s.bundle.Store(nil) } }, unknown, "no_trust", "", 0},
		{"a clock behind the bundle", func(p *stranger) {
			p.listed = asOf.Add(-time.Hour)
			p.change = func(s *scene) { s.clock.Store(int64(-48 * time.Hour)) }
		}, verification.CheckNeeded, "clock_doubtful", "", 1},
		unmet("a clock that is years ahead", "more than a year ahead", func(p *stranger) {
			p.change = func(s *scene) { s.clock.Store(int64(367 * 24 * time.Hour)) }
		}),
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newStranger(t)
			tt.spoil(p)
			result, body := p.present("card")
			if result.Verdict != tt.verdict || !slices.Contains(result.Reasons, tt.reason) || !strings.Contains(body, tt.cause) || len(p.asked) != tt.asked {
				t.Errorf("%s %q, asked %q; want %s for %s with %q, asked %d times\n%s", result.Verdict, result.Reasons, p.asked, tt.verdict, tt.reason, tt.cause, tt.asked, body)
			}
		})
	}
}

// A certificateRow is a refusal, with words of its detail: how often the list is asked for says
// that nothing is asked of anybody for a credential that is refused anyway.
type certificateRow struct {
	name    string
	spoil   func(*stranger)
	verdict verification.Verdict
	reason  string
	cause   string
	asked   int
}

// TestListsOfStrangersRefuse spoils one thing of a status list at a time: nothing is said about
// the credential then, and the report says what was wrong with the list.
func TestListsOfStrangersRefuse(t *testing.T) {
	p := newStranger(t)
	s := p.scene()
	good := *p
	for _, tt := range []struct {
		name, cause string
		spoil       func(*stranger)
	}{
		{"ST-05 a list that has expired", "status: token has expired", func(p *stranger) { p.listed = now.AddDate(0, 0, -8) }},
		{"ST-05 a list that expires now", "status: token has expired", listed(func(c map[string]any) { c["exp"] = now.Unix() })},
		{"ST-05 a list of the future", "status: token is issued in the future", func(p *stranger) { p.listed = now.Add(2 * time.Minute) }},
		{"ST-05 a list that says no time", "status: malformed: status list token: iat", listed(func(c map[string]any) { delete(c, "iat") })},
		{"ST-05 a list without an end", "status: token has no lifetime", listed(func(c map[string]any) {
			delete(c, "exp")
			delete(c, "ttl")
		})},
		{"ST-14 a list that is not to be had", "no answer", func(p *stranger) { p.away = errors.New("no answer") }},
		{"ST-06 a list by a key under another root", "chain: no path to a trusted root", func(p *stranger) { p.listKey = "other" }},
		{"ST-06 a list by a key that nobody certified", "chain: malformed: no certificate", func(p *stranger) { p.signed = false }},
		{"ST-06 a list by another key than the certificate's", "status: no trusted key signed", func(p *stranger) { p.signs = "thief" }},
		{"ST-06 a list by a key whose certificate has ended", "chain: certificate has expired", func(p *stranger) { p.listLeaf = ended }},
		{"ST-06 a list by a key that is not certified for it", "certificate for another use: its extended key usage", func(p *stranger) { p.listLeaf = used(x509.ExtKeyUsageOCSPSigning) }},
		{"ST-06 a list by an authority", "is one of an authority", func(p *stranger) { p.listLeaf = authority }},
		{"ST-06 a list that nobody signed", "jose: no signature", func(p *stranger) {
			p.token = func(b []byte) []byte {
				return []byte(strict.Base64URL([]byte(`{"alg":"none","typ":"statuslist+jwt"}`)) + "." + strings.Split(string(b), ".")[1] + ".")
			}
		}},
		{"ST-04 a list of another address", "status: token of another list", listed(func(c map[string]any) { c["sub"] = "https://status.xb/8" })},
		{"ST-04 a list of no address", "status: token of another list", listed(func(c map[string]any) { delete(c, "sub") })},
		{"JWS-08 a token of another kind in place of the list", "status: not a status list token", func(p *stranger) { p.typ = "JWT" }},
		{"JWS-08 the type of the other form of lists", "status: not a status list token", func(p *stranger) { p.typ = status.MediaType }},
		{"ST-14, JWS-08 a page in place of the list", "jose: malformed", func(p *stranger) { p.token = func([]byte) []byte { return []byte("<!doctype html>") } }},
		{"a list of more than it may have", "jose: too large", func(p *stranger) {
			p.token = func(b []byte) []byte { return append(b, bytes.Repeat([]byte("A"), 4<<20)...) }
		}},
		{"ST-01 a list that inflates without end", "status: too large: list inflates", bits(func(l map[string]any) { l["lst"] = zlibbed(make([]byte, status.MaxBytes+1)) })},
		{"ST-03 a list of 3 bits", "status: bits per entry not allowed: 3", bits(func(l map[string]any) { l["bits"] = 3 })},
		{"ST-03 a list of 16 bits", "status: bits per entry not allowed: 16", bits(func(l map[string]any) { l["bits"] = 16 })},
		{"ST-03 a list without bits", "status: malformed: bits and lst are required", bits(func(l map[string]any) { delete(l, "bits") })},
		{"ST-13 a list that is no zlib", "status: malformed: not zlib data", bits(func(l map[string]any) { l["lst"] = strict.Base64URL([]byte("not zlib")) })},
		{"a token without a list", "status: malformed: status list token without status_list", listed(func(c map[string]any) { delete(c, "status_list") })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(tt.name, "ST-01 ") {
				t.Skip("under the race detector 16 MiB take longer than a request may")
			}
			*p = good
			tt.spoil(p)
			result, body := p.presentTo(s, "card")
			if !slices.Equal(result.Reasons, []string{"status_unavailable"}) || result.Verdict != verification.Undetermined || len(p.asked) != 1 ||
				!strings.Contains(body, "is not at hand: ") || !strings.Contains(body, tt.cause) {
				t.Errorf("%s %q, asked %q; want undetermined with %q\n%s", result.Verdict, result.Reasons, p.asked, tt.cause, body)
			}
		})
	}
	*p = good
	if result, body := p.presentTo(s, "card"); result.Verdict != verification.Valid {
		t.Errorf("the good list after all that: %s", body)
	}
}

// TestListsOfStrangersServe: what a list may be like.
func TestListsOfStrangersServe(t *testing.T) {
	p := newStranger(t)
	p.settings.Certificates = append(p.settings.Certificates, p.certificate("other", nil, "other", authority))
	s := p.scene()
	good := *p
	for _, tt := range []struct {
		name   string
		change func(*stranger)
	}{
		{"without ttl", listed(func(c map[string]any) { delete(c, "ttl") })},
		{"without exp", listed(func(c map[string]any) { delete(c, "exp") })},
		{"of 1 bit", bits(func(l map[string]any) { l["bits"], l["lst"] = 1, zlibbed([]byte{0xf7}) })},
		{"of 8 bits", bits(func(l map[string]any) { l["bits"], l["lst"] = 8, zlibbed([]byte{1, 1, 1, 0}) })},
		{"by a certificate for TLS", func(p *stranger) { p.listLeaf = used(x509.ExtKeyUsageServerAuth) }},
		{"by the issuer's own key and certificate", func(p *stranger) { p.own = s.token.X5C }},
		{"under another certificate of the root, which is being replaced", func(p *stranger) { p.listKey = "other" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			*p = good
			tt.change(p)
			if result, body := p.presentTo(s, "card"); result.Verdict != verification.Valid {
				t.Errorf("%s", body)
			}
		})
	}
}

// listed changes the claims of a list, bits those of its status_list.
func listed(change func(map[string]any)) func(*stranger) {
	return func(p *stranger) { p.claims = change }
}

func bits(change func(map[string]any)) func(*stranger) {
	return listed(func(c map[string]any) { change(c["status_list"].(map[string]any)) })
}

func used(use x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{use} }
}

func ended(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }

// zlibbed is the lst of a list with these bytes.
func zlibbed(b []byte) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = w.Write(b) // to memory
	_ = w.Close()
	return strict.Base64URL(out.Bytes())
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
