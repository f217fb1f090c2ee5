package oid4vp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
)

// A Prefix says how a client identifier is to be understood (section 5.9).
type Prefix string

// The prefixes that are supported here. PreRegistered stands for none at all, under
// the name that wallet metadata give it (section 10.1).
const (
	PreRegistered           Prefix = "pre-registered"
	RedirectURI             Prefix = "redirect_uri"
	X509SANDNS              Prefix = "x509_san_dns"
	X509Hash                Prefix = "x509_hash"
	DecentralizedIdentifier Prefix = "decentralized_identifier"
)

// A ClientID names a verifier. It is always compared and used whole (section 14.8).
type ClientID struct {
	Prefix Prefix
	// Name is what stands behind the prefix: a URL, a DNS name, the hash of a
	// certificate, a DID, or a name known beforehand.
	Name string
}

// NewX509Hash is the client identifier of whoever has the key of this certificate
// (section 5.9.3).
func NewX509Hash(leaf []byte) ClientID {
	return ClientID{X509Hash, chain.Hash(leaf)}
}

// String is the whole client identifier.
func (c ClientID) String() string {
	if c.Prefix == PreRegistered {
		return c.Name
	}
	return string(c.Prefix) + ":" + c.Name
}

// Signed reports whether requests of such a client must be signed. Those with a
// redirect URI cannot be.
func (c ClientID) Signed() bool { return c.Prefix != RedirectURI }

// ParseClientID reads a client identifier. A prefix that is reserved (origin), not
// supported or unknown is refused, and so is a name that no client with this prefix
// can have. The error is [ErrClient].
func ParseClientID(s string) (ClientID, error) {
	bad := func(why string) (ClientID, error) {
		return ClientID{}, refuse(InvalidRequest, ErrClient, "client_id: %s", why)
	}
	if s == "" || len(s) > maxURI {
		return bad("missing or too long")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return bad("characters that no client identifier has")
	}
	prefix, name, ok := strings.Cut(s, ":")
	if !ok {
		return ClientID{PreRegistered, s}, nil
	}
	c := ClientID{Prefix(prefix), name}
	switch c.Prefix {
	case RedirectURI:
		// Whether plain http will do is the wallet's decision, as for every address.
		if _, err := readURL(name, true); err != nil {
			return bad("not a redirect URI")
		}
	case X509SANDNS:
		if !isHost(name) {
			return bad("not a DNS name")
		}
	case X509Hash:
		if b, err := strict.DecodeBase64URL(name); err != nil || len(b) != sha256.Size {
			return bad("not a SHA-256 hash in base64url")
		}
	case DecentralizedIdentifier:
		if !isDID(name) {
			return bad("not a DID")
		}
	case "origin":
		return bad("the prefix origin is not for requests") // section 5.9.3
	default:
		return bad("a prefix that is not supported")
	}
	return c, nil
}

// isDID reports whether s is a DID without path, query or fragment (DID Core
// section 3.1).
func isDID(s string) bool {
	rest, ok := strings.CutPrefix(s, "did:")
	method, id, two := strings.Cut(rest, ":")
	return ok && two && method != "" && id != "" && !strings.ContainsAny(s, "/?#") &&
		!strings.ContainsFunc(method, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
}

// isHost reports whether s is a DNS name of labels made of letters, digits and
// hyphens. One label is enough: localhost.
func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
			}) {
			return false
		}
	}
	return true
}

// A Client is the verifier that a request comes from, as far as it was established.
type Client struct {
	ID ClientID
	// Vouched is what establishes it; zero for an unsigned request, of which nobody
	// knows who made it.
	Vouched
}

// Vouched is what is known of a client on somebody's word.
type Vouched struct {
	// Key is the key that signed the request.
	Key keys.PublicKey
	// Subject is the client's name as the one who vouches for it states it.
	Subject string
	// Anchor names who vouches for it: the root of the chain of certificates, the
	// method of a DID, the register of clients. "" if nobody does.
	Anchor string
	// Hosts are the DNS names and addresses at which the client receives responses.
	Hosts []string
	// URIs are addresses at which it does, exactly.
	URIs []string
}

