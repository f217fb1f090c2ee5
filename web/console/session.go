package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/sanad-id/sanad/staff"
)

// What a session holds: who, since when, and nothing of what they do.
const (
	keyOperator = "operator"
	keyEpoch    = "epoch" // of the operator's rights, when they signed in
	keyBegan    = "began" // milliseconds
	keySeen     = "seen"  // milliseconds, of the last request, to [touchEvery]
	keyFresh    = "fresh" // milliseconds, when the passkey was used last
	keyNotice   = "notice"
)

// touchEvery is how exactly it is known when somebody was last seen.
const touchEvery = 20 * time.Second

var (
	// errSignedOut: nobody is signed in, or not any more.
	errSignedOut = errors.New("console: nobody is signed in")
	// errStale: the passkey has to be used again first.
	errStale = errors.New("console: the passkey has to be used again")
)

func (c *Console) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Store = c.cfg.Desk
	m.HashTokenInStore = true
	m.Lifetime = c.cfg.Limits.Absolute
	m.Cookie.Name, m.Cookie.Secure = "__Host-sanad", true
	if !c.secure() {
		m.Cookie.Name, m.Cookie.Secure = "sanad-console", false
	}
	m.Cookie.Persist = false // it ends with the browser
	m.Cookie.SameSite = http.SameSiteLaxMode
	return m
}

// identify loads the session and who it belongs to. It returns errSignedOut for every
// reason for which somebody has to sign in.
func (c *Console) identify(w http.ResponseWriter, r *request) error {
	token := ""
	if k, err := r.Cookie(c.sessions.Cookie.Name); err == nil && len(k.Value) <= 64 {
		token = k.Value
	}
	ctx, err := c.sessions.Load(r.Context(), token)
	if err != nil {
		return away("sessions", err)
	}
	r.Request = r.WithContext(ctx)
	id := c.sessions.GetString(ctx, keyOperator)
	if id == "" {
		return errSignedOut
	}
	op, err := c.cfg.Desk.Operator(ctx, id)
	if errors.Is(err, staff.ErrNoOperator) {
		return c.end(w, r)
	}
	if err != nil {
		return away("people", err)
	}
	if op.Standing != staff.Active || op.Epoch != c.sessions.GetInt64(ctx, keyEpoch) || c.over(ctx, op) {
		return c.end(w, r)
	}
	office, err := c.cfg.Desk.Office(ctx, op.Office)
	if err != nil {
		return away("people", err)
	}
	if c.since(ctx, keySeen) >= touchEvery {
		c.put(ctx, keySeen, c.now())
		if err := c.save(w, r); err != nil {
			return err
		}
	}
	r.Operator, r.Office, r.token = op, office, token
	return nil
}

// over reports whether the session has lasted too long or nobody was there for too
// long. A clock that went back ends it, too.
func (c *Console) over(ctx context.Context, op staff.Operator) bool {
	idle := c.cfg.Limits.IdleShort
	if !op.Is(staff.Approver) && !op.Is(staff.Head) && !op.Is(staff.Administrator) {
		idle = c.cfg.Limits.Idle
	}
	began, seen := c.since(ctx, keyBegan), c.since(ctx, keySeen)
	return began >= c.cfg.Limits.Absolute || seen >= idle || began < -time.Minute || seen < -time.Minute
}

func (c *Console) since(ctx context.Context, key string) time.Duration {
	return c.now().Sub(time.UnixMilli(c.sessions.GetInt64(ctx, key)))
}

func (c *Console) put(ctx context.Context, key string, at time.Time) {
	c.sessions.Put(ctx, key, at.UnixMilli())
}

// fresh reports whether the passkey was used a moment ago.
func (c *Console) fresh(r *request) bool {
	d := c.since(r.Context(), keyFresh)
	return d < c.cfg.Limits.Fresh && d > -time.Minute
}

// save stores the session and sets the cookie. It is called before anything is
// answered.
func (c *Console) save(w http.ResponseWriter, r *request) error {
	token, expiry, err := c.sessions.Commit(r.Context())
	if err != nil {
		return away("sessions", err)
	}
	c.cookie(w, r, token, expiry)
	r.token = token
	return nil
}

func (c *Console) cookie(w http.ResponseWriter, r *request, token string, expiry time.Time) {
	w.Header().Del("Set-Cookie") // one is enough; the last counts
	cache := w.Header().Get("Cache-Control")
	c.sessions.WriteSessionCookie(r.Context(), w, token, expiry)
	w.Header().Set("Cache-Control", cache)
}

// begin signs an operator in: a new session under a new token, whatever there was.
func (c *Console) begin(w http.ResponseWriter, r *request, op staff.Operator) error {
	ctx := r.Context()
	if err := c.sessions.RenewToken(ctx); err != nil {
		return away("sessions", err)
	}
	if err := c.sessions.Clear(ctx); err != nil {
		return fmt.Errorf("clear the session: %w", err)
	}
	c.sessions.Put(ctx, keyOperator, op.ID)
	c.sessions.Put(ctx, keyEpoch, op.Epoch)
	for _, key := range []string{keyBegan, keySeen, keyFresh} {
		c.put(ctx, key, c.now())
	}
	return c.save(w, r)
}

// freshen notes that the passkey was used now. The session goes on under a new token.
func (c *Console) freshen(w http.ResponseWriter, r *request) error {
	if err := c.sessions.RenewToken(r.Context()); err != nil {
		return away("sessions", err)
	}
	c.put(r.Context(), keyFresh, c.now())
	return c.save(w, r)
}

// end removes the session and returns errSignedOut.
func (c *Console) end(w http.ResponseWriter, r *request) error {
	if err := c.sessions.Destroy(r.Context()); err != nil {
		return away("sessions", err)
	}
	c.cookie(w, r, "", time.Time{})
	r.token = ""
	return errSignedOut
}

// notify leaves a sentence for the next page, by its key.
func (c *Console) notify(r *request, key string) { c.sessions.Put(r.Context(), keyNotice, key) }

// notice takes the sentence that was left.
func (c *Console) notice(w http.ResponseWriter, r *request) (string, error) {
	if r.token == "" || c.sessions.GetString(r.Context(), keyNotice) == "" {
		return "", nil
	}
	key := c.sessions.PopString(r.Context(), keyNotice)
	return key, c.save(w, r)
}
