package oid4vci

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// MaxCredentialRequest is the most bytes of a credential request before encryption, and
// MaxCredentialResponse those of a response.
const (
	MaxCredentialRequest  = 512 << 10
	MaxCredentialResponse = 16 << 20
)

var (
	requestLimits  = strict.Limits{Bytes: MaxCredentialRequest, Depth: 12, Items: 4096}
	responseLimits = strict.Limits{Bytes: MaxCredentialResponse, Depth: 12, Items: 4096}
)

// NonceResponse is the body of the answer of the nonce endpoint (section 7.2). It must
// not be cached.
func NonceResponse(nonce string) ([]byte, error) {
	if nonce == "" {
		return nil, errors.New("oid4vci: an empty nonce")
	}
	return write(map[string]any{"c_nonce": nonce})
}

// ReadNonceResponse reads the answer of the nonce endpoint.
func ReadNonceResponse(status int, body []byte) (string, error) {
	if status < 200 || status > 299 {
		return "", ReadError(status, body)
	}
	in := readObject(smallLimits, body, "nonce response", InvalidRequest)
	nonce := in.mustText("c_nonce", maxJTI)
	return nonce, in.err
}

// A CredentialRequest asks for credentials (section 8.2).
type CredentialRequest struct {
	// Identifier is that of the token response, and Configuration the id of a
	// configuration: exactly one of both is set.
	Identifier, Configuration string
	// Proofs are the proofs of the holder's keys; its Type is "" if there are none.
	Proofs Proofs
	// Response is how the response shall be encrypted; nil if it shall not.
	Response *ResponseKey
}

// A ResponseKey says how a response is encrypted.
type ResponseKey struct {
	Key        jose.EncryptionKey
	Encryption jose.Encryption
}

func (k ResponseKey) members() (map[string]any, error) {
	jwk, err := k.Key.JWK()
	if err != nil {
		return nil, fmt.Errorf("oid4vci: %w", err)
	}
	return map[string]any{"jwk": strict.Raw(jwk), "enc": string(k.Encryption)}, nil
}

// A DeferredRequest asks for credentials that were not ready (section 9.1).
type DeferredRequest struct {
	TransactionID Secret
	// Response is how the response shall be encrypted; nil if it shall not.
	Response *ResponseKey
}

// RequestExpect is how a credential issuer takes requests: what its metadata say.
type RequestExpect struct {
	// Keys open encrypted requests, the newest first; none if there is no encryption.
	Keys []*jose.DecryptionKey
	// Encryptions are those of requests.
	Encryptions []jose.Encryption
	// Required refuses a request that is not encrypted.
	Required bool
	// ResponseEncryptions are those of responses; none if they are never encrypted.
	ResponseEncryptions []jose.Encryption
	// ResponseRequired refuses a request that does not ask for an encrypted response.
	ResponseRequired bool
}

// mediaType returns the type of a body without its parameters. A charset other than
// UTF-8 is another type.
func mediaType(header string) string {
	t, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	for name, value := range parameters {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return ""
		}
	}
	return t
}

// open returns the JSON of a request (section 10) and whether it was encrypted.
func (e RequestExpect) open(contentType string, body []byte, code Code) (plain []byte, encrypted bool, err error) {
	switch mediaType(contentType) {
	case JSONType:
		if e.Required {
			return nil, false, refuse(InvalidEncryptionParameters, ErrEncryption, "requests must be encrypted")
		}
		return body, false, nil
	case JWTType:
	default:
		return nil, false, refuse(code, ErrUnsupported, "the media type must be %s or %s", JSONType, JWTType)
	}
	if len(e.Keys) == 0 {
		return nil, false, refuse(InvalidEncryptionParameters, ErrUnsupported, "encrypted requests are not taken")
	}
	if len(body) > 2*MaxCredentialRequest {
		return nil, false, refuse(code, ErrTooLarge, "a request of %d bytes", len(body))
	}
	for _, key := range e.Keys {
		plain, err = jose.Decrypt(string(body), jose.ExpectJWE{Key: key, Encryptions: e.Encryptions, MaxBytes: 2 * MaxCredentialRequest})
		if err == nil || !errors.Is(err, jose.ErrDecrypt) {
			break
		}
	}
	if err != nil {
		return nil, false, refuse(InvalidEncryptionParameters, ErrEncryption, "the request cannot be opened: %v", err)
	}
	return plain, true, nil
}

