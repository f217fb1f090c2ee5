package chain_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	address = "https://registry.gov.xa"
	host    = "registry.gov.xa"
)

func signer(t testing.TB, p keys.Purpose, name string) keys.Signer {
	return keystest.Signer(t, p, keys.ES256, name)
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	return must[*x509.Certificate](t)(x509.ParseCertificate(der))
}

// newRoot is a national root of country XA.
func newRoot(t testing.TB) (*x509.Certificate, keys.Signer) {
	t.Helper()
	s := signer(t, keys.CertificateRoot, "root")
	return parse(t, must[[]byte](t)(chain.NewRoot(rand.Reader, s, chain.Name{Organization: "Xanadu", Country: "XA"}, now, now.AddDate(20, 0, 0)))), s
}

func subject(key keys.PublicKey) chain.Subject {
	return chain.Subject{Name: chain.Name{Organization: "Civil Registry"}, Address: address, Key: key}
}

// credentialKey is the key of the good chain.
func credentialKey(t testing.TB) keys.PublicKey {
	return signer(t, keys.Credential, "issuer").Key().Public
}

func TestIssueAndVerify(t *testing.T) {
	root, rs := newRoot(t)
	for _, alg := range keys.Algorithms() {
		key := keystest.Signer(t, keys.Credential, alg, "issuer").Key().Public
		der := must[[]byte](t)(chain.Issue(rand.Reader, root, rs, subject(key), now, now.AddDate(1, 0, 0)))
		leaf, err := chain.Verify([][]byte{der}, []*x509.Certificate{root}, now,
			chain.Want{Purpose: keys.Credential, DNS: host, URI: address, Country: "XA", Key: key})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		c := leaf.Certificate
		if !leaf.Key.Equal(key) || !leaf.Anchor.Equal(root) || !leaf.NotAfter.Equal(now.AddDate(1, 0, 0)) {
			t.Errorf("%s: leaf %v until %s", alg, leaf.Key, leaf.NotAfter)
		}
		// RFC 5280 sections 4.1.2.2, 4.2.1.1 to 4.2.1.3 and 4.2.1.9.
		if c.KeyUsage != x509.KeyUsageDigitalSignature || c.IsCA || !c.BasicConstraintsValid || c.SerialNumber.BitLen() != 129 ||
			!bytes.Equal(c.AuthorityKeyId, root.SubjectKeyId) || len(c.SubjectKeyId) != 20 || len(root.SubjectKeyId) != 20 {
			t.Errorf("%s: usage %b, authority %v, serial of %d bits", alg, c.KeyUsage, c.IsCA, c.SerialNumber.BitLen())
		}
		if got := c.Subject.String(); got != "CN=Civil Registry,O=Civil Registry,C=XA" {
			t.Errorf("subject %q", got)
		}
	}
	if !root.IsCA || !root.MaxPathLenZero || root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("root: authority %v, usage %b", root.IsCA, root.KeyUsage)
	}
}

func TestSerialsDiffer(t *testing.T) {
	root, rs := newRoot(t)
	seen := map[string]bool{}
	for range 100 {
		der := must[[]byte](t)(chain.Issue(nil, root, rs, subject(credentialKey(t)), now, now.AddDate(1, 0, 0)))
		seen[parse(t, der).SerialNumber.String()] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d serials of 100 certificates", len(seen))
	}
}

func TestIssueEndsWithTheRoot(t *testing.T) {
	root, rs := newRoot(t)
	der := must[[]byte](t)(chain.Issue(nil, root, rs, subject(credentialKey(t)), now, now.AddDate(99, 0, 0)))
	if got := parse(t, der).NotAfter; !got.Equal(root.NotAfter) {
		t.Errorf("until %s, want %s", got, root.NotAfter)
	}
}

