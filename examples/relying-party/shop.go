package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:embed page
var page embed.FS

// visit is how long a session lives; a request to a wallet lives for five minutes.
const visit = 15 * time.Minute

// A shop is the relying party's website.
type shop struct {
	url      string // of this shop, without a slash at its end
	verifier string // of `verifier serve`
	key      string // of the API: it never leaves this process
	policy   string
	client   *http.Client

	mu       sync.Mutex
	sessions map[string]*session // by their cookie
}

// A session is one visitor's browser, from its first question on.
type session struct {
	expires time.Time
	request string // the id at the verifier, our secret
	same    bool   // the wallet is on the same device
	answer  *answer
}

// An answer is what the page may know: a yes or no, and the name to greet by.
type answer struct {
	Over18 bool   `json:"over_18"`
	Name   string `json:"name,omitempty"`
	// Why is a word for the page when it is not a yes: refused, not_valid, under_18.
	Why string `json:"why,omitempty"`
}

func newShop(url, verifier, key, policy string) *shop {
	return &shop{
		url: url, verifier: verifier, key: key, policy: policy, client: &http.Client{Timeout: 10 * time.Second}, sessions: map[string]*session{},
	}
}

func (s *shop) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the files are in the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("POST /ask", s.ask)
	mux.HandleFunc("GET /state", s.state)
	mux.HandleFunc("GET /done", s.done)
	guarded := http.NewCrossOriginProtection().Handler(mux) // no other website asks in our name
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

const cookieName = "shop_session"

// begin starts a session: a cookie that scripts cannot read and other websites do not send,
// except with the link that brings the visitor back from the wallet.
func (s *shop) begin(w http.ResponseWriter) (string, *session) {
	cookie := rand.Text()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: cookie, Path: "/", MaxAge: int(visit.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(s.url, "https:"),
	})
	v := &session{expires: time.Now().Add(visit)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, old := range s.sessions {
		if time.Now().After(old.expires) {
			delete(s.sessions, c)
		}
	}
	s.sessions[cookie] = v
	return cookie, v
}

// session finds that of a request; a copy, since others may change it.
func (s *shop) session(r *http.Request) (cookie string, v session, ok bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return "", session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.sessions[c.Value]
	if found == nil || time.Now().After(found.expires) {
		return "", session{}, false
	}
	return c.Value, *found, true
}

// settle notes what came of a session's request.
func (s *shop) settle(cookie string, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.sessions[cookie]; v != nil {
		v.answer = a
	}
}

// browserOf is what tells a browser from all others at the verifier: the digest of its
// cookie, so that the cookie itself stays here.
func browserOf(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// ask begins a request: POST /ask?device=same or device=other.
func (s *shop) ask(w http.ResponseWriter, r *http.Request) {
	same := r.URL.Query().Get("device") == "same"
	cookie, v := s.begin(w)
	body := map[string]any{"policy": s.policy}
	if same {
		body["return_to"], body["browser"] = s.url+"/done", browserOf(cookie)
	}
	var made struct{ ID, Link, QR string }
	if err := s.call(r.Context(), http.MethodPost, "/requests", body, &made); err != nil {
		fail(w, err)
		return
	}
	s.mu.Lock()
	v.request, v.same = made.ID, same
	s.mu.Unlock()
	reply(w, map[string]any{"link": made.Link, "qr": made.QR})
}

// state tells the page how its request stands.
func (s *shop) state(w http.ResponseWriter, r *http.Request) {
	cookie, v, ok := s.session(r)
	if !ok || v.request == "" {
		reply(w, map[string]any{"status": "none"})
		return
	}
	if v.answer != nil {
		reply(w, map[string]any{"status": "answered", "answer": v.answer})
		return
	}
	var st struct {
		Status string
		Result *result
	}
	if err := s.call(r.Context(), http.MethodGet, "/requests/"+url.PathEscape(v.request), nil, &st); err != nil {
		fail(w, err)
		return
	}
	switch {
	case st.Status == "refused":
		s.settle(cookie, &answer{Why: "refused"})
	case st.Status == "answered" && !v.same:
		s.settle(cookie, st.Result.answer())
	case st.Status == "answered": // on the same device the result comes with the visitor, to /done
		reply(w, map[string]any{"status": "waiting"})
		return
	default:
		reply(w, map[string]any{"status": st.Status})
		return
	}
	s.state(w, r)
}

// done is where the wallet sends the visitor back to, with a code that works once and in
// this browser only.
func (s *shop) done(w http.ResponseWriter, r *http.Request) {
	cookie, v, ok := s.session(r)
	code := r.URL.Query().Get("response_code")
	if ok && v.same && v.answer == nil && code != "" {
		var res result
		err := s.call(r.Context(), http.MethodPost, "/requests/"+url.PathEscape(v.request)+"/result", map[string]any{"response_code": code, "browser": browserOf(cookie)}, &res)
		if err != nil {
			log.Print(err) // a code of another browser, or used before: the page says that nothing came
		} else {
			s.settle(cookie, res.answer())
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther) // so that the code is not in the history
}

// A result is what the verifier answers, as far as the shop reads it.
type result struct {
	Verdict       string
	Refused       string
	Presentations []struct {
		Credential string
		Claims     []struct {
			Path  []any
			Value any
		}
	}
}

// answer is what the shop makes of it. Only valid is a yes: check_needed is for people who
// can look closer, and a website cannot.
func (r *result) answer() *answer {
	if r == nil || r.Verdict != "valid" {
		if r != nil && r.Refused != "" {
			return &answer{Why: "refused"}
		}
		return &answer{Why: "not_valid"}
	}
	a := &answer{}
	for _, p := range r.Presentations {
		for _, c := range p.Claims {
			if len(c.Path) != 1 {
				continue
			}
			switch name, _ := c.Path[0].(string); name {
			case "full_name":
				a.Name, _ = c.Value.(string)
			case "age_over_18":
				a.Over18, _ = c.Value.(bool)
			}
		}
	}
	if !a.Over18 {
		return &answer{Why: "under_18"} // the name is not needed for a no
	}
	return a
}

// call asks the verifier with the key of the shop.
func (s *shop) call(ctx context.Context, method, path string, body, into any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, s.verifier+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(r)
	if err != nil {
		return errors.New("the verifier does not answer") // the address holds the id of the request
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		var problem struct{ Code string }
		_ = json.Unmarshal(b, &problem)
		return fmt.Errorf("the verifier answers %d %s", res.StatusCode, problem.Code)
	}
	return json.Unmarshal(b, into)
}

func reply(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// fail says no more than that it went wrong; the log has the reason.
func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "it does not work at the moment", http.StatusBadGateway)
}