// responseKey reads credential_response_encryption.
func (e RequestExpect) responseKey(in *object, encrypted bool) (*ResponseKey, error) {
	bad := func(reason error, why string) error { return refuse(InvalidEncryptionParameters, reason, "%s", why) }
	o, ok := in.at("credential_response_encryption")
	o.code = InvalidEncryptionParameters
	switch {
	case in.err != nil:
		return nil, with(InvalidEncryptionParameters, in.err)
	case !ok && e.ResponseRequired:
		return nil, bad(ErrMissing, "responses are always encrypted: credential_response_encryption is needed")
	case !ok:
		return nil, nil
	case !encrypted:
		// Section 8.2: somebody on the way could put in a key of their own.
		return nil, bad(ErrEncryption, "credential_response_encryption in a request that is not encrypted")
	case len(e.ResponseEncryptions) == 0:
		return nil, bad(ErrUnsupported, "responses are not encrypted here")
	case o.v.Get("zip").Kind() != strict.None:
		return nil, bad(ErrUnsupported, "nothing is compressed here")
	}
	enc := jose.Encryption(o.mustText("enc", maxName))
	if o.err == nil && !slices.Contains(e.ResponseEncryptions, enc) {
		return nil, bad(ErrAlgorithm, "enc is none that was offered")
	}
	jwk := o.v.Get("jwk")
	if alg, _ := jwk.Get("alg").Text(); o.err == nil && alg != keyAgreement {
		return nil, bad(ErrAlgorithm, "the jwk needs alg ECDH-ES") // section 10
	}
	if o.err != nil {
		return nil, o.err
	}
	if jwk.Get("d").Kind() != strict.None {
		return nil, bad(ErrPrivateKey, "the jwk is a private key")
	}
	key, err := jose.ParseEncryptionKey(jwk)
	if err != nil {
		return nil, bad(keyReason(err), "the jwk is no key on P-256")
	}
	return &ResponseKey{Key: key, Encryption: enc}, nil
}

// CredentialRequest reads a credential request. What the access token allows is
// [Granted.Configuration]'s to say, and proofs are [CheckProofs]'s.
func (e RequestExpect) CredentialRequest(contentType string, body []byte) (*CredentialRequest, error) {
	plain, encrypted, err := e.open(contentType, body, InvalidCredentialRequest)
	if err != nil {
		return nil, err
	}
	in := readObject(requestLimits, plain, "credential request", InvalidCredentialRequest)
	r := &CredentialRequest{Identifier: in.text("credential_identifier", maxName), Configuration: in.text("credential_configuration_id", maxName)}
	if in.err == nil && r.Identifier != "" && r.Configuration != "" {
		in.fail(ErrConflict, "credential_identifier and credential_configuration_id")
	}
	in.need("credential_identifier or credential_configuration_id", r.Identifier != "" || r.Configuration != "")
	if in.err != nil {
		return nil, in.err
	}
	if r.Response, err = e.responseKey(in, encrypted); err != nil {
		return nil, err
	}
	r.Proofs, err = readProofs(in)
	return r, err
}

