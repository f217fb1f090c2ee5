package oid4vp

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sanad-id/sanad/internal/strict"
)

// A Code is an OAuth error code as it travels.
type Code string

// The codes: those of section 8.5, and those of RFC 6749 section 4.1.2.1 and RFC
// 9101 section 7 on which it builds.
const (
	InvalidRequest          Code = "invalid_request"
	InvalidClient           Code = "invalid_client"
	InvalidScope            Code = "invalid_scope"
	AccessDenied            Code = "access_denied"
	FormatsNotSupported     Code = "vp_formats_not_supported"
	InvalidRequestURIMethod Code = "invalid_request_uri_method"
	InvalidTransactionData  Code = "invalid_transaction_data"
	WalletUnavailable       Code = "wallet_unavailable"
	UnsupportedResponseType Code = "unsupported_response_type"
	InvalidRequestURI       Code = "invalid_request_uri"
	InvalidRequestObject    Code = "invalid_request_object"
	ServerError             Code = "server_error"
)

// Codes returns every code.
func Codes() []Code {
	return []Code{
		InvalidRequest, InvalidClient, InvalidScope, AccessDenied, FormatsNotSupported, InvalidRequestURIMethod,
		InvalidTransactionData, WalletUnavailable, UnsupportedResponseType, InvalidRequestURI, InvalidRequestObject, ServerError,
	}
}

// Reasons beneath an [Error], for callers that tell them apart.
var (
	// ErrMalformed: not the message that was expected.
	ErrMalformed = errors.New("oid4vp: malformed")
	// ErrTooLarge: a limit on size, nesting or count is passed.
	ErrTooLarge = errors.New("oid4vp: too large")
	// ErrNotSupported: something that the standard has and this program does not.
	ErrNotSupported = errors.New("oid4vp: not supported")
	// ErrQuery: a query that breaks a rule of DCQL.
	ErrQuery = errors.New("oid4vp: not a valid query")
	// ErrClient: the client identifier, or what its prefix demands.
	ErrClient = errors.New("oid4vp: client identifier")
	// ErrSignature: the request is not signed by the client that it names.
	ErrSignature = errors.New("oid4vp: signature of the request")
	// ErrAudience: the request is for another wallet.
	ErrAudience = errors.New("oid4vp: audience of the request")
	// ErrTime: the request has expired, or is from the future.
	ErrTime = errors.New("oid4vp: dates of the request")
	// ErrNonce: the wallet's nonce is not in the request.
	ErrNonce = errors.New("oid4vp: nonce of the wallet")
	// ErrURI: an address that the client does not answer for, or that is not safe.
	ErrURI = errors.New("oid4vp: address not allowed")
	// ErrEncryption: a response that is not encrypted as it was asked for.
	ErrEncryption = errors.New("oid4vp: encryption of the response")
	// ErrState: a response to another request.
	ErrState = errors.New("oid4vp: state")
	// ErrTransactionData: of an unknown type, or not what the holder signed.
	ErrTransactionData = errors.New("oid4vp: transaction data")
	// ErrUnanswered: the credentials at hand do not answer the query.
	ErrUnanswered = errors.New("oid4vp: query not answered")
)

// An Error is a refusal, or what the other side refused with. Its description is
// for developers and holds nothing of what was asked or presented.
type Error struct {
	Code        Code
	Description string
	// Request is the request that a wallet refuses, if the verifier may be told so with
	// [Request.Refuse]: who it is and where it receives responses was established. It is
	// nil otherwise.
	Request *Request

	reason error
}

// Error names code and description.
func (e *Error) Error() string {
	if e.Description == "" {
		return "oid4vp: " + string(e.Code)
	}
	return "oid4vp: " + string(e.Code) + ": " + e.Description
}

// Unwrap is the reason: one of the sentinels of this package, nil in an error that
// the other side sent.
func (e *Error) Unwrap() error { return e.reason }

// Status is the HTTP status with which a verifier answers what it refuses.
func (e *Error) Status() int {
	switch {
	case errors.Is(e.reason, ErrTooLarge):
		return 413
	case e.Code == ServerError:
		return 500
	}
	return 400
}

// refuse returns an error with this code for this reason.
func refuse(code Code, reason error, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...), reason: reason}
}

// malformed is refuse for what is not the message that was expected.
func malformed(format string, args ...any) *Error {
	return refuse(InvalidRequest, ErrMalformed, format, args...)
}

// tooLarge is refuse for what passes a limit.
func tooLarge(what string, n, most int) *Error {
	return refuse(InvalidRequest, ErrTooLarge, "%s: %d, at most %d", what, n, most)
}

// cut quotes and shortens a word that came from outside.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.QuoteToASCII(s)
}

// unread is what package strict said of a message, as an error of this package.
func unread(what string, err error) error {
	if errors.Is(err, strict.ErrTooLarge) {
		return refuse(InvalidRequest, ErrTooLarge, "%s: a limit on size, nesting or count is passed", what)
	}
	return malformed("%s: not the JSON that was expected", what)
}
