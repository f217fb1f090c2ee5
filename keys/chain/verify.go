package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// Errors that callers tell apart. The set is closed: a refusal is one of these.
var (
	// ErrMalformed: not the certificates that were expected.
	ErrMalformed = errors.New("chain: malformed")
	// ErrTooLarge: a limit on size or count is passed.
	ErrTooLarge = errors.New("chain: too large")
	// ErrUnsupported: a key or signature of a kind that Sanad does not accept.
	ErrUnsupported = errors.New("chain: unsupported key or algorithm")
	// ErrSelfSigned: the signer vouches for itself.
	ErrSelfSigned = errors.New("chain: self-signed certificate")
	// ErrAnchor: the trust anchor, or another root, stands in the chain.
	ErrAnchor = errors.New("chain: trust anchor inside of the chain")
	// ErrAuthority: an authority in the place of the signer, or the reverse.
	ErrAuthority = errors.New("chain: an authority where there should be none, or none where there should be one")
	// ErrUse: the certificate is for something else than this signature.
	ErrUse = errors.New("chain: certificate for another use")
	// ErrNotYet: a certificate is not valid yet.
	ErrNotYet = errors.New("chain: certificate is not valid yet")
	// ErrExpired: a certificate is not valid any more.
	ErrExpired = errors.New("chain: certificate has expired")
	// ErrUntrusted: no path in the order of the chain to one of the roots.
	ErrUntrusted = errors.New("chain: no path to a trusted root")
	// ErrName: the certificate is for somebody else.
	ErrName = errors.New("chain: certificate for another name")
	// ErrCountry: signer and root are of different countries.
	ErrCountry = errors.New("chain: certificate of another country")
	// ErrKey: the certificate is for another key.
	ErrKey = errors.New("chain: certificate for another key")
)

// Limits of one chain.
const (
	// MaxCertificates is the most certificates of a chain.
	MaxCertificates = 5
	// MaxCertificate is the most bytes of one certificate.
	MaxCertificate = 16 << 10

	maxNames       = 32 // subject alternative names of one certificate
	maxConstraints = 64 // name constraints, policies and uses of one certificate
)

// Want is what a chain must show. Purpose must be set.
type Want struct {
	// Purpose is what the key signs: Credential, StatusList, Metadata or Request.
	Purpose keys.Purpose
	// DNS is a name that must stand in the certificate, in lower case; "" asks for
	// none.
	DNS string
	// URI is a name that must stand in the certificate, byte for byte; "" asks for none.
	URI string
	// Country is the code of two letters that the root must have; "" asks for none.
	Country string
	// Key is the key that the certificate must be for; the zero key asks for none.
	Key keys.PublicKey
}

// A Leaf is the certificate of a signer, with the path that made it good.
type Leaf struct {
	// Key is the signer's.
	Key keys.PublicKey
	// Certificate is the signer's; Anchor is the root at the end of its path.
	Certificate, Anchor *x509.Certificate
	// NotAfter is when the first certificate of the path expires.
	NotAfter time.Time
}

// Verify checks the certificates x5c, in DER, the signer's first, under roots at the
// time now. An error that is not one of the package's refusals is a mistake of the
// caller.
func Verify(x5c [][]byte, roots []*x509.Certificate, now time.Time, want Want) (*Leaf, error) {
	if now.IsZero() || otherUses[want.Purpose] == nil {
		return nil, fmt.Errorf("chain: internal error: Verify for purpose %q at %s", want.Purpose, now)
	}
	path, err := parse(x5c)
	if err != nil {
		return nil, err
	}
	if err := checkShape(path, roots, want.Purpose); err != nil {
		return nil, err
	}
	if err := checkDates(path, now); err != nil {
		return nil, err
	}
	anchor, err := findPath(path, roots, now)
	if err != nil {
		return nil, err
	}
	leaf := &Leaf{Certificate: path[0], Anchor: anchor, NotAfter: anchor.NotAfter}
	for _, c := range path {
		if c.NotAfter.Before(leaf.NotAfter) {
			leaf.NotAfter = c.NotAfter
		}
	}
	if leaf.Key, err = keys.PublicKeyOf(path[0].PublicKey); err != nil {
		return nil, fmt.Errorf("%w: the signer's key", ErrUnsupported)
	}
	return leaf, leaf.check(want)
}

