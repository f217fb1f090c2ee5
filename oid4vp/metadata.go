package oid4vp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// ClientMetadata is what a verifier says of what it can do (section 5.1). Members
// other than these are passed over, as the section wants: names and logos in it are
// nobody's word.
type ClientMetadata struct {
	// Keys are the keys to encrypt the response for, those that can be used here in
	// their order; fresh ones for each request (HAIP section 5).
	Keys []jose.EncryptionKey
	// Encryptions are those that may be used with them; A128GCM alone if none are
	// stated.
	Encryptions []jose.Encryption
	// Formats are the formats that the verifier takes.
	Formats map[credential.Format]FormatSupport
}

// FormatSupport is what is supported of one format. Empty means anything.
type FormatSupport struct {
	// Issuer and Holder are algorithms of signatures, for the credential and for the
	// proof by the holder (section B.3.4). The names are fully specified ones (RFC
	// 9864): Ed25519 and not EdDSA, which is read as well.
	Issuer, Holder []string
}

// AllEncryptions are the encryptions that a verifier offers (HAIP section 5).
func AllEncryptions() []jose.Encryption { return []jose.Encryption{jose.A128GCM, jose.A256GCM} }

// SDJWTFormat is what this program supports of dc+sd-jwt.
func SDJWTFormat() map[credential.Format]FormatSupport {
	var names []string
	for _, alg := range keys.Algorithms() {
		names = append(names, fullySpecified(string(alg)))
	}
	return map[credential.Format]FormatSupport{credential.FormatSDJWT: {Issuer: names, Holder: slices.Clone(names)}}
}

// Takes reports whether credentials in this format, signed so, are supported. The
// algorithms are those of the headers; holder is "" if there is no proof.
func (s FormatSupport) Takes(issuer, holder string) bool {
	return takes(s.Issuer, issuer) && (holder == "" || takes(s.Holder, holder))
}

// takes reports whether a list of algorithms has this one; an empty list has all.
func takes(list []string, alg string) bool {
	return len(list) == 0 || slices.Contains(list, alg) || slices.Contains(list, fullySpecified(alg))
}

// fullySpecified is the name of an algorithm that says which curve it is on (RFC
// 9864). The others that we carry say so already.
func fullySpecified(alg string) string {
	if alg == string(keys.EdDSA) {
		return "Ed25519"
	}
	return alg
}

func readClientMetadata(v strict.Value) (*ClientMetadata, error) {
	if v.Kind() != strict.Object {
		return nil, malformed("client_metadata: not an object")
	}
	m := &ClientMetadata{}
	var err error
	if jwks := v.Get(mJWKS); jwks.Kind() != strict.None {
		if m.Keys, err = readJWKS(jwks); err != nil {
			return nil, err
		}
	}
	if list := v.Get(mEncryptions); list.Kind() != strict.None {
		names, ok := textList(list, maxID)
		if !ok || len(names) > maxValues {
			return nil, malformed("client_metadata: %s is empty or not an array of texts", mEncryptions)
		}
		for _, name := range names {
			m.Encryptions = append(m.Encryptions, jose.Encryption(name))
		}
	}
	m.Formats, err = readFormats("client_metadata", v.Get(mFormats))
	return m, err
}

// readJWKS reads the keys that can be used here. Others are passed over, unless they
// are no public keys at all.
func readJWKS(v strict.Value) ([]jose.EncryptionKey, error) {
	list := v.Get("keys")
	if list.Kind() != strict.Array {
		return nil, malformed("client_metadata: jwks is not a set of keys")
	}
	if list.Len() > maxJWKs {
		return nil, tooLarge("keys of a set", list.Len(), maxJWKs)
	}
	var usable []jose.EncryptionKey
	seen := map[string]bool{}
	for i := range list.Len() {
		jwk := list.At(i)
		kid, _ := jwk.Get("kid").Text()
		switch {
		case jwk.Kind() != strict.Object:
			return nil, malformed("client_metadata: key %d is not an object", i)
		case jwk.Get("d").Kind() != strict.None || jwk.Get("k").Kind() != strict.None:
			return nil, malformed("client_metadata: key %d is not a public key", i)
		case kid == "" || seen[kid]:
			// Section 5.1: a kid that is unique among them.
			return nil, malformed("client_metadata: key %d has no kid of its own", i)
		}
		seen[kid] = true
		key, err := jose.ParseEncryptionKey(jwk)
		alg, _ := jwk.Get("alg").Text()
		if err != nil || alg == "" { // section 8.3: alg MUST be present
			if errors.Is(err, keys.ErrInvalidKey) {
				return nil, malformed("client_metadata: key %d is not on its curve", i)
			}
			continue
		}
		usable = append(usable, key)
	}
	return usable, nil
}

