package oid4vci

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
)

// NewVerifier makes a PKCE code verifier (RFC 7636 section 4.1).
func NewVerifier(rnd io.Reader) (Secret, error) { return NewSecret(rnd) }

// PKCEChallenge is the S256 challenge of a verifier (RFC 7636 section 4.2).
func PKCEChallenge(verifier Secret) string {
	sum := sha256.Sum256([]byte(verifier))
	return strict.Base64URL(sum[:])
}

// CheckVerifier checks a code verifier against the challenge of the authorization
// request (RFC 7636 section 4.6). An authorization without challenge is refused, too.
func CheckVerifier(challenge string, verifier Secret) error {
	if !isVerifier(string(verifier)) || challenge == "" ||
		subtle.ConstantTimeCompare([]byte(PKCEChallenge(verifier)), []byte(challenge)) != 1 {
		return refuse(InvalidGrant, ErrPKCE, "code_verifier does not belong to this authorization")
	}
	return nil
}

// isVerifier checks the form of a verifier: 43 to 128 unreserved characters.
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	})
}

// An AuthorizationDetail asks for, or grants, credentials of one configuration
// (sections 5.1.1 and 6.2).
type AuthorizationDetail struct {
	Configuration string
	// Locations holds the credential issuer identifier where the server serves several.
	Locations []string
	// Claims are those that the wallet asks for. Only Path and Mandatory count.
	Claims []Claim
	// Identifiers are the credentials that can be fetched; in a token response only,
	// and there at least one.
	Identifiers []string
}

func (d AuthorizationDetail) members() map[string]any {
	m := map[string]any{"type": DetailType, "credential_configuration_id": d.Configuration}
	putList(m, "locations", d.Locations)
	putList(m, "credential_identifiers", d.Identifiers)
	var claims []any
	for _, c := range d.Claims {
		claim := map[string]any{"path": c.Path}
		if c.Mandatory {
			claim["mandatory"] = true
		}
		claims = append(claims, claim)
	}
	if claims != nil {
		m["claims"] = claims
	}
	return m
}

func detailMembers(list []AuthorizationDetail) []any {
	out := make([]any, len(list))
	for i, d := range list {
		out[i] = d.members()
	}
	return out
}

// maxDetails is the most authorization details of one request.
const maxDetails = 64

var detailLimits = strict.Limits{Bytes: maxForm, Depth: 12, Items: 2048}

// readDetails reads a list of authorization details. Those of other types are an
// error, since no other is granted here.
func readDetails(list []strict.Value, code Code, granted bool) ([]AuthorizationDetail, error) {
	var out []AuthorizationDetail
	for _, v := range list {
		in := &object{v: v, name: "authorization_details", code: code}
		if v.Kind() != strict.Object {
			in.fail(ErrMalformed, "an entry of authorization_details is no object")
		}
		if t := in.mustText("type", maxName); in.err == nil && t != DetailType {
			if granted {
				continue // a wallet ignores what it did not ask for
			}
			in.fail(ErrUnsupported, "authorization_details of another type than openid_credential")
		}
		d := AuthorizationDetail{
			Configuration: in.mustText("credential_configuration_id", maxName),
			Locations:     in.texts("locations", 8, maxURL),
			Claims:        readClaims(in),
		}
		if granted {
			d.Identifiers = in.texts("credential_identifiers", maxConfigurations, maxName)
			in.need("credential_identifiers", d.Identifiers != nil)
		}
		if in.err != nil {
			return nil, in.err
		}
		out = append(out, d)
	}
	return out, nil
}

// details reads the form parameter authorization_details.
func (f *form) details() []AuthorizationDetail {
	s := f.text("authorization_details", maxForm)
	if s == "" || f.err != nil {
		return nil
	}
	v, err := detailLimits.JSONText(s)
	if err != nil || v.Kind() != strict.Array || v.Len() == 0 || v.Len() > maxDetails {
		f.err = refuse(InvalidAuthorizationDetails, ErrMalformed, "authorization_details is not a list of 1 to %d entries", maxDetails)
		return nil
	}
	list := make([]strict.Value, v.Len())
	for i := range list {
		list[i] = v.At(i)
	}
	out, err := readDetails(list, InvalidAuthorizationDetails, false)
	if err != nil {
		f.err = err
	}
	return out
}