// parse reads the certificates and looks at everything that is bounded.
func parse(x5c [][]byte) ([]*x509.Certificate, error) {
	if len(x5c) == 0 {
		return nil, fmt.Errorf("%w: no certificate", ErrMalformed)
	}
	if len(x5c) > MaxCertificates {
		return nil, fmt.Errorf("%w: %d certificates, at most %d", ErrTooLarge, len(x5c), MaxCertificates)
	}
	var path []*x509.Certificate
	for i, der := range x5c {
		c, err := parseOne(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		path = append(path, c)
	}
	return path, nil
}

// parseOne reads one certificate.
func parseOne(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(der), MaxCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not an X.509 certificate", ErrMalformed) // the library's text may quote it
	}
	names := len(c.DNSNames) + len(c.URIs) + len(c.EmailAddresses) + len(c.IPAddresses)
	constraints := len(c.PermittedDNSDomains) + len(c.ExcludedDNSDomains) + len(c.PermittedIPRanges) + len(c.ExcludedIPRanges) +
		len(c.PermittedEmailAddresses) + len(c.ExcludedEmailAddresses) + len(c.PermittedURIDomains) + len(c.ExcludedURIDomains) +
		len(c.Policies) + len(c.PolicyMappings) + len(c.ExtKeyUsage) + len(c.UnknownExtKeyUsage)
	switch {
	case c.Version != 3:
		return nil, fmt.Errorf("%w: a certificate of version %d, want 3", ErrMalformed, c.Version)
	case names > maxNames:
		return nil, fmt.Errorf("%w: %d names, at most %d", ErrTooLarge, names, maxNames)
	case constraints > maxConstraints:
		return nil, fmt.Errorf("%w: %d constraints, policies and uses, at most %d", ErrTooLarge, constraints, maxConstraints)
	}
	return c, checkAlgorithms(c)
}

// checkAlgorithms refuses keys and signatures that nothing of Sanad uses.
func checkAlgorithms(c *x509.Certificate) error {
	if _, err := keys.PublicKeyOf(c.PublicKey); err != nil {
		return fmt.Errorf("%w: a key that is neither P-256, P-384 nor Ed25519", ErrUnsupported)
	}
	switch c.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.PureEd25519:
		return nil
	}
	return fmt.Errorf("%w: signed with something else than ECDSA or Ed25519", ErrUnsupported)
}

// checkShape checks what each certificate says of itself.
func checkShape(path, roots []*x509.Certificate, purpose keys.Purpose) error {
	for i, c := range path {
		switch {
		case i == 0 && selfIssued(c):
			return fmt.Errorf("%w: the signer's own", ErrSelfSigned)
		case selfIssued(c) || slices.ContainsFunc(roots, c.Equal):
			return fmt.Errorf("%w: certificate %d", ErrAnchor, i+1)
		case i == 0 && (c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0):
			return fmt.Errorf("%w: the signer's certificate is one of an authority", ErrAuthority)
		case i > 0 && (!c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0):
			return fmt.Errorf("%w: certificate %d may not sign others", ErrAuthority, i+1)
		// RFC 5280 section 4.2.1.3: a key usage, where there is one, limits the key.
		case i == 0 && c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
			return fmt.Errorf("%w: not for digital signatures", ErrUse)
		}
		if err := checkUses(c, purpose); err != nil {
			return fmt.Errorf("certificate %d: %w", i+1, err)
		}
	}
	return nil
}

// selfIssued reports whether issuer and subject of c are one: a root, whoever
// signed it.
func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// Extended key usages that are not for signing what we check (RFC 5280 section
// 4.2.1.12), and the two of ISO/IEC 18013-5 annex B that tell issuers from verifiers.
var (
	codeSigning     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	emailProtection = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
	timeStamping    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	ocspSigning     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}
	documentSigner  = asn1.ObjectIdentifier{1, 0, 18013, 5, 1, 2}
	readerAuth      = asn1.ObjectIdentifier{1, 0, 18013, 5, 1, 6}
)

// otherUses are, for each purpose that a chain can have, the extended key usages that
// do not allow it. A certificate without any, or with one that is not here, allows it:
// HAIP 1.0 leaves the profile open, and the one that the Token Status List draft asks
// IANA for (section 10) has no number yet.
var otherUses = map[keys.Purpose][]asn1.ObjectIdentifier{
	keys.Credential: {codeSigning, emailProtection, timeStamping, ocspSigning, readerAuth},
	keys.StatusList: {codeSigning, emailProtection, timeStamping, ocspSigning, readerAuth},
	keys.Metadata:   {codeSigning, emailProtection, timeStamping, ocspSigning, readerAuth},
	keys.Request:    {codeSigning, emailProtection, timeStamping, ocspSigning, documentSigner},
}

// knownUses are the numbers of the extended key usages that crypto/x509 has names for
// and that otherUses lists.
var knownUses = map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
	x509.ExtKeyUsageCodeSigning: codeSigning, x509.ExtKeyUsageEmailProtection: emailProtection,
	x509.ExtKeyUsageTimeStamping: timeStamping, x509.ExtKeyUsageOCSPSigning: ocspSigning,
}

