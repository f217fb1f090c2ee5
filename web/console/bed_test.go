package console_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/web/console"
)

// origin is what browsers of tests believe to talk to.
const origin = "http://localhost"

// count is how often to try something: per change and in the nightly run.
func count(change, night int) int {
	if os.Getenv("SANAD_SOAK") != "" {
		return night
	}
	return change
}

// A bed is a console that is served, and its people.
type bed struct {
	*console.Console
	t   *testing.T
	log *logbook
	url string
	// front is the address of the console in a real browser.
	front string
	// audit is the issuer's audit log.
	audit *auditLog

	mu  sync.Mutex
	now time.Time

	desk *desk.DB
}

// newBed serves a console; change may change its settings first. It has two offices,
// north and south.
func newBed(t *testing.T, change ...func(*console.Config)) *bed {
	t.Helper()
	b := &bed{t: t, log: &logbook{}, now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), desk: newDesk(t), audit: &auditLog{}}
	log := slog.New(slog.NewJSONHandler(b.log, nil))
	c := console.Config{
		Origin: origin, Names: map[string]string{"en": "Civil Registry of Kestara", "ar": "السجل المدني في كيستارا"}, Desk: b.desk,
		Help: "+000 555 0100", Audit: b.audit, Log: log, Now: b.clock,
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.Console, err = console.New(c); err != nil {
		t.Fatal(err)
	}
	b.serve(log, 0)
	return b
}

// serve opens a port with so many places for requests of one rate, as many as a server has
// if it is 0; browsers go there from now on.
func (b *bed) serve(log *slog.Logger, places int) {
	t := b.t
	t.Helper()
	many := web.Rate{Requests: 1 << 20, Per: time.Second, Burst: 1 << 20}
	s, err := web.Listen(t.Context(), web.Config{
		Addr: "127.0.0.1:0", DevHTTP: true, Log: log, Rates: map[string]web.Rate{web.DefaultRate: many, "staff": many, "light": many, "heavy": many}, MaxRequests: places,
	}, b.Routes())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b.url = s.URL()
}

func (b *bed) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// later lets time pass.
func (b *bed) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// A browser is what a person uses. It follows no redirect.
type browser struct {
	b      *bed
	client *http.Client
	// Operator is who is signed in.
	Operator staff.Operator
	// Header is sent with each request.
	Header http.Header
}

// visitor is a browser in which nobody is signed in.
func (b *bed) visitor() *browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &browser{b: b, Header: http.Header{}, client: &http.Client{
		Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// newDesk is an empty one with two offices.
func newDesk(t *testing.T) *desk.DB {
	t.Helper()
	db, err := desk.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), desk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, o := range []staff.Office{
		{ID: "north", Name: "North office", Column: "district", Values: []string{"N1", "N2"}}, {ID: "south", Name: "South office", Column: "district", Values: []string{"S1"}},
	} {
		if err := db.SaveOffice(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// person is a new operator of an office, with a passkey that no device has.
func (b *bed) person(office string, roles ...staff.Role) staff.Operator {
	b.t.Helper()
	op := staff.Operator{ID: staff.NewID("op"), Name: "Amina " + string(roles[0]), Office: office, Roles: roles, Made: b.clock()}
	digest := sha256.Sum256([]byte(op.ID))
	link := staff.Invitation{Digest: digest, Kind: staff.InviteLink, Made: b.clock(), Expires: b.clock().Add(time.Hour)}
	if err := b.desk.Invite(b.t.Context(), op, link); err != nil {
		b.t.Fatal(err)
	}
	op, err := b.desk.Enrol(b.t.Context(), digest, staff.Passkey{ID: []byte(op.ID), Data: []byte("{}")}, b.clock())
	if err != nil {
		b.t.Fatal(err)
	}
	return op
}

// as is a browser in which a new operator of an office is signed in without passkey.
func (b *bed) as(office string, roles ...staff.Role) *browser {
	b.t.Helper()
	return b.browserOf(b.person(office, roles...))
}

// browserOf is a browser in which this operator is signed in.
func (b *bed) browserOf(op staff.Operator) *browser {
	b.t.Helper()
	w := b.visitor()
	w.Operator = op
	cookie, err := b.SignIn(op, b.clock())
	if err != nil {
		b.t.Fatal(err)
	}
	w.set(cookie)
	return w
}

// set gives the browser a cookie.
func (w *browser) set(cookie *http.Cookie) {
	u, err := url.Parse(w.b.url)
	if err != nil {
		w.b.t.Fatal(err)
	}
	w.client.Jar.SetCookies(u, []*http.Cookie{cookie})
}

// cookie is the value of a cookie that the browser has.
func (w *browser) cookie(name string) string {
	u, err := url.Parse(w.b.url + console.Base + "/")
	if err != nil {
		w.b.t.Fatal(err)
	}
	for _, k := range w.client.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// An answer was read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// to is where a redirect leads.
func (a answer) to() string { return a.header.Get("Location") }

// get asks for a page: a path below the console, such as /people.
func (w *browser) get(path string) answer {
	w.b.t.Helper()
	return w.do(http.MethodGet, path, "", nil)
}

// post sends a form, given in pairs, as a browser does.
func (w *browser) post(path string, pairs ...string) answer {
	w.b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return w.do(http.MethodPost, path, web.MediaForm, []byte(v.Encode()))
}

func (w *browser) do(method, path, media string, body []byte) answer {
	w.b.t.Helper()
	if !strings.HasPrefix(path, console.Base) {
		path = console.Base + path
	}
	r, err := http.NewRequestWithContext(w.b.t.Context(), method, w.b.url+path, bytes.NewReader(body))
	if err != nil {
		w.b.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for name, values := range w.Header {
		r.Header[name] = values
	}
	res, err := w.client.Do(r)
	if err != nil {
		w.b.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		w.b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(content)}
}

// A logbook keeps what was logged.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An auditLog keeps notes, and can be made to fail.
type auditLog struct {
	mu    sync.Mutex
	notes []issuance.Note
	// fault is asked before each note; nil for none.
	fault func(ctx context.Context, n issuance.Note) error
}

// Note implements [console.Audit].
func (l *auditLog) Note(ctx context.Context, n issuance.Note) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		if err := l.fault(ctx, n); err != nil {
			return err
		}
	}
	l.notes = append(l.notes, n)
	return nil
}

// fail makes each note fail with err, or none if it is nil.
func (l *auditLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = nil
	if err != nil {
		l.fault = func(context.Context, issuance.Note) error { return err }
	}
}

// failWith asks fault before each note; nil for none.
func (l *auditLog) failWith(fault func(context.Context, issuance.Note) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// all are the notes so far.
func (l *auditLog) all() []issuance.Note {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notes)
}