func putDetails(form url.Values, list []AuthorizationDetail) error {
	if len(list) == 0 {
		return nil
	}
	b, err := strict.AppendJSON(nil, detailMembers(list))
	if err != nil {
		return fmt.Errorf("oid4vci: write authorization_details: %w", err)
	}
	form.Set("authorization_details", string(b))
	return nil
}

// An AuthorizationRequest is what a wallet asks an authorization server for (section
// 5.1). It is always pushed (RFC 9126).
type AuthorizationRequest struct {
	// ClientID is the wallet; with client attestation it is the sub of that.
	ClientID string
	// RedirectURI is where the browser goes afterwards; see [CheckRedirectURI].
	RedirectURI string
	// State comes back as it is. Optional.
	State string
	// Scopes and Details ask for credentials; at least one of both lists is there.
	Scopes  []string
	Details []AuthorizationDetail
	// Challenge is the PKCE challenge, of S256.
	Challenge string
	// IssuerState is from the offer. It may have been put there by an attacker.
	IssuerState string
	// DPoPKey is the thumbprint of the key that the code is bound to (RFC 9449 section
	// 10), "" if the request does not say.
	DPoPKey string
	// Resource is the credential issuer identifier (RFC 8707). Optional.
	Resource string
}

// Form returns the parameters of a pushed request.
func (r AuthorizationRequest) Form() (url.Values, error) {
	if r.ClientID == "" || r.RedirectURI == "" || r.Challenge == "" {
		return nil, errors.New("oid4vci: AuthorizationRequest.ClientID, RedirectURI or Challenge is not set")
	}
	form := url.Values{
		"response_type": {"code"}, "client_id": {r.ClientID}, "redirect_uri": {r.RedirectURI},
		"code_challenge": {r.Challenge}, "code_challenge_method": {S256},
	}
	for name, v := range map[string]string{
		"state": r.State, "scope": strings.Join(r.Scopes, " "), "issuer_state": r.IssuerState, "dpop_jkt": r.DPoPKey, "resource": r.Resource,
	} {
		if v != "" {
			form.Set(name, v)
		}
	}
	return form, putDetails(form, r.Details)
}

// ParsePushedRequest reads a pushed authorization request (RFC 9126 section 2.1).
// Client authentication, whose client the redirect URI belongs to, and which scopes
// there are is the caller's; unknown scopes are to be passed over (section 5.1.2).
func ParsePushedRequest(values url.Values) (*AuthorizationRequest, error) {
	f := readForm(values)
	// RFC 9126 section 2.1: a pushed request never refers to another one. Signed
	// request objects are not offered.
	for _, name := range []string{"request_uri", "request"} {
		if f.text(name, maxForm) != "" {
			f.fail(ErrConflict, "%s in a pushed request", name)
		}
	}
	if t := f.must("response_type", maxName); f.err == nil && t != "code" {
		return nil, refuse(UnsupportedResponseType, ErrUnsupported, "response_type must be code")
	}
	if m := f.text("response_mode", maxName); m != "" && m != "query" {
		f.fail(ErrUnsupported, "response_mode must be query")
	}
	r := &AuthorizationRequest{
		ClientID: f.must("client_id", maxURL), RedirectURI: f.must("redirect_uri", maxURL), State: f.text("state", 4096),
		Challenge: f.must("code_challenge", 128), IssuerState: f.text("issuer_state", 4096), DPoPKey: f.text("dpop_jkt", 128),
		Resource: f.text("resource", maxURL), Details: f.details(),
	}
	if f.err == nil && f.text("code_challenge_method", maxName) != S256 {
		f.fail(ErrPKCE, "code_challenge_method must be S256")
	}
	if f.err == nil && !isThumbprint(r.Challenge) {
		f.fail(ErrPKCE, "code_challenge is no SHA-256 digest")
	}
	if f.err == nil && r.DPoPKey != "" && !isThumbprint(r.DPoPKey) {
		f.fail(ErrMalformed, "dpop_jkt is no thumbprint")
	}
	if f.err == nil {
		f.err = CheckRedirectURI(r.RedirectURI, nil)
	}
	if f.err != nil {
		return nil, f.err
	}
	var ok bool
	if r.Scopes, ok = fields(f.text("scope", maxText)); !ok {
		return nil, refuse(InvalidScope, ErrMalformed, "scope")
	}
	if len(r.Scopes) == 0 && len(r.Details) == 0 {
		return nil, refuse(InvalidScope, ErrMissing, "neither scope nor authorization_details")
	}
	return r, f.err
}

