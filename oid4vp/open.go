package oid4vp

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// Expect is what a wallet requires of a request. Open reports a zero field as an
// error, unless it says that it is optional.
type Expect struct {
	// Now is the moment to judge dates at.
	Now time.Time
	// Chains, DIDs and Clients establish who asks. Optional: a request of a client
	// that would need one which is nil is refused.
	Chains  Chains
	DIDs    DIDs
	Clients Clients
	// WalletNonce is what was posted to the request URI, "" if nothing was.
	WalletNonce string
	// Issuer is the wallet's own issuer identifier, if verifiers can discover it; it
	// will do as audience beside [StaticAudience]. Optional.
	Issuer string
	// TransactionTypes are the types of transaction data that the wallet can show to
	// a person. Optional: a request with any other is refused.
	TransactionTypes map[string]TransactionType
	// Scopes are queries agreed on before. Optional: other scopes are refused.
	Scopes map[string]*Query

	// Plain also takes responses that are not encrypted (direct_post). Optional; HAIP
	// section 5.1 has direct_post.jwt only.
	Plain bool
	// Unsigned also takes requests of which nobody knows who made them (redirect_uri).
	// Optional.
	Unsigned bool
	// AnyResponseURI also takes addresses at which nobody said that the client
	// receives responses, if the client is established and names no hosts at all.
	// Optional.
	AnyResponseURI bool
	// DevHTTP also takes http on loopback, for development. Optional.
	DevHTTP bool
}

// Open reads the request that the invocation leads to and establishes who asks.
// Object is the request object that was fetched; it is not looked at if the
// invocation has the request by value. What stands in the link counts for nothing
// beside a request object (section 5.10.1). A refusal is an [*Error]; the person is
// told always, the verifier if Error.Request is set.
func (i *Invocation) Open(ctx context.Context, object string, want Expect) (*Request, error) {
	if want.Now.IsZero() {
		return nil, errors.New("oid4vp: Expect.Now is not set")
	}
	if i.RequestURI != "" {
		if _, err := readURI(pRequestURI, i.RequestURI, want.DevHTTP); err != nil {
			return nil, err
		}
	} else {
		object = i.Object
	}
	var r *Request
	var err error
	if i.RequestURI == "" && i.Object == "" {
		r, err = i.openUnsigned(want)
	} else {
		r, err = i.openSigned(ctx, object, want)
	}
	if err != nil {
		return nil, err
	}
	if err := r.checkWallet(want); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			e.Request = r
		}
		return nil, err
	}
	return r, nil
}

// openUnsigned takes the parameters of the link for the request.
func (i *Invocation) openUnsigned(want Expect) (*Request, error) {
	switch {
	case i.ClientID.Signed():
		return nil, refuse(InvalidRequest, ErrSignature, "requests of this client must be signed")
	case !want.Unsigned:
		return nil, refuse(InvalidRequest, ErrSignature, "the request is not signed")
	}
	r, err := readRequest(i.params, want.DevHTTP)
	if err != nil {
		return nil, err
	}
	r.WalletNonce = ""
	return r, nil
}

// openSigned reads a request object.
func (i *Invocation) openSigned(ctx context.Context, object string, want Expect) (*Request, error) {
	if !i.ClientID.Signed() {
		return nil, refuse(InvalidRequest, ErrClient, "requests of this client cannot be signed") // section 5.9.3
	}
	m, err := jose.Parse(strings.TrimSpace(object), jose.Expect{Types: []string{RequestType}, MaxBytes: MaxRequest})
	switch {
	case errors.Is(err, jose.ErrTooLarge):
		return nil, refuse(InvalidRequestObject, ErrTooLarge, "request object: %v", err)
	case errors.Is(err, jose.ErrUnsigned) || errors.Is(err, jose.ErrUnsupportedAlgorithm):
		return nil, refuse(InvalidRequest, ErrSignature, "request object: %v", err)
	case err != nil:
		return nil, refuse(InvalidRequestObject, ErrMalformed, "request object: %v", err)
	}
	v, err := requestLimits.Object(m.Payload)
	if err != nil {
		return nil, unread("request object", err)
	}
	// Section 5.10.1: the same client, prefix included, before anything is resolved.
	if id, _ := v.Get(pClientID).Text(); id != i.ClientID.String() {
		return nil, refuse(InvalidRequest, ErrClient, "the request object names another client")
	}
	vouched, err := i.ClientID.establish(ctx, m, want)
	if err != nil {
		return nil, err
	}
	if err := checkToken(v, want); err != nil {
		return nil, err
	}
	r, err := readRequest(v, want.DevHTTP)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			e.Request = i.refusable(v, vouched, want)
		}
		return nil, err
	}
	r.Client.Vouched = vouched
	if r.WalletNonce != want.WalletNonce {
		if want.WalletNonce != "" {
			return nil, refuse(InvalidRequest, ErrNonce, "wallet_nonce: not the one that was sent")
		}
		r.WalletNonce = "" // for another wallet; it means nothing here
	}
	r.IssuedAt, r.Expires = date(v, "iat"), date(v, "exp")
	if err := r.findPolicy(v.Get(pVerifierInfo)); err != nil {
		return nil, err
	}
	if err := r.checkAddresses(i.RequestURI, want); err != nil {
		return nil, err
	}
	return r, nil
}

