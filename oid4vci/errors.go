package oid4vci

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// Reasons beneath an [*Error], for whoever must tell them apart. An Error has one.
var (
	// ErrMalformed: not the message that was expected.
	ErrMalformed = errors.New("oid4vci: malformed")
	// ErrTooLarge: a limit on size, nesting or count is passed.
	ErrTooLarge = errors.New("oid4vci: too large")
	// ErrMissing: something that must be there is not.
	ErrMissing = errors.New("oid4vci: missing")
	// ErrRepeated: a parameter, a header or a key stands there twice.
	ErrRepeated = errors.New("oid4vci: repeated")
	// ErrConflict: two things that exclude each other, or that must agree and do not.
	ErrConflict = errors.New("oid4vci: contradiction")
	// ErrUnsupported: well formed, and nothing that we do.
	ErrUnsupported = errors.New("oid4vci: not supported")
	// ErrURL: an address that may not stand here: not https, with user info, of
	// another host or with parts too many.
	ErrURL = errors.New("oid4vci: address not allowed")
	// ErrIssuer: the message speaks for another issuer or server than the one asked.
	ErrIssuer = errors.New("oid4vci: another issuer")
	// ErrType: a token of another kind.
	ErrType = errors.New("oid4vci: token of another kind")
	// ErrHeader: a header that no token may have here, such as crit or jku, or an
	// algorithm that is no signature.
	ErrHeader = errors.New("oid4vci: header not allowed")
	// ErrAlgorithm: no algorithm that was offered.
	ErrAlgorithm = errors.New("oid4vci: algorithm not offered")
	// ErrKey: no key where one must be, several, or a private one.
	ErrKey = errors.New("oid4vci: key not acceptable")
	// ErrPrivateKey: the sender disclosed a private key, which nobody may use any more.
	ErrPrivateKey = errors.New("oid4vci: a private key was disclosed")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("oid4vci: bad signature")
	// ErrAudience: meant for somebody else.
	ErrAudience = errors.New("oid4vci: another audience")
	// ErrTime: too old, expired, or of the future.
	ErrTime = errors.New("oid4vci: not valid at this time")
	// ErrNoNonce: the nonce is missing.
	ErrNoNonce = errors.New("oid4vci: no nonce")
	// ErrTarget: a DPoP proof for another request or another access token.
	ErrTarget = errors.New("oid4vci: proof for another request")
	// ErrUntrusted: signed by nobody we trust for this.
	ErrUntrusted = errors.New("oid4vci: signer not trusted")
	// ErrAttestation: the key attestation is missing or does not cover the key or the
	// level that is needed.
	ErrAttestation = errors.New("oid4vci: key attestation does not suffice")
	// ErrEncryption: an encrypted message was required, or cannot be opened.
	ErrEncryption = errors.New("oid4vci: encryption")
	// ErrPKCE: the code verifier does not belong to the challenge.
	ErrPKCE = errors.New("oid4vci: wrong code verifier")
	// ErrPeer: the other side answered with an error response.
	ErrPeer = errors.New("oid4vci: the other side refused")
)

// An Error is what the other side is told about a message of its own, or what it
// told us. It never holds a claim or a secret.
type Error struct {
	Code        Code
	Description string

	reason error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Description == "" {
		return "oid4vci: " + string(e.Code)
	}
	return "oid4vci: " + string(e.Code) + ": " + e.Description
}

// Unwrap returns the reason, which is one of the errors of this package.
func (e *Error) Unwrap() error { return e.reason }

// NewError returns an error of this code with a description for the developers of
// the other side. Reason may be nil.
func NewError(code Code, reason error, description string) *Error {
	return &Error{Code: code, Description: plain(description), reason: reason}
}

// refuse is NewError with a text made from parts, which must not hold secrets.
func refuse(code Code, reason error, format string, args ...any) *Error {
	return NewError(code, reason, fmt.Sprintf(format, args...))
}

// with returns err as an Error of this code, whatever it was.
func with(code Code, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return &Error{Code: code, Description: e.Description, reason: e.reason}
	}
	return NewError(code, ErrMalformed, err.Error())
}

// maxDescription is the most characters of a description.
const maxDescription = 300

// plain keeps the characters that error_description may hold (RFC 6749 section 5.2).
func plain(s string) string {
	b := make([]byte, 0, min(len(s), maxDescription))
	for _, r := range s {
		switch {
		case len(b) == maxDescription:
			return string(b)
		case r == '"' || r == '\\':
			b = append(b, '\'')
		case r < ' ' || r > '~':
			b = append(b, '?')
		default:
			b = append(b, byte(r))
		}
	}
	return string(b)
}

// A Server is one of the two servers of an issuer.
type Server int

