package oid4vci

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// MaxMetadata is the most bytes of a metadata document.
const MaxMetadata = 1 << 20

var metadataLimits = strict.Limits{Bytes: MaxMetadata, Depth: 16, Items: 64 << 10}

// Counts in metadata.
const (
	maxConfigurations = 512
	maxLanguages      = 64
	maxClaims         = 512
	maxPath           = 16
	maxEntries        = 64 // of other lists
)

// MaxBatch is the most proofs of one credential request, whatever the issuer allows.
const MaxBatch = 100

// IssuerMetadata is what a credential issuer publishes about itself (section 12.2.4).
type IssuerMetadata struct {
	// Issuer is the credential issuer identifier.
	Issuer string
	// Servers are the authorization servers; none if the issuer is its own.
	Servers []string
	// CredentialEndpoint must be set; the others are "" if there is none.
	CredentialEndpoint, NonceEndpoint, DeferredEndpoint, NotificationEndpoint string
	// RequestEncryption and ResponseEncryption are nil if the issuer does neither.
	RequestEncryption  *RequestEncryption
	ResponseEncryption *ResponseEncryption
	// BatchSize is the most proofs of one request; 0 or 1 if batches are not offered.
	BatchSize int
	// Display is the name of the issuer, once for each language.
	Display []Display
	// Configurations are the credentials, each with another ID.
	Configurations []Configuration
}

// RequestEncryption says how requests can be encrypted.
type RequestEncryption struct {
	// Keys are those to encrypt for, each with a KeyID of its own. A wallet gets those
	// that it can use, at least one.
	Keys []jose.EncryptionKey
	// Encryptions are those that the issuer opens.
	Encryptions []jose.Encryption
	// Required says that every request must be encrypted.
	Required bool
}

// ResponseEncryption says how responses can be encrypted. The key agreement is
// ECDH-ES.
type ResponseEncryption struct {
	Encryptions []jose.Encryption
	// Required says that every request must ask for it.
	Required bool
}

// Configuration returns the one with this ID.
func (m *IssuerMetadata) Configuration(id string) (Configuration, bool) {
	for _, c := range m.Configurations {
		if c.ID == id {
			return c, true
		}
	}
	return Configuration{}, false
}

// Server returns the authorization server to use. Hint is what the offer says; it
// must be one of Servers, and be empty if there is none to choose from (section
// 4.1.1; corpus VCI-17).
func (m *IssuerMetadata) Server(hint string) (string, error) {
	switch {
	case hint != "" && !slices.Contains(m.Servers, hint):
		return "", refuse(InvalidRequest, ErrIssuer, "the offer names an authorization server that is not the issuer's")
	case hint != "":
		return hint, nil
	case len(m.Servers) == 0:
		return m.Issuer, nil
	}
	return m.Servers[0], nil
}

// JSON returns the metadata document.
func (m IssuerMetadata) JSON() ([]byte, error) {
	members, err := m.members()
	if err != nil {
		return nil, err
	}
	return write(members)
}

func (m IssuerMetadata) members() (map[string]any, error) {
	if m.Issuer == "" || m.CredentialEndpoint == "" {
		return nil, errors.New("oid4vci: IssuerMetadata.Issuer or CredentialEndpoint is not set")
	}
	out := map[string]any{"credential_issuer": m.Issuer, "credential_endpoint": m.CredentialEndpoint}
	putList(out, "authorization_servers", m.Servers)
	put(out, "nonce_endpoint", m.NonceEndpoint)
	put(out, "deferred_credential_endpoint", m.DeferredEndpoint)
	put(out, "notification_endpoint", m.NotificationEndpoint)
	if e := m.RequestEncryption; e != nil {
		members, err := e.members()
		if err != nil {
			return nil, err
		}
		out["credential_request_encryption"] = members
	}
	if e := m.ResponseEncryption; e != nil {
		if m.RequestEncryption == nil {
			return nil, errors.New("oid4vci: encrypted responses need encrypted requests (section 8.2)")
		}
		out["credential_response_encryption"] = map[string]any{
			"alg_values_supported": []any{keyAgreement}, "enc_values_supported": anys(e.Encryptions), "encryption_required": e.Required,
		}
	}
	if m.BatchSize > MaxBatch {
		return nil, fmt.Errorf("oid4vci: BatchSize is %d, at most %d", m.BatchSize, MaxBatch)
	}
	if m.BatchSize >= 2 {
		out["batch_credential_issuance"] = map[string]any{"batch_size": m.BatchSize}
	}
	if err := putDisplay(out, m.Display); err != nil {
		return nil, err
	}
	all := map[string]any{}
	for _, c := range m.Configurations {
		if _, twice := all[c.ID]; twice || c.ID == "" {
			return nil, fmt.Errorf("oid4vci: configuration %q twice or without ID", c.ID)
		}
		members, err := c.members()
		if err != nil {
			return nil, fmt.Errorf("configuration %s: %w", c.ID, err)
		}
		all[c.ID] = members
	}
	out["credential_configurations_supported"] = all
	return out, nil
}

