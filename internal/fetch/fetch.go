// Package fetch is the one way in which Sanad sends requests to other machines.
//
// A [Client] reaches public addresses by https only, and hosts that the settings
// name as local also by plain http. It follows no redirect, uses no proxy and no
// environment variable, sends no cookies, and limits time and size. Whatever a name
// resolves to is looked at when the connection is made, so a name cannot lead to
// another machine of the office.
//
// Left to others: what is sent, and what an answer means. An answer with any status
// is an answer; an error means that there was none.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrURL: not an address that may be asked.
	ErrURL = errors.New("fetch: not an address that may be asked")
	// ErrForbidden: the address is inside of a network, or this machine, and the
	// settings do not name it.
	ErrForbidden = errors.New("fetch: an address inside of a network that the settings do not name")
	// ErrTooLarge: the answer is longer than allowed.
	ErrTooLarge = errors.New("fetch: the answer is too long")
)

// Config says what a [Client] may do. All fields are optional.
type Config struct {
	// LocalHosts are the hosts, as they stand in addresses, that may be inside of a
	// network and may be asked without TLS.
	LocalHosts []string
	// Timeout is for a whole request; 10 seconds if zero.
	Timeout time.Duration
	// MaxBytes is the greatest length of an answer; 64 KiB if zero.
	MaxBytes int64
}

// A Client sends requests. Its methods may be called at once from several goroutines.
type Client struct {
	cfg    Config
	public http.Client
	local  http.Client
}

// An Answer is what a server answered.
type Answer struct {
	Status int
	Type   string // Content-Type
	Body   []byte
}

// New returns a Client.
func New(c Config) *Client {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 64 << 10
	}
	return &Client{cfg: c, public: c.client(false), local: c.client(true)}
}

func (c *Config) client(local bool) http.Client {
	dialer := &net.Dialer{Timeout: c.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		if local {
			return nil
		}
		return checkAddress(address)
	}}
	return http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 16 << 10,
			DisableCompression: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// inside are networks that are not the public Internet, beside those that netip
// knows by name.
var inside = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// checkAddress refuses what a connection is about to be made to.
func checkAddress(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrForbidden, err)
	}
	ip := a.Addr().WithZone("").Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return fmt.Errorf("%w: %s", ErrForbidden, ip)
	}
	return nil
}

// CheckURL tells whether an address may be asked, as far as it shows: https, or
// http to one of the local hosts, without user, query and fragment.
func CheckURL(address string, localHosts []string) error {
	_, err := check(address, localHosts)
	return err
}

func check(address string, localHosts []string) (local bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return false, fmt.Errorf("%w: an address is SCHEME://HOST/PATH", ErrURL)
	}
	local = slices.ContainsFunc(localHosts, func(h string) bool { return strings.EqualFold(h, u.Hostname()) })
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return false, fmt.Errorf("%w: %s is asked by https only", ErrURL, u.Hostname())
	}
	return local, nil
}

// Post sends content to an address and returns the answer.
func (c *Client) Post(ctx context.Context, address, contentType string, content []byte) (Answer, error) {
	local, err := check(address, c.cfg.LocalHosts)
	if err != nil {
		return Answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(content))
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %v", ErrURL, err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "sanad")
	client := &c.public
	if local {
		client = &c.local
	}
	res, err := client.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close() // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxBytes+1))
	if err != nil {
		return Answer{}, fmt.Errorf("fetch: %s: %w", r.URL.Hostname(), err)
	}
	if int64(len(body)) > c.cfg.MaxBytes {
		return Answer{}, fmt.Errorf("%w: %s sent more than %d bytes", ErrTooLarge, r.URL.Hostname(), c.cfg.MaxBytes)
	}
	return Answer{Status: res.StatusCode, Type: res.Header.Get("Content-Type"), Body: body}, nil
}