// readProofs reads the object proofs: one member, a list of tokens.
func readProofs(in *object) (Proofs, error) {
	v := in.v.Get("proofs")
	bad := func(reason error, format string, args ...any) error {
		return refuse(InvalidProof, reason, format, args...)
	}
	switch {
	case v.Kind() == strict.None:
		return Proofs{}, nil
	case v.Kind() != strict.Object || v.Len() != 1:
		return Proofs{}, bad(ErrMalformed, "proofs has exactly one type of proof")
	}
	p := Proofs{Type: ProofType(v.Name(0))}
	if p.Type != JWTProof && p.Type != AttestationProof {
		return Proofs{}, bad(ErrUnsupported, "proofs of type %s", cut(string(p.Type)))
	}
	list := v.At(0)
	switch {
	case list.Kind() != strict.Array || list.Len() == 0:
		return Proofs{}, bad(ErrMalformed, "proofs without any")
	case list.Len() > MaxBatch:
		return Proofs{}, bad(ErrTooLarge, "%d proofs, at most %d", list.Len(), MaxBatch)
	case p.Type == AttestationProof && list.Len() != 1:
		return Proofs{}, bad(ErrTooLarge, "several key attestations")
	}
	for i := range list.Len() {
		s, ok := list.At(i).Text()
		if !ok || s == "" || len(s) > jose.MaxToken {
			return Proofs{}, bad(ErrMalformed, "a proof that is no token")
		}
		if slices.Contains(p.Tokens, s) {
			return Proofs{}, bad(ErrRepeated, "a proof stands there twice")
		}
		p.Tokens = append(p.Tokens, s)
	}
	return p, nil
}

// DeferredRequest reads a deferred credential request.
func (e RequestExpect) DeferredRequest(contentType string, body []byte) (*DeferredRequest, error) {
	plain, encrypted, err := e.open(contentType, body, InvalidCredentialRequest)
	if err != nil {
		return nil, err
	}
	in := readObject(smallLimits, plain, "deferred credential request", InvalidCredentialRequest)
	r := &DeferredRequest{TransactionID: Secret(in.mustText("transaction_id", maxName))}
	if in.err != nil {
		return nil, in.err
	}
	r.Response, err = e.responseKey(in, encrypted)
	return r, err
}

// Granted is what an access token allows.
type Granted struct {
	// Details are the authorization details of the token response, with identifiers. If
	// there are any, credentials are asked for by identifier, otherwise by configuration
	// (section 8.2).
	Details []AuthorizationDetail
	// Configurations are the ids that the token is good for, where there are no Details.
	Configurations []string
}

// Configuration returns the id of the configuration that a request asks for, if the
// access token allows it (corpus VCI-09). Known are the ids of the metadata.
func (g Granted) Configuration(r *CredentialRequest, known []string) (string, error) {
	if len(g.Details) > 0 {
		if r.Identifier == "" {
			return "", refuse(InvalidCredentialRequest, ErrConflict, "the token response has authorization_details: credential_identifier is needed")
		}
		for _, d := range g.Details {
			if slices.Contains(d.Identifiers, r.Identifier) {
				return d.Configuration, nil
			}
		}
		return "", refuse(UnknownCredentialIdentifier, ErrConflict, "no such credential_identifier")
	}
	switch {
	case r.Configuration == "":
		return "", refuse(InvalidCredentialRequest, ErrConflict, "the token response has no authorization_details: credential_configuration_id is needed")
	case !slices.Contains(known, r.Configuration):
		return "", refuse(UnknownCredentialConfiguration, ErrUnsupported, "no such credential_configuration_id")
	case !slices.Contains(g.Configurations, r.Configuration):
		return "", refuse(InsufficientScope, ErrConflict, "the access token is not for this credential")
	}
	return r.Configuration, nil
}

// Encode returns a request as it is sent: as JSON, or encrypted if to is not nil, with
// its media type. The ephemeral key comes from the system.
func (r CredentialRequest) Encode(to *RequestEncryption) (contentType string, body []byte, err error) {
	m := map[string]any{}
	put(m, "credential_identifier", r.Identifier)
	put(m, "credential_configuration_id", r.Configuration)
	if (r.Identifier == "") == (r.Configuration == "") {
		return "", nil, errors.New("oid4vci: a credential request needs Identifier or Configuration")
	}
	if r.Proofs.Type != "" {
		m["proofs"] = map[string]any{string(r.Proofs.Type): anys(r.Proofs.Tokens)}
	}
	return encode(m, r.Response, to)
}

