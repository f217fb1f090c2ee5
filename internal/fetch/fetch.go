package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrURL: not an address that may be asked.
	ErrURL = errors.New("fetch: not an address that may be asked")
	// ErrForbidden: the address is inside of a network, or this machine, and the
	// settings do not name it.
	ErrForbidden = errors.New("fetch: an address inside of a network that the settings do not name")
	// ErrTooLarge: the answer is longer than allowed.
	ErrTooLarge = errors.New("fetch: the answer is too long")
	// ErrType: the answer is not of a media type that was asked for, or is compressed.
	ErrType = errors.New("fetch: an answer of another kind")
	// ErrStatus: the answer is not 200, where that was asked for.
	ErrStatus = errors.New("fetch: no document there")
	// ErrRedirect: a redirect more than allowed, or to where none may lead.
	ErrRedirect = errors.New("fetch: a redirect that is not followed")
	// ErrTLS: the certificate or the protocol of the server is not accepted.
	ErrTLS = errors.New("fetch: no secure connection")
	// ErrNoAnswer: everything else that kept an answer away, such as a timeout.
	ErrNoAnswer = errors.New("fetch: no answer")
)

// Config says what a [Client] may do. All fields are optional.
type Config struct {
	// LocalHosts are the hosts, as they stand in addresses, that may be inside of a
	// network and may be asked without TLS.
	LocalHosts []string
	// Timeout is for a whole request, redirects included; 10 seconds if zero.
	Timeout time.Duration
	// MaxBytes is the greatest length of an answer; 64 KiB if zero.
	MaxBytes int64
	// Roots are the authorities whose certificates servers may have; the system's if
	// nil.
	Roots *x509.CertPool
	// MaxAge is the longest time for which an answer is used without asking again,
	// whatever the server says; nothing is kept if zero.
	MaxAge time.Duration
	// Entries is how many answers are kept at most; 256 if zero.
	Entries int
	// MaxKept is the most bytes of all answers that are kept, with their headers; 16 MiB if
	// zero. One that has more than a fourth of them is not kept.
	MaxKept int
	// Now is the clock of what is kept; time.Now if nil.
	Now func() time.Time
}

// maxRedirects is the most redirects that a request may allow.
const maxRedirects = 5

// A Client sends requests. Its methods may be called at once from several goroutines.
type Client struct {
	cfg    Config
	public *http.Client
	local  *http.Client
	cache  cache
}

// A Request is what [Client.Do] sends.
type Request struct {
	// Method is GET if empty, or POST.
	Method string
	// Address is https://HOST/PATH, with or without a query.
	Address string
	// Header is sent beside what the client sends itself.
	Header http.Header
	// Body is the content of a POST.
	Body []byte
	// Types are the media types that an answer may have. If there are some, an answer
	// must have one of them, and the status 200.
	Types []string
	// MaxBytes is the greatest length of the answer; that of the Config if zero.
	MaxBytes int64
	// Redirects is how many redirects are followed, at most 5 and for GET only. They
	// lead to the same host by the same scheme, or are refused.
	Redirects int
	// Elsewhere lets redirects lead to other hosts, too: by TLS, and none of the local hosts
	// unless it was a local host that was asked. It is for documents whose signature says
	// whose they are, and needs Keep and no header field but Accept.
	Elsewhere bool
	// Keep says that the answer to a GET is a document: it is kept, and one that was kept
	// will do, as its Cache-Control says. It must not be changed. Of a request with
	// other header fields than Accept nothing is kept.
	Keep bool
	// Fresh says for how long an answer that is kept will do by what stands in it, whatever
	// its Cache-Control says; false if it does not say. Optional.
	Fresh func(body []byte) (time.Duration, bool)
}

// An Answer is what a server answered.
type Answer struct {
	Status int
	Type   string // Content-Type
	Header http.Header
	Body   []byte
}

// New returns a Client.
func New(c Config) *Client { return newClient(c, nil, nil) }

// newClient is New for tests, which bring a resolver and see each connection.
func newClient(c Config, resolver *net.Resolver, connect func(address string) error) *Client {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 64 << 10
	}
	if c.Entries == 0 {
		c.Entries = 256
	}
	if c.MaxKept == 0 {
		c.MaxKept = 16 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	g := guard{resolver: resolver, connect: connect}
	return &Client{cfg: c, public: c.client(g, checkPublic), local: c.client(g, checkLocal)}
}