// refusable is as much of a request that cannot be read as it takes to refuse it (section
// 8.5): who made it, which is established, and where that client receives responses. It is
// nil if the request does not say, or says another's.
func (i *Invocation) refusable(v strict.Value, vouched Vouched, want Expect) *Request {
	r := &Request{Client: Client{ID: i.ClientID, Vouched: vouched}}
	mode, _ := v.Get(pResponseMode).Text()
	r.ResponseMode = ResponseMode(mode)
	r.ResponseURI, _ = v.Get(pResponseURI).Text()
	r.State, _ = v.Get(pState).Text()
	nonce, _ := v.Get(pWalletNonce).Text()
	_, err := readURI(pResponseURI, r.ResponseURI, want.DevHTTP)
	switch {
	case err != nil || r.ResponseMode != DirectPost && r.ResponseMode != DirectPostJWT:
	case v.Get(pState).Kind() != strict.None && !isSecret(r.State):
	case want.WalletNonce != "" && nonce != want.WalletNonce: // perhaps an old one
	case r.checkAddresses(i.RequestURI, want) != nil:
	default:
		return r
	}
	return nil
}

// establish checks the signature by the rules of the client's prefix (section
// 5.9.3).
func (c ClientID) establish(ctx context.Context, m *jose.Message, want Expect) (Vouched, error) {
	var v Vouched
	var err error
	switch c.Prefix {
	case X509Hash, X509SANDNS:
		switch {
		case want.Chains == nil:
			return v, refuse(InvalidRequest, ErrNotSupported, "client_id: no roots for verifiers")
		case len(m.X5C) == 0:
			return v, refuse(InvalidRequest, ErrSignature, "request object: no x5c")
		case c.Prefix == X509Hash && !c.hashOf(m.X5C[0]):
			return v, refuse(InvalidRequest, ErrClient, "client_id: not the hash of the certificate")
		}
		if v, err = want.Chains.Leaf(ctx, m.X5C, want.Now); err != nil {
			return v, unestablished(ctx, err)
		}
		if c.Prefix == X509SANDNS {
			if !(Vouched{Hosts: v.Hosts}).named(c.Name) {
				return v, refuse(InvalidRequest, ErrClient, "client_id: not a name of the certificate")
			}
			// The client is this name; others in its certificate do not count.
			v.Hosts = []string{c.Name}
		}
	case DecentralizedIdentifier:
		switch {
		case want.DIDs == nil:
			return v, refuse(InvalidRequest, ErrNotSupported, "client_id: DIDs are not resolved here")
		case !strings.HasPrefix(m.KeyID, c.Name+"#"):
			return v, refuse(InvalidRequest, ErrClient, "request object: kid is not one of the DID")
		}
		if v, err = want.DIDs.Method(ctx, c.Name, m.KeyID); err != nil {
			return v, unestablished(ctx, err)
		}
	case PreRegistered:
		if want.Clients == nil {
			return v, refuse(InvalidRequest, ErrNotSupported, "client_id: no registered clients")
		}
		known := want.Clients.Client(c.Name)
		if known == nil {
			return v, refuse(InvalidClient, ErrClient, "client_id: not registered")
		}
		for _, key := range known.Keys {
			if m.Verify(key.Algorithm(), key) == nil {
				v = known.Vouched
				v.Key = key
				return v, nil
			}
		}
		return v, refuse(InvalidRequest, ErrSignature, "request object: not signed by a key of the client")
	default:
		return v, refuse(InvalidRequest, ErrClient, "client_id: a prefix that is not supported")
	}
	if err := m.Verify(v.Key.Algorithm(), v.Key); err != nil {
		return v, refuse(InvalidRequest, ErrSignature, "request object: %v", err)
	}
	return v, nil
}

// unestablished is what a [Chains] or [DIDs] said.
func unestablished(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return refuse(InvalidRequest, errors.Join(ErrSignature, err), "request object: the client cannot be established")
}