// The servers. The second has the credential, deferred and notification endpoints.
const (
	AuthorizationServer Server = iota + 1
	ResourceServer
)

// Status is the HTTP status with which the server says so.
func (e *Error) Status(at Server) int {
	switch e.Code {
	case InvalidClient, InvalidClientAttestation, InvalidToken:
		return 401
	case InvalidDPoPProof, UseDPoPNonce, UseFreshAttestation, UseAttestationChallenge:
		if at == ResourceServer {
			return 401 // RFC 9449 sections 7.1 and 9, client attestation section 7.4
		}
		return 400 // RFC 9449 sections 5 and 8, client attestation section 7.4 with RFC 6749 section 5.2
	case InsufficientScope:
		return 403
	case ServerError:
		return 500
	case TemporarilyUnavailable:
		return 503
	}
	return 400
}

// JSON is the body of the error response (RFC 6749 section 5.2, OpenID4VCI section
// 8.3.1.2).
func (e *Error) JSON() []byte {
	m := map[string]any{"error": string(e.Code)}
	if e.Description != "" {
		m["error_description"] = e.Description
	}
	b, err := strict.AppendJSON(nil, m)
	if err != nil {
		panic("oid4vci: internal error: " + err.Error())
	}
	return b
}

// Challenge is the value of WWW-Authenticate that goes with a status of 401 or 403
// at a resource server (RFC 6750 section 3, RFC 9449 section 7.1). The algorithms are
// those of DPoP proofs. A request without any token is told no error (RFC 6750 section 3.1).
func (e *Error) Challenge(algorithms []keys.Algorithm) string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	s := `DPoP algs="` + strings.Join(names, " ") + `"`
	if e.Code == InvalidToken && errors.Is(e.reason, ErrMissing) {
		return s
	}
	s += `, error="` + string(e.Code) + `"`
	if e.Description != "" {
		s += `, error_description="` + e.Description + `"`
	}
	return s
}

// Redirect is where the browser is sent with this error (RFC 6749 section 4.1.2.1,
// RFC 9207 section 2). The address must have been checked with [CheckRedirectURI]
// and be that of the request; without one there is no redirection.
func (e *Error) Redirect(redirectURI, state, issuer string) (string, error) {
	q := url.Values{"error": {string(e.Code)}, "iss": {issuer}}
	if e.Description != "" {
		q.Set("error_description", e.Description)
	}
	return redirect(redirectURI, state, q)
}

var errorLimits = strict.Limits{Bytes: 64 << 10, Depth: 16, Items: 1024}

// ReadError reads an error response. What is no error response gives an Error, too:
// [ServerError] for a status of 500 or more, [InvalidRequest] for others.
func ReadError(status int, body []byte) *Error {
	code := InvalidRequest
	if status >= 500 {
		code = ServerError
	}
	v, err := errorLimits.Object(body)
	if err != nil {
		return refuse(code, ErrPeer, "status %d without an error response", status)
	}
	text, _ := v.Get("error").Text()
	if text == "" || len(text) > 64 || plain(text) != text {
		return refuse(code, ErrPeer, "status %d without an error code", status)
	}
	description, _ := v.Get("error_description").Text()
	return NewError(Code(text), ErrPeer, description)
}

// A Secret is a value that whoever has it can use: a code, a token, a verifier. It
// does not print.
type Secret string

const hidden = "(secret)"

// String never shows the secret.
func (s Secret) String() string { return hidden }

// GoString is String.
func (s Secret) GoString() string { return hidden }

// Format is String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// NewSecret returns 256 random bits in base64url: a nonce, a code, a token, or what
// a request is known by.
func NewSecret(rnd io.Reader) (Secret, error) {
	var b [32]byte
	if _, err := io.ReadFull(rnd, b[:]); err != nil {
		return "", fmt.Errorf("oid4vci: make secret: %w", err)
	}
	return Secret(strict.Base64URL(b[:])), nil
}

// reasonOf is the reason that fits an error of package jose.
func reasonOf(err error) error {
	switch {
	case errors.Is(err, keys.ErrPrivate):
		return ErrPrivateKey
	case errors.Is(err, keys.ErrUnsupportedKey):
		return ErrKey
	case errors.Is(err, jose.ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, jose.ErrType):
		return ErrType
	case errors.Is(err, jose.ErrHeader):
		return ErrHeader
	case errors.Is(err, jose.ErrAlgorithm), errors.Is(err, jose.ErrUnsupportedAlgorithm), errors.Is(err, jose.ErrUnsigned):
		return ErrAlgorithm
	case errors.Is(err, jose.ErrSignature):
		return ErrSignature
	case errors.Is(err, jose.ErrDecrypt), errors.Is(err, jose.ErrEncrypted):
		return ErrEncryption
	}
	return ErrMalformed
}
