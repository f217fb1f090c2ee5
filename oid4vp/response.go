package oid4vp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// A VPToken are presentations by the id of the credential query that they answer
// (section 8.1).
type VPToken map[string][]string

// Count is the number of presentations.
func (t VPToken) Count() int {
	n := 0
	for _, list := range t {
		n += len(list)
	}
	return n
}

func (t VPToken) object() (map[string]any, error) {
	if len(t) == 0 || t.Count() > MaxPresentations {
		return nil, fmt.Errorf("oid4vp: a vp_token of %d presentations", t.Count())
	}
	m := map[string]any{}
	for id, list := range t {
		if !isID(id) || len(list) == 0 || slices.Contains(list, "") {
			return nil, fmt.Errorf("oid4vp: a vp_token without presentation for %s", cut(id))
		}
		m[id] = anys(list)
	}
	return m, nil
}

// Proof is what the holder signs for this request together with a presentation that
// authorises this transaction data (section B.3.6): the audience is the whole client
// identifier.
func (r *Request) Proof(now time.Time, data []TransactionData) sdjwt.Proof {
	return sdjwt.Proof{
		Audience: r.Client.ID.String(), Nonce: r.Nonce, IssuedAt: now.Truncate(time.Second), Claims: TransactionClaims(data),
	}
}

// Respond is the form that a wallet posts to the response URI: the presentations,
// encrypted if the request says so (section 8.2, 8.3). A request that cannot be
// answered as it wants, because none of its encryptions is supported, is
// [ErrEncryption].
func (r *Request) Respond(t VPToken) (url.Values, error) {
	for id, list := range t {
		c := queryCredential(r.Query, id)
		if c == nil || len(list) > 1 && !c.Multiple {
			return nil, refuse(InvalidRequest, ErrUnanswered, "%s: not asked for", cut(id))
		}
	}
	m, err := t.object()
	if err != nil {
		return nil, err
	}
	if r.ResponseMode == DirectPostJWT {
		params := map[string]any{pVPToken: m}
		if r.State != "" {
			params[pState] = r.State
		}
		payload, err := strict.AppendJSON(nil, params)
		if err != nil {
			return nil, fmt.Errorf("oid4vp: write response: %w", err)
		}
		jwe, err := r.Metadata.encrypt(payload)
		if err != nil {
			return nil, err
		}
		return url.Values{pResponse: {jwe}}, nil
	}
	token, err := strict.AppendJSON(nil, m)
	if err != nil {
		return nil, fmt.Errorf("oid4vp: write response: %w", err)
	}
	form := url.Values{pVPToken: {string(token)}}
	if r.State != "" {
		form.Set(pState, r.State)
	}
	return form, nil
}

// encrypt encrypts a response for the first key.
func (m *ClientMetadata) encrypt(payload []byte) (string, error) {
	enc, err := m.encryption()
	if err != nil {
		return "", err
	}
	jwe, err := jose.Encrypt(payload, m.Keys[0], enc)
	if err != nil {
		return "", fmt.Errorf("oid4vp: encrypt response: %w", err)
	}
	return jwe, nil
}

// encryption is how a response is encrypted: with A256GCM if that will do (HAIP section
// 5). The error is [ErrEncryption].
func (m *ClientMetadata) encryption() (jose.Encryption, error) {
	if m == nil || len(m.Keys) == 0 {
		return "", refuse(InvalidRequest, ErrEncryption, "client_metadata: no key to encrypt the response for")
	}
	offered := m.Encryptions
	if len(offered) == 0 {
		offered = []jose.Encryption{jose.A128GCM} // section 8.3
	}
	for _, enc := range []jose.Encryption{jose.A256GCM, jose.A128GCM} {
		if slices.Contains(offered, enc) {
			return enc, nil
		}
	}
	return "", refuse(InvalidRequest, ErrEncryption, "client_metadata: no encryption that is supported here")
}

// Refuse is the form that a wallet posts instead of a response (section 8.5). It is
// not encrypted, which section 8.3.1 allows, and says nothing beyond code and
// description. Whether the person declined or had nothing to show must not be told
// apart: both are [AccessDenied] without description (section 15.4.1).
func (r *Request) Refuse(e *Error) url.Values {
	form := url.Values{pError: {string(e.Code)}}
	if e.Description != "" && e.Code != AccessDenied {
		form.Set(pErrorDescription, plainDescription(e.Description))
	}
	if r.State != "" {
		form.Set(pState, r.State)
	}
	return form
}