func (e RequestEncryption) members() (map[string]any, error) {
	var list []any
	seen := map[string]bool{}
	for _, k := range e.Keys {
		// Section 12.2.4: each key has a kid of its own.
		if k.KeyID == "" || seen[k.KeyID] {
			return nil, errors.New("oid4vci: an encryption key needs a KeyID of its own")
		}
		seen[k.KeyID] = true
		jwk, err := k.JWK()
		if err != nil {
			return nil, fmt.Errorf("oid4vci: %w", err)
		}
		list = append(list, strict.Raw(jwk))
	}
	if len(list) == 0 || len(e.Encryptions) == 0 {
		return nil, errors.New("oid4vci: RequestEncryption without Keys or Encryptions")
	}
	return map[string]any{
		"jwks": map[string]any{"keys": list}, "enc_values_supported": anys(e.Encryptions), "encryption_required": e.Required,
	}, nil
}

// IssuerMetadata reads the metadata of the issuer with this identifier, which must be
// what the document names, byte for byte (section 12.2.4; corpus VCI-17).
func (r Reader) IssuerMetadata(b []byte, issuer string) (*IssuerMetadata, error) {
	return r.issuerMetadata(readObject(metadataLimits, b, "issuer metadata", InvalidRequest), issuer)
}

func (r Reader) issuerMetadata(in *object, issuer string) (*IssuerMetadata, error) {
	m := &IssuerMetadata{
		Issuer:               in.mustText("credential_issuer", maxURL),
		Servers:              in.texts("authorization_servers", maxEntries, maxURL),
		CredentialEndpoint:   r.url(in, "credential_endpoint"),
		NonceEndpoint:        r.url(in, "nonce_endpoint"),
		DeferredEndpoint:     r.url(in, "deferred_credential_endpoint"),
		NotificationEndpoint: r.url(in, "notification_endpoint"),
		Display:              readDisplay(in, false),
	}
	if in.err == nil && m.Issuer != issuer {
		return nil, refuse(InvalidRequest, ErrIssuer, "issuer metadata of another issuer")
	}
	if in.err == nil && r.CheckIdentifier(issuer) != nil {
		in.fail(ErrURL, "the credential issuer identifier is no address that may be asked")
	}
	for _, s := range m.Servers {
		if r.CheckIdentifier(s) != nil {
			in.fail(ErrURL, "an authorization server is no address that may be asked")
		}
	}
	in.need("credential_endpoint", m.CredentialEndpoint != "")
	m.RequestEncryption = readRequestEncryption(in)
	m.ResponseEncryption = readResponseEncryption(in)
	if batch, ok := in.at("batch_credential_issuance"); ok {
		m.BatchSize = int(batch.number("batch_size", 2, 1<<20))
		batch.need("batch_size", m.BatchSize > 0)
		in.join(batch)
	}
	all, ok := in.at("credential_configurations_supported")
	in.need("credential_configurations_supported", ok)
	if all.v.Len() > maxConfigurations {
		in.fail(ErrTooLarge, "more than %d credential configurations", maxConfigurations)
	}
	for i := range min(all.v.Len(), maxConfigurations) {
		c := readConfiguration(all, i)
		m.Configurations = append(m.Configurations, c)
	}
	in.join(all)
	if in.err != nil {
		return nil, in.err
	}
	return m, nil
}