// checkUses refuses a certificate all of whose extended key usages are other ones.
func checkUses(c *x509.Certificate, purpose keys.Purpose) error {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return nil
	}
	other := func(oid asn1.ObjectIdentifier) bool { return slices.ContainsFunc(otherUses[purpose], oid.Equal) }
	for _, use := range c.ExtKeyUsage {
		if oid, ok := knownUses[use]; !ok || !other(oid) {
			return nil
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		if !other(oid) {
			return nil
		}
	}
	return fmt.Errorf("%w: its extended key usage does not allow the purpose %s", ErrUse, purpose)
}

// checkDates says which certificate is out of its time.
func checkDates(path []*x509.Certificate, now time.Time) error {
	for i, c := range path {
		switch {
		case now.Before(c.NotBefore):
			return fmt.Errorf("%w: certificate %d, valid from %s", ErrNotYet, i+1, c.NotBefore.UTC().Format(time.RFC3339))
		case now.After(c.NotAfter):
			return fmt.Errorf("%w: certificate %d, valid until %s", ErrExpired, i+1, c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// findPath has crypto/x509 validate that path, in its order, leads to one of the
// roots, and returns that one.
func findPath(path, roots []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	// A nil pool would be the system's roots.
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		if c == nil || !c.BasicConstraintsValid || !c.IsCA || checkAlgorithms(c) != nil {
			continue // trusted for what it cannot do
		}
		anchors.AddCert(c)
	}
	for _, c := range path[1:] {
		between.AddCert(c)
	}
	chains, err := path[0].Verify(x509.VerifyOptions{
		Roots: anchors, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, refusal(err)
	}
	for _, chain := range chains {
		if len(chain) == len(path)+1 && slices.EqualFunc(path, chain[:len(path)], (*x509.Certificate).Equal) {
			return chain[len(path)], nil
		}
	}
	return nil, fmt.Errorf("%w: the certificates are not the path, or not in its order", ErrUntrusted)
}

// refusal turns an error of crypto/x509 into ours, without its text, which quotes
// certificates.
func refusal(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			return fmt.Errorf("%w: one of the path, or the root", ErrExpired)
		case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.NameConstraintsWithoutSANs:
			return fmt.Errorf("%w: an authority may not sign for this name", ErrName)
		case x509.TooManyIntermediates:
			return fmt.Errorf("%w: more authorities than the path may have", ErrAuthority)
		case x509.TooManyConstraints:
			return fmt.Errorf("%w: too many constraints", ErrTooLarge)
		case x509.NotAuthorizedToSign:
			return fmt.Errorf("%w: not allowed to sign others", ErrAuthority)
		}
		return fmt.Errorf("%w: path validation refused it (reason %d)", ErrUntrusted, invalid.Reason)
	}
	if _, ok := errors.AsType[x509.UnhandledCriticalExtension](err); ok {
		return fmt.Errorf("%w: a critical extension that is not known here", ErrMalformed)
	}
	return ErrUntrusted
}

// check compares the leaf with what was wanted.
func (l *Leaf) check(want Want) error {
	signer, root := country(l.Certificate), country(l.Anchor)
	switch {
	case !want.Key.IsZero() && !l.Key.Equal(want.Key):
		return ErrKey
	// The wanted name is compared as it is; crypto/x509 would fold case and expand
	// wildcards.
	case want.DNS != "" && !slices.Contains(l.Certificate.DNSNames, want.DNS):
		return fmt.Errorf("%w: it does not name the host that was expected", ErrName)
	case want.URI != "" && !slices.ContainsFunc(l.Certificate.URIs, func(u *url.URL) bool { return u.String() == want.URI }):
		return fmt.Errorf("%w: it does not name the address that was expected", ErrName)
	// ISO/IEC 18013-5 annex B.1.4: signer and root have one country.
	case signer != "" && root != "" && signer != root, want.Country != "" && root != want.Country:
		return ErrCountry
	}
	return nil
}

// country is the one country of the subject of c, "" if it states none, and "?" if it
// states several.
func country(c *x509.Certificate) string {
	switch len(c.Subject.Country) {
	case 0:
		return ""
	case 1:
		return c.Subject.Country[0]
	}
	return "?"
}

// Hash is the SHA-256 of a certificate in DER in base64url: what stands after
// "x509_hash:" in the client identifier of a verifier (OpenID4VP 1.0 section 5.9.3).
func Hash(der []byte) string {
	sum := sha256.Sum256(der)
	return strict.Base64URL(sum[:])
}

// AKI returns the authority key identifiers of a chain in base64url, without
// repetition, the signer's first: what the query of a verifier may name in
// trusted_authorities of type "aki" (OpenID4VP 1.0 section 6.1.1.1). Certificates
// without one are passed over.
func AKI(x5c [][]byte) ([]string, error) {
	path, err := parse(x5c)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range path {
		if id := strict.Base64URL(c.AuthorityKeyId); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// hostName reports whether s is a name as certificates of ours carry it: letters in
// lower case, digits and hyphens, with dots between.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