func TestMakingRefuses(t *testing.T) {
	root, rs := newRoot(t)
	year := now.AddDate(1, 0, 0)
	newRoot := func(s keys.Signer, n chain.Name, until time.Time) error {
		_, err := chain.NewRoot(nil, s, n, now, until)
		return err
	}
	issue := func(s keys.Signer, edit func(*chain.Subject)) error {
		sub := subject(credentialKey(t))
		edit(&sub)
		_, err := chain.Issue(nil, root, s, sub, now, year)
		return err
	}
	xa := chain.Name{Organization: "Xanadu", Country: "XA"}
	late := keystest.Key(t, keys.CertificateRoot, keys.ES256, "root")
	late.State, late.CompromisedSince = keys.Compromised, now
	gone := must[keys.Signer](t)(keys.NewSigner(late, keystest.Private(t, keys.ES256, "root")))
	for name, err := range map[string]error{
		"root with a key for credentials": newRoot(signer(t, keys.Credential, "a"), xa, year),
		"root with an Ed25519 key":        newRoot(keystest.Signer(t, keys.CertificateRoot, keys.EdDSA, "a"), xa, year),
		"root without a country":          newRoot(rs, chain.Name{Organization: "Xanadu"}, year),
		"root of a strange country":       newRoot(rs, chain.Name{Organization: "Xanadu", Country: "xa"}, year),
		"root without a name":             newRoot(rs, chain.Name{Country: "XA"}, year),
		"root with an endless name":       newRoot(rs, chain.Name{Organization: strings.Repeat("a", 65), Country: "XA"}, year),
		"root that has ended":             newRoot(rs, xa, now),
		"leaf by a key for credentials":   issue(signer(t, keys.Credential, "root"), func(*chain.Subject) {}),
		"leaf by another root key":        issue(signer(t, keys.CertificateRoot, "other"), func(*chain.Subject) {}),
		"leaf by a root key given away":   issue(gone, func(*chain.Subject) {}),
		"leaf for the root's own key":     issue(rs, func(s *chain.Subject) { s.Key = rs.Key().Public }),
		"leaf without a key":              issue(rs, func(s *chain.Subject) { s.Key = keys.PublicKey{} }),
		"leaf of another country":         issue(rs, func(s *chain.Subject) { s.Name.Country = "XB" }),
		"leaf with the root's name":       issue(rs, func(s *chain.Subject) { s.Name.Organization = "Xanadu" }),
		"leaf for http":                   issue(rs, func(s *chain.Subject) { s.Address = "http://registry.gov.xa" }),
		"leaf for an IP address":          issue(rs, func(s *chain.Subject) { s.Address = "https://[::1]" }),
		"leaf for a wildcard":             issue(rs, func(s *chain.Subject) { s.Address = "https://*.gov.xa" }),
		"leaf for capitals":               issue(rs, func(s *chain.Subject) { s.Address = "https://Registry.gov.xa" }),
		"leaf with a trailing dot":        issue(rs, func(s *chain.Subject) { s.Address = "https://registry.gov.xa." }),
		"leaf for a query":                issue(rs, func(s *chain.Subject) { s.Address = "https://registry.gov.xa?a" }),
		"leaf for a fragment":             issue(rs, func(s *chain.Subject) { s.Address = "https://registry.gov.xa#a" }),
		"leaf for another spelling":       issue(rs, func(s *chain.Subject) { s.Address = "https://registry.gov.xa#" }),
		"leaf for a hyphen before":        issue(rs, func(s *chain.Subject) { s.Address = "https://-registry.gov.xa" }),
		"leaf for a hyphen after":         issue(rs, func(s *chain.Subject) { s.Address = "https://registry-.gov.xa" }),
		"leaf for a label of 64":          issue(rs, func(s *chain.Subject) { s.Address = "https://" + strings.Repeat("a", 64) + ".xa" }),
		"leaf for a name of 254":          issue(rs, func(s *chain.Subject) { s.Address = "https://" + strings.Repeat("a.", 126) + "xa" }),
		"leaf with a user":                issue(rs, func(s *chain.Subject) { s.Address = "https://a@registry.gov.xa" }),
	} {
		if err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

// A maker makes certificates that the package itself never makes.
type maker struct {
	t testing.TB
	n int64
}

func (m *maker) make(parent *x509.Certificate, by crypto.Signer, key crypto.PublicKey, edit func(*x509.Certificate)) *x509.Certificate {
	m.t.Helper()
	return parse(m.t, m.der(parent, by, key, edit))
}

func (m *maker) der(parent *x509.Certificate, by crypto.Signer, key crypto.PublicKey, edit func(*x509.Certificate)) []byte {
	m.t.Helper()
	m.n++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(m.n), Subject: pkix.Name{CommonName: fmt.Sprintf("c%d", m.n), Country: []string{"XA"}},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{host}, URIs: []*url.URL{{Scheme: "https", Host: host}},
	}
	edit(c)
	if parent == nil {
		parent = c
	}
	return must[[]byte](m.t)(x509.CreateCertificate(rand.Reader, c, parent, key, by))
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.DNSNames, c.URIs = true, x509.KeyUsageCertSign, nil, nil
}

// fixture is a good chain of three: signer, two authorities, and the root above them.
type fixture struct {
	m     maker
	key   map[string]crypto.Signer
	root  *x509.Certificate
	upper *x509.Certificate
	lower *x509.Certificate
	leaf  *x509.Certificate
	x5c   [][]byte
	roots []*x509.Certificate
	now   time.Time
	want  chain.Want
}

func (f *fixture) newLeaf(edit func(*x509.Certificate)) {
	f.leaf = f.m.make(f.lower, f.key["lower"], f.key["leaf"].Public(), edit)
	f.x5c[0] = f.leaf.Raw
}

func (f *fixture) newLower(edit func(*x509.Certificate)) {
	f.lower = f.m.make(f.upper, f.key["upper"], f.key["lower"].Public(), func(c *x509.Certificate) { authority(c); edit(c) })
	f.x5c[1] = f.lower.Raw
	f.newLeaf(func(*x509.Certificate) {})
}

// withConstraints gives the lower authority name constraints of any content.
func (f *fixture) withConstraints(content ...byte) {
	f.x5c[1] = f.m.der(f.upper, f.key["upper"], f.key["lower"].Public(), func(c *x509.Certificate) {
		authority(c)
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: append([]byte{0x30, byte(len(content))}, content...)}}
	})
}

// withKey has the signer's certificate, signed anew, carry a key of any kind.
func (f *fixture) withKey(parameters, key []byte, kind ...int) {
	info := must[[]byte](f.m.t)(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: kind, Parameters: asn1.RawValue{FullBytes: parameters}}, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}}))
	f.rewrite(func(parts []asn1.RawValue) []asn1.RawValue {
		parts[6] = asn1.RawValue{FullBytes: info}
		return parts
	})
}

// rewrite changes the parts of the signer's certificate (RFC 5280 section 4.1: the
// version is the first, the key the seventh), and signs it anew.
func (f *fixture) rewrite(change func([]asn1.RawValue) []asn1.RawValue) {
	t := f.m.t
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(f.leaf.RawTBSCertificate, &parts); err != nil {
		t.Fatal(err)
	}
	tbs := must[[]byte](t)(asn1.Marshal(change(parts)))
	sum := sha256.Sum256(tbs)
	sig := must[[]byte](t)(f.key["lower"].Sign(rand.Reader, sum[:], crypto.SHA256))
	f.x5c[0] = must[[]byte](t)(asn1.Marshal([]any{
		asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)},
	}))
}

