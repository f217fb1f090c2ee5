package sdjwt

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// ErrIssuerMetadata: issuer metadata that may not be used. The text says why.
var ErrIssuerMetadata = errors.New("sdjwt: issuer metadata")

// WellKnownIssuer is where the metadata of an issuer stands: this path, followed by
// that of the issuer's own address (SD-JWT VC, JWT VC Issuer Metadata).
const WellKnownIssuer = "/.well-known/jwt-vc-issuer"

// IssuerMetadataURL returns the address of the metadata of an issuer, whose iss must be
// https without query, fragment and user; one of localHosts may be http.
func IssuerMetadataURL(iss string, localHosts ...string) (string, error) {
	u, err := url.Parse(iss)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(iss, "#") || u.Opaque != "" ||
		u.Scheme != "https" && !(u.Scheme == "http" && slices.Contains(localHosts, u.Hostname())) {
		return "", fmt.Errorf("%w: an issuer is an https address without query and fragment", ErrIssuerMetadata)
	}
	if u.String() != iss {
		return "", fmt.Errorf("%w: the issuer's address is not in its usual spelling", ErrIssuerMetadata)
	}
	return u.Scheme + "://" + u.Host + WellKnownIssuer + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// IssuerMetadata returns the metadata of the issuer iss with every key for credentials
// whose signatures somebody may still have to check ([keys.Verifying]), so that
// rotation breaks nothing. The media type is application/json.
func IssuerMetadata(iss string, all []keys.Key, now time.Time) ([]byte, error) {
	return strict.AppendJSON(nil, map[string]any{
		"issuer": iss, "jwks": strict.Raw(keys.JWKS(keys.Verifying(all, now, keys.Credential))),
	})
}

var issuerMetadataLimits = strict.Limits{Bytes: MaxMetadata, Depth: 12, Items: 1 << 14}

// ParseIssuerMetadata reads the metadata of the issuer iss. It must name that issuer,
// byte for byte, and have either its keys or the https address of a key set, which is
// then for the caller to fetch and for [keys.ParseJWKS] to read.
func ParseIssuerMetadata(b []byte, iss string) (set keys.KeySet, jwksURI string, err error) {
	v, err := issuerMetadataLimits.Object(b)
	if err != nil {
		return keys.KeySet{}, "", fmt.Errorf("%w: %v", ErrIssuerMetadata, err)
	}
	if name, ok := v.Get("issuer").Text(); !ok || name != iss || iss == "" {
		return keys.KeySet{}, "", fmt.Errorf("%w: it is of another issuer", ErrIssuerMetadata)
	}
	jwks, uri := v.Get("jwks"), v.Get("jwks_uri")
	if (jwks.Kind() == strict.None) == (uri.Kind() == strict.None) {
		return keys.KeySet{}, "", fmt.Errorf("%w: it has jwks or jwks_uri, and not both", ErrIssuerMetadata)
	}
	if jwks.Kind() != strict.None {
		if set, err = keys.KeySetOf(jwks); err != nil {
			return keys.KeySet{}, "", fmt.Errorf("%w: %w", ErrIssuerMetadata, err)
		}
		return set, "", nil
	}
	text, _ := uri.Text()
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return keys.KeySet{}, "", fmt.Errorf("%w: jwks_uri is an https address", ErrIssuerMetadata)
	}
	return keys.KeySet{}, text, nil
}
