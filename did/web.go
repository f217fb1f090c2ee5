package did

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// WebURL returns the address of the document of a did:web: https://HOST/.well-known/did.json,
// or https://HOST/PATH/did.json. The host is a name with a dot in it, in lower case,
// and no address of a machine. The exceptions are localHosts, for development; one with a
// port is asked without TLS.
func WebURL(did string, localHosts ...string) (string, error) {
	method, id, err := split(did)
	if err != nil {
		return "", err
	}
	if method != "web" {
		return "", fmt.Errorf("%w: %s in place of did:web", ErrMethod, cut(method))
	}
	parts := strings.Split(id, ":")
	host, port, hasPort := strings.Cut(parts[0], "%3A")
	local := slices.Contains(localHosts, host)
	if !local && !publicName(host) {
		return "", fmt.Errorf("%w: the host of a did:web is a name with a dot, in lower case", ErrDID)
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' {
			return "", fmt.Errorf("%w: a port is a number from 1 to 65535", ErrDID)
		}
		host += ":" + port
	}
	for _, p := range parts[1:] {
		// Percent-encoding could hide a slash or dots, and no path needs it.
		if p == "" || p == "." || p == ".." || strings.Contains(p, "%") {
			return "", fmt.Errorf("%w: a part of the path that is empty, dots, or percent-encoded", ErrDID)
		}
	}
	path := "/.well-known"
	if len(parts) > 1 {
		path = "/" + strings.Join(parts[1:], "/")
	}
	scheme := "https://"
	if local && hasPort {
		scheme = "http://"
	}
	return scheme + host + path + "/did.json", nil
}

// publicName reports whether host is a name that the public DNS can have.
func publicName(host string) bool {
	labels := strings.Split(host, ".")
	if len(host) > 253 || len(labels) < 2 || slices.Contains(labels, "") || labels[len(labels)-1] == "localhost" {
		return false
	}
	for _, l := range labels {
		if len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	// An address ends in a number; 127.1 and 0x7f.1 are some, too, for some systems.
	return labels[len(labels)-1][0] > '9'
}

// Web returns the did:web of an https address, such as that of an issuer, and the
// reverse of [WebURL].
func Web(address string, localHosts ...string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && !slices.Contains(localHosts, u.Hostname()) || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", fmt.Errorf("%w: a did:web is made from https://HOST or https://HOST/PATH", ErrDID)
	}
	did := "did:web:" + u.Hostname()
	if port := u.Port(); port != "" {
		did += "%3A" + port
	}
	if path := strings.Trim(u.EscapedPath(), "/"); path != "" {
		did += ":" + strings.ReplaceAll(path, "/", ":")
	}
	_, err = WebURL(did, localHosts...)
	return did, err
}

// MediaType is the media type of documents that [WebDocument] makes (DID Core 1.0
// section 6.2).
const MediaType = "application/did+json"

// WebDocument returns the document of did, an identifier of [Web], with every key of a
// history that somebody may have to check a signature with ([keys.Verifying]): keys for
// credentials to assert with, keys for metadata and requests to authenticate with, so
// that neither signs for the other. The name of a key is its ID, which is also the kid
// of what it signs. Keys for status lists are not in it: they say nothing of people.
func WebDocument(did string, all []keys.Key, now time.Time) ([]byte, error) {
	if method, _, err := split(did); err != nil || method != "web" {
		return nil, fmt.Errorf("%w: %s is no did:web", ErrDID, cut(did))
	}
	methods, asserts, authenticates := []any{}, []any{}, []any{}
	for _, k := range keys.Verifying(all, now, keys.Credential, keys.Metadata, keys.Request) {
		id := did + "#" + k.ID().String()
		methods = append(methods, map[string]any{
			"id": id, "type": "JsonWebKey", "controller": did, "publicKeyJwk": strict.Raw(k.Public.JWK()),
		})
		if k.Purpose == keys.Credential {
			asserts = append(asserts, id)
		} else {
			authenticates = append(authenticates, id)
		}
	}
	if len(methods) > maxMethods {
		return nil, fmt.Errorf("%w: %d keys, and readers take %d; give keys an end (keys.verify_for)", ErrTooLarge, len(methods), maxMethods)
	}
	return strict.AppendJSON(nil, map[string]any{
		"@context": []any{"https://www.w3.org/ns/did/v1", "https://w3id.org/security/jwk/v1"},
		"id":       did, "verificationMethod": methods, "assertionMethod": asserts, "authentication": authenticates,
	})
}