// named reports whether the client has this host, exactly.
func (v Vouched) named(host string) bool {
	for _, h := range v.Hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// checkToken checks the claims of the request object as a JWT (section 5.8, RFC 9101
// section 6.3, RFC 7519 section 4.1). An iss is passed over (section 5).
func checkToken(v strict.Value, want Expect) error {
	aud := v.Get("aud")
	forUs := func(s string) bool { return s == StaticAudience || s == want.Issuer && s != "" }
	s, ok := aud.Text()
	ok = ok && forUs(s)
	for i := range aud.Len() {
		s, isText := aud.At(i).Text()
		ok = ok || aud.Kind() == strict.Array && isText && forUs(s)
	}
	if !ok {
		return refuse(InvalidRequestObject, ErrAudience, "request object: aud names another wallet")
	}
	for _, name := range []string{"iat", "nbf", "exp"} {
		claim := v.Get(name)
		if claim.Kind() == strict.None {
			continue
		}
		at, err := claim.Date()
		switch {
		case err != nil:
			return refuse(InvalidRequestObject, ErrMalformed, "request object: %s: not a date", name)
		case name == "exp" && !want.Now.Before(at):
			return refuse(InvalidRequestObject, ErrTime, "request object: expired")
		case name != "exp" && at.After(want.Now.Add(Leeway)):
			return refuse(InvalidRequestObject, ErrTime, "request object: %s in the future", name)
		}
	}
	return nil
}

// date is a claim that checkToken has read; zero if it is not there.
func date(v strict.Value, name string) time.Time {
	at, err := v.Get(name).Date()
	if err != nil {
		return time.Time{}
	}
	return at
}

// findPolicy takes the policy out of the infos. One that cannot be read, or is for
// another client, spoils the request: it was signed.
func (r *Request) findPolicy(infos strict.Value) error {
	for i := range infos.Len() {
		if format, _ := infos.At(i).Get("format").Text(); format != PolicyFormat {
			continue
		}
		p, err := readPolicy(infos.At(i).Get("data"), r.Client.ID)
		switch {
		case err != nil:
			return err
		case r.Policy != nil:
			return malformed("verifier_info: two policies")
		}
		r.Policy = p
	}
	return nil
}

// checkAddresses holds the addresses against what is known of the client (sections
// 8.2, 14.3.1 and 15.6.2).
func (r *Request) checkAddresses(requestURI string, want Expect) error {
	v := r.Client.Vouched
	if want.AnyResponseURI && len(v.Hosts) == 0 && len(v.URIs) == 0 {
		return nil
	}
	u, err := readURI(pResponseURI, r.ResponseURI, want.DevHTTP)
	if err != nil {
		return err
	}
	if !v.answersFor(u) {
		return refuse(InvalidRequest, ErrURI, "response_uri: not an address of the client")
	}
	if requestURI == "" || len(v.Hosts) == 0 {
		return nil
	}
	if u, err = readURI(pRequestURI, requestURI, want.DevHTTP); err != nil {
		return err
	}
	if !v.named(u.Hostname()) {
		return refuse(InvalidRequest, ErrURI, "request_uri: not an address of the client")
	}
	return nil
}

// checkWallet holds a request against what the wallet takes.
func (r *Request) checkWallet(want Expect) error {
	if r.ResponseMode == DirectPost && !want.Plain {
		return refuse(InvalidRequest, ErrEncryption, "response_mode: the response would not be encrypted")
	}
	if r.Client.ID.Prefix == PreRegistered {
		if r.Metadata != nil {
			return refuse(InvalidClient, ErrClient, "client_metadata: of a registered client") // section 8.5
		}
		r.Metadata = want.Clients.Client(r.Client.ID.Name).Metadata
	}
	if r.Metadata == nil || r.Metadata.Formats == nil {
		return malformed("client_metadata: no %s", mFormats) // sections 5.1 and 5.9.3
	}
	if _, ok := r.Metadata.Formats[credential.FormatSDJWT]; !ok {
		return refuse(FormatsNotSupported, ErrNotSupported, "client_metadata: no format that is supported here") // section 8.5
	}
	if r.ResponseMode == DirectPostJWT {
		// Section 8.3. Said before anybody is asked: what cannot be sent must not count as shown.
		if _, err := r.Metadata.encryption(); err != nil {
			return err
		}
	}
	if r.Scope != "" {
		q, ok := want.Scopes[r.Scope]
		if !ok {
			return refuse(InvalidScope, ErrNotSupported, "scope: not known")
		}
		r.Query = q
		if err := r.checkQuery(); err != nil {
			return err
		}
	}
	for _, d := range r.TransactionData {
		check, ok := want.TransactionTypes[d.Type]
		if !ok {
			return refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: type %s is not known", cut(d.Type))
		}
		if err := check(d.Fields); err != nil {
			return refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: fields that its type does not have")
		}
	}
	return nil
}