// Chains verifies the certificate chains of verifiers; [Roots] is one.
type Chains interface {
	// Leaf verifies a chain (DER, the leaf first) up to a root that the wallet trusts
	// for verifiers, which must not be in it, with a leaf that is not self-signed, as
	// of now. It returns the leaf's key, its names as Hosts, and the name of the root
	// as Anchor. An error is a refusal.
	Leaf(ctx context.Context, x5c [][]byte, now time.Time) (Vouched, error)
}

// Roots are the roots under which verifiers have certificates.
type Roots []*x509.Certificate

// Leaf implements [Chains].
func (r Roots) Leaf(_ context.Context, x5c [][]byte, now time.Time) (Vouched, error) {
	leaf, err := chain.Verify(x5c, r, now, chain.Want{Purpose: keys.Request})
	if err != nil {
		return Vouched{}, err
	}
	v := Vouched{Key: leaf.Key, Subject: commonName(leaf.Certificate), Anchor: commonName(leaf.Anchor), Hosts: leaf.Certificate.DNSNames}
	for _, ip := range leaf.Certificate.IPAddresses {
		v.Hosts = append(v.Hosts, ip.String())
	}
	return v, nil
}

// commonName is the name of a certificate's holder for people.
func commonName(c *x509.Certificate) string {
	if len(c.Subject.Organization) > 0 {
		return c.Subject.Organization[0]
	}
	return cmp.Or(c.Subject.CommonName, c.Subject.String())
}

// DIDs resolves the DIDs of verifiers.
type DIDs interface {
	// Method returns the key of the verification method keyID, a DID URL, in the
	// document of the DID. Hosts is the host of a did:web. An error is a refusal.
	Method(ctx context.Context, did, keyID string) (Vouched, error)
}

// Clients knows the verifiers that were registered with the wallet.
type Clients interface {
	// Client returns what is known of a client by its name, nil for a stranger.
	Client(name string) *Registered
}

// A Registered client is what a wallet knows of a verifier beforehand.
type Registered struct {
	// Vouched is what is known of it; its Key is not looked at.
	Vouched
	// Keys are those that may sign its requests.
	Keys []keys.PublicKey
	// Metadata is what it can do: its requests must not say so.
	Metadata *ClientMetadata
}

// answersFor reports whether the client answers for an address: it is one of its
// URIs, or on one of its hosts.
func (v Vouched) answersFor(u *url.URL) bool {
	return slices.Contains(v.URIs, u.String()) || slices.ContainsFunc(v.Hosts, func(h string) bool { return strings.EqualFold(h, u.Hostname()) })
}

// readURL reads an address to which something is sent: absolute, https or, if plain
// is set, http on loopback; without user and fragment, and without what two readers
// might take differently.
func readURL(s string, plain bool) (*url.URL, error) {
	if s == "" || len(s) > maxURI || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return nil, errors.New("missing, too long or with characters that no address has")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || u.User != nil || strings.Contains(s, "#") || u.Hostname() == "":
		return nil, errors.New("not an absolute address without user and fragment")
	case u.Scheme == "https":
	case u.Scheme != "http" || !plain || !isLoopback(u.Hostname()):
		return nil, errors.New("not https")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !isHost(u.Hostname()) {
		return nil, errors.New("not a host")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// readURI is readURL for a parameter of this name; the error is [ErrURI].
func readURI(name, s string, plain bool) (*url.URL, error) {
	u, err := readURL(s, plain)
	if err != nil {
		return nil, refuse(InvalidRequest, ErrURI, "%s: %v", name, err)
	}
	return u, nil
}

// hashOf reports whether the client identifier is the hash of this certificate.
func (c ClientID) hashOf(leaf []byte) bool { return c == NewX509Hash(leaf) }
