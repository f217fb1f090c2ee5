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

// Display is how something is called and drawn in one language. A claim has a name
// only.
type Display struct {
	// Locale is the language (BCP 47); "" for the one without.
	Locale                     string
	Name, Description          string
	Logo, Background           *Image
	BackgroundColor, TextColor string
}

// An Image is where a picture is found. Whether to fetch it is the wallet's decision:
// the address was not checked beyond its length.
type Image struct{ URI, AltText string }

// A Configuration is one kind of credential that the issuer hands out.
type Configuration struct {
	ID string
	// Format is [SDJWTFormat] or [CWTFormat] for those that we carry. Of other formats only the
	// members that all have are read.
	Format string
	// Type is the vct.
	Type string
	// Scope asks for this credential in an authorization request; HAIP wants one.
	Scope string
	// SigningAlgorithms are those of the credential.
	SigningAlgorithms []string
	// Bindings are the ways to name the holder's key; none if there is no binding.
	Bindings []string
	// Proofs says for each proof type how it must be made. Of the ones a wallet reads
	// those that we do not know are left out.
	Proofs map[ProofType]ProofSupport
	// Display is the name of the credential, once for each language.
	Display []Display
	// Claims describe claims in the order in which they are shown.
	Claims []Claim
}

// ProofSupport is what an issuer wants of proofs of one type.
type ProofSupport struct {
	// Algorithms are those that the issuer accepts.
	Algorithms []keys.Algorithm
	// Attestation is what a key attestation must say; nil if none is needed.
	Attestation *AttestationNeeds
}

// AttestationNeeds says which attestations of keys suffice. An empty list takes
// every level, also none.
type AttestationNeeds struct {
	// KeyStorage and UserAuthentication are values of appendix D.2, such as
	// "iso_18045_high"; one of them must be attested.
	KeyStorage, UserAuthentication []string
}

