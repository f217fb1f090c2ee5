package console_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/web/console"
)

// FuzzSignIn: whatever is sent in place of the answer of a passkey, nobody is signed in
// and nothing is our fault.
func FuzzSignIn(f *testing.F) {
	db, err := desk.Open(f.Context(), filepath.Join(f.TempDir(), "desk.db"), desk.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	c, err := console.New(console.Config{
		Origin: origin, Names: map[string]string{"en": "Office"}, Desk: db, Audit: &auditLog{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return at },
	})
	if err != nil {
		f.Fatal(err)
	}
	if err := db.SaveOffice(f.Context(), staff.Office{ID: "north", Name: "North"}); err != nil {
		f.Fatal(err)
	}
	post := func(t testing.TB, name, body string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, origin+"/console/x", strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := httptest.NewRecorder()
		if err := c.Answer(name, w, r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return w
	}
	d := newDevice()
	d.auth.Options.UserHandle = []byte("op-aaaaaaaaaaaaaaaa")
	options := `{"challenge":"AAAA","rpId":"localhost"}`
	f.Add(d.get(f, asked{Options: json.RawMessage(options)}))
	f.Add(`{}`)
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"authenticatorData":"","clientDataJSON":"e30","signature":"","userHandle":""}}`)
	boundtest.Fuzz(f, func(t *testing.T, response string) {
		var q asked
		if err := json.Unmarshal(post(t, "console_sign_in_begin", "{}").Body.Bytes(), &q); err != nil {
			t.Fatal(err)
		}
		w := post(t, "console_sign_in_finish", `{"ceremony":"`+q.Ceremony+`","response":`+response+`}`)
		if w.Code != http.StatusUnauthorized {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if k := w.Result().Cookies(); len(k) > 0 {
			t.Fatalf("somebody has a session: %v", k)
		}
	})
}