// isThumbprint reports whether s is a SHA-256 thumbprint or challenge.
func isThumbprint(s string) bool {
	b, err := strict.DecodeBase64URL(s)
	return err == nil && len(b) == sha256.Size
}

// A PushedResponse says what a pushed request is known by (RFC 9126 section 2.2). Its
// status is 201.
type PushedResponse struct {
	RequestURI string
	Lifetime   time.Duration
}

// NewRequestURI makes what a pushed request will be known by.
func NewRequestURI(rnd io.Reader) (string, error) {
	s, err := NewSecret(rnd)
	return requestURIPrefix + string(s), err
}

// JSON returns the response.
func (r PushedResponse) JSON() ([]byte, error) {
	return write(map[string]any{"request_uri": r.RequestURI, "expires_in": int64(r.Lifetime / time.Second)})
}

var smallLimits = strict.Limits{Bytes: 64 << 10, Depth: 12, Items: 4096}

// maxSeconds bounds lifetimes that others state.
const maxSeconds = 10 * 365 * 24 * 3600

// ReadPushedResponse reads the answer to a pushed request.
func ReadPushedResponse(status int, body []byte) (*PushedResponse, error) {
	if status != 201 && status != 200 {
		return nil, ReadError(status, body)
	}
	in := readObject(smallLimits, body, "response to the pushed request", InvalidRequest)
	r := &PushedResponse{RequestURI: in.mustText("request_uri", maxURL), Lifetime: seconds(in, "expires_in")}
	in.need("expires_in", r.Lifetime > 0)
	if in.err != nil {
		return nil, in.err
	}
	return r, nil
}

func seconds(in *object, name string) time.Duration {
	return time.Duration(in.number(name, 0, maxSeconds)) * time.Second
}

// AuthorizationURL returns where the wallet sends the browser with a pushed request.
func AuthorizationURL(endpoint, clientID, requestURI string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%w: %s", ErrURL, cut(endpoint))
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.Values{"client_id": {clientID}, "request_uri": {requestURI}}.Encode()
	return u.String(), nil
}

// ParseAuthorizationQuery reads the query with which the browser comes to the
// authorization endpoint. Only a pushed request will do, and its parameters cannot be
// changed by the query: others are not looked at (RFC 9126 section 4). The caller
// compares the client with the one who pushed.
func ParseAuthorizationQuery(query url.Values) (clientID, requestURI string, err error) {
	f := readForm(query)
	clientID, requestURI = f.must("client_id", maxURL), f.must("request_uri", maxURL)
	if f.err == nil && !strings.HasPrefix(requestURI, requestURIPrefix) {
		f.fail(ErrUnsupported, "request_uri was not made here")
	}
	return clientID, requestURI, f.err
}

// An AuthorizationResponse is what the browser brings to the wallet.
type AuthorizationResponse struct {
	Code Secret
	// State is that of the request.
	State string
	// Issuer is the identifier of the authorization server (RFC 9207).
	Issuer string
}

// Redirect is where the browser is sent with the code. The address is that of the
// request.
func (r AuthorizationResponse) Redirect(redirectURI string) (string, error) {
	if r.Code == "" || r.Issuer == "" {
		return "", errors.New("oid4vci: AuthorizationResponse.Code or Issuer is not set")
	}
	return redirect(redirectURI, r.State, url.Values{"code": {string(r.Code)}, "iss": {r.Issuer}})
}

// ReadAuthorizationResponse reads the query with which the browser came back to the
// wallet and returns the code. Issuer and state are those of the request; both are
// compared before anything else counts, also for an error response (RFC 9207 section
// 2.4; corpus OA-04).
func ReadAuthorizationResponse(query url.Values, issuer, state string) (Secret, error) {
	if issuer == "" || state == "" {
		return "", errors.New("oid4vci: an authorization response without the issuer and the state it must have")
	}
	f := readForm(query)
	iss, got := f.must("iss", maxURL), f.must("state", 4096)
	switch {
	case f.err != nil:
		return "", f.err
	case iss != issuer:
		return "", refuse(InvalidRequest, ErrIssuer, "an authorization response of another server")
	case subtle.ConstantTimeCompare([]byte(got), []byte(state)) != 1:
		return "", refuse(InvalidRequest, ErrConflict, "an authorization response to another request")
	}
	code, code2 := f.text("code", 4096), f.text("error", 64)
	switch {
	case f.err != nil:
		return "", f.err
	case code2 != "" && code != "":
		return "", refuse(InvalidRequest, ErrConflict, "an authorization response with a code and an error")
	case code2 != "":
		return "", NewError(Code(plain(code2)), ErrPeer, f.text("error_description", maxText))
	case code == "":
		return "", refuse(InvalidRequest, ErrMissing, "an authorization response without a code")
	}
	return Secret(code), nil
}

