package chain

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/sanad-id/sanad/keys"
)

// A Name says who a certificate is for. Organization must be set.
type Name struct {
	// Organization is the office or the state as people know it, in at most 64
	// characters.
	Organization string
	// Country is a code of two capital letters; it must be set for a root.
	Country string
}

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

// subject returns the name as certificates hold it. The common name repeats the
// organisation, since readers of certificates show that.
func (n Name) subject() (pkix.Name, error) {
	if n.Organization == "" || utf8.RuneCountInString(n.Organization) > 64 || !utf8.ValidString(n.Organization) {
		return pkix.Name{}, errors.New("chain: the name of an organisation has 1 to 64 characters")
	}
	if n.Country != "" && !countryCode.MatchString(n.Country) {
		return pkix.Name{}, errors.New("chain: a country is a code of two capital letters")
	}
	name := pkix.Name{Organization: []string{n.Organization}, CommonName: n.Organization}
	if n.Country != "" {
		name.Country = []string{n.Country}
	}
	return name, nil
}

// overlap is by how much a certificate begins before it was made, for clocks that are
// late.
const overlap = 10 * time.Minute

// NewRoot makes the certificate of a root, self-signed with a key of purpose
// CertificateRoot, and returns it in DER. It may sign certificates of signers only, no
// authorities below it, and serves until the time until.
func NewRoot(rnd io.Reader, root keys.Signer, name Name, now, until time.Time) ([]byte, error) {
	if err := keys.CheckSigner(root, keys.CertificateRoot, now); err != nil {
		return nil, err
	}
	if name.Country == "" {
		return nil, errors.New("chain: a root has a country")
	}
	subject, err := name.subject()
	if err != nil {
		return nil, err
	}
	if alg := root.Key().Public.Algorithm(); alg != keys.ES256 && alg != keys.ES384 {
		return nil, fmt.Errorf("%w: a root has an %s or %s key, not %s", ErrUnsupported, keys.ES256, keys.ES384, alg)
	}
	t, err := template(rnd, subject, root.Key().Public, now, until)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	t.AuthorityKeyId = t.SubjectKeyId
	return create(rnd, t, t, root.Key().Public, root)
}

// A Subject is whose certificate is to be made. All fields but Name.Country must be
// set.
type Subject struct {
	// Name is who holds the key. Without a country it gets the root's.
	Name Name
	// Address is the https address of the issuer or verifier: it stands in the
	// certificate as URI, and its host as DNS name.
	Address string
	// Key is the key that the certificate is for.
	Key keys.PublicKey
}