func good(t testing.TB) *fixture {
	f := &fixture{m: maker{t: t}, key: map[string]crypto.Signer{}, now: now}
	for _, name := range []string{"root", "upper", "lower", "leaf", "other"} {
		f.key[name] = keystest.Private(t, keys.ES256, name)
	}
	f.root = f.m.make(nil, f.key["root"], f.key["root"].Public(), authority)
	f.upper = f.m.make(f.root, f.key["root"], f.key["upper"].Public(), authority)
	f.x5c = [][]byte{nil, nil, f.upper.Raw}
	f.newLower(func(*x509.Certificate) {})
	f.roots = []*x509.Certificate{f.root}
	f.want = chain.Want{Purpose: keys.Credential, DNS: host, URI: address, Country: "XA", Key: must[keys.PublicKey](t)(keys.PublicKeyOf(f.key["leaf"].Public()))}
	return f
}

// TestSystemRoots: OFF-08. Who is in the trust store of the operating system vouches for nobody
// here, also where we have no roots at all.
func TestSystemRoots(t *testing.T) {
	root, key := newRoot(t)
	leaf := must[[]byte](t)(chain.Issue(rand.Reader, root, key, chain.Subject{
		Name: chain.Name{Organization: "Registry"}, Address: address, Key: signer(t, keys.Credential, "leaf").Key().Public,
	}, now, now.AddDate(1, 0, 0)))
	file := filepath.Join(t.TempDir(), "system.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	if _, err := parse(t, leaf).Verify(x509.VerifyOptions{CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Fatalf("the root is not in the store of the system: %v", err)
	}
	want := chain.Want{Purpose: keys.Credential}
	if _, err := chain.Verify([][]byte{leaf}, []*x509.Certificate{root}, now, want); err != nil {
		t.Fatalf("under a root of ours: %v", err)
	}
	f := good(t)
	for name, roots := range map[string][]*x509.Certificate{"no roots": nil, "other roots": {f.m.make(nil, f.key["other"], f.key["other"].Public(), authority)}} {
		if _, err := chain.Verify([][]byte{leaf}, roots, now, want); !errors.Is(err, chain.ErrUntrusted) {
			t.Errorf("OFF-08 with %s: %v, want ErrUntrusted", name, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	nothing := func(*x509.Certificate) {}
	strongRSA := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	tests := []struct {
		name  string
		spoil func(*fixture)
		want  error
	}{
		{"nothing at all", func(f *fixture) { f.x5c = nil }, chain.ErrMalformed},
		{"an empty certificate", func(f *fixture) { f.x5c[0] = nil }, chain.ErrMalformed},
		{"bytes after a certificate", func(f *fixture) { f.x5c[0] = append(bytes.Clone(f.x5c[0]), 0) }, chain.ErrMalformed},
		{"half a certificate", func(f *fixture) { f.x5c[1] = f.x5c[1][:100] }, chain.ErrMalformed},
		{"a bit of the signature", func(f *fixture) { f.x5c[0] = bytes.Clone(f.x5c[0]); f.x5c[0][len(f.x5c[0])-1] ^= 1 }, chain.ErrUntrusted},

		{"JWS-18 unknown root", func(f *fixture) {
			f.roots = []*x509.Certificate{f.m.make(nil, f.key["other"], f.key["other"].Public(), authority)}
		}, chain.ErrUntrusted},
		{"JWS-18 no root at all", func(f *fixture) { f.roots = nil }, chain.ErrUntrusted},
		{"JWS-18 a root with the name of ours and another key", func(f *fixture) {
			f.roots = []*x509.Certificate{f.m.make(nil, f.key["other"], f.key["other"].Public(), func(c *x509.Certificate) { authority(c); c.Subject = f.root.Subject })}
		}, chain.ErrUntrusted},
		{"JWS-18 order shuffled", func(f *fixture) { f.x5c[1], f.x5c[2] = f.x5c[2], f.x5c[1] }, chain.ErrUntrusted},
		{"JWS-18 an authority left out", func(f *fixture) { f.x5c = [][]byte{f.x5c[0], f.x5c[2]} }, chain.ErrUntrusted},
		{"JWS-18 one that is not on the path", func(f *fixture) {
			f.x5c = append(f.x5c, f.m.make(f.root, f.key["root"], f.key["other"].Public(), authority).Raw)
		}, chain.ErrUntrusted},
		{"JWS-18 two that are not on the path", func(f *fixture) {
			for _, name := range []string{"other", "leaf"} {
				f.x5c = append(f.x5c, f.m.make(f.root, f.key["root"], f.key[name].Public(), authority).Raw)
			}
		}, chain.ErrUntrusted},
		{"JWS-18 a certificate twice", func(f *fixture) { f.x5c = append(f.x5c, f.x5c[2]) }, chain.ErrUntrusted},
		{"JWS-18 the first is an authority", func(f *fixture) { f.x5c = f.x5c[1:] }, chain.ErrAuthority},
		{"JWS-18 50 certificates", func(f *fixture) {
			for range 47 {
				f.x5c = append(f.x5c, f.x5c[2])
			}
		}, chain.ErrTooLarge},

		{"JWS-18 six certificates", func(f *fixture) { f.x5c = slices.Repeat([][]byte{{1}}, 6) }, chain.ErrTooLarge},
		{"JWS-18 five certificates, which are none", func(f *fixture) { f.x5c = slices.Repeat([][]byte{{1}}, 5) }, chain.ErrMalformed},

		{"X-01 signer expired", func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }) }, chain.ErrExpired},
		{"X-01 signer not yet valid", func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }) }, chain.ErrNotYet},
		{"X-01 authority expired", func(f *fixture) { f.newLower(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }) }, chain.ErrExpired},
		{"X-01 authority not yet valid", func(f *fixture) { f.newLower(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }) }, chain.ErrNotYet},
		{"X-01 root expired", func(f *fixture) {
			f.roots[0] = f.m.make(nil, f.key["root"], f.key["root"].Public(), func(c *x509.Certificate) {
				authority(c)
				c.Subject, c.NotAfter = f.root.Subject, now.Add(-time.Second)
			})
		}, chain.ErrExpired},

		{"X-02 name in CN only", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, host })
		}, chain.ErrName},
		{"X-02 wildcard", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.gov.xa"} })
		}, chain.ErrName},
		{"X-02 the wildcard itself is wanted of a signer without it", func(f *fixture) { f.want.DNS = "*.gov.xa" }, chain.ErrName},
		{"X-02 IP address", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{192, 0, 2, 1}} })
			f.want.DNS = "192.0.2.1"
		}, chain.ErrName},
		{"X-02 trailing dot wanted", func(f *fixture) { f.want.DNS = host + "." }, chain.ErrName},
		{"X-02 another case", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames = []string{"Registry.gov.xa"} })
		}, chain.ErrName},
		{"X-02 a subdomain", func(f *fixture) { f.want.DNS = "a." + host }, chain.ErrName},
		{"X-02 another address on the host", func(f *fixture) { f.want.URI = address + "/a" }, chain.ErrName},
		{"X-02 trailing dot", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames = []string{host + "."} })
		}, chain.ErrName},
		{"X-02 excluded subtree in other letters", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = []string{"GOV.xa"}, true
			})
		}, chain.ErrName},
		{"X-02 a wildcard beside the name, excluded below", func(f *fixture) {
			f.lower = f.m.make(f.upper, f.key["upper"], f.key["lower"].Public(), func(c *x509.Certificate) {
				authority(c)
				c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = []string{"secret.bank.xa"}, true
			})
			f.x5c[1] = f.lower.Raw
			f.newLeaf(func(c *x509.Certificate) { c.DNSNames = []string{host, "*.bank.xa"} })
		}, chain.ErrName},
		{"X-02 excluded addresses", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				c.ExcludedURIDomains, c.PermittedDNSDomainsCritical = []string{host}, true
			})
		}, chain.ErrName},
		{"X-02 excluded subtree", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = []string{"gov.xa"}, true
			})
		}, chain.ErrName},
		{"X-02 outside of the permitted subtree", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"gov.xb"}, true
			})
		}, chain.ErrName},

		{"X-03 huge certificate", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{strings.Repeat("a", 17<<10)} })
		}, chain.ErrTooLarge},
		{"X-03 deep ASN.1 in place of the names", func(f *fixture) {
			deep := []byte{5, 0}
			for len(deep) < 10<<10 {
				deep = must[[]byte](f.m.t)(asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: deep}))
			}
			f.newLeaf(func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: deep}}
			})
		}, chain.ErrName},
		{"X-03 many names", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) {
				for i := range 32 {
					c.DNSNames = append(c.DNSNames, fmt.Sprintf("n%d.gov.xa", i))
				}
			})
		}, chain.ErrTooLarge},
		{"X-03 many constraints", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				for i := range 65 {
					c.PermittedDNSDomains = append(c.PermittedDNSDomains, fmt.Sprintf("n%d.gov.xa", i))
				}
			})
		}, chain.ErrTooLarge},
		{"X-03 many policies", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				for i := range 65 {
					c.Policies = append(c.Policies, must[x509.OID](f.m.t)(x509.OIDFromInts([]uint64{1, 2, 3, uint64(i)})))
				}
			})
		}, chain.ErrTooLarge},

		{"X-04 version 1", func(f *fixture) {
			f.rewrite(func(parts []asn1.RawValue) []asn1.RawValue { return parts[1:7] }) // neither version nor extensions
		}, chain.ErrMalformed},
		{"X-04 RSA signer", func(f *fixture) {
			f.leaf = f.m.make(f.lower, f.key["lower"], strongRSA.Public(), nothing)
			f.x5c[0] = f.leaf.Raw
		}, chain.ErrUnsupported},
		{"X-04 RSA authority", func(f *fixture) {
			f.lower = f.m.make(f.upper, f.key["upper"], strongRSA.Public(), authority)
			f.leaf = f.m.make(f.lower, strongRSA, f.key["leaf"].Public(), nothing)
			f.x5c[0], f.x5c[1] = f.leaf.Raw, f.lower.Raw
		}, chain.ErrUnsupported},
		{"X-04 RSA root", func(f *fixture) {
			f.root = f.m.make(nil, strongRSA, strongRSA.Public(), authority)
			f.roots[0] = f.root
			f.upper = f.m.make(f.root, strongRSA, f.key["upper"].Public(), authority)
			f.x5c[2] = f.upper.Raw
			f.newLower(nothing)
		}, chain.ErrUnsupported},
		{"X-04 P-521 signer", func(f *fixture) {
			f.leaf = f.m.make(f.lower, f.key["lower"], must[*ecdsa.PrivateKey](f.m.t)(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)).Public(), nothing)
			f.x5c[0] = f.leaf.Raw
		}, chain.ErrUnsupported},
		{"X-04 DSA signer", func(f *fixture) {
			f.withKey([]byte{0x30, 9, 2, 1, 23, 2, 1, 11, 2, 1, 2}, []byte{2, 1, 4}, 1, 2, 840, 10040, 4, 1)
		}, chain.ErrUnsupported},
		{"X-04 DSA signer without parameters", func(f *fixture) { f.withKey(nil, []byte{2, 1, 4}, 1, 2, 840, 10040, 4, 1) }, chain.ErrMalformed},
		{"X-04 a key of a kind that nobody knows", func(f *fixture) { f.withKey(nil, []byte{1, 2, 3}, 1, 2, 3, 4) }, chain.ErrUnsupported},
		{"X-04 signer off the curve", func(f *fixture) {
			f.withKey(must[[]byte](f.m.t)(asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})), append([]byte{4}, bytes.Repeat([]byte{1}, 64)...), 1, 2, 840, 10045, 2, 1)
		}, chain.ErrMalformed},
		{"X-04 malformed constraint", func(f *fixture) { f.withConstraints(0xa0, 2, 0x30, 5) }, chain.ErrMalformed},
		{"X-04 a constraint on addresses of five bytes", func(f *fixture) { f.withConstraints(0xa1, 9, 0x30, 7, 0x87, 5, 10, 0, 0, 0, 255) }, chain.ErrMalformed},
		{"X-04 root signed with SHA-512", func(f *fixture) {
			f.roots[0] = f.m.make(nil, f.key["root"], f.key["root"].Public(), func(c *x509.Certificate) {
				authority(c)
				c.Subject, c.SignatureAlgorithm = f.root.Subject, x509.ECDSAWithSHA512
			})
		}, chain.ErrUntrusted},
		{"X-04 ECDSA with SHA-512", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 })
		}, chain.ErrUnsupported},

		{"X-05 self-signed signer", func(f *fixture) {
			f.leaf = f.m.make(nil, f.key["leaf"], f.key["leaf"].Public(), nothing)
			f.x5c = [][]byte{f.leaf.Raw}
		}, chain.ErrSelfSigned},
		{"X-05 self-signed signer that is a root", func(f *fixture) {
			f.leaf = f.m.make(nil, f.key["leaf"], f.key["leaf"].Public(), nothing)
			f.x5c, f.roots = [][]byte{f.leaf.Raw}, []*x509.Certificate{f.leaf}
		}, chain.ErrSelfSigned},
		{"X-05 authority as signer", func(f *fixture) { f.newLeaf(authority) }, chain.ErrAuthority},
		{"X-05 signer may sign certificates", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })
		}, chain.ErrAuthority},
		{"X-05 signer is an authority by its constraints alone", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.IsCA = true })
		}, chain.ErrAuthority},
		{"X-05 somebody else's root in the chain", func(f *fixture) {
			f.x5c = append(f.x5c, f.m.make(nil, f.key["other"], f.key["other"].Public(), authority).Raw)
		}, chain.ErrAnchor},
		{"X-05 root in the chain", func(f *fixture) { f.x5c = append(f.x5c, f.root.Raw) }, chain.ErrAnchor},
		{"X-05 authority that is trusted as root, in the chain", func(f *fixture) { f.roots = append(f.roots, f.upper) }, chain.ErrAnchor},
		{"X-05 an authority that is none", func(f *fixture) {
			f.lower = f.m.make(f.upper, f.key["upper"], f.key["lower"].Public(), nothing)
			f.x5c[1] = f.lower.Raw
			f.newLeaf(nothing)
		}, chain.ErrAuthority},
		{"X-05 an authority that is none, without a key usage", func(f *fixture) {
			f.lower = f.m.make(f.upper, f.key["upper"], f.key["lower"].Public(), func(c *x509.Certificate) { c.KeyUsage = 0 })
			f.x5c[1] = f.lower.Raw
			f.newLeaf(nothing)
		}, chain.ErrAuthority},
		{"X-05 an authority without the right to sign others", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
		}, chain.ErrAuthority},
		{"X-05 an authority below one that allows none", func(f *fixture) {
			f.upper = f.m.make(f.root, f.key["root"], f.key["upper"].Public(), func(c *x509.Certificate) { authority(c); c.MaxPathLenZero = true })
			f.x5c[2] = f.upper.Raw
			f.newLower(nothing)
		}, chain.ErrAuthority},
		{"X-05 a root that is no authority", func(f *fixture) {
			f.roots[0] = f.m.make(nil, f.key["root"], f.key["root"].Public(), func(c *x509.Certificate) { c.Subject = f.root.Subject })
		}, chain.ErrUntrusted},

		{"X-07 signer of another country than its root", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.Subject.Country = []string{"XB"} })
		}, chain.ErrCountry},
		{"X-07 signer of two countries", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.Subject.Country = []string{"XA", "XB"} })
		}, chain.ErrCountry},
		{"X-07 another country than wanted", func(f *fixture) { f.want.Country = "XB" }, chain.ErrCountry},

		{"another key than the signature's", func(f *fixture) { f.want.Key = credentialKey(f.m.t) }, chain.ErrKey},
		{"not for signatures", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
		}, chain.ErrUse},
		{"for signing programs", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} })
		}, chain.ErrUse},
		{"a verifier's, for credentials", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 0, 18013, 5, 1, 6}} })
		}, chain.ErrUse},
		{"an issuer's, for requests", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 0, 18013, 5, 1, 2}} })
			f.want.Purpose = keys.Request
		}, chain.ErrUse},
		{"an authority for mail only", func(f *fixture) {
			f.newLower(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
		}, chain.ErrUse},
		{"a critical extension that nobody knows", func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			})
		}, chain.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := good(t)
			if _, err := chain.Verify(f.x5c, f.roots, f.now, f.want); err != nil {
				t.Fatalf("the good one: %v", err)
			}
			tt.spoil(f)
			leaf, err := chain.Verify(f.x5c, f.roots, f.now, f.want)
			if !errors.Is(err, tt.want) {
				t.Errorf("Verify: %v, %v, want %v", leaf, err, tt.want)
			}
			// no text of a certificate in an error.
			if err != nil && (len(err.Error()) > 200 || strings.Contains(err.Error(), "c2") || strings.Contains(err.Error(), host)) {
				t.Errorf("X-08 an error of %d characters: %.300q", len(err.Error()), err)
			}
		})
	}
}

