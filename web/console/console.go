package console

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

// Base is the path of the console below the origin.
const Base = "/console"

// Limits are how long sessions last. Zero means the default.
type Limits struct {
	// Idle is how long a clerk or an auditor may do nothing; 30 minutes. IdleShort is that
	// of everybody else; 15 minutes.
	Idle, IdleShort time.Duration
	// Absolute is how long a session lasts whatever is done; 12 hours.
	Absolute time.Duration
	// Fresh is how long ago a passkey may have been used for what needs it anew; 5
	// minutes.
	Fresh time.Duration
}

// Config is what a console needs. Fields without "optional" must be set.
type Config struct {
	// Origin is where browsers find it, such as https://registry.example. Links and
	// passkeys are bound to it, whatever a request says. Plain http on localhost only.
	Origin string
	// Names are those of the registrar by language.
	Names map[string]string
	// Desk keeps people, passkeys, sessions and proposals.
	Desk *desk.DB
	// Manage is what batches, programmes, sources, trust, keys and figures rest on.
	// Optional.
	Manage Manage
	// Limits are how long sessions last. Optional.
	Limits Limits
	// DeviceBound are roles whose passkeys must not leave their device, so that no cloud
	// account signs anybody in. Optional.
	DeviceBound []staff.Role
	// Help is a line that says whom to ask, such as a telephone number. Optional.
	Help string
	// Zone is the time zone in which times are shown. Optional; UTC if nil.
	Zone *time.Location
	// Audit is the issuer's audit log.
	Audit Audit
	// Work is the daily work on records. Optional; without it there are no pages for it.
	Work *work.Desk
	// Pocket is the address of the pocket page, which offers lead to for people without
	// a wallet. Optional.
	Pocket string
	// Paper prints certificates. Optional; without it there are no pages for it.
	Paper Paper
	// Log gets what goes wrong.
	Log *slog.Logger
	// Now is the clock. Optional; [time.Now] if nil.
	Now func() time.Time
}

// A Console serves the pages of an office. Its methods may be called from any number
// of goroutines.
type Console struct {
	cfg      Config
	sessions *scs.SessionManager
	passkeys *webauthn.WebAuthn
	cross    *http.CrossOriginProtection
	policy   string
	routes   []route
	drawn    sync.Map // of drawing to *template.Template
	pages    map[string]*template.Template
}

// CheckOrigin refuses an origin at which no console can be: browsers keep passkeys for https, and
// for http://localhost, which is for development.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%.200q is not an origin such as https://registry.example, without a path", origin)
	case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost"):
		return fmt.Errorf("browsers keep passkeys for https://HOST and http://localhost:PORT only, not for %.200s", origin)
	}
	return nil
}

func (c *Config) check() error {
	if err := CheckOrigin(c.Origin); err != nil {
		return fmt.Errorf("console: Config.Origin: %w", err)
	}
	switch {
	case len(c.Names) == 0:
		return errors.New("console: Config.Names is not set")
	case c.Desk == nil:
		return errors.New("console: Config.Desk is not set")
	case c.Audit == nil:
		return errors.New("console: Config.Audit is not set")
	case c.Log == nil:
		return errors.New("console: Config.Log is not set")
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c.Limits.check()
}

func (l *Limits) check() error {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&l.Idle, 30 * time.Minute}, {&l.IdleShort, 15 * time.Minute}, {&l.Absolute, 12 * time.Hour}, {&l.Fresh, 5 * time.Minute}} {
		if *d.value < 0 {
			return errors.New("console: a negative limit")
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return nil
}

// New returns a Console, or an error that names what is missing or wrong.
func New(c Config) (*Console, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &Console{cfg: c, cross: http.NewCrossOriginProtection()}
	if err := n.cross.AddTrustedOrigin(c.Origin); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	n.policy = strings.Join([]string{
		"default-src 'none'", "script-src " + c.Origin + staticPath, "style-src " + c.Origin + staticPath, "font-src " + c.Origin + staticPath,
		"img-src 'self' data:", "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
	n.sessions = n.newSessions()
	var err error
	if n.passkeys, err = n.newPasskeys(); err != nil {
		return nil, fmt.Errorf("console: %v", err)
	}
	if n.pages, err = parsePages(); err != nil {
		return nil, err
	}
	if n.routes, err = n.table(); err != nil {
		return nil, err
	}
	return n, nil
}

// Routes is the table for package web.
func (c *Console) Routes() []web.Route {
	all := make([]web.Route, len(c.routes))
	for i := range c.routes {
		all[i] = c.routes[i].Route
	}
	return all
}

// Row says of a route what it is, for tests and documents.
type Row struct {
	Name, Method, Pattern string
	Action                staff.Action
	Fresh                 bool
	// Media are what bodies it takes.
	Media []string
}

// Table lists every route.
func (c *Console) Table() []Row {
	all := make([]Row, len(c.routes))
	for i, r := range c.routes {
		all[i] = Row{r.Name, r.Method, r.Pattern, r.Action, r.Fresh, r.Media}
	}
	return all
}

func (c *Console) now() time.Time { return c.cfg.Now().UTC().Truncate(time.Millisecond) }

// secure reports whether the console is served over TLS.
func (c *Console) secure() bool { return strings.HasPrefix(c.cfg.Origin, "https:") }