// client is an http.Client whose connections go where allowed says.
func (c *Config) client(g guard, allowed func(host, address string) error) *http.Client {
	return &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: g.dialer(c.Timeout, allowed), TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}, MaxResponseHeaderBytes: 32 << 10,
			DisableCompression: true, MaxIdleConns: 64, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// CheckURL tells whether an address of the settings may be asked, as far as it shows:
// https, or http to one of the local hosts, without user, query and fragment.
func CheckURL(address string, localHosts []string) error {
	u, _, err := check(address, localHosts)
	if err == nil && u.RawQuery != "" {
		err = fmt.Errorf("%w: an address is SCHEME://HOST/PATH", ErrURL)
	}
	return err
}

// check reads an address. What different readers could read differently is refused.
func check(address string, localHosts []string) (u *url.URL, local bool, err error) {
	odd := strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", r) })
	u, err = url.Parse(address)
	if err != nil || odd || len(address) > 8<<10 || u.Host == "" || u.User != nil || u.ForceQuery || strings.Contains(address, "#") || u.Opaque != "" {
		return nil, false, fmt.Errorf("%w: an address is SCHEME://HOST/PATH", ErrURL)
	}
	host := u.Hostname()
	local = slices.ContainsFunc(localHosts, func(h string) bool { return strings.EqualFold(h, host) })
	if port := u.Port(); strings.HasSuffix(u.Host, ":") || port != "" && !isPort(port) || !isHost(host) {
		return nil, false, fmt.Errorf("%w: HOST is a name or an address, with a port from 1 to 65535 or none", ErrURL)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return nil, false, fmt.Errorf("%w: %s is asked by https only", ErrURL, host)
	}
	return u, local, nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// Post sends content to an address and returns the answer, whatever its status.
func (c *Client) Post(ctx context.Context, address, contentType string, content []byte) (Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodPost, Address: address, Body: content, Header: http.Header{"Content-Type": {contentType}}})
}

// Do sends a request and returns the answer.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Method != http.MethodGet && (r.Method != http.MethodPost || r.Redirects > 0) || r.Redirects < 0 || r.Redirects > maxRedirects {
		return Answer{}, fmt.Errorf("fetch: internal error: %s with %d redirects", r.Method, r.Redirects)
	}
	if r.Elsewhere && !keeps(r) {
		return Answer{}, errors.New("fetch: internal error: redirects elsewhere for what is not for everybody")
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = c.cfg.MaxBytes
	}
	if keeps(r) {
		return c.get(ctx, r)
	}
	return c.send(ctx, r)
}

// send sends a request that was looked at.
func (c *Client) send(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	for {
		u, local, err := check(r.Address, c.cfg.LocalHosts)
		if err != nil {
			return Answer{}, err
		}
		a, err := c.once(ctx, r, u, local)
		if err != nil || !isRedirect(a.Status) || r.Redirects == 0 {
			return a, err
		}
		to, err := next(u, a.Header.Get("Location"))
		if err != nil || !sameHost(u, to) && !(r.Elsewhere && c.mayLead(u, to, local)) {
			return Answer{}, fmt.Errorf("%w: %s sends elsewhere", ErrRedirect, u.Hostname())
		}
		r.Address = to.String()
		r.Redirects--
	}
}

// isRedirect reports whether a status sends a GET elsewhere.
func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// next is where a redirect leads.
func next(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil || location == "" || to.User != nil {
		return nil, ErrRedirect
	}
	to.Fragment = "" // of no meaning here
	return to, nil
}

// sameHost reports whether a redirect stays where it is.
func sameHost(from, to *url.URL) bool {
	return to.Scheme == from.Scheme && strings.EqualFold(to.Host, from.Host)
}

// mayLead reports whether a redirect may lead to another host: to one that may be asked, never
// from TLS to none, and not from outside to a host that only the settings let in.
func (c *Client) mayLead(from, to *url.URL, local bool) bool {
	_, inside, err := check(to.String(), c.cfg.LocalHosts)
	return err == nil && (to.Scheme == "https" || from.Scheme == "http") && (local || !inside)
}