// A TokenRequest redeems a code or a refresh token (section 6.1).
type TokenRequest struct {
	Grant GrantType
	// ClientID is "" where the client is anonymous or named by its attestation.
	ClientID string
	// Code, RedirectURI and Verifier belong to [AuthorizationCode].
	Code        Secret
	RedirectURI string
	Verifier    Secret
	// PreAuthorizedCode and TxCode belong to [PreAuthorizedCode]; TxCode is "" if the
	// request has none.
	PreAuthorizedCode Secret
	TxCode            Secret
	// RefreshToken belongs to [RefreshToken].
	RefreshToken Secret
	// Details and Scopes ask for less than was granted. Optional.
	Details []AuthorizationDetail
	Scopes  []string
}

// ParseTokenRequest reads a token request. Parameters of another grant than the one
// that is asked for are refused. Whether a transaction code is needed, and which, is
// the caller's; see [TxCodeRule].
func ParseTokenRequest(values url.Values) (*TokenRequest, error) {
	f := readForm(values)
	r := &TokenRequest{
		Grant: GrantType(f.must("grant_type", maxName)), ClientID: f.text("client_id", maxURL),
		Code: Secret(f.text("code", 4096)), RedirectURI: f.text("redirect_uri", maxURL), Verifier: Secret(f.text("code_verifier", 128)),
		PreAuthorizedCode: Secret(f.text("pre-authorized_code", 4096)), TxCode: Secret(f.text("tx_code", 4*maxTxCode)),
		RefreshToken: Secret(f.text("refresh_token", 4096)), Details: f.details(),
	}
	if f.err != nil {
		return nil, f.err
	}
	var ok bool
	if r.Scopes, ok = fields(f.text("scope", maxText)); !ok {
		return nil, refuse(InvalidScope, ErrMalformed, "scope")
	}
	// The parameters of each grant: those that it needs, and those that it may have.
	parts := []struct {
		name  string
		value Secret
		grant GrantType
		must  bool
	}{
		{"code", r.Code, AuthorizationCode, true},
		{"redirect_uri", Secret(r.RedirectURI), AuthorizationCode, true},
		{"code_verifier", r.Verifier, AuthorizationCode, true},
		{"pre-authorized_code", r.PreAuthorizedCode, PreAuthorizedCode, true},
		{"tx_code", r.TxCode, PreAuthorizedCode, false},
		{"refresh_token", r.RefreshToken, RefreshToken, true},
	}
	if !slices.Contains([]GrantType{AuthorizationCode, PreAuthorizedCode, RefreshToken}, r.Grant) {
		return nil, refuse(UnsupportedGrantType, ErrUnsupported, "grant_type %s", cut(string(r.Grant)))
	}
	for _, p := range parts {
		switch {
		case p.grant == r.Grant && p.must && p.value == "":
			f.fail(ErrMissing, "no %s", p.name)
		case p.grant != r.Grant && p.value != "":
			f.fail(ErrConflict, "%s with another grant_type", p.name)
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	return r, nil
}

// CheckTxCode says whether a token request has a transaction code exactly if one is
// needed (section 6.3; corpus VCI-04). Comparing it, and counting guesses before that,
// is the caller's; a wrong one is [WrongGrant].
func (r *TokenRequest) CheckTxCode(needed bool) error {
	switch {
	case needed && r.TxCode == "":
		return refuse(InvalidRequest, ErrMissing, "a transaction code is needed")
	case !needed && r.TxCode != "":
		return refuse(InvalidRequest, ErrConflict, "no transaction code was expected")
	}
	return nil
}

// WrongGrant is the one answer to a code or token that does not exist, has expired,
// was used, or came with a wrong transaction code: the caller learns no more (section
// 6.3).
func WrongGrant() *Error {
	return NewError(InvalidGrant, nil, "the grant is not valid")
}

// Form returns the parameters of the request.
func (r TokenRequest) Form() (url.Values, error) {
	form := url.Values{"grant_type": {string(r.Grant)}}
	for name, v := range map[string]string{
		"client_id": r.ClientID, "code": string(r.Code), "redirect_uri": r.RedirectURI, "code_verifier": string(r.Verifier),
		"pre-authorized_code": string(r.PreAuthorizedCode), "tx_code": string(r.TxCode), "refresh_token": string(r.RefreshToken),
		"scope": strings.Join(r.Scopes, " "),
	} {
		if v != "" {
			form.Set(name, v)
		}
	}
	if err := putDetails(form, r.Details); err != nil {
		return nil, err
	}
	_, err := ParseTokenRequest(form)
	return form, err
}

// A TokenResponse is what a token request brings (section 6.2).
type TokenResponse struct {
	AccessToken Secret
	Type        TokenType
	// Lifetime is how long the access token lives; 0 if that is not said.
	Lifetime time.Duration
	// RefreshToken is "" if there is none.
	RefreshToken Secret
	// Scopes are those granted, if they differ from those asked for. Optional.
	Scopes []string
	// Details are what was granted; then credentials are asked for by identifier.
	Details []AuthorizationDetail
}

// JSON returns the response.
func (r TokenResponse) JSON() ([]byte, error) {
	if r.AccessToken == "" || r.Type != DPoPToken && r.Type != BearerToken {
		return nil, errors.New("oid4vci: TokenResponse.AccessToken or Type is not set")
	}
	m := map[string]any{"access_token": string(r.AccessToken), "token_type": string(r.Type)}
	if r.Lifetime > 0 {
		m["expires_in"] = int64(r.Lifetime / time.Second)
	}
	put(m, "refresh_token", r.RefreshToken)
	put(m, "scope", strings.Join(r.Scopes, " "))
	if len(r.Details) > 0 {
		for _, d := range r.Details {
			if len(d.Identifiers) == 0 {
				return nil, errors.New("oid4vci: TokenResponse.Details without Identifiers")
			}
		}
		m["authorization_details"] = detailMembers(r.Details)
	}
	return write(m)
}

// ReadTokenResponse reads the answer to a token request. Want is the type of token
// that was asked for: a wallet that proved a key does not take a token that anybody
// could use.
func ReadTokenResponse(status int, body []byte, want TokenType) (*TokenResponse, error) {
	if status != 200 {
		return nil, ReadError(status, body)
	}
	in := readObject(smallLimits, body, "token response", InvalidRequest)
	r := &TokenResponse{
		AccessToken: Secret(in.mustText("access_token", maxForm)), Lifetime: seconds(in, "expires_in"),
		RefreshToken: Secret(in.text("refresh_token", maxForm)),
	}
	kind := in.mustText("token_type", 64)
	if in.err == nil && !strings.EqualFold(kind, string(want)) {
		in.fail(ErrConflict, "a token of another type than was asked for")
	}
	r.Type = want
	var ok bool
	if r.Scopes, ok = fields(in.text("scope", maxText)); !ok {
		in.fail(ErrMalformed, "scope in the token response")
	}
	list := in.list("authorization_details", maxDetails)
	if in.err != nil {
		return nil, in.err
	}
	if !printable(string(r.AccessToken)) {
		return nil, refuse(InvalidRequest, ErrMalformed, "the access token is no token")
	}
	var err error
	r.Details, err = readDetails(list, InvalidRequest, true)
	return r, err
}

// Authorization is the value of the header Authorization.
func (r TokenResponse) Authorization() Secret {
	return Secret(string(r.Type) + " " + string(r.AccessToken))
}

// ParseAuthorization reads the headers Authorization of a request to a resource: there
// must be one, with this type of token, whose name is compared without regard to case
// (RFC 9110 section 11.1). A token that is bound to a key and shown as Bearer is
// refused (RFC 9449 section 7.2; corpus OA-08).
func ParseAuthorization(headers []string, want TokenType) (Secret, error) {
	if len(headers) == 0 {
		return "", refuse(InvalidToken, ErrMissing, "no access token")
	}
	if len(headers) > 1 {
		return "", refuse(InvalidToken, ErrRepeated, "several access tokens")
	}
	kind, token, _ := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case !strings.EqualFold(kind, string(want)):
		return "", refuse(InvalidToken, ErrConflict, "the access token must be shown as %s", string(want))
	case token == "" || len(token) > maxForm || !printable(token):
		return "", refuse(InvalidToken, ErrMalformed, "the access token is no token")
	}
	return Secret(token), nil
}