// A Claim describes the claims at one path: text, int and nil, as in sdjwt.Path.
type Claim struct {
	Path      []any
	Mandatory bool
	Display   []Display
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

// typed reports whether a format is one that we carry; their type stands in vct.
func typed(format string) bool { return format == SDJWTFormat || format == CWTFormat }

func (c Configuration) members() (map[string]any, error) {
	if !typed(c.Format) || c.Type == "" {
		return nil, fmt.Errorf("oid4vci: format %q with type %q, want %s or %s and a vct", c.Format, c.Type, SDJWTFormat, CWTFormat)
	}
	out := map[string]any{"format": c.Format, "vct": c.Type}
	put(out, "scope", c.Scope)
	putList(out, "credential_signing_alg_values_supported", c.SigningAlgorithms)
	// Section 12.2.4: both or neither.
	if (len(c.Bindings) > 0) != (len(c.Proofs) > 0) {
		return nil, errors.New("oid4vci: Bindings and Proofs belong together")
	}
	if len(c.Proofs) > 0 {
		putList(out, "cryptographic_binding_methods_supported", c.Bindings)
		proofs := map[string]any{}
		for name, p := range c.Proofs {
			if len(p.Algorithms) == 0 {
				return nil, fmt.Errorf("oid4vci: proof type %s without algorithms", name)
			}
			members := map[string]any{"proof_signing_alg_values_supported": anys(p.Algorithms)}
			if n := p.Attestation; n != nil {
				needs := map[string]any{}
				putList(needs, "key_storage", n.KeyStorage)
				putList(needs, "user_authentication", n.UserAuthentication)
				members["key_attestations_required"] = needs
			}
			proofs[string(name)] = members
		}
		out["proof_types_supported"] = proofs
	}
	about := map[string]any{}
	if err := putDisplay(about, c.Display); err != nil {
		return nil, err
	}
	var claims []any
	for _, claim := range c.Claims {
		members := map[string]any{"path": claim.Path}
		if claim.Mandatory {
			members["mandatory"] = true
		}
		if err := putDisplay(members, claim.Display); err != nil {
			return nil, err
		}
		claims = append(claims, members)
	}
	if claims != nil {
		about["claims"] = claims
	}
	if len(about) > 0 {
		out["credential_metadata"] = about
	}
	return out, nil
}

// putDisplay adds a list of languages, each of which may stand there once.
func putDisplay(m map[string]any, list []Display) error {
	if len(list) == 0 {
		return nil
	}
	seen := map[string]bool{}
	out := make([]any, len(list))
	for i, d := range list {
		if seen[d.Locale] {
			return fmt.Errorf("oid4vci: display has the language %q twice", d.Locale)
		}
		seen[d.Locale] = true
		members := map[string]any{}
		put(members, "locale", d.Locale)
		put(members, "name", d.Name)
		put(members, "description", d.Description)
		put(members, "background_color", d.BackgroundColor)
		put(members, "text_color", d.TextColor)
		for name, image := range map[string]*Image{"logo": d.Logo, "background_image": d.Background} {
			if image != nil {
				about := map[string]any{"uri": image.URI}
				put(about, "alt_text", image.AltText)
				members[name] = about
			}
		}
		out[i] = members
	}
	m["display"] = out
	return nil
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

// readConfiguration reads member i of credential_configurations_supported.
func readConfiguration(all *object, i int) Configuration {
	in := all.element(all.v.At(i), "credential configuration")
	c := Configuration{
		ID:                all.v.Name(i),
		Format:            in.mustText("format", maxName),
		Scope:             in.text("scope", maxName),
		Bindings:          in.texts("cryptographic_binding_methods_supported", maxEntries, maxName),
		SigningAlgorithms: signingAlgorithms(in),
	}
	if c.ID == "" || len(c.ID) > maxName {
		in.fail(ErrMalformed, "a credential configuration without a usable id")
	}
	if typed(c.Format) {
		c.Type = in.mustText("vct", maxURL)
	}
	if proofs, ok := in.at("proof_types_supported"); ok {
		c.Proofs = map[ProofType]ProofSupport{}
		for _, name := range []ProofType{JWTProof, AttestationProof} {
			if p, ok := proofs.at(string(name)); ok {
				c.Proofs[name] = readProofSupport(p)
				proofs.join(p)
			}
		}
		in.join(proofs)
	}
	// Section 12.2.4: where keys are bound, there is a way to prove them. (Examples of
	// other formats in the text leave it out.)
	if typed(c.Format) && c.Bindings != nil && in.v.Get("proof_types_supported").Kind() == strict.None {
		in.fail(ErrMissing, "a credential configuration that binds keys and names no proof types")
	}
	if about, ok := in.at("credential_metadata"); ok {
		c.Display = readDisplay(about, true)
		c.Claims = readClaims(about)
		in.join(about)
	}
	all.join(in)
	return c
}

// signingAlgorithms reads names; other formats have numbers there.
func signingAlgorithms(in *object) []string {
	var list []string
	for _, v := range in.list("credential_signing_alg_values_supported", maxEntries) {
		if s, ok := v.Text(); ok && len(s) <= maxName {
			list = append(list, s)
		}
	}
	return list
}

func readProofSupport(in *object) ProofSupport {
	var s ProofSupport
	all := in.texts("proof_signing_alg_values_supported", maxEntries, maxName)
	in.need("proof_signing_alg_values_supported", all != nil)
	for _, name := range all {
		if alg, err := keys.ParseAlgorithm(name); err == nil {
			s.Algorithms = append(s.Algorithms, alg)
		}
	}
	if needs, ok := in.at("key_attestations_required"); ok {
		s.Attestation = &AttestationNeeds{
			KeyStorage:         needs.texts("key_storage", maxEntries, maxName),
			UserAuthentication: needs.texts("user_authentication", maxEntries, maxName),
		}
		in.join(needs)
	}
	return s
}

// readDisplay reads a list of languages. There must be one entry for each.
func readDisplay(in *object, named bool) []Display {
	var list []Display
	seen := map[string]bool{}
	for _, v := range in.list("display", maxLanguages) {
		o := in.element(v, "display")
		d := Display{
			Locale: o.text("locale", 64), Name: o.text("name", maxText), Description: o.text("description", maxText),
			BackgroundColor: o.text("background_color", 64), TextColor: o.text("text_color", 64),
			Logo: readImage(o, "logo"), Background: readImage(o, "background_image"),
		}
		if named {
			o.need("name", d.Name != "")
		}
		if seen[d.Locale] {
			o.fail(ErrRepeated, "display has a language twice")
		}
		seen[d.Locale] = true
		in.join(o)
		list = append(list, d)
	}
	return list
}

// maxImage is the most bytes of the address of a picture, which may be the picture
// itself (data:).
const maxImage = 256 << 10

func readImage(in *object, name string) *Image {
	o, ok := in.at(name)
	if !ok {
		return nil
	}
	i := &Image{URI: o.mustText("uri", maxImage), AltText: o.text("alt_text", maxText)}
	in.join(o)
	return i
}

// readClaims reads claims descriptions (appendix B.2), refusing two for one claim and those
// that contradict each other (appendix B.3).
func readClaims(in *object) []Claim {
	var list []Claim
	seen, steps := map[string]bool{}, map[string]string{}
	for _, v := range in.list("claims", maxClaims) {
		o := in.element(v, "claims")
		c := Claim{Path: readPath(o)}
		c.Mandatory, _ = o.flag("mandatory")
		c.Display = readDisplay(o, false)
		key := fmt.Sprintf("%q", c.Path)
		if seen[key] {
			o.fail(ErrRepeated, "two descriptions of one claim")
		}
		seen[key] = true
		if !agrees(steps, c.Path) {
			o.fail(ErrConflict, "claim descriptions that contradict each other")
		}
		in.join(o)
		list = append(list, c)
	}
	return list
}

// agrees notes the kind of each step of a path, and reports whether the paths before had steps
// of the same kinds from the same places: what is an object for one is no array for another,
// and elements are addressed all together or one by one.
func agrees(steps map[string]string, path []any) bool {
	for i, step := range path {
		from, kind := fmt.Sprintf("%q", path[:i]), fmt.Sprintf("%T", step)
		if was, ok := steps[from]; ok && was != kind {
			return false
		}
		steps[from] = kind
	}
	return true
}

// readPath reads a claims path pointer (appendix C).
func readPath(o *object) []any {
	var path []any
	for _, step := range o.list("path", maxPath) {
		if s, ok := step.Text(); ok && len(s) <= maxName {
			path = append(path, s)
			continue
		}
		if n, ok := step.Int(); ok && n >= 0 && n < 1<<31 {
			path = append(path, int(n))
			continue
		}
		if step.Kind() == strict.Null {
			path = append(path, nil)
			continue
		}
		o.fail(ErrMalformed, "a path with a step that is neither text, index nor null")
	}
	o.need("path", path != nil)
	return path
}

// A SignerHint is what a token says of who signed it.
type SignerHint struct {
	// Typ is what kind of token was signed.
	Typ string
	// Issuer is the claim iss, KeyID the kid; "" if there is none.
	Issuer, KeyID string
	// X5C is the certificate chain, the signer's first, in DER. Nobody has checked it.
	X5C [][]byte
}

// TrustedKeys finds the keys that may have signed a token: those of wallet providers,
// of makers of key stores, of an issuer. For a token with a chain it checks the chain
// and returns the key of the leaf. No key means that there is no trust; an error, that
// no decision was reached.
type TrustedKeys func(SignerHint) ([]keys.PublicKey, error)

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