// TestVerifyTakes: what looks odd and is allowed.
func TestVerifyTakes(t *testing.T) {
	for name, edit := range map[string]func(*fixture){
		"usages that are not about us": func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
		},
		"one of several usages": func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) {
				c.ExtKeyUsage, c.UnknownExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []asn1.ObjectIdentifier{{1, 2, 3}}
			})
		},
		"an authority without key usage": func(f *fixture) { f.newLower(func(c *x509.Certificate) { c.KeyUsage = 0 }) },
		"a root without country": func(f *fixture) {
			f.root = f.m.make(nil, f.key["root"], f.key["root"].Public(), func(c *x509.Certificate) { authority(c); c.Subject.Country = nil })
			f.upper = f.m.make(f.root, f.key["root"], f.key["upper"].Public(), authority)
			f.newLower(func(*x509.Certificate) {})
			f.roots, f.x5c[2], f.want.Country = []*x509.Certificate{f.root}, f.upper.Raw, ""
		},
		"without key usage": func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.KeyUsage = 0 }) },
		"without country":   func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.Subject.Country = nil }) },
		"the first second":  func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.NotBefore = now }) },
		"the last second":   func(f *fixture) { f.newLeaf(func(c *x509.Certificate) { c.NotAfter = now }) },
		"a permitted name": func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"gov.xa"}, true
			})
		},
		"an authority as anchor": func(f *fixture) { f.roots, f.x5c = []*x509.Certificate{f.upper}, f.x5c[:2] },
		"no names wanted":        func(f *fixture) { f.want = chain.Want{Purpose: keys.StatusList} },
		"32 names": func(f *fixture) {
			f.newLeaf(func(c *x509.Certificate) {
				for i := range 30 { // with the host and the address
					c.DNSNames = append(c.DNSNames, fmt.Sprintf("n%d.gov.xa", i))
				}
			})
		},
		"64 constraints": func(f *fixture) {
			f.newLower(func(c *x509.Certificate) {
				for i := range 64 {
					c.ExcludedDNSDomains = append(c.ExcludedDNSDomains, fmt.Sprintf("n%d.gov.xb", i))
				}
			})
		},
		"a nil root beside": func(f *fixture) { f.roots = append(f.roots, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			f := good(t)
			edit(f)
			if _, err := chain.Verify(f.x5c, f.roots, f.now, f.want); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestParseRootRefuses: X-05. What is taken for a root may sign others, and says so twice.
func TestParseRootRefuses(t *testing.T) {
	f := good(t)
	for name, edit := range map[string]func(*x509.Certificate){
		"no authority":                      func(*x509.Certificate) {},
		"no authority, without a key usage": func(c *x509.Certificate) { c.KeyUsage = 0 },
		"no authority that may sign others": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign },
		"an authority that may not":         func(c *x509.Certificate) { c.IsCA = true },
		"an authority without constraints":  func(c *x509.Certificate) { c.BasicConstraintsValid, c.KeyUsage = false, x509.KeyUsageCertSign },
	} {
		if c, err := chain.ParseRoot(f.m.make(nil, f.key["root"], f.key["root"].Public(), edit).Raw); !errors.Is(err, chain.ErrAuthority) {
			t.Errorf("X-05 %s: %v, %v, want ErrAuthority", name, c, err)
		}
	}
	if _, err := chain.ParseRoot(f.root.Raw); err != nil {
		t.Errorf("the good root: %v", err)
	}
}

// TestUses: a certificate that is for one thing alone signs nothing of ours (RFC 5280
// section 4.2.1.12), and the two of ISO/IEC 18013-5 not each other's.
func TestUses(t *testing.T) {
	others := []asn1.ObjectIdentifier{
		{1, 3, 6, 1, 5, 5, 7, 3, 3}, {1, 3, 6, 1, 5, 5, 7, 3, 4}, {1, 3, 6, 1, 5, 5, 7, 3, 8}, {1, 3, 6, 1, 5, 5, 7, 3, 9}, {1, 0, 18013, 5, 1, 2}, {1, 0, 18013, 5, 1, 6},
	}
	for _, purpose := range []keys.Purpose{keys.Credential, keys.StatusList, keys.Metadata, keys.Request} {
		for i, use := range others {
			f := good(t)
			f.want.Purpose = purpose
			f.newLeaf(func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{use} })
			_, err := chain.Verify(f.x5c, f.roots, f.now, f.want)
			if refused := i < 4 || (i == 4) == (purpose == keys.Request); refused != errors.Is(err, chain.ErrUse) || !refused && err != nil {
				t.Errorf("%v for %s: %v", use, purpose, err)
			}
		}
	}
}

