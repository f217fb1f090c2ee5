package oid4vp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Request is an authorization request: what a verifier asks a wallet for (section
// 5). A verifier fills in the fields and calls [Request.Sign] or [Request.Unsigned]; a
// wallet gets one from [Invocation.Open].
type Request struct {
	// Client is who asks. A verifier sets ID only.
	Client Client
	// ResponseMode and ResponseURI are how and where the response goes.
	ResponseMode ResponseMode
	ResponseURI  string
	// Nonce is fresh for this request and goes into proofs by the holder.
	Nonce string
	// State comes back with the response. It must be there if a presentation without
	// proof by the holder is asked for.
	State string
	// Query is what is asked for. It is nil if Scope names it instead.
	Query *Query
	// Scope names a query that was agreed on before.
	Scope string
	// Metadata is what the verifier can do. Nil only for registered clients.
	Metadata *ClientMetadata
	// TransactionData is what the holder authorises. Optional.
	TransactionData []TransactionData
	// Infos are what the verifier adds about itself. Optional.
	Infos []VerifierInfo
	// WalletNonce is the nonce that the wallet posted, "" if it did not.
	WalletNonce string
	// IssuedAt and Expires are zero in a request that does not say, and in one that is
	// not signed.
	IssuedAt, Expires time.Time

	// Policy is why the verifier asks and how long it keeps what it gets. A wallet
	// finds it in Infos; nil if the request is not signed or does not say. A verifier
	// that sets it need not put it into Infos.
	Policy *Policy
}

// MaxLife is how long a request may live (security.md, VP-14).
const MaxLife = 5 * time.Minute

// Leeway is how far the clock of a verifier may be ahead of a wallet's.
const Leeway = time.Minute

// secretBytes is the size of nonces, states and response codes.
const secretBytes = 32

// minSecret is the least length of one that we send: 128 bits in base64url.
const minSecret = 22

// NewSecret makes a nonce, a state or a response code: 256 bits in base64url. Rnd
// may be nil for the system's source.
func NewSecret(rnd io.Reader) (string, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(rnd, b); err != nil {
		return "", fmt.Errorf("oid4vp: make a secret: %w", err)
	}
	return strict.Base64URL(b), nil
}

// A Signature is what a request object is signed with.
type Signature struct {
	// Signer has a key for requests ([keys.Request]).
	Signer keys.Signer
	// X5C is the chain of certificates of the key, for the prefixes with x509: DER,
	// the leaf first and without the root.
	X5C [][]byte
	// KeyID is the DID URL of the key, for the prefix decentralized_identifier, or the
	// kid of a registered key.
	KeyID string
}

// Sign returns the request object, a signed JWT for [RequestMediaType]. IssuedAt and
// Expires must be set.
func (r *Request) Sign(rnd io.Reader, s Signature) (string, error) {
	if s.Signer == nil {
		return "", errors.New("oid4vp: Signature.Signer is not set")
	}
	if err := keys.CheckSigner(s.Signer, keys.Request, r.IssuedAt); err != nil {
		return "", err
	}
	if err := r.checkOwn(); err != nil {
		return "", err
	}
	switch {
	case r.Client.ID.Prefix == RedirectURI:
		return "", refuse(InvalidRequest, ErrClient, "a client with a redirect URI cannot sign")
	case r.IssuedAt.IsZero() || !r.Expires.After(r.IssuedAt) || r.Expires.Sub(r.IssuedAt) > MaxLife:
		return "", fmt.Errorf("oid4vp: a request that lives %s, at most %s", r.Expires.Sub(r.IssuedAt), MaxLife)
	case r.Client.ID.Prefix == X509Hash && (len(s.X5C) == 0 || !r.Client.ID.hashOf(s.X5C[0])):
		return "", refuse(InvalidRequest, ErrClient, "the certificate is not the one of the client_id")
	case r.Client.ID.Prefix == X509SANDNS && len(s.X5C) == 0:
		return "", refuse(InvalidRequest, ErrClient, "no chain of certificates")
	case r.Client.ID.Prefix == DecentralizedIdentifier && !strings.HasPrefix(s.KeyID, r.Client.ID.Name+"#"):
		return "", refuse(InvalidRequest, ErrClient, "the key is not one of the DID")
	}
	m, err := r.object()
	if err != nil {
		return "", err
	}
	m["aud"], m["iat"], m["exp"] = StaticAudience, r.IssuedAt.Unix(), r.Expires.Unix()
	payload, err := strict.AppendJSON(nil, m)
	if err != nil {
		return "", fmt.Errorf("oid4vp: write request: %w", err)
	}
	header := jose.Header{Type: RequestType, KeyID: s.KeyID, X5C: s.X5C}
	token, err := jose.Sign(rnd, s.Signer, header, payload)
	if err == nil && len(token) > MaxRequest {
		return "", tooLarge("bytes of a request", len(token), MaxRequest)
	}
	return string(token), err
}

// checkOwn checks a request that we make.
func (r *Request) checkOwn() error {
	if _, err := ParseClientID(r.Client.ID.String()); err != nil {
		return err
	}
	if err := r.check(true); err != nil {
		return err
	}
	if r.Query != nil {
		if err := r.Query.Validate(); err != nil {
			return err
		}
	}
	switch {
	case len(r.Nonce) < minSecret:
		return errors.New("oid4vp: a nonce of less than 128 bits")
	case r.State != "" && len(r.State) < minSecret:
		return errors.New("oid4vp: a state of less than 128 bits")
	case r.Client.ID.Prefix == PreRegistered && r.Metadata != nil:
		return errors.New("oid4vp: Metadata of a registered client, which wallets know already")
	case r.Client.ID.Prefix == PreRegistered:
	case r.Metadata == nil || len(r.Metadata.Formats) == 0:
		return errors.New("oid4vp: Metadata.Formats is not set")
	case r.ResponseMode == DirectPostJWT && len(r.Metadata.Keys) == 0:
		return errors.New("oid4vp: Metadata.Keys is not set")
	}
	return nil
}

// check is what every request must fulfil; plain allows http on loopback.
func (r *Request) check(plain bool) error {
	switch {
	case r.ResponseMode != DirectPost && r.ResponseMode != DirectPostJWT:
		return refuse(InvalidRequest, ErrNotSupported, "response_mode %s", cut(string(r.ResponseMode)))
	case !isSecret(r.Nonce):
		return malformed("nonce: missing, too long or with other characters than those of URLs")
	case r.State != "" && !isSecret(r.State):
		return malformed("state: too long or with other characters than those of URLs")
	case (r.Query == nil) == (r.Scope == ""):
		return malformed("not exactly one of dcql_query and scope")
	}
	if _, err := readURI(pResponseURI, r.ResponseURI, plain); err != nil {
		return err
	}
	if r.Client.ID.Prefix == RedirectURI && r.Client.ID.Name != r.ResponseURI {
		return refuse(InvalidRequest, ErrURI, "response_uri: not the one of the client_id")
	}
	return r.checkQuery()
}

// checkQuery holds the request against its query, once that is known.
func (r *Request) checkQuery() error {
	if r.State == "" && r.Query != nil && r.Query.Unbound() {
		return malformed("state: missing, although a presentation without proof by the holder is asked for") // section 5.3
	}
	for i, d := range r.TransactionData {
		if slices.ContainsFunc(r.TransactionData[:i], func(o TransactionData) bool { return o.encoded == d.encoded }) {
			return refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: twice the same")
		}
		for _, id := range d.CredentialIDs {
			if c := queryCredential(r.Query, id); r.Query != nil && (c == nil || c.Unbound) {
				return refuse(InvalidTransactionData, ErrTransactionData, "transaction_data: a credential that cannot authorise it")
			}
		}
	}
	return nil
}

// isSecret reports whether s may be a nonce or a state (section 5.2).
func isSecret(s string) bool {
	return s != "" && len(s) <= maxNonce && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	})
}

