package oid4vci

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// maxProof is the most bytes of a DPoP proof, or of a proof of possession.
const maxProof = 8 << 10

// DPoPExpect is what a server requires of a DPoP proof. CheckDPoP reports a zero field
// as an error unless it says so.
type DPoPExpect struct {
	// Method and URL are those of the request as the client sent it; a query is not
	// compared.
	Method, URL string
	// Now is the moment to judge at, and MaxAge how long ago the proof may have been
	// made.
	Now    time.Time
	MaxAge time.Duration
	// Algorithms are those that the server offers.
	Algorithms []keys.Algorithm
	// At says which server asks: at a resource server the access token must be given.
	At Server
	// AccessToken is the one that comes with the proof, and Key the thumbprint that it
	// is bound to; both at a resource server only.
	AccessToken Secret
	Key         string
	// NeedNonce refuses a proof without nonce with [UseDPoPNonce]. Whether it is one
	// of ours, and fresh, is the caller's. Optional.
	NeedNonce bool
}

func (e DPoPExpect) check() error {
	resource := e.At == ResourceServer
	switch {
	case e.Method == "" || e.URL == "" || e.Now.IsZero() || e.MaxAge <= 0 || len(e.Algorithms) == 0:
		return errors.New("oid4vci: DPoPExpect.Method, URL, Now, MaxAge or Algorithms is not set")
	case e.At != AuthorizationServer && !resource:
		return errors.New("oid4vci: DPoPExpect.At is not set")
	case resource != (e.AccessToken != "") || resource != (e.Key != ""):
		return errors.New("oid4vci: DPoPExpect.AccessToken and Key belong to a resource server, and are needed there")
	}
	return nil
}

// A DPoP is a proof that was checked.
type DPoP struct {
	// Key is the client's key, and Thumbprint its RFC 7638 thumbprint (jkt).
	Key        keys.PublicKey
	Thumbprint string
	// Nonce is the server's nonce in it, "" if there is none.
	Nonce string
	// Replay is what the caller must remember until Until: a proof with the same one is
	// the same proof again (RFC 9449 section 11.1). It does not depend on the signature.
	Replay [sha256.Size]byte
	Until  time.Time
}

// NeedDPoPNonce asks the client for a proof with a nonce of the server, which goes into
// the header [DPoPNonceHeader] of this answer.
func NeedDPoPNonce() *Error {
	return NewError(UseDPoPNonce, ErrNoNonce, "a proof with a fresh nonce is needed")
}

// CheckDPoP checks the DPoP proof of a request as RFC 9449 section 4.3 sets out. Headers
// are the values of all fields [DPoPHeader] of the request.
func CheckDPoP(headers []string, want DPoPExpect) (*DPoP, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	// Section 4.3 step 1: one header.
	if len(headers) == 0 {
		return nil, refuse(InvalidDPoPProof, ErrMissing, "no DPoP proof")
	}
	if len(headers) > 1 {
		return nil, refuse(InvalidDPoPProof, ErrRepeated, "several DPoP proofs")
	}
	// Steps 2, 4, 5 and 7: one JWT, its type, a signature algorithm, a public key.
	t, err := readToken(headers[0], DPoPTyp, keyOwn, maxProof, InvalidDPoPProof)
	if err != nil {
		return nil, err
	}
	// Step 6.
	if err := t.verify(*t.Key, want.Algorithms); err != nil {
		return nil, err
	}
	// Step 3 and 8 to 11: what it says.
	jti, method, target := t.claims.mustText("jti", maxJTI), t.claims.mustText("htm", 32), t.claims.mustText("htu", maxURL)
	nonce, ath := t.claims.text("nonce", maxJTI), t.claims.text("ath", 64)
	if t.claims.err != nil {
		return nil, t.claims.err
	}
	if method != want.Method {
		return nil, refuse(InvalidDPoPProof, ErrTarget, "htm is not the method of this request")
	}
	if a, ok := sameTarget(target); !ok {
		return nil, refuse(InvalidDPoPProof, ErrTarget, "htu is no address")
	} else if b, ok := sameTarget(want.URL); !ok || a != b {
		return nil, refuse(InvalidDPoPProof, ErrTarget, "htu is not the address of this request")
	}
	iat, err := t.issuedAt(want.Now, want.MaxAge)
	if err != nil {
		return nil, err
	}
	if want.NeedNonce && nonce == "" {
		return nil, NeedDPoPNonce()
	}
	thumbprint := t.Key.JWKThumbprint()
	// Step 12: bound to this access token, and the token to this key.
	if want.At == ResourceServer {
		if ath != tokenHash(want.AccessToken) {
			return nil, refuse(InvalidDPoPProof, ErrTarget, "ath is not the hash of this access token")
		}
		if thumbprint != want.Key {
			return nil, refuse(InvalidToken, ErrKey, "the access token is bound to another key")
		}
	}
	return &DPoP{
		Key: *t.Key, Thumbprint: thumbprint, Nonce: nonce,
		Replay: sha256.Sum256([]byte("dpop\x00" + thumbprint + "\x00" + jti)),
		Until:  iat.Add(want.MaxAge),
	}, nil
}

// tokenHash is the claim ath (RFC 9449 section 4.2).
func tokenHash(token Secret) string {
	sum := sha256.Sum256([]byte(token))
	return strict.Base64URL(sum[:])
}

// sameTarget returns an address in the one form in which htu is compared: without query
// and fragment, after the normalisations of RFC 3986 sections 6.2.2 and 6.2.3.
func sameTarget(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || !printable(raw) {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + normalPath(path), true
}

// normalPath writes escapes in one way: unreserved characters as themselves, others
// with capital digits.
func normalPath(path string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b = append(b, path[i])
			continue
		}
		high, low := strings.IndexByte(hex, upper(path[i+1])), strings.IndexByte(hex, upper(path[i+2]))
		if high < 0 || low < 0 {
			b = append(b, path[i])
			continue
		}
		c := byte(high<<4 | low)
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[high], hex[low])
		}
		i += 2
	}
	return string(b)
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// A DPoPRequest is the request that a client proves its key for.
type DPoPRequest struct {
	// Method and URL are those of the request. A query is left out of the proof.
	Method, URL string
	// Now is the time, in whole seconds.
	Now time.Time
	// Nonce is the last that this server gave. Optional.
	Nonce string
	// AccessToken is the one that comes with it, at a resource server.
	AccessToken Secret
}

// MakeDPoP makes a DPoP proof (RFC 9449 section 4.2).
func MakeDPoP(rnd io.Reader, s keys.Signer, r DPoPRequest) (string, error) {
	if r.Method == "" || r.URL == "" || r.Now.IsZero() {
		return "", errors.New("oid4vci: DPoPRequest.Method, URL or Now is not set")
	}
	jti, err := NewSecret(rnd)
	if err != nil {
		return "", err
	}
	target, _, _ := strings.Cut(r.URL, "#")
	target, _, _ = strings.Cut(target, "?")
	claims := map[string]any{"jti": string(jti), "htm": r.Method, "htu": target, "iat": r.Now.Unix()}
	put(claims, "nonce", r.Nonce)
	if r.AccessToken != "" {
		claims["ath"] = tokenHash(r.AccessToken)
	}
	key := s.Key().Public
	return sign(rnd, s, jose.Header{Type: DPoPTyp, Key: &key}, claims)
}