// Encode is [CredentialRequest.Encode].
func (r DeferredRequest) Encode(to *RequestEncryption) (contentType string, body []byte, err error) {
	return encode(map[string]any{"transaction_id": string(r.TransactionID)}, r.Response, to)
}

func encode(m map[string]any, response *ResponseKey, to *RequestEncryption) (string, []byte, error) {
	if response != nil {
		if to == nil {
			return "", nil, errors.New("oid4vci: an encrypted response needs an encrypted request (section 8.2)")
		}
		members, err := response.members()
		if err != nil {
			return "", nil, err
		}
		m["credential_response_encryption"] = members
	}
	b, err := write(m)
	if err != nil || to == nil {
		return JSONType, b, err
	}
	if len(to.Keys) == 0 || len(to.Encryptions) == 0 {
		return "", nil, errors.New("oid4vci: RequestEncryption without Keys or Encryptions")
	}
	return seal(b, ResponseKey{to.Keys[0], to.Encryptions[0]})
}

func seal(b []byte, k ResponseKey) (string, []byte, error) {
	s, err := jose.Encrypt(b, k.Key, k.Encryption)
	if err != nil {
		return "", nil, fmt.Errorf("oid4vci: %w", err)
	}
	return JWTType, []byte(s), nil
}

// A CredentialResponse has credentials, or says when to come again (sections 8.3 and
// 9.2).
type CredentialResponse struct {
	// Credentials are the credentials, each as its format has it. None if they are not
	// ready.
	Credentials []string
	// NotificationID is how the wallet refers to them. Optional.
	NotificationID string
	// TransactionID is how the wallet asks for them later, and Interval how long it
	// waits; set exactly if there are no Credentials.
	TransactionID Secret
	Interval      time.Duration
}

// Encode returns the response as it is sent: its HTTP status, its media type and its
// body, encrypted if the request asked for that. It must not be cached. Errors are
// never encrypted. The ephemeral key comes from the system.
func (r CredentialResponse) Encode(to *ResponseKey) (status int, contentType string, body []byte, err error) {
	m := map[string]any{}
	switch {
	case len(r.Credentials) > 0 && r.TransactionID == "" && r.Interval == 0:
		list := make([]any, len(r.Credentials))
		for i, c := range r.Credentials {
			list[i] = map[string]any{"credential": c}
		}
		m["credentials"], status = list, 200
		put(m, "notification_id", r.NotificationID)
	case len(r.Credentials) == 0 && r.TransactionID != "" && r.Interval >= time.Second && r.NotificationID == "":
		m["transaction_id"], m["interval"], status = string(r.TransactionID), int64(r.Interval/time.Second), 202
	default:
		return 0, "", nil, errors.New("oid4vci: a credential response has Credentials, or TransactionID and Interval")
	}
	body, err = write(m)
	if err != nil || to == nil {
		return status, JSONType, body, err
	}
	contentType, body, err = seal(body, *to)
	return status, contentType, body, err
}

// ResponseExpect is what a wallet asked for.
type ResponseExpect struct {
	// Key opens the response if it was to be encrypted; a plain one is refused then.
	Key *jose.DecryptionKey
	// Encryption is the one that was asked for.
	Encryption jose.Encryption
	// Keys is how many keys were proven: there are no more credentials than that. Zero
	// means one.
	Keys int
	// TransactionID is that of a deferred request; a response that defers again has the
	// same one.
	TransactionID Secret
}