func readFormats(where string, v strict.Value) (map[credential.Format]FormatSupport, error) {
	switch {
	case v.Kind() == strict.None:
		return nil, nil
	case v.Kind() != strict.Object || v.Len() == 0:
		return nil, malformed("%s: %s is empty or not an object", where, mFormats)
	case v.Len() > maxFormats:
		return nil, tooLarge("formats", v.Len(), maxFormats)
	}
	formats := map[credential.Format]FormatSupport{}
	for i := range v.Len() {
		name, format := credential.Format(v.Name(i)), v.At(i)
		if format.Kind() != strict.Object {
			return nil, malformed("%s: format %s is not an object", where, cut(string(name)))
		}
		var s FormatSupport
		if name == credential.FormatSDJWT {
			for _, m := range []struct {
				name string
				to   *[]string
			}{{mSDJWT, &s.Issuer}, {mKBJWT, &s.Holder}} {
				list := format.Get(m.name)
				if list.Kind() == strict.None {
					continue
				}
				var ok bool
				if *m.to, ok = textList(list, maxID); !ok || len(*m.to) > maxValues {
					return nil, malformed("%s: %s is empty or not an array of texts", where, m.name)
				}
			}
		}
		formats[name] = s
	}
	return formats, nil
}

func (m *ClientMetadata) object() (map[string]any, error) {
	out := map[string]any{mFormats: formatsObject(m.Formats)}
	if len(m.Keys) > 0 {
		var set []any
		for _, k := range m.Keys {
			if k.KeyID == "" {
				return nil, errors.New("oid4vp: a key without kid")
			}
			jwk, err := k.JWK()
			if err != nil {
				return nil, fmt.Errorf("oid4vp: write jwks: %w", err)
			}
			set = append(set, strict.Raw(jwk))
		}
		out[mJWKS] = map[string]any{"keys": set}
	}
	if len(m.Encryptions) > 0 {
		var names []any
		for _, e := range m.Encryptions {
			names = append(names, string(e))
		}
		out[mEncryptions] = names
	}
	return out, nil
}

func formatsObject(formats map[credential.Format]FormatSupport) map[string]any {
	out := map[string]any{}
	for name, s := range formats {
		format := map[string]any{}
		if len(s.Issuer) > 0 {
			format[mSDJWT] = anys(s.Issuer)
		}
		if len(s.Holder) > 0 {
			format[mKBJWT] = anys(s.Holder)
		}
		out[string(name)] = format
	}
	return out
}

// WalletMetadata is what a wallet says of what it can do when it posts to the
// request URI (sections 5.10 and 10.1). It should say no more than a verifier needs:
// everything else tells wallets apart.
type WalletMetadata struct {
	Formats map[credential.Format]FormatSupport
	// Prefixes are the prefixes of client identifiers; pre-registered alone if none
	// are stated.
	Prefixes []Prefix
	// Algorithms are those of request objects. Empty if the wallet did not say.
	Algorithms []string
}

// Serves reports whether a request of this client, signed with this algorithm, is
// one that the wallet can read.
func (m *WalletMetadata) Serves(id ClientID, alg keys.Algorithm) bool {
	prefixes := m.Prefixes
	if len(prefixes) == 0 {
		// Section 10.1 has pre-registered as default; who called this wallet has said
		// its client_id already, and wallets leave the member out.
		prefixes = []Prefix{id.Prefix}
	}
	return slices.Contains(prefixes, id.Prefix) && takes(m.Algorithms, string(alg))
}

func parseWalletMetadata(s string) (*WalletMetadata, error) {
	v, err := metadataLimits.Object([]byte(s))
	if err != nil {
		return nil, unread(pWalletMetadata, err)
	}
	m := &WalletMetadata{}
	if m.Formats, err = readFormats(pWalletMetadata, v.Get(mFormats)); err != nil {
		return nil, err
	}
	if m.Formats == nil {
		return nil, malformed("%s: no %s", pWalletMetadata, mFormats) // section 10.1: REQUIRED
	}
	for _, member := range []string{mPrefixes, mSigning} {
		list := v.Get(member)
		if list.Kind() == strict.None {
			continue
		}
		names, ok := textList(list, maxID)
		if !ok || len(names) > maxValues {
			return nil, malformed("%s: %s is empty or not an array of texts", pWalletMetadata, member)
		}
		if member == mSigning {
			m.Algorithms = names
			continue
		}
		for _, name := range names {
			m.Prefixes = append(m.Prefixes, Prefix(name))
		}
	}
	return m, nil
}

func (m *WalletMetadata) json() ([]byte, error) {
	out := map[string]any{mFormats: formatsObject(m.Formats)}
	if len(m.Prefixes) > 0 {
		var names []any
		for _, p := range m.Prefixes {
			names = append(names, string(p))
		}
		out[mPrefixes] = names
	}
	if len(m.Algorithms) > 0 {
		out[mSigning] = anys(m.Algorithms)
	}
	return strict.AppendJSON(nil, out)
}