// once sends one request and reads its answer.
func (c *Client) once(ctx context.Context, r Request, u *url.URL, local bool) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("%w: an address is SCHEME://HOST/PATH", ErrURL)
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("User-Agent", "sanad")
	uncompressed(req.Header)
	if len(r.Types) > 0 {
		req.Header.Set("Accept", strings.Join(r.Types, ", "))
	}
	client := c.public
	if local {
		client = c.local
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, failure(u.Hostname(), err)
	}
	defer res.Body.Close() // only read
	if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return Answer{}, fmt.Errorf("%w: %s sent it compressed", ErrType, u.Hostname())
	}
	goesOn := isRedirect(res.StatusCode) && r.Redirects > 0
	confirmed := res.StatusCode == http.StatusNotModified && r.Header.Get("If-None-Match") != ""
	if len(r.Types) > 0 && !goesOn && !confirmed {
		if err := checkAnswer(res, r.Types); err != nil {
			return Answer{}, fmt.Errorf("%w from %s", err, u.Hostname())
		}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, r.MaxBytes+1))
	if err != nil {
		return Answer{}, failure(u.Hostname(), err)
	}
	if int64(len(body)) > r.MaxBytes {
		return Answer{}, fmt.Errorf("%w: %s sent more than %d bytes", ErrTooLarge, u.Hostname(), r.MaxBytes)
	}
	return Answer{Status: res.StatusCode, Type: res.Header.Get("Content-Type"), Header: res.Header, Body: body}, nil
}

// uncompressed asks for no compression. Without the field a server may compress as it likes (RFC
// 9110 section 12.5.3).
func uncompressed(h http.Header) { h.Set("Accept-Encoding", "identity") }

// checkAnswer refuses what is not a document of one of the media types.
func checkAnswer(res *http.Response, types []string) error {
	if isRedirect(res.StatusCode) {
		return fmt.Errorf("%w: status %d", ErrRedirect, res.StatusCode)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: status %d", ErrStatus, res.StatusCode)
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, kind) {
		return fmt.Errorf("%w: not one of %v", ErrType, types)
	}
	return nil
}

// failure is an error of net/http without the address, which may hold a secret, and
// without what a server wrote, which may be long.
func failure(host string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text begins with the whole address
	}
	for _, known := range []error{ErrForbidden, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("%w: %s: %w", ErrNoAnswer, host, known)
		}
	}
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record),
		strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "to HTTPS client"):
		return fmt.Errorf("%w with %s", ErrTLS, host)
	case timeout != nil && timeout.Timeout():
		return fmt.Errorf("%w: %s: %w", ErrNoAnswer, host, context.DeadlineExceeded)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w: %s: %s", ErrNoAnswer, host, op.Op)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%w: %s: no such name", ErrNoAnswer, host)
	}
	return fmt.Errorf("%w: %s broke off", ErrNoAnswer, host)
}

// HTTPClient returns a client under the same rules for libraries that want one, such as
// that of an upstream OpenID provider. Its answers have at most MaxBytes, and it keeps
// nothing.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{
		Timeout: c.cfg.Timeout, Transport: transport{c},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// transport is a Client as http.RoundTripper.
type transport struct{ c *Client }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, local, err := check(r.URL.String(), t.c.cfg.LocalHosts)
	if err != nil {
		return nil, err
	}
	client := t.c.public
	if local {
		client = t.c.local
	}
	r = r.Clone(r.Context()) // the caller's is not changed
	uncompressed(r.Header)
	res, err := client.Transport.RoundTrip(r)
	if err != nil {
		return nil, failure(r.URL.Hostname(), err)
	}
	res.Body = &limited{res.Body, t.c.cfg.MaxBytes, r.URL.Hostname()}
	return res, nil
}

// limited is a body that ends with an error when it is too long.
type limited struct {
	io.ReadCloser
	left int64
	host string
}

// Read implements [io.Reader].
func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, fmt.Errorf("%w: from %s", ErrTooLarge, l.host)
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, fmt.Errorf("%w: from %s", ErrTooLarge, l.host)
	}
	return n, err
}
