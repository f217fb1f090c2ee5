package did

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors that callers tell apart. All but [ErrUnresolved] are decisions: the same
// input is refused again.
var (
	// ErrDID: not a DID, or not one of its method (invalidDid in DID Resolution).
	ErrDID = errors.New("did: not a DID")
	// ErrURL: a DID URL with more than a fragment, or without one.
	ErrURL = errors.New("did: not a DID URL that names a key")
	// ErrMethod: a method that Sanad does not know.
	ErrMethod = errors.New("did: method not supported")
	// ErrUnsupportedKey: a key of a kind that Sanad does not accept.
	ErrUnsupportedKey = errors.New("did: unsupported key")
	// ErrDocument: not a DID document.
	ErrDocument = errors.New("did: malformed document")
	// ErrTooLarge: a limit on size or count is passed.
	ErrTooLarge = errors.New("did: too large")
	// ErrSubject: the document is about another DID.
	ErrSubject = errors.New("did: document of another DID")
	// ErrDeactivated: the DID has been given up.
	ErrDeactivated = errors.New("did: deactivated")
	// ErrNoKey: the document has no such key.
	ErrNoKey = errors.New("did: no such key in the document")
	// ErrRelationship: the document has the key, but not for this.
	ErrRelationship = errors.New("did: key is not listed for this")
	// ErrUnresolved: no document was to be had. It may be there another time.
	ErrUnresolved = errors.New("did: document out of reach")
)

// maxDID is the most bytes of a DID. A did:jwk holds a whole key.
const maxDID = 8 << 10

// split takes a DID apart: did:METHOD:ID (DID Core 1.0 section 3.1).
func split(did string) (method, id string, err error) {
	if len(did) > maxDID {
		return "", "", fmt.Errorf("%w: a DID of %d bytes", ErrTooLarge, len(did))
	}
	scheme, rest, _ := strings.Cut(did, ":")
	method, id, ok := strings.Cut(rest, ":")
	if scheme != "did" || !ok || method == "" || id == "" || strings.HasSuffix(id, ":") {
		return "", "", fmt.Errorf("%w: want did:METHOD:ID", ErrDID)
	}
	for _, c := range []byte(method) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return "", "", fmt.Errorf("%w: the method is written in lower-case letters and digits", ErrDID)
		}
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case alphanumeric(c) || strings.IndexByte(".-_:", c) >= 0:
		case c == '%' && i+2 < len(id) && hexadecimal(id[i+1]) && hexadecimal(id[i+2]):
			i += 2
		default:
			return "", "", fmt.Errorf("%w: a character that no DID has", ErrDID)
		}
	}
	return method, id, nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func hexadecimal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Of returns the DID that a kid of a token belongs to, so that it can be resolved: the
// part before the fragment. What is no DID URL with a fragment and nothing else is
// [ErrURL] or [ErrDID].
func Of(kid string) (string, error) {
	did, err := ofURL(kid)
	if err != nil {
		return "", err
	}
	_, _, err = split(did)
	return did, err
}

// ofURL is the part of a DID URL before the fragment, which must be there.
func ofURL(kid string) (string, error) {
	if len(kid) > 2*maxDID {
		return "", fmt.Errorf("%w: a DID URL of %d bytes", ErrTooLarge, len(kid))
	}
	did, fragment, ok := strings.Cut(kid, "#")
	switch {
	case !ok || fragment == "":
		return "", fmt.Errorf("%w: it has no fragment", ErrURL)
	case strings.ContainsAny(did, "?/;\\"):
		// DID Core 1.0 section 3.2: such parts ask for another version of the document or
		// for something else than the document.
		return "", fmt.Errorf("%w: it has parameters, a path or a query", ErrURL)
	}
	for _, c := range []byte(fragment) {
		if !alphanumeric(c) && strings.IndexByte("-._~!$&'()*+,;=:@/?%", c) < 0 {
			return "", fmt.Errorf("%w: a character that no fragment has", ErrURL)
		}
	}
	return did, nil
}

// cut quotes and shortens a word that came from outside.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