func readRequestEncryption(in *object) *RequestEncryption {
	o, ok := in.at("credential_request_encryption")
	if !ok {
		return nil
	}
	e := &RequestEncryption{}
	var needed bool
	e.Encryptions = encryptions(o)
	e.Required, needed = o.flag("encryption_required")
	o.need("encryption_required", needed)
	jwks, ok := o.at("jwks")
	o.need("jwks", ok)
	seen := map[string]bool{}
	for _, v := range jwks.list("keys", maxEntries) {
		kid, _ := v.Get("kid").Text()
		if kid == "" || seen[kid] {
			o.fail(ErrKey, "an encryption key without a kid of its own")
		}
		seen[kid] = true
		// Section 10: alg must be there. Keys of other kinds are for other wallets.
		alg, _ := v.Get("alg").Text()
		if alg == "" {
			o.fail(ErrKey, "an encryption key without alg")
		}
		if v.Get("d").Kind() != strict.None {
			o.fail(ErrPrivateKey, "an encryption key with its private half")
		}
		if k, err := jose.ParseEncryptionKey(v); err == nil {
			e.Keys = append(e.Keys, k)
		}
	}
	o.join(jwks)
	in.join(o)
	if e.Required && in.err == nil && (len(e.Keys) == 0 || len(e.Encryptions) == 0) {
		in.fail(ErrUnsupported, "the issuer wants requests encrypted in a way that is not known here")
	}
	if len(e.Keys) == 0 || len(e.Encryptions) == 0 {
		return nil
	}
	return e
}

func readResponseEncryption(in *object) *ResponseEncryption {
	o, ok := in.at("credential_response_encryption")
	if !ok {
		return nil
	}
	e := &ResponseEncryption{Encryptions: encryptions(o)}
	var needed bool
	e.Required, needed = o.flag("encryption_required")
	o.need("encryption_required", needed)
	algs := o.texts("alg_values_supported", maxEntries, maxName)
	o.need("alg_values_supported", algs != nil)
	in.join(o)
	if slices.Contains(algs, keyAgreement) && len(e.Encryptions) > 0 {
		return e
	}
	if e.Required {
		in.fail(ErrUnsupported, "the issuer wants responses encrypted in a way that is not known here")
	}
	return nil
}

// encryptions reads enc_values_supported and keeps those that we do.
func encryptions(o *object) []jose.Encryption {
	all := o.texts("enc_values_supported", maxEntries, maxName)
	o.need("enc_values_supported", all != nil)
	var list []jose.Encryption
	for _, e := range []jose.Encryption{jose.A128GCM, jose.A256GCM} {
		if slices.Contains(all, string(e)) {
			list = append(list, e)
		}
	}
	return list
}

// SignMetadata returns the metadata as a signed token (section 12.2.3). Expires may be
// zero. Chain is the signer's certificates without the root; without one the header
// has the kid of the key.
func SignMetadata(rnd io.Reader, s keys.Signer, chain [][]byte, m IssuerMetadata, now, expires time.Time) (string, error) {
	members, err := m.members()
	if err != nil {
		return "", err
	}
	members["sub"], members["iss"], members["iat"] = m.Issuer, m.Issuer, now.Unix()
	if !expires.IsZero() {
		members["exp"] = expires.Unix()
	}
	return sign(rnd, s, jose.Header{Type: MetadataTyp, X5C: chain}, members)
}

// SignedIssuerMetadata reads signed metadata of the issuer with this identifier. An
// unknown signer is refused (corpus VCI-21).
func (r Reader) SignedIssuerMetadata(token, issuer string, now time.Time, trusted TrustedKeys) (*IssuerMetadata, error) {
	t, err := readToken(token, MetadataTyp, keyNone, MaxMetadata*3/2, InvalidRequest)
	if err != nil {
		return nil, err
	}
	if err := t.verifyTrusted(trusted, nil); err != nil {
		return nil, err
	}
	sub := t.claims.mustText("sub", maxURL)
	if t.claims.err == nil && sub != issuer {
		return nil, refuse(InvalidRequest, ErrIssuer, "signed metadata of another issuer")
	}
	if err := t.checkTimes(now, "iat"); err != nil {
		return nil, err
	}
	return r.issuerMetadata(t.claims, issuer)
}