// object are the parameters of the request.
func (r *Request) object() (map[string]any, error) {
	m := map[string]any{
		pClientID: r.Client.ID.String(), pResponseType: responseType, pResponseMode: string(r.ResponseMode),
		pResponseURI: r.ResponseURI, pNonce: r.Nonce,
	}
	for name, v := range map[string]string{pState: r.State, pScope: r.Scope, pWalletNonce: r.WalletNonce} {
		if v != "" {
			m[name] = v
		}
	}
	if r.Query != nil {
		query, err := r.Query.object()
		if err != nil {
			return nil, err
		}
		m[pQuery] = query
	}
	if r.Metadata != nil {
		metadata, err := r.Metadata.object()
		if err != nil {
			return nil, err
		}
		m[pClientMetadata] = metadata
	}
	if len(r.TransactionData) > 0 {
		var list []any
		for _, d := range r.TransactionData {
			list = append(list, d.encoded)
		}
		m[pTransactionData] = list
	}
	infos := r.Infos
	if r.Policy != nil {
		info, err := r.Policy.Info(r.Client.ID)
		if err != nil {
			return nil, err
		}
		infos = append(slices.Clip(infos), info)
	}
	if len(infos) > 0 {
		m[pVerifierInfo] = infosArray(infos)
	}
	return m, nil
}

