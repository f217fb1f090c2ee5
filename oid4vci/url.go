package oid4vci

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Reader reads what other parties published or sent by way of the person. The zero
// Reader is the one for production.
type Reader struct {
	// LoopbackHTTP also takes http addresses of this machine: 127.0.0.0/8, [::1] and
	// localhost. It is for development and tests.
	LoopbackHTTP bool
}

// address checks that raw is an address of a server: https, a host, no user info and
// no fragment (OpenID4VCI section 12.2.4; corpus VCI-16).
func (r Reader) address(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrTooLarge, maxURL)
	}
	if raw == "" || !printable(raw) || strings.ContainsAny(raw, `\"<>#`) {
		return nil, fmt.Errorf("%w: %s", ErrURL, cut(raw))
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, strings.HasSuffix(u.Host, ":"):
		return nil, fmt.Errorf("%w: %s", ErrURL, cut(raw))
	case strings.HasPrefix(raw, "https://"):
		return u, nil
	case strings.HasPrefix(raw, "http://") && r.LoopbackHTTP && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrURL, cut(raw))
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// CheckIdentifier checks the form of a credential issuer identifier (section 12.2.1)
// or of the issuer identifier of an authorization server (RFC 8414 section 2): an
// address without query and fragment.
func (r Reader) CheckIdentifier(id string) error {
	if strings.ContainsAny(id, "?#") {
		return fmt.Errorf("%w: an identifier with a query: %s", ErrURL, cut(id))
	}
	_, err := r.address(id)
	return err
}

// WellKnown returns where an issuer publishes its metadata: the well-known path goes
// between host and path (OpenID4VCI section 12.2.2, RFC 8414 section 3.1). The
// identifier must have passed [Reader.CheckIdentifier].
func WellKnown(identifier, name string) (string, error) {
	u, err := url.Parse(identifier)
	if err != nil || u.Host == "" || strings.ContainsAny(identifier, "?#") {
		return "", fmt.Errorf("%w: %s", ErrURL, cut(identifier))
	}
	begin := u.Scheme + "://" + u.Host
	path, ok := strings.CutPrefix(identifier, begin)
	if !ok {
		return "", fmt.Errorf("%w: %s", ErrURL, cut(identifier))
	}
	if name != IssuerWellKnown {
		path = strings.TrimSuffix(path, "/") // RFC 8414 section 3.1
	}
	return begin + "/.well-known/" + name + path, nil
}

// url reads a member that is an address; "" if it is absent.
func (r Reader) url(o *object, name string) string {
	s := o.text(name, maxURL)
	if s == "" || o.err != nil {
		return ""
	}
	if _, err := r.address(s); err != nil {
		o.fail(ErrURL, "%s in %s is no address that may stand there", name, o.name)
	}
	return s
}

// CheckRedirectURI checks where a browser may be sent with an authorization code: an
// https address, one of this machine (RFC 8252 section 7.3), or a scheme of an app that
// has a dot in it (section 7.1), without user info or fragment. If allowed is not nil,
// it must be one of these, character by character but for the port of an address of this
// machine, which an app gets anew each time (RFC 9700 section 2.1, RFC 8252 section 7.3).
func CheckRedirectURI(uri string, allowed []string) error {
	bad := func(reason error, why string) error { return refuse(InvalidRequest, reason, "redirect_uri %s", why) }
	if len(uri) > maxURL {
		return bad(ErrTooLarge, "is too long")
	}
	if allowed != nil && !slices.ContainsFunc(allowed, func(a string) bool { return withoutPort(a) == withoutPort(uri) }) {
		return bad(ErrURL, "is not one of this client")
	}
	if uri == "" || !printable(uri) || strings.ContainsAny(uri, `\"<>#`) {
		return bad(ErrURL, "is no address")
	}
	u, err := url.Parse(uri)
	if err != nil || u.User != nil {
		return bad(ErrURL, "is no address")
	}
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case strings.Contains(u.Scheme, "."):
		return nil
	}
	return bad(ErrURL, "is neither https nor an app's own")
}

// withoutPort is an http address of this machine without its port; any other address is
// left as it is.
func withoutPort(uri string) string {
	rest, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return uri
	}
	u, err := url.Parse(uri)
	if err != nil || !isPort(u.Port()) || !loopback(u.Hostname()) {
		return uri
	}
	after, ok := strings.CutPrefix(rest, u.Host)
	if !ok {
		return uri // with user info
	}
	return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + after
}

// isPort reports whether s is a port as apps write it.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// redirect adds parameters to an address that was checked.
func redirect(to, state string, q url.Values) (string, error) {
	if err := CheckRedirectURI(to, nil); err != nil {
		return "", err
	}
	u, err := url.Parse(to)
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrURL, cut(to))
	}
	if state != "" {
		q.Set("state", state)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += q.Encode()
	return u.String(), nil
}