// CredentialResponse reads the answer of the credential or the deferred endpoint.
// Whether a credential is what was asked for is the wallet's to check.
func (e ResponseExpect) CredentialResponse(status int, contentType string, body []byte) (*CredentialResponse, error) {
	if status != 200 && status != 202 {
		return nil, ReadError(status, body)
	}
	switch t := mediaType(contentType); {
	case e.Key == nil && t != JSONType:
		return nil, refuse(InvalidRequest, ErrUnsupported, "a response of another media type than %s", JSONType)
	case e.Key != nil && t != JWTType:
		return nil, refuse(InvalidRequest, ErrEncryption, "a response that is not encrypted")
	case e.Key != nil:
		plain, err := jose.Decrypt(string(body), jose.ExpectJWE{
			Key: e.Key, Encryptions: []jose.Encryption{e.Encryption}, MaxBytes: 2 * MaxCredentialResponse})
		if err != nil {
			return nil, refuse(InvalidRequest, ErrEncryption, "the response cannot be opened: %v", err)
		}
		body = plain
	}
	in := readObject(responseLimits, body, "credential response", InvalidRequest)
	r := &CredentialResponse{
		NotificationID: in.text("notification_id", maxName), TransactionID: Secret(in.text("transaction_id", maxName)),
		Interval: seconds(in, "interval"),
	}
	for _, v := range in.list("credentials", max(1, e.Keys)) {
		o := in.element(v, "credentials")
		r.Credentials = append(r.Credentials, o.mustText("credential", MaxCredentialResponse))
		in.join(o)
	}
	if in.err == nil {
		in.err = r.check(status, e.TransactionID)
	}
	if in.err != nil {
		return nil, in.err
	}
	return r, nil
}

// check checks what excludes each other in a response.
func (r *CredentialResponse) check(status int, transaction Secret) error {
	ready := len(r.Credentials) > 0
	bad := func(why string) error { return refuse(InvalidRequest, ErrConflict, "credential response: %s", why) }
	switch {
	case ready && (r.TransactionID != "" || r.Interval != 0):
		return bad("credentials and a transaction_id")
	case !ready && (r.TransactionID == "" || r.Interval <= 0):
		return bad("neither credentials nor a transaction_id with its interval")
	case !ready && r.NotificationID != "":
		return bad("notification_id without credentials")
	case ready != (status == 200):
		return bad("its status says something else")
	case !ready && transaction != "" && r.TransactionID != transaction:
		return bad("another transaction_id")
	}
	return nil
}

// A Notification is what a wallet says became of credentials (section 11.1).
type Notification struct {
	ID    string
	Event Event
	// Description is for developers. Optional.
	Description string
}

// JSON returns the request.
func (n Notification) JSON() ([]byte, error) {
	if n.ID == "" || !n.Event.known() {
		return nil, errors.New("oid4vci: Notification.ID or Event is not set")
	}
	m := map[string]any{"notification_id": n.ID, "event": string(n.Event)}
	put(m, "event_description", plain(n.Description))
	return write(m)
}

func (e Event) known() bool {
	return e == CredentialAccepted || e == CredentialFailure || e == CredentialDeleted
}

// ReadNotification reads a notification request. Whose credentials the ID means is the
// caller's; an unknown one is [UnknownNotification].
func ReadNotification(contentType string, body []byte) (*Notification, error) {
	if mediaType(contentType) != JSONType {
		return nil, refuse(InvalidNotificationRequest, ErrUnsupported, "the media type must be %s", JSONType)
	}
	in := readObject(smallLimits, body, "notification request", InvalidNotificationRequest)
	n := &Notification{ID: in.mustText("notification_id", maxName), Event: Event(in.mustText("event", 64)), Description: in.text("event_description", maxText)}
	if in.err == nil && !n.Event.known() {
		in.fail(ErrUnsupported, "event %s", cut(string(n.Event)))
	}
	if in.err == nil && plain(n.Description) != n.Description {
		n.Description = plain(n.Description)
	}
	if in.err != nil {
		return nil, in.err
	}
	return n, nil
}

// UnknownNotification answers an ID that was not given to this access token.
func UnknownNotification() *Error {
	return NewError(InvalidNotificationID, nil, "no such notification_id")
}

// UnknownTransaction answers a transaction that was not given to this access token, has
// expired, or brought its credentials already.
func UnknownTransaction() *Error {
	return NewError(InvalidTransactionID, nil, "no such transaction_id")
}