func TestVerifyNeedsAPurpose(t *testing.T) {
	f := good(t)
	for _, p := range []keys.Purpose{"", keys.TrustRoot, keys.Holder} {
		f.want.Purpose = p
		if _, err := chain.Verify(f.x5c, f.roots, now, f.want); err == nil {
			t.Errorf("purpose %q: verified", p)
		}
	}
	f = good(t)
	if _, err := chain.Verify(f.x5c, f.roots, time.Time{}, f.want); err == nil || errors.Is(err, chain.ErrNotYet) {
		t.Errorf("at no time: %v, want an error that is the caller's fault", err)
	}
}

func TestHashAndAKI(t *testing.T) {
	f := good(t)
	if got := chain.Hash([]byte("abc")); got != "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" { // FIPS 180-2 appendix B.1
		t.Errorf("Hash: %s", got)
	}
	ids, err := chain.AKI(f.x5c)
	if err != nil || len(ids) != 3 || strings.ContainsAny(strings.Join(ids, ""), "+/=") {
		t.Errorf("AKI: %v, %v", ids, err)
	}
	// What two certificates have is there once, and what none has is not there.
	f.newLeaf(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: []byte{0x30, 3, 0x80, 1, 7}}}
	})
	f.x5c = [][]byte{f.x5c[0], f.x5c[0], f.m.make(nil, f.key["other"], f.key["other"].Public(), func(*x509.Certificate) {}).Raw}
	if ids, err := chain.AKI(f.x5c); err != nil || len(ids) != 1 || ids[0] != "Bw" {
		t.Errorf("AKI: %q, %v, want Bw", ids, err)
	}
	if _, err := chain.AKI([][]byte{{1}}); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("AKI: %v", err)
	}
}