// readRequest reads the parameters of a request, from a request object or from a
// link, and checks what does not depend on who asks.
func readRequest(v strict.Value, plain bool) (*Request, error) {
	r := &Request{}
	var err error
	param := func(name string, most int) string {
		m := v.Get(name)
		s, ok := m.Text()
		if m.Kind() != strict.None && (!ok || s == "" || len(s) > most) && err == nil {
			err = malformed("%s: empty, too long or not a text", name)
		}
		return s
	}
	id, kind := param(pClientID, maxURI), param(pResponseType, maxID)
	r.ResponseMode, r.ResponseURI = ResponseMode(param(pResponseMode, maxID)), param(pResponseURI, maxURI)
	r.Nonce, r.State = param(pNonce, maxNonce), param(pState, maxNonce)
	r.Scope, r.WalletNonce = param(pScope, maxText), param(pWalletNonce, maxNonce)
	if err != nil {
		return nil, err
	}
	if r.Client.ID, err = ParseClientID(id); err != nil {
		return nil, err
	}
	switch {
	case kind != responseType:
		return nil, refuse(UnsupportedResponseType, ErrNotSupported, "response_type %s", cut(kind))
	case v.Get(pRequest).Kind() != strict.None || v.Get(pRequestURI).Kind() != strict.None:
		return nil, malformed("a request inside of a request") // RFC 9101 section 4
	case v.Get(pRedirectURI).Kind() != strict.None:
		return nil, malformed("redirect_uri: not with response_mode %s", cut(string(r.ResponseMode))) // section 8.2
	}
	// Section 8.2: with this prefix the client may leave the address out.
	if r.Client.ID.Prefix == RedirectURI && r.ResponseURI == "" {
		r.ResponseURI = r.Client.ID.Name
	}
	if query := v.Get(pQuery); query.Kind() != strict.None {
		if r.Query, err = readQuery(query); err != nil {
			return nil, err
		}
	}
	if metadata := v.Get(pClientMetadata); metadata.Kind() != strict.None {
		if r.Metadata, err = readClientMetadata(metadata); err != nil {
			return nil, err
		}
	}
	if r.TransactionData, err = readTransactionData(v.Get(pTransactionData), r.Query); err != nil {
		return nil, err
	}
	if r.Infos, err = readInfos(v.Get(pVerifierInfo), r.Query); err != nil {
		return nil, err
	}
	if err := r.check(plain); err != nil {
		return nil, err
	}
	return r, nil
}
