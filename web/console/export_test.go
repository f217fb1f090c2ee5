package console

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sanad-id/sanad/staff"
)

// SignIn makes a session of an operator without a passkey, which was used at this
// moment, and returns its cookie.
func (c *Console) SignIn(op staff.Operator, fresh time.Time) (*http.Cookie, error) {
	w := httptest.NewRecorder()
	hr := httptest.NewRequest(http.MethodGet, c.cfg.Origin+Base+"/", nil)
	ctx, err := c.sessions.Load(hr.Context(), "")
	if err != nil {
		return nil, err
	}
	r := &request{Request: hr.WithContext(ctx)}
	if err := c.begin(w, r, op); err != nil {
		return nil, err
	}
	c.put(ctx, keyFresh, fresh)
	if err := c.save(w, r); err != nil {
		return nil, err
	}
	return w.Result().Cookies()[0], nil
}

// SetNotePatience changes how long the audit log may take, and returns what changes it
// back.
func SetNotePatience(d time.Duration) (back func()) {
	was := notePatience
	notePatience = d
	return func() { notePatience = was }
}

// Answer serves one request by the row of this name, past the server.
func (c *Console) Answer(name string, w http.ResponseWriter, r *http.Request) error {
	for i := range c.routes {
		if c.routes[i].Name == name {
			return c.routes[i].Handler(w, r)
		}
	}
	return errNotFound
}

// OnPaper is the number of a credential as pages show it.
var OnPaper = onPaper