func TestRequest(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		s := keystest.Signer(t, keys.StatusList, alg, "status")
		want := subject(s.Key().Public)
		want.Name.Country = "XA"
		text := must[[]byte](t)(chain.Request(nil, s, want, now))
		got, err := chain.ParseRequest(text)
		if err != nil || got.Name != want.Name || got.Address != want.Address || !got.Key.Equal(want.Key) {
			t.Errorf("%s: %+v, %v", alg, got, err)
		}
		spoiled := bytes.Clone(text)
		at := bytes.LastIndex(spoiled, []byte("=\n-----END"))
		if at < 0 {
			at = bytes.LastIndex(spoiled, []byte("\n-----END"))
		}
		spoiled[at-12] ^= 1
		if _, err := chain.ParseRequest(spoiled); err == nil {
			t.Errorf("%s: a request with another signature was read", alg)
		}
	}
	good := must[[]byte](t)(chain.Request(nil, signer(t, keys.Credential, "issuer"), subject(credentialKey(t)), now))
	for name, text := range map[string][]byte{
		"two requests": append(bytes.Clone(good), good...), "words after it": append(bytes.Clone(good), "x"...),
		"of another kind": bytes.ReplaceAll(good, []byte("CERTIFICATE REQUEST"), []byte("NEW CERTIFICATE REQUEST")),
	} {
		if s, err := chain.ParseRequest(text); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: %v, %v, want ErrMalformed", name, s, err)
		}
	}
	if _, err := chain.ParseRequest(append(bytes.Repeat([]byte("\n"), 16<<10), good...)); !errors.Is(err, chain.ErrTooLarge) {
		t.Errorf("a request after lines without end: %v, want ErrTooLarge", err)
	}
	root, rs := newRoot(t)
	if _, err := chain.Request(nil, rs, subject(rs.Key().Public), now); !errors.Is(err, keys.ErrPurpose) {
		t.Errorf("a request for a root: %v", err)
	}
	retired := keystest.Key(t, keys.Credential, keys.ES256, "issuer")
	retired.State = keys.Retired
	s := must[keys.Signer](t)(keys.NewSigner(retired, keystest.Private(t, keys.ES256, "issuer")))
	if _, err := chain.Request(nil, s, subject(retired.Public), now); !errors.Is(err, keys.ErrNotActive) {
		t.Errorf("a request for a retired key: %v", err)
	}
	planned := keystest.Key(t, keys.Credential, keys.ES256, "issuer")
	planned.State = keys.Planned
	s = must[keys.Signer](t)(keys.NewSigner(planned, keystest.Private(t, keys.ES256, "issuer")))
	if _, err := chain.Request(nil, s, subject(planned.Public), now); err != nil {
		t.Errorf("a request for a planned key: %v", err)
	}
	for _, text := range []string{"", "hello", string(root.Raw), string(chain.EncodePEM(root.Raw)), strings.Repeat("a", 20<<10)} {
		if s, err := chain.ParseRequest([]byte(text)); err == nil {
			t.Errorf("%.20q was read as request: %v", text, s)
		}
	}
}