// plainDescription keeps to the characters that a description may have (RFC 6749
// section 4.1.2.1).
func plainDescription(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// ExpectResponse is what a verifier requires of a response: what it asked for.
type ExpectResponse struct {
	// Mode is the response mode of the request. It must be set.
	Mode ResponseMode
	// State is the state of the request, "" if it had none.
	State string
	// Key is the private half of the key that was in the request. It must be set for
	// [DirectPostJWT], and only then.
	Key *jose.DecryptionKey
	// Encryptions are those that were offered with it; [AllEncryptions] if empty.
	Encryptions []jose.Encryption
}

// A Response is what a wallet sent: presentations, or an error.
type Response struct {
	// Token are the presentations; nil if the wallet refused.
	Token VPToken
	// Refusal is what the wallet refused with; nil if it did not.
	Refusal *Error
}

// ParseResponse reads what a wallet posted to the response URI. Parameters that it
// does not know are passed over. A success that is not encrypted although it was
// asked for is refused; an error is taken either way (section 8.3.1). Presentations
// are texts, as those of dc+sd-jwt are; whether their ids were asked for is for
// [Query.Answered] to say.
func ParseResponse(form url.Values, want ExpectResponse) (*Response, error) {
	if want.Mode != DirectPost && want.Mode != DirectPostJWT || (want.Key != nil) != (want.Mode == DirectPostJWT) {
		return nil, errors.New("oid4vp: ExpectResponse.Mode or Key is not set")
	}
	size := 0
	for name, list := range form {
		for _, v := range list {
			size += len(name) + len(v)
		}
	}
	if size > 2*MaxResponse {
		return nil, tooLarge("bytes of a response", size, 2*MaxResponse)
	}
	one, err := single(form)
	if err != nil {
		return nil, err
	}
	if sealed, ok := one[pResponse]; ok {
		return openResponse(sealed, want)
	}
	if _, refused := one[pError]; !refused && want.Mode == DirectPostJWT {
		return nil, refuse(InvalidRequest, ErrEncryption, "the response is not encrypted")
	}
	var token strict.Value
	if s, ok := one[pVPToken]; ok {
		if token, err = tokenLimits.JSONText(s); err != nil {
			return nil, unread(pVPToken, err)
		}
	}
	return readResponse(token, one, want)
}

// openResponse decrypts a response and reads what is in it (section 8.3).
func openResponse(sealed string, want ExpectResponse) (*Response, error) {
	if want.Mode != DirectPostJWT {
		return nil, refuse(InvalidRequest, ErrEncryption, "the response is encrypted, which nobody asked for")
	}
	offered := want.Encryptions
	if len(offered) == 0 {
		offered = AllEncryptions()
	}
	b, err := jose.Decrypt(sealed, jose.ExpectJWE{Key: want.Key, Encryptions: offered, MaxBytes: 2 * MaxResponse})
	switch {
	case errors.Is(err, jose.ErrTooLarge):
		return nil, refuse(InvalidRequest, ErrTooLarge, "response: %v", err)
	case err != nil:
		return nil, refuse(InvalidRequest, ErrEncryption, "response: %v", err)
	}
	v, err := tokenLimits.Object(b)
	if err != nil {
		return nil, unread(pResponse, err)
	}
	one := map[string]string{}
	for i := range v.Len() {
		switch name := v.Name(i); name {
		case pState, pError, pErrorDescription:
			s, ok := v.At(i).Text()
			if !ok {
				return nil, malformed("%s: not a text", name)
			}
			one[name] = s
		}
	}
	return readResponse(v.Get(pVPToken), one, want)
}

// readResponse reads the parameters of a response.
func readResponse(token strict.Value, one map[string]string, want ExpectResponse) (*Response, error) {
	if subtle.ConstantTimeCompare([]byte(one[pState]), []byte(want.State)) != 1 {
		return nil, refuse(InvalidRequest, ErrState, "state: not the one of the request")
	}
	code, refused := one[pError]
	switch {
	case refused && token.Kind() != strict.None:
		return nil, malformed("vp_token and error")
	case refused:
		e, err := readRefusal(code, one[pErrorDescription])
		if err != nil {
			return nil, err
		}
		return &Response{Refusal: e}, nil
	}
	t, err := readToken(token)
	if err != nil {
		return nil, err
	}
	return &Response{Token: t}, nil
}

// readRefusal reads an error (RFC 6749 section 4.1.2.1).
func readRefusal(code, description string) (*Error, error) {
	visible := func(s string, most int) bool {
		return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	}
	if code == "" || !visible(code, maxID) {
		return nil, malformed("error: empty, too long or with characters that no code has")
	}
	if !visible(description, maxText) {
		description = ""
	}
	return &Error{Code: Code(code), Description: description}, nil
}

// readToken reads a vp_token (section 8.1).
func readToken(v strict.Value) (VPToken, error) {
	if v.Kind() != strict.Object || v.Len() == 0 {
		return nil, malformed("vp_token: missing, empty or not an object")
	}
	t, n := VPToken{}, 0
	for i := range v.Len() {
		id, list := v.Name(i), v.At(i)
		if !isID(id) {
			return nil, malformed("vp_token: an id that no query has")
		}
		if list.Kind() != strict.Array || list.Len() == 0 {
			return nil, malformed("vp_token.%s: empty or not an array", id)
		}
		if n += list.Len(); n > MaxPresentations {
			return nil, tooLarge("presentations", n, MaxPresentations)
		}
		for j := range list.Len() {
			s, ok := list.At(j).Text()
			if !ok || s == "" {
				// An object is a presentation of a format that nobody asks for here.
				return nil, refuse(InvalidRequest, ErrNotSupported, "vp_token.%s[%d]: not a text", id, j)
			}
			t[id] = append(t[id], s)
		}
	}
	return t, nil
}

// A Reply is the verifier's answer to a response (section 8.2).
type Reply struct {
	// RedirectURI is where the wallet sends the person next, with a fresh response code
	// in it; "" if the wallet is done.
	RedirectURI string
}

// WithResponseCode adds a fresh response code to an address, as a parameter
// (section 13.3).
func WithResponseCode(uri, code string) (string, error) {
	u, err := readURL(uri, true)
	if err != nil {
		return "", refuse(ServerError, ErrURI, "redirect_uri: %v", err)
	}
	if len(code) < minSecret || !isSecret(code) {
		return "", errors.New("oid4vp: a response code of less than 128 bits")
	}
	q := u.Query()
	q.Set(pResponseCode, code)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// JSON is the reply as it travels: status 200, [ReplyMediaType], not to be stored.
func (r Reply) JSON() []byte {
	m := map[string]any{}
	if r.RedirectURI != "" {
		m[pRedirectURI] = r.RedirectURI
	}
	b, err := strict.AppendJSON(nil, m)
	if err != nil {
		panic("oid4vp: internal error: " + err.Error())
	}
	return b
}

// ParseReply reads the verifier's answer. Members that it does not know are passed
// over. Plain also takes http on loopback.
func ParseReply(b []byte, plain bool) (Reply, error) {
	v, err := replyLimits.Object(b)
	if err != nil {
		return Reply{}, unread("answer of the verifier", err)
	}
	uri := v.Get(pRedirectURI)
	if uri.Kind() == strict.None {
		return Reply{}, nil
	}
	s, ok := uri.Text()
	if !ok {
		return Reply{}, malformed("redirect_uri: not a text")
	}
	// The response code may stand in the fragment, which addresses to post to have not.
	base, _, _ := strings.Cut(s, "#")
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Reply{}, refuse(InvalidRequest, ErrURI, "redirect_uri: characters that no address has")
	}
	if len(s) <= maxURI && isAppURI(base) {
		return Reply{s}, nil
	}
	if _, err := readURI(pRedirectURI, base, plain); err != nil {
		return Reply{}, err
	}
	return Reply{s}, nil
}

// isAppURI reports whether an address is one of an app: its scheme is a domain name in
// reverse (RFC 8252 section 7.1). Section 8.2 allows every absolute URI; those of other
// schemes may lead anywhere.
func isAppURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && strings.Contains(u.Scheme, ".") && isHost(u.Scheme)
}