// names returns the subject alternative names.
func (s Subject) names() (host string, uri *url.URL, err error) {
	u, err := url.Parse(s.Address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != s.Address {
		return "", nil, errors.New("chain: an address is https://HOST or https://HOST/PATH")
	}
	if !hostName(u.Hostname()) {
		return "", nil, errors.New("chain: the host of an address is a name in lower-case letters, digits and hyphens")
	}
	return u.Hostname(), u, nil
}

// Host returns the host of an https address as certificates name it.
func Host(address string) (string, error) {
	host, _, err := Subject{Address: address}.names()
	return host, err
}

// Issue makes the certificate of a signer under a root, in DER. It is valid from now
// until the time until, or the root's end if that comes first. The key of the root
// must be the one that signs.
func Issue(rnd io.Reader, root *x509.Certificate, signer keys.Signer, s Subject, now, until time.Time) ([]byte, error) {
	if err := keys.CheckSigner(signer, keys.CertificateRoot, now); err != nil {
		return nil, err
	}
	if pub, err := keys.PublicKeyOf(root.PublicKey); err != nil || !pub.Equal(signer.Key().Public) {
		return nil, fmt.Errorf("%w: the root's certificate and its key do not belong together", ErrKey)
	}
	if err := checkDates([]*x509.Certificate{root}, now); err != nil {
		return nil, err
	}
	if s.Key.IsZero() || s.Key.Equal(signer.Key().Public) {
		return nil, fmt.Errorf("%w: a root makes certificates for keys of others", ErrKey)
	}
	c := country(root)
	if s.Name.Country == "" {
		s.Name.Country = c
	}
	if s.Name.Country != c {
		return nil, fmt.Errorf("%w: %q under a root of %q", ErrCountry, s.Name.Country, c)
	}
	subject, err := s.Name.subject()
	if err != nil {
		return nil, err
	}
	host, uri, err := s.names()
	if err != nil {
		return nil, err
	}
	if until.After(root.NotAfter) {
		until = root.NotAfter
	}
	t, err := template(rnd, subject, s.Key, now, until)
	if err != nil {
		return nil, err
	}
	t.KeyUsage, t.DNSNames, t.URIs = x509.KeyUsageDigitalSignature, []string{host}, []*url.URL{uri}
	if subject.String() == root.Subject.String() {
		return nil, fmt.Errorf("%w: signer and root have one name; give the root another", ErrSelfSigned)
	}
	return create(rnd, t, root, s.Key, signer)
}

// template is what roots and signers have in common.
func template(rnd io.Reader, subject pkix.Name, key keys.PublicKey, now, until time.Time) (*x509.Certificate, error) {
	from := now.UTC().Truncate(time.Second).Add(-overlap)
	until = until.UTC().Truncate(time.Second)
	if !until.After(now) {
		return nil, errors.New("chain: a certificate must end after it was made")
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	// 128 random bits with a one before them: never zero, never negative.
	serial := make([]byte, 16)
	if _, err := io.ReadFull(rnd, serial); err != nil {
		return nil, fmt.Errorf("chain: read randomness: %w", err)
	}
	id, err := keyID(key)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(append([]byte{1}, serial...)), Subject: subject, NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true, SubjectKeyId: id,
	}, nil
}

// keyID is the first 160 bits of the SHA-256 of a public key (RFC 7093 section 2,
// method 1).
func keyID(key keys.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Crypto())
	if err != nil {
		return nil, fmt.Errorf("chain: internal error: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("chain: internal error: %w", err)
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// create signs. The library checks the signature before it returns.
func create(rnd io.Reader, t, parent *x509.Certificate, key keys.PublicKey, s keys.Signer) ([]byte, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	der, err := x509.CreateCertificate(rnd, t, parent, key.Crypto(), s)
	if err != nil {
		return nil, fmt.Errorf("chain: sign certificate: %v", err)
	}
	return der, nil
}

// maxRequest is the most bytes of a request.
const maxRequest = 16 << 10

// Request makes a certificate signing request (RFC 2986) in PEM, for an authority of
// somebody else. The key s signs it, which proves that who asks holds the key: this is
// the one thing that a key signs outside of its purpose, so it must be one that may
// have a chain and may sign at the time now.
func Request(rnd io.Reader, signer keys.Signer, s Subject, now time.Time) ([]byte, error) {
	if signer == nil || otherUses[signer.Key().Purpose] == nil {
		return nil, fmt.Errorf("%w: a key of this purpose has no certificate", keys.ErrPurpose)
	}
	if err := keys.CheckSigner(signer, signer.Key().Purpose, now); err != nil && !errors.Is(err, keys.ErrNotActive) {
		return nil, err
	}
	if st := signer.Key().State; st != keys.Planned && st != keys.Active {
		return nil, fmt.Errorf("%w: key %s is %s", keys.ErrNotActive, signer.Key().ID(), st)
	}
	subject, err := s.Name.subject()
	if err != nil {
		return nil, err
	}
	host, uri, err := s.names()
	if err != nil {
		return nil, err
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	der, err := x509.CreateCertificateRequest(rnd, &x509.CertificateRequest{Subject: subject, DNSNames: []string{host}, URIs: []*url.URL{uri}}, signer)
	if err != nil {
		return nil, fmt.Errorf("chain: sign request: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseRequest reads a request of [Request] and checks that whoever made it holds the
// key. Who that is, and whether the address is theirs, must be found out otherwise.
func ParseRequest(text []byte) (Subject, error) {
	if len(text) > maxRequest {
		return Subject{}, fmt.Errorf("%w: a request of %d bytes", ErrTooLarge, len(text))
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return Subject{}, fmt.Errorf("%w: want one CERTIFICATE REQUEST in PEM", ErrMalformed)
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return Subject{}, fmt.Errorf("%w: not a certificate request", ErrMalformed)
	}
	key, err := keys.PublicKeyOf(r.PublicKey)
	if err != nil {
		return Subject{}, fmt.Errorf("%w: a key that is neither P-256, P-384 nor Ed25519", ErrUnsupported)
	}
	if err := r.CheckSignature(); err != nil {
		return Subject{}, fmt.Errorf("%w: the request is not signed with its key", ErrKey)
	}
	s := Subject{Key: key}
	if len(r.Subject.Organization) == 1 {
		s.Name.Organization = r.Subject.Organization[0]
	}
	if len(r.Subject.Country) == 1 {
		s.Name.Country = r.Subject.Country[0]
	}
	if len(r.URIs) == 1 {
		s.Address = r.URIs[0].String()
	}
	if _, err := s.Name.subject(); err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	host, _, err := s.names()
	if err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(r.DNSNames) != 1 || r.DNSNames[0] != host || len(r.IPAddresses)+len(r.EmailAddresses) > 0 {
		return Subject{}, fmt.Errorf("%w: the request is for other names than its address and the host in it", ErrName)
	}
	return s, nil
}