func TestRequestForOtherNames(t *testing.T) {
	private := keystest.Private(t, keys.ES256, "a")
	for name, edit := range map[string]func(*x509.CertificateRequest){
		"another host":      func(r *x509.CertificateRequest) { r.DNSNames = []string{"other.gov.xa"} },
		"two hosts":         func(r *x509.CertificateRequest) { r.DNSNames = append(r.DNSNames, "other.gov.xa") },
		"two addresses":     func(r *x509.CertificateRequest) { r.URIs = append(r.URIs, r.URIs[0]) },
		"no address":        func(r *x509.CertificateRequest) { r.URIs = nil },
		"a mail address":    func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@gov.xa"} },
		"no organisation":   func(r *x509.CertificateRequest) { r.Subject.Organization = nil },
		"two organisations": func(r *x509.CertificateRequest) { r.Subject.Organization = []string{"a", "b"} },
	} {
		r := &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"a"}}, DNSNames: []string{host}, URIs: []*url.URL{{Scheme: "https", Host: host}}}
		edit(r)
		der := must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, r, private))
		text := strings.ReplaceAll(string(chain.EncodePEM(der)), "CERTIFICATE", "CERTIFICATE REQUEST")
		if s, err := chain.ParseRequest([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestImport(t *testing.T) {
	f := good(t)
	text := append([]byte("subject=somebody\n"), chain.EncodePEM(append(f.x5c, f.root.Raw)...)...)
	x5c, err := chain.Import(text, f.roots, now, f.want)
	if err != nil || len(x5c) != 3 || !bytes.Equal(x5c[0], f.leaf.Raw) {
		t.Errorf("Import: %d certificates, %v", len(x5c), err)
	}
	// Without a key nobody would know whose chain it is.
	any := f.want
	any.Key = keys.PublicKey{}
	if _, err := chain.Import(text, f.roots, now, any); err == nil {
		t.Error("Import without a key")
	}
	if _, err := chain.ParsePEM(bytes.Repeat(chain.EncodePEM(f.leaf.Raw), chain.MaxCertificates+2)); !errors.Is(err, chain.ErrTooLarge) {
		t.Errorf("more certificates than any chain has: %v", err)
	}
	key := append(chain.EncodePEM(f.x5c...), "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"...)
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"with a private key": {key, keys.ErrPrivate},
		"cut short":          {chain.EncodePEM(f.x5c...)[:700], chain.ErrMalformed},
		"nothing":            {nil, chain.ErrMalformed},
		"something else":     {[]byte("-----BEGIN X-----\nAAAA\n-----END X-----\n"), chain.ErrMalformed},
		"the root only":      {chain.EncodePEM(f.root.Raw), chain.ErrSelfSigned},
		"another's":          {chain.EncodePEM(f.m.make(f.lower, f.key["lower"], f.key["other"].Public(), func(*x509.Certificate) {}).Raw, f.x5c[1], f.x5c[2]), chain.ErrKey},
		"too much":           {bytes.Repeat([]byte("a"), 1<<20), chain.ErrTooLarge},
	} {
		if x5c, err := chain.Import(tt.text, f.roots, now, f.want); !errors.Is(err, tt.want) {
			t.Errorf("%s: %d certificates, %v, want %v", name, len(x5c), err, tt.want)
		}
	}
}

func TestFolder(t *testing.T) {
	f := good(t)
	dir := chain.Folder(filepath.Join(t.TempDir(), "chains"))
	if _, err := dir.Chain(f.want.Key, now); !errors.Is(err, chain.ErrNoChain) {
		t.Errorf("Chain: %v, want ErrNoChain", err)
	}
	if err := dir.Put(f.x5c, now, f.want); !errors.Is(err, chain.ErrUntrusted) {
		t.Errorf("Put without a root: %v", err)
	}
	for range 2 {
		if err := dir.AddRoot(f.root.Raw); err != nil {
			t.Fatal(err)
		}
	}
	if roots, err := dir.Roots(); err != nil || len(roots) != 1 {
		t.Errorf("Roots: %d, %v", len(roots), err)
	}
	if err := dir.AddRoot(f.leaf.Raw); !errors.Is(err, chain.ErrAuthority) {
		t.Errorf("AddRoot of a signer: %v", err)
	}
	any := f.want
	any.Key = keys.PublicKey{}
	if err := dir.Put(f.x5c, now, any); err == nil {
		t.Error("Put without a key")
	}
	if err := dir.Put(f.x5c, now, f.want); err != nil {
		t.Fatal(err)
	}
	x5c, err := dir.Chain(f.want.Key, now)
	if err != nil || len(x5c) != 3 || !bytes.Equal(bytes.Join(x5c, nil), bytes.Join(f.x5c, nil)) {
		t.Errorf("Chain: %d certificates, %v", len(x5c), err)
	}
	if _, err := dir.Chain(f.want.Key, now.AddDate(2, 0, 0)); !errors.Is(err, chain.ErrExpired) {
		t.Errorf("Chain later: %v", err)
	}
	if c, end, err := dir.Leaf(f.want.Key); err != nil || !c.Equal(f.leaf) || !end.Equal(f.leaf.NotAfter) {
		t.Errorf("Leaf: %s, %v", end, err)
	}
	// The chain ends with the first of its certificates.
	f.newLower(func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 1, 0) })
	if err := dir.Put(f.x5c, now, f.want); err != nil {
		t.Fatal(err)
	}
	if _, end, err := dir.Leaf(f.want.Key); err != nil || !end.Equal(f.lower.NotAfter) {
		t.Errorf("Leaf: %s, %v, want %s", end, err, f.lower.NotAfter)
	}
	// The file of one key under the name of another.
	path := filepath.Join(string(dir), f.want.Key.ID().String()+".pem")
	other := credentialKey(t)
	if err := os.Rename(path, filepath.Join(string(dir), other.ID().String()+".pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Chain(other, now); !errors.Is(err, chain.ErrKey) {
		t.Errorf("Chain of another key: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	g := good(f)
	for _, der := range append(g.x5c, g.root.Raw) {
		f.Add(der)
	}
	// Under a root that has signed nothing, nothing verifies, whatever it says.
	stranger := keystest.Signer(f, keys.CertificateRoot, keys.ES256, "stranger")
	nobody := chain.Name{Organization: "Nobody", Country: "XA"}
	root := parse(f, must[[]byte](f)(chain.NewRoot(nil, stranger, nobody, now, now.AddDate(1, 0, 0))))
	boundtest.Fuzz(f, func(t *testing.T, der []byte) {
		for _, x5c := range [][][]byte{{der}, {der, g.x5c[1]}, {g.x5c[0], der}} {
			if leaf, err := chain.Verify(x5c, []*x509.Certificate{root}, now, chain.Want{Purpose: keys.Credential}); err == nil {
				t.Fatalf("verified %v under a root that signed nothing", leaf.Key)
			}
		}
		_, _ = chain.AKI([][]byte{der})
		if list, err := chain.ParsePEM(der); err == nil && len(list) == 0 {
			t.Fatal("no certificates and no error")
		}
		if s, err := chain.ParseRequest(der); err == nil && s.Key.IsZero() {
			t.Fatal("a request without a key")
		}
	})
}
